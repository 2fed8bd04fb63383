// Words made of words: the normal distribution's density and distribution function, and products with a tail. Lane<T>
// brings its own overloads, which keep full relative accuracy in the lower tail; these are accurate to one epsilon.
#pragma once

#include "formulas/formula.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

// e^(-x^2/2) / sqrt(2 pi)
template <class X>
X normal_pdf(const X& x) {
  return X(0.3989422804014327) * exp(X(-0.5) * (x * x));
}

// Phi(x) = (1 + erf(x / sqrt 2)) / 2
template <class X>
X normal_cdf(const X& x) {
  const X half(0.5);
  return fma(half, erf(X(0.7071067811865476) * x), half);
}

template <class X>
X times_normal_cdf(const X& x) {
  return x * normal_cdf(x);
}

inline constexpr double gelu_a = 1.5957691216057308, gelu_b = 0.07135481627260025;  // 2 sqrt(2/pi), 0.044715 of it

// x sigmoid(v (a + b v^2))
template <class X>
X times_gelu_sigmoid(const X& x, const X& v) {
  return x * sigmoid(v * fma(X(gelu_b), v * v, X(gelu_a)));
}

template <class X>
X times_sigmoid(const X& x, const X& z) {
  return x * sigmoid(z);
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
