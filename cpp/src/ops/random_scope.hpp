// RandomScope: where dropout takes its counter {seed, step} from on this thread. Within one scope each call of dropout
// gets the next stream, so masks differ between layers and repeat when the same counter comes again.
#pragma once

#include <cstdint>

#include "chainrule/tensor.hpp"

namespace chainrule {

class RandomScope {
 public:
  explicit RandomScope(Tensor counter);                   // int64 (2,): {seed, step}; may be symbolic
  RandomScope(std::uint64_t seed, std::uint32_t* calls);  // counter {seed, (*calls)++}, drawn at the first use only
  ~RandomScope();
  RandomScope(const RandomScope&) = delete;
  RandomScope& operator=(const RandomScope&) = delete;

  static RandomScope* current() noexcept;  // the innermost one, or null
  const Tensor& counter();
  std::uint32_t next_stream() noexcept { return stream_++; }
  std::uint32_t stream() const noexcept { return stream_; }
  void rewind(std::uint32_t stream) noexcept { stream_ = stream; }  // what follows draws the same again

 private:
  Tensor counter_;
  std::uint64_t seed_ = 0;
  std::uint32_t* calls_ = nullptr;
  std::uint32_t stream_ = 0;
  RandomScope* outer_;
};

Tensor make_counter(std::uint64_t seed, std::uint64_t step);
std::uint64_t global_seed() noexcept;  // set by manual_seed

}  // namespace chainrule
