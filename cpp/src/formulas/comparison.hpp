// Comparisons: two values in, bool out, no derivative. Any comparison with NaN is false but not_equal.
#pragma once

#include "formulas/formula.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

struct Equal {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::none;
  static constexpr bool integers = true, booleans = true, mask_output = true;
  template <class X>
  static auto f(const X& a, const X& b) {
    return equal(a, b);
  }
};

struct NotEqual {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::none;
  static constexpr bool integers = true, booleans = true, mask_output = true;
  template <class X>
  static auto f(const X& a, const X& b) {
    return not_equal(a, b);
  }
};

struct Less {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::none;
  static constexpr bool integers = true, mask_output = true;
  template <class X>
  static auto f(const X& a, const X& b) {
    return less(a, b);
  }
};

struct LessEqual {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::none;
  static constexpr bool integers = true, mask_output = true;
  template <class X>
  static auto f(const X& a, const X& b) {
    return less_equal(a, b);
  }
};

struct Greater {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::none;
  static constexpr bool integers = true, mask_output = true;
  template <class X>
  static auto f(const X& a, const X& b) {
    return greater(a, b);
  }
};

struct GreaterEqual {
  static constexpr int inputs = 2;
  static constexpr Saves saves = Saves::none;
  static constexpr bool integers = true, mask_output = true;
  template <class X>
  static auto f(const X& a, const X& b) {
    return greater_equal(a, b);
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
