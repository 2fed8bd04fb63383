// Formulas around exp and log: exp, log to three bases, log1p, expm1, logaddexp, sinh, cosh, sqrt, erf, power.
#pragma once

#include "formulas/formula.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

struct Exp {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::output;
  template <class X>
  static X f(const X& x) {
    return exp(x);
  }
  template <class X>
  static X d(const X& y, const X& g) {
    return g * y;
  }
};

struct Log {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return log(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return g / x;
  }
};

struct Log1p {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return log1p(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return g / (X(1.0) + x);
  }
};

// (e^x - 1)' = e^x = y + 1.
struct Expm1 {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::output;
  template <class X>
  static X f(const X& x) {
    return expm1(x);
  }
  template <class X>
  static X d(const X& y, const X& g) {
    return g * (y + X(1.0));
  }
};

// log2' = 1 / (x log 2).
struct Log2 {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return log2(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return g / (X(0.6931471805599453) * x);
  }
};

// log10' = 1 / (x log 10).
struct Log10 {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return log10(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return g / (X(2.302585092994046) * x);
  }
};

struct Sinh {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return sinh(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return g * cosh(x);
  }
};

struct Cosh {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return cosh(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return g * sinh(x);
  }
};

// log(e^a + e^b) = max + log(1 + e^-|a - b|); equal values, infinite ones too, give a + log 2. By a it is
// sigmoid(a - b), by b sigmoid(b - a), 1/2 each at equal infinities.
struct Logaddexp {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& a, const X& b) {
    return where(equal(a, b), a + X(0.6931471805599453), maximum(a, b) + log1p(exp(-abs(a - b))));
  }
  template <class X>
  static X d0(const X& a, const X& b, const X& g) {
    const X difference = a - b, finite = where(less(abs(a), X(__builtin_inf())), difference, X(0.0));
    return g * sigmoid(where(equal(a, b), finite, difference));
  }
  template <class X>
  static X d1(const X& a, const X& b, const X& g) {
    return d0(b, a, g);
  }
};

struct Sqrt {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::output;
  template <class X>
  static X f(const X& x) {
    return sqrt(x);
  }
  template <class X>
  static X d(const X& y, const X& g) {
    return X(0.5) * g / y;
  }
};

// erf' = 2/sqrt(pi) e^(-x^2).
struct Erf {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return erf(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return g * (X(1.1283791670955126) * exp(-(x * x)));
  }
};

// a^b. By a: b a^(b-1), 0 at a = b = 0. By b: a^b log(a), 0 where a is 0 and b is not negative, NaN where a is
// negative. Masked places compute with harmless numbers, so that derivatives of these stay free of inf * 0.
struct Power {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::input;
  static constexpr bool integers = true, natural_b = true;
  static constexpr double flops = 60;
  template <class X>
  static X f(const X& a, const X& b) {
    return power(a, b);
  }
  template <class X>
  static X d0(const X& a, const X& b, const X& g) {
    const X zero(0.0), one(1.0);
    const X base = where(equal(b, zero), where(equal(a, zero), one, a), a);
    return g * (b * power(base, b - one));
  }
  template <class X>
  static X d1(const X& a, const X& b, const X& g) {
    const X zero(0.0), one(1.0);
    const X base = where(equal(a, zero), where(greater_equal(b, zero), one, a), a);
    return g * (power(a, b) * log(base));
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
