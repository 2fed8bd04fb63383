// Formulas that jump: rounding, whose derivative is 0, and the remainder.
#pragma once

#include "formulas/formula.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

struct Floor {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::none;
  static constexpr bool zero_derivative = true, integers = true;
  template <class X>
  static X f(const X& x) {
    return floor(x);
  }
};

struct Ceil {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::none;
  static constexpr bool zero_derivative = true, integers = true;
  template <class X>
  static X f(const X& x) {
    return ceil(x);
  }
};

struct Round {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::none;
  static constexpr bool zero_derivative = true, integers = true;
  template <class X>
  static X f(const X& x) {
    return round(x);
  }
};

// a - floor(a / b) b, exact. By a the derivative is 1, by b -floor(a / b), which is (a - mod) / b without its rounding.
struct Mod {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::input;
  static constexpr bool integers = true;
  static constexpr double flops = 20;
  template <class X>
  static X f(const X& a, const X& b) {
    return mod(a, b);
  }
  template <class X>
  static X d0(const X&, const X&, const X& g) {
    return g;
  }
  template <class X>
  static X d1(const X& a, const X& b, const X& g) {
    return -(g * round((a - mod(a, b)) / b));
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
