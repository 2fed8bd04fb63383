// Trigonometric formulas and their inverses. Angles are in radians.
#pragma once

#include "formulas/formula.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

struct Sin {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  static constexpr double flops = 50;
  template <class X>
  static X f(const X& x) {
    return sin(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return g * cos(x);
  }
};

struct Cos {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  static constexpr double flops = 50;
  template <class X>
  static X f(const X& x) {
    return cos(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return -(g * sin(x));
  }
};

// tan' = 1 + tan^2.
struct Tan {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::output;
  static constexpr double flops = 50;
  template <class X>
  static X f(const X& x) {
    return tan(x);
  }
  template <class X>
  static X d(const X& y, const X& g) {
    return g * fma(y, y, X(1.0));
  }
};

// arcsin' = 1 / sqrt(1 - x^2).
struct Arcsin {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return arcsin(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    const X one(1.0);
    return g / sqrt((one - x) * (one + x));
  }
};

struct Arccos {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return arccos(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    const X one(1.0);
    return -(g / sqrt((one - x) * (one + x)));
  }
};

// arctan' = 1 / (1 + x^2).
struct Arctan {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& x) {
    return arctan(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return g / fma(x, x, X(1.0));
  }
};

// The angle of the point (b, a) by a: b / (a^2 + b^2), by b: -a / (a^2 + b^2), divided through by the larger of the two
// so that no square overflows. 0 at the origin, which has no angle.
struct Arctan2 {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::input;
  template <class X>
  static X f(const X& a, const X& b) {
    return arctan2(a, b);
  }
  template <class X>
  static X d0(const X& a, const X& b, const X& g) {
    const X zero(0.0), one(1.0);
    const auto flat = less_equal(abs(a), abs(b));
    const X large = where(flat, b, a), q = where(flat, a, b) / where(equal(large, zero), one, large);
    const X w = g / (where(equal(large, zero), one, large) * fma(q, q, one));
    return where(equal(large, zero), zero, where(flat, w, w * q));
  }
  template <class X>
  static X d1(const X& a, const X& b, const X& g) {
    const X zero(0.0), one(1.0);
    const auto flat = less_equal(abs(a), abs(b));
    const X large = where(flat, b, a), q = where(flat, a, b) / where(equal(large, zero), one, large);
    const X w = g / (where(equal(large, zero), one, large) * fma(q, q, one));
    return where(equal(large, zero), zero, -where(flat, w * q, w));
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
