// The remainder of Lane<float> and Lane<double>: exact, with the sign of the divisor.
#pragma once

#include "kernels/lane_math.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

namespace lane_math {

// One element by C's fmod, which is exact whoever computes it, and slow where a is much larger than b.
template <class T>
inline T mod_by_fmod(T a, T b) {
  T r;
  if constexpr (sizeof(T) == 4)
    r = __builtin_fmodf(a, b);
  else
    r = __builtin_fmod(a, b);
  if (r == T(0)) return b < T(0) ? T(-0.0) : T(0);
  return (r < T(0)) != (b < T(0)) ? r + b : r;
}

}  // namespace lane_math

// a - floor(a / b) b. Up to a quotient of `limit` the product is exact in two parts, and so is its difference from a;
// where the quotient was rounded up to an integer the difference is b too small. Other elements go to fmod: their own
// values decide, and both ways are exact.
template <class T>
CHAINRULE_INLINE Lane<T> mod(Lane<T> a, Lane<T> b) {
  using L = Lane<T>;
  constexpr double limit = sizeof(T) == 4 ? 0x1p22 : 0x1p26, smallest = sizeof(T) == 4 ? 0x1p-100 : 0x1p-960;
  const L zero(0.0), one(1.0), size = abs(b), ratio = a / b;
  const auto product = lane_math::times(lane_math::Twice<T>{floor(ratio), zero}, lane_math::Twice<T>{b, zero});
  const L r = (a - product.hi) - product.lo, along = where(less(b, zero), -r, r);
  const L y = where(equal(r, zero), lane_math::or_sign_of(zero, b), where(less(along, zero), r + b, r));
  const L near = where(less(abs(ratio), L(limit)), where(less(size, L(smallest)), zero, one), zero);
  const L plain = where(less_equal(size, L(lane_math::Format<T>::largest)), near, zero);
  const auto others = equal(plain, zero);
  if (!L::Masks::any(others.m)) return y;
  alignas(64) T value[L::width], divisor[L::width], result[L::width], is_plain[L::width];
  a.store(value, L::width);
  b.store(divisor, L::width);
  y.store(result, L::width);
  plain.store(is_plain, L::width);
  for (int i = 0; i < L::width; ++i)
    if (is_plain[i] == T(0)) result[i] = lane_math::mod_by_fmod(value[i], divisor[i]);
  return L::load(result, L::width);
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
