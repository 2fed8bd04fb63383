// Comparisons and questions: values in, bool out, no derivative. Any comparison with NaN is false but not_equal.
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

struct Isnan {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::none;
  static constexpr bool mask_output = true;
  template <class X>
  static auto f(const X& x) {
    return not_equal(x, x);
  }
};

struct Isinf {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::none;
  static constexpr bool mask_output = true;
  template <class X>
  static auto f(const X& x) {
    return equal(abs(x), X(__builtin_inf()));
  }
};

struct Isfinite {
  static constexpr int inputs = 1;
  static constexpr Saves saves = Saves::none;
  static constexpr bool mask_output = true;
  template <class X>
  static auto f(const X& x) {
    return less(abs(x), X(__builtin_inf()));
  }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
