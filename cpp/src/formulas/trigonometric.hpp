// Trigonometric formulas and their inverses. Angles are in radians.
#pragma once

#include "formulas/formula.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

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

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
