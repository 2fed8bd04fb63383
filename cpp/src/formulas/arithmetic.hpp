// Formulas of the four operations and of what is piecewise linear: negative, square, reciprocal, abs, sign, maximum,
// clip, where. Rounding is in rounding.hpp.
#pragma once

#include "formulas/formula.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

struct Negative {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::none;
  static constexpr bool plain = true, integers = true;
  template <class X>
  static X f(const X& x) {
    return -x;
  }
  template <class X>
  static X d(const X& g) {
    return -g;
  }
};

struct Square {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  static constexpr bool plain = true, integers = true;
  template <class X>
  static X f(const X& x) {
    return x * x;
  }
  template <class X>
  static X d(const X& x, const X& g) {
    return g * (x + x);
  }
};

// (1/x)' = -1/x^2.
struct Reciprocal {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::output;
  template <class X>
  static X f(const X& x) {
    return X(1.0) / x;
  }
  template <class X>
  static X d(const X& y, const X& g) {
    return -((g * y) * y);
  }
};

struct Abs {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::input;
  static constexpr bool integers = true;
  template <class X>
  static X f(const X& x) {
    return abs(x);
  }
  template <class X>
  static X d(const X& x, const X& g) {
    const X zero(0.0);
    return where(greater(x, zero), g, where(less(x, zero), -g, zero));
  }
};

struct Sign {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::none;
  static constexpr bool zero_derivative = true, integers = true;
  template <class X>
  static X f(const X& x) {
    return sign(x);
  }
};

struct Add {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::none;
  static constexpr bool plain = true, integers = true;
  template <class X>
  static X f(const X& a, const X& b) {
    return a + b;
  }
  template <class X>
  static X d0(const X&, const X&, const X& g) {
    return g;
  }
  template <class X>
  static X d1(const X&, const X&, const X& g) {
    return g;
  }
};

struct Subtract {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::none;
  static constexpr bool plain = true, integers = true;
  template <class X>
  static X f(const X& a, const X& b) {
    return a - b;
  }
  template <class X>
  static X d0(const X&, const X&, const X& g) {
    return g;
  }
  template <class X>
  static X d1(const X&, const X&, const X& g) {
    return -g;
  }
};

struct Multiply {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::input;
  static constexpr bool plain = true, integers = true;
  static constexpr unsigned reads[] = {0b10, 0b01};
  template <class X>
  static X f(const X& a, const X& b) {
    return a * b;
  }
  template <class X>
  static X d0(const X&, const X& b, const X& g) {
    return g * b;
  }
  template <class X>
  static X d1(const X& a, const X&, const X& g) {
    return g * a;
  }
};

struct Divide {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::input;
  static constexpr unsigned reads[] = {0b10, 0b11};
  template <class X>
  static X f(const X& a, const X& b) {
    return a / b;
  }
  template <class X>
  static X d0(const X&, const X& b, const X& g) {
    return g / b;
  }
  template <class X>
  static X d1(const X& a, const X& b, const X& g) {
    return -((g / b) * (a / b));
  }
};

// a * b + c with one rounding where the instruction set has it; on x86-64-v2 with two.
struct Fma {
  static constexpr int inputs = 3;
  static constexpr Saves saves = Saves::input;
  static constexpr bool plain = true;
  static constexpr unsigned reads[] = {0b010, 0b001, 0};
  template <class X>
  static X f(const X& a, const X& b, const X& c) {
    return fma(a, b, c);
  }
  template <class X>
  static X d0(const X&, const X& b, const X&, const X& g) {
    return g * b;
  }
  template <class X>
  static X d1(const X& a, const X&, const X&, const X& g) {
    return g * a;
  }
  template <class X>
  static X d2(const X&, const X&, const X&, const X& g) {
    return g;
  }
};

// Equal values share the gradient equally; a NaN operand passes none.
struct Maximum {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::input;
  static constexpr bool integers = true;
  template <class X>
  static X f(const X& a, const X& b) {
    return maximum(a, b);
  }
  template <class X>
  static X d0(const X& a, const X& b, const X& g) {
    return where(greater(a, b), g, where(equal(a, b), X(0.5) * g, X(0.0)));
  }
  template <class X>
  static X d1(const X& a, const X& b, const X& g) {
    return d0(b, a, g);
  }
};

struct Minimum {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::input;
  static constexpr bool integers = true;
  template <class X>
  static X f(const X& a, const X& b) {
    return minimum(a, b);
  }
  template <class X>
  static X d0(const X& a, const X& b, const X& g) {
    return where(less(a, b), g, where(equal(a, b), X(0.5) * g, X(0.0)));
  }
  template <class X>
  static X d1(const X& a, const X& b, const X& g) {
    return d0(b, a, g);
  }
};

// min(max(x, r[0]), r[1]); NaN stays NaN. The gradient passes where r[0] <= x <= r[1].
struct Clip {
  static constexpr int inputs = 1;
  static constexpr int params = 2;
  static constexpr Saves saves = Saves::input;
  static constexpr bool integers = true;
  template <class X>
  static X f(const X& x, const double* r) {
    const X lo(r[0]), hi(r[1]);
    const X raised = where(less(x, lo), lo, x);
    return where(greater(raised, hi), hi, raised);
  }
  template <class X>
  static X d(const X& x, const X& g, const double* r) {
    const X zero(0.0);
    return where(greater_equal(x, X(r[0])), where(less_equal(x, X(r[1])), g, zero), zero);
  }
};

// c ? a : b, c being bool. No gradient reaches c.
struct Where {
  static constexpr int inputs = 3;
  static constexpr Saves saves = Saves::input;
  static constexpr bool plain = true, integers = true, booleans = true, mask_input = true;
  static constexpr unsigned reads[] = {0, 0b001, 0b001};
  template <class M, class X>
  static X f(const M& c, const X& a, const X& b) {
    return where(c, a, b);
  }
  template <class M, class X>
  static X d1(const M& c, const X&, const X&, const X& g) {
    return where(c, g, X(0.0));
  }
  template <class M, class X>
  static X d2(const M& c, const X&, const X&, const X& g) {
    return where(c, X(0.0), g);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
