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

// scale x where x > 0, else scale alpha (e^x - 1): the pair for which activations keep mean 0 and variance 1.
struct Selu {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  static constexpr double scale = 1.0507009873554805, scale_alpha = 1.7580993408473766;
  template <class X>
  static X f(const X& x) {
    return where(greater(x, X(0.0)), X(scale) * x, X(scale_alpha) * expm1(x));
  }
  template <class X>
  static X d(const X& x, const X& g) {
    const X zero(0.0);
    const auto positive = greater(x, zero);
    return g * where(positive, X(scale), X(scale_alpha) * exp(where(positive, zero, x)));
  }
};

// x / (1 + |x|), which is the sign of x where 1 no longer counts.
struct Softsign {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    const X size = abs(x);
    return where(greater(size, X(3e38)), sign(x), x / (size + X(1.0)));
  }
  template <class X>
  static X d(const X& x, const X& g) {
    const X size = abs(x) + X(1.0);
    return g / size / size;
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

// x tanh(log(1 + e^x)) = x sigmoid(x) (1 + n / m) with n = e^x and m = n^2 + 2 n + 2. From x = 40 on n / m no longer
// counts. The derivative is t + 4 x n (n + 1) / m^2, t being n (n + 2) / m.
struct Mish {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X n(const X& x) {
    const X hi(40.0);
    return exp(where(greater(x, hi), hi, x));
  }
  template <class X>
  static X f(const X& x) {
    const X e = n(x), m = fma(e, e + X(2.0), X(2.0));
    return times_sigmoid(at_least_minus_1000(x) * (X(1.0) + e / m), x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    const X v = within_1000(x), e = n(v), m = fma(e, e + X(2.0), X(2.0));
    return g * ((e * (e + X(2.0)) + X(4.0) * v * (e * ((e + X(1.0)) / m))) / m);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
