// Small words for tests of floor 8: float64 tensors from lists, and comparison within a relative tolerance.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "chainrule/tensor.hpp"

namespace close_test {

using chainrule::DType;
using chainrule::Shape;
using chainrule::Tensor;

inline Tensor f64(const std::vector<double>& values, const Shape& shape) { return Tensor::from(values, shape); }
inline Tensor f64(const std::vector<double>& values) { return f64(values, {values.size()}); }
inline Tensor f32(const std::vector<float>& values, const Shape& shape) { return Tensor::from(values, shape); }
inline Tensor ints(const std::vector<std::int64_t>& values, const Shape& shape) { return Tensor::from(values, shape); }
inline Tensor ints(const std::vector<std::int64_t>& values) { return ints(values, {values.size()}); }

inline std::vector<double> values_of(const Tensor& t) {
  const chainrule::NoGrad no_grad;
  Tensor wide = Tensor::empty(t.shape(), DType::float64);
  wide.copy_(t.detach());
  const auto all = wide.span<double>();
  return {all.begin(), all.end()};
}

inline void check_close(const std::vector<double>& got, const std::vector<double>& want, double tolerance = 1e-12) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CAPTURE(got[i]);
    CAPTURE(want[i]);
    CHECK(std::abs(got[i] - want[i]) <= tolerance * std::max(1.0, std::abs(want[i])));
  }
}
inline void check_close(const Tensor& got, const std::vector<double>& want, double tolerance = 1e-12) {
  check_close(values_of(got), want, tolerance);
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw_data(), b.raw_data(), static_cast<std::size_t>(a.size()) * chainrule::size_of(a.dtype())) ==
             0;
}

}  // namespace close_test
