// Calls an elementwise kernel as the executor does, on arrays of any shape and stride; ULPs against long double.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#include "call.hpp"
#include "chainrule/dtype.hpp"
#include "chainrule/elementwise_list.hpp"
#include "dispatch/dispatch.hpp"
#include "formulas/list.hpp"
#include "kernels/abi.hpp"

namespace chainrule::tests {

using kernels::ElementwisePlan, kernels::Plan, kernels::Status;
using real = long double;

struct Input {
  const void* data;
  std::vector<std::int64_t> stride;  // elements
};

// What the caller of a kernel fills in.
struct Call {
  Plan plan{};
  std::vector<const void*> in;
  std::vector<void*> out;
  mutable std::vector<double> scratch{};

  Call(const std::vector<std::int64_t>& shape, const std::vector<Input>& inputs, std::vector<void*> outputs,
       const std::vector<double>& r = {})
      : out(std::move(outputs)) {
    auto& e = *new (plan.body) ElementwisePlan{};
    e.rank = static_cast<std::int64_t>(shape.size());
    plan.units = 1;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      e.size[d] = shape[d];
      plan.units *= shape[d];
      for (std::size_t k = 0; k < inputs.size(); ++k) e.stride[k][d] = inputs[k].stride[d];
    }
    for (std::size_t k = 0; k < r.size(); ++k) e.r[k] = r[k];
    for (const Input& x : inputs) in.push_back(x.data);
    scratch.resize(inputs.size() * kernels::elementwise_tile);
  }
  Status run(kernels::Kernel kernel, std::int64_t begin, std::int64_t end) const {
    const kernel_test::FloatingPointMode mode;
    return kernel({in.data(), out.data(), &plan}, {begin, end}, scratch.data());
  }
  Status run(kernels::Kernel kernel) const { return run(kernel, 0, plan.units); }
};

template <class T>
kernels::Kernel find(const std::string& name) {
  const kernels::Kernel kernel = dispatch::find_kernel(name, dtype_of<T>);
  REQUIRE_MESSAGE(kernel != nullptr, "no kernel ", name, " for ", std::string(name_of(dtype_of<T>)));
  return kernel;
}

// One contiguous call.
template <class T, class Out = T>
std::vector<Out> apply(const std::string& name, const std::vector<std::vector<T>>& inputs,
                       const std::vector<double>& r = {}) {
  const std::size_t n = inputs[0].size();
  std::vector<Out> y(n);
  std::vector<Input> in;
  for (const auto& x : inputs) in.push_back({x.data(), {1}});
  CHECK(Call({static_cast<std::int64_t>(n)}, in, {y.data()}, r).run(find<T>(name)) == Status::ok);
  return y;
}

template <class T>
bool same(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0 ||
         (std::isnan(static_cast<double>(a)) && std::isnan(static_cast<double>(b)));
}

// Distance in units of the last place of `want`; results below the smallest normal may be 0.
template <class T>
double ulps(T got, real want) {
  using L = std::numeric_limits<T>;
  constexpr double wrong = 1e30;
  const real size = std::fabs(want);
  if (std::isnan(want)) return std::isnan(got) ? 0 : wrong;
  if (size > real{L::max()} * (1 + real{L::epsilon()} / 4))
    return std::isinf(got) && (got > 0) == (want > 0) ? 0 : wrong;
  if (size < L::min()) return std::fabs(got) <= L::min() ? 0 : wrong;
  if (std::isinf(got)) return size >= real{L::max()} * (1 - 4 * real{L::epsilon()}) ? 1 : wrong;
  if (std::isnan(got)) return wrong;
  int exponent;
  std::frexp(size, &exponent);
  return static_cast<double>(std::fabs(real{got} - want) / std::ldexp(real{1}, exponent - L::digits));
}

template <class T>
std::vector<T> uniform(std::size_t n, double lo, double hi, unsigned seed) {
  std::mt19937_64 draw(seed);
  std::uniform_real_distribution<double> d(lo, hi);
  std::vector<T> x(n);
  for (T& v : x) v = static_cast<T>(d(draw));
  return x;
}

}  // namespace chainrule::tests
