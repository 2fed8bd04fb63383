// Formulas of the activation functions.
#pragma once

#include "formulas/formula.hpp"
#include "formulas/words.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

// max(x, 0); NaN stays NaN.
struct Relu {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::output;
  template <class X>
  static X f(const X& x) {
    const X zero(0.0);
    return where(less(x, zero), zero, x);
  }
  template <class X>
  static X d(const X& y, const X& g) {
    const X zero(0.0);
    return where(greater(y, zero), g, zero);
  }
};

// x where x > 0, else r[0] x.
struct LeakyRelu {
  static constexpr int inputs = 1;
  static constexpr int params = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x, const double* r) {
    return where(greater(x, X(0.0)), x, X(r[0]) * x);
  }
  template <class X>
  static X d(const X& x, const X& g, const double* r) {
    return where(greater(x, X(0.0)), g, X(r[0]) * g);
  }
};

// x where x > 0, else r[0] (e^x - 1).
struct Elu {
  static constexpr int inputs = 1;
  static constexpr int params = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x, const double* r) {
    return where(greater(x, X(0.0)), x, X(r[0]) * expm1(x));
  }
  template <class X>
  static X d(const X& x, const X& g, const double* r) {
    const X zero(0.0);
    const auto positive = greater(x, zero);
    return where(positive, g, g * (X(r[0]) * exp(where(positive, zero, x))));
  }
};

struct Sigmoid {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::output;
  template <class X>
  static X f(const X& x) {
    return sigmoid(x);
  }
  template <class X>
  static X d(const X& y, const X& g) {
    return g * (y * (X(1.0) - y));
  }
};

struct Tanh {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::output;
  template <class X>
  static X f(const X& x) {
    return tanh(x);
  }
  template <class X>
  static X d(const X& y, const X& g) {
    return g * fma(-y, y, X(1.0));
  }
};

// log(1 + e^x) = max(x, 0) + log(1 + e^-|x|).
struct Softplus {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return maximum(x, X(0.0)) + log1p(exp(-abs(x)));
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return g * sigmoid(x);
  }
};

// The next three are x s(x) with s rising from 0 to 1. Far out s is exactly 0 or 1, so x may be held to +-1000 where
// it meets a factor that vanishes: the limits at +-inf come out, not NaN.
template <class X>
X at_least_minus_1000(const X& x) {
  const X lo(-1000.0);
  return where(less(x, lo), lo, x);
}

template <class X>
X within_1000(const X& x) {
  const X lo(-1000.0), hi(1000.0);
  return where(less(x, lo), lo, where(greater(x, hi), hi, x));
}

// x Phi(x); the derivative is Phi(x) + x phi(x).
struct Gelu {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return times_normal_cdf(at_least_minus_1000(x));
  }
  template <class X>
  static X d(const X& x, const X& g) {
    const X v = within_1000(x);
    return g * fma(v, normal_pdf(v), normal_cdf(v));
  }
};

// 0.5 x (1 + tanh u) = x sigmoid(2u) with 2u = x (a + b x^2); the derivative is s (1 + x (1 - s) (a + 3 b x^2)).
struct GeluTanh {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  static constexpr double a = gelu_a, b = gelu_b;
  template <class X>
  static X f(const X& x) {
    return times_gelu_sigmoid(at_least_minus_1000(x), within_1000(x));
  }
  template <class X>
  static X d(const X& x, const X& g) {
    const X one(1.0), v = within_1000(x), v2 = v * v;
    const X s = sigmoid(v * fma(X(b), v2, X(a)));
    return g * (s * fma(v * (one - s), fma(X(3.0 * b), v2, X(a)), one));
  }
};

// x sigmoid(x); the derivative is s (1 + x (1 - s)).
struct Silu {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return times_sigmoid(at_least_minus_1000(x), x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    const X one(1.0), v = within_1000(x);
    const X s = sigmoid(v);
    return g * (s * fma(v, one - s, one));
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
