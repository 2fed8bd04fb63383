// Kernels run under one floating-point environment on every thread: round to nearest, flush-to-zero and
// denormals-are-zero on, exceptions masked. The host's is restored afterwards. (A dead unit's Adam moments decay into
// subnormals, which cost many times a normal number's time on most processors.)
#pragma once

#include <cstdint>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace chainrule {

class FloatEnvironment {
 public:
  FloatEnvironment() noexcept {
#if defined(__SSE2__)
    before_ = _mm_getcsr();
    if (before_ != ours) _mm_setcsr(ours);
#elif defined(__aarch64__)
    std::uint64_t fpcr;
    asm volatile("mrs %0, fpcr" : "=r"(fpcr));
    before_ = fpcr;
    asm volatile("msr fpcr, %0" : : "r"(std::uint64_t{1} << 24));
#endif
  }
  ~FloatEnvironment() {
#if defined(__SSE2__)
    if (before_ != ours) _mm_setcsr(before_);
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" : : "r"(before_));
#endif
  }
  FloatEnvironment(const FloatEnvironment&) = delete;
  FloatEnvironment& operator=(const FloatEnvironment&) = delete;

 private:
  friend class HostEnvironment;
#if defined(__SSE2__)
  static constexpr unsigned ours = 0x9FC0;  // FTZ | all masks | DAZ
  unsigned before_;
#elif defined(__aarch64__)
  std::uint64_t before_;
#endif
};

// Inside one of ours, for the time of a call: the host's, for functions of the host.
class HostEnvironment {
 public:
  explicit HostEnvironment(const FloatEnvironment& ours) noexcept {
#if defined(__SSE2__)
    _mm_setcsr(ours.before_);
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" : : "r"(ours.before_));
#endif
  }
  ~HostEnvironment() {
#if defined(__SSE2__)
    _mm_setcsr(FloatEnvironment::ours);
#elif defined(__aarch64__)
    asm volatile("msr fpcr, %0" : : "r"(std::uint64_t{1} << 24));
#endif
  }
  HostEnvironment(const HostEnvironment&) = delete;
  HostEnvironment& operator=(const HostEnvironment&) = delete;
};

}  // namespace chainrule
