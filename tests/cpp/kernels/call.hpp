// Calls one kernel in every way that must not change a bit: whole, in pieces, in reverse, with every operand moved in
// memory; and watches the bytes around each output. Not a reference for any op.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <random>
#include <string>
#include <vector>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "chainrule/dtype.hpp"
#include "dispatch/dispatch.hpp"
#include "kernels/abi.hpp"

namespace kernel_test {

using chainrule::DType;
using chainrule::dtype_of;
using namespace chainrule::kernels;
using Bytes = std::vector<unsigned char>;

// Flush-to-zero and denormals-are-zero, as every caller of a kernel sets them.
class FloatingPointMode {
 public:
#if defined(__SSE2__)
  FloatingPointMode() : saved_(_mm_getcsr()) { _mm_setcsr(0x9FC0); }
  ~FloatingPointMode() { _mm_setcsr(saved_); }

 private:
  unsigned saved_;
#else
  FloatingPointMode() {}
  ~FloatingPointMode() {}
#endif
};

template <class P>
Plan make_plan(const P& body, std::int64_t units) {
  Plan plan{};
  plan.units = units;
  std::memcpy(plan.body, &body, sizeof body);
  return plan;
}

template <class T>
Bytes bytes_of(const std::vector<T>& values) {
  Bytes bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

template <class T>
std::vector<T> values_of(const Bytes& bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

struct Result {
  Status status;
  std::vector<Bytes> out;

  template <class T>
  std::vector<T> as(std::size_t k = 0) const {
    return values_of<T>(out.at(k));
  }
};

struct Release {
  void operator()(unsigned char* p) const { ::operator delete(p, std::align_val_t{64}); }
};

// One placement of the operands: each starts `shift` bytes behind a 64-byte boundary; an input's last byte is the last
// of its allocation (a sanitizer sees what is read beyond), an output stands between guards.
inline Result call_once(Kernel kernel, const Plan& plan, const std::vector<Bytes>& in,
                        const std::vector<std::size_t>& out_bytes, const std::vector<Range>& ranges,
                        std::size_t shift) {
  constexpr std::size_t guard = 128;
  constexpr unsigned char poison = 0xC3;
  const auto place = [shift](Bytes& room) {
    const auto address = reinterpret_cast<std::uintptr_t>(room.data()) + guard;
    return room.data() + guard + (64 - address % 64) % 64 + shift;
  };
  std::vector<Bytes> rooms;
  rooms.reserve(out_bytes.size());
  std::vector<std::unique_ptr<unsigned char, Release>> inputs;
  std::vector<const void*> in_pointer;
  std::vector<void*> out_pointer;
  for (const Bytes& bytes : in) {
    void* room = ::operator new(shift + bytes.size(), std::align_val_t{64});
    inputs.emplace_back(static_cast<unsigned char*>(room));
    if (!bytes.empty()) std::memcpy(inputs.back().get() + shift, bytes.data(), bytes.size());
    in_pointer.push_back(inputs.back().get() + shift);
  }
  for (const std::size_t size : out_bytes) {
    Bytes& room = rooms.emplace_back(size + 2 * guard + 128, poison);
    out_pointer.push_back(place(room));
  }
  Result result{Status::ok, {}};
  const Args args{in_pointer.data(), out_pointer.data(), &plan};
  {
    const FloatingPointMode mode;
    for (const Range& range : ranges) {
      const Status status = kernel(args, range, nullptr);
      if (status != Status::ok) result.status = status;
    }
  }
  for (std::size_t k = 0; k < out_bytes.size(); ++k) {
    const Bytes& room = rooms[k];
    const auto* start = static_cast<const unsigned char*>(out_pointer[k]);
    result.out.emplace_back(start, start + out_bytes[k]);
    bool untouched = true;
    for (const unsigned char* p = room.data(); p < start; ++p) untouched &= *p == poison;
    for (const unsigned char* p = start + out_bytes[k]; p < room.data() + room.size(); ++p) untouched &= *p == poison;
    CHECK_MESSAGE(untouched, "bytes outside output ", k, " were written");
  }
  return result;
}

// All ways; the results of the first are returned, the others compared with it.
inline Result call(const std::string& name, DType key, const Plan& plan, const std::vector<Bytes>& in,
                   const std::vector<std::size_t>& out_bytes) {
  CAPTURE(name);
  const Kernel kernel = chainrule::dispatch::find_kernel(name, key);
  REQUIRE(kernel != nullptr);
  const Result whole = call_once(kernel, plan, in, out_bytes, {{0, plan.units}}, 0);
  for (const std::size_t shift : {8u, 24u, 40u}) {
    const Result moved = call_once(kernel, plan, in, out_bytes, {{0, plan.units}}, shift);
    CHECK(moved.status == whole.status);
    if (whole.status == Status::ok) CHECK(moved.out == whole.out);
  }
  std::mt19937 draw(7);
  for (const std::int64_t largest : {std::int64_t{3}, plan.units / 3 + 1}) {
    if (largest == 0 || plan.units / largest > 20000) continue;
    std::vector<Range> pieces;
    for (std::int64_t begin = 0; begin < plan.units;) {
      const std::int64_t step = 1 + static_cast<std::int64_t>(draw() % static_cast<unsigned>(largest));
      const std::int64_t end = begin + step < plan.units ? begin + step : plan.units;
      pieces.insert(pieces.begin(), {begin, end});
      begin = end;
    }
    const Result split = call_once(kernel, plan, in, out_bytes, pieces, 16);
    CHECK(split.status == whole.status);
    if (whole.status == Status::ok) CHECK(split.out == whole.out);
  }
  return whole;
}

// Values spread over a few powers of two, both signs.
template <class T>
std::vector<T> random_values(std::int64_t count, unsigned seed, double low = -2, double high = 2) {
  std::mt19937 draw(seed);
  std::uniform_real_distribution<double> uniform(low, high);
  std::vector<T> values(static_cast<std::size_t>(count));
  for (T& value : values) value = static_cast<T>(uniform(draw));
  return values;
}

template <class T>
constexpr double epsilon() {
  return static_cast<double>(std::numeric_limits<T>::epsilon());
}
template <class T>
constexpr T infinity = std::numeric_limits<T>::infinity();
template <class T>
constexpr T not_a_number = std::numeric_limits<T>::quiet_NaN();

inline std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

}  // namespace kernel_test
