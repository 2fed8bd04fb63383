// The words around the circle and the hyperbola for Lane<float> and Lane<double>, as accurate as those of
// lane_math.hpp: at most 4 ULP over the whole range, also at arguments of any size and next to the zeros.
#pragma once

#include "kernels/lane_math.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

namespace lane_math {

// (sin(r) / r - 1) / r^2 and (cos(r) - 1 + r^2/2) / r^4 in u = r^2, |r| <= pi/4
CHAINRULE_INLINE Lane<double> sin_tail(Lane<double> u) {
  return polynomial(u, -0.16666666666666666, 0.008333333333333038, -0.00019841269840955897, 2.755731906962915e-06,
                    -2.5052069613128105e-08, 1.6054128332898808e-10, -7.379774232745023e-13);
}
CHAINRULE_INLINE Lane<double> cos_tail(Lane<double> u) {
  return polynomial(u, 0.0416666666666666, -0.0013888888888874474, 2.48015872896713e-05, -2.7557314400869643e-07,
                    2.087572924516712e-09, -1.1359931607790892e-11);
}

// (sinh(a) / a - 1) / a^2 in u = a^2 <= 1
CHAINRULE_INLINE Lane<float> sinh_tail(Lane<float> u) {
  return polynomial(u, 0.16666667, 0.008333311, 0.00019842632, 2.7839626e-06);
}
CHAINRULE_INLINE Lane<double> sinh_tail(Lane<double> u) {
  return polynomial(u, 0.16666666666666669, 0.008333333333332915, 0.00019841269841589215, 2.75573191085115e-06,
                    2.505213066860301e-08, 1.6056687774810643e-10, 7.775673693881117e-13);
}

// (arcsin(s) / s - 1) / s^2 in u = s^2 <= 1/4
CHAINRULE_INLINE Lane<float> arcsin_tail(Lane<float> u) {
  return polynomial(u, 0.16666754, 0.07495249, 0.045476634, 0.02414839, 0.042219155);
}
CHAINRULE_INLINE Lane<double> arcsin_tail(Lane<double> u) {
  return polynomial(u, 0.16666666666665375, 0.07500000000344964, 0.04464285682184384, 0.030381959400701423,
                    0.022371751817325352, 0.017359797405698124, 0.013884333383725463, 0.012175052966473665,
                    0.006503045832453671, 0.01959563020028839, -0.01632870227170302, 0.031983058578411494);
}

// (arctan(t) / t - 1) / t^2 in u = t^2, |t| <= tan(pi/8)
CHAINRULE_INLINE Lane<float> arctan_tail(Lane<float> u) {
  return polynomial(u, -0.33333316, 0.19998531, -0.14244471, 0.105998404, -0.060918324);
}
CHAINRULE_INLINE Lane<double> arctan_tail(Lane<double> u) {
  return polynomial(u, -0.333333333333332, 0.19999999999953824, -0.14285714280221348, 0.11111110784723026,
                    -0.09090897794220286, 0.07692060860102996, -0.06663111275928747, 0.05847940764335156,
                    -0.05039530480024691, 0.03807012703698453, -0.01791311002702835);
}

// a = n pi/2 + r + rest with |r| <= pi/4; n modulo 4 is in the low bits of `shifted`.
struct Quarters {
  Lane<double> shifted, r, rest;
};

constexpr double quarters_round = Format<double>::round;
constexpr double largest_near = 1647098.0;  // below 2^20 pi/2

// The same for one a above largest_near, by Payne and Hanek (SIGNUM Newsletter 18, 1983): of a 2/pi only the bits
// around the point are computed, 192 of them, from a mantissa m of 53 bits and a window of 2/pi.
inline void far_quarter(double a, double& shifted, double& r, double& rest) {
  using Wide = unsigned __int128;
  using Word = std::uint64_t;
  static constexpr Word two_over_pi[] = {0,
                                         0xa2f9836e4e441529,
                                         0xfc2757d1f534ddc0,
                                         0xdb6295993c439041,
                                         0xfe5163abdebbc561,
                                         0xb7246e3a424dd2e0,
                                         0x06492eea09d1921c,
                                         0xfe1deb1cb129a73e,
                                         0xe88235f52ebb4484,
                                         0xe99c7026b45f7e41,
                                         0x3991d639835339f4,
                                         0x9c845f8bbdf9283b,
                                         0x1ff897ffde05980f,
                                         0xef2f118b5a0a6d1f,
                                         0x6d367ecf27cb09b7,
                                         0x4f463f669e5fea2d,
                                         0x7527bac7ebe5f17b,
                                         0x3d0739f78a5292ea,
                                         0x6bfb5fb11f8d5d08,
                                         0x56033046fc7b6bab};
  constexpr Word half_pi = 0xc90fdaa22168c234;  // pi/2 2^63
  Word pattern;
  __builtin_memcpy(&pattern, &a, sizeof pattern);
  const int exponent = static_cast<int>(pattern >> 52);
  if (exponent == 0x7ff) {
    shifted = quarters_round, r = rest = __builtin_nan("");
    return;
  }
  // a 2/pi = m 2^(exponent - 1075) 2/pi; what is left of bit `first` of the table are multiples of 4.
  const Word m = (pattern & 0xfffffffffffff) | 0x10000000000000;
  const int first = exponent - 1075 + 62, word = first / 64, bit = first % 64;
  Word window[3];
  for (int i = 0; i < 3; ++i)
    window[i] =
        bit == 0 ? two_over_pi[word + i] : two_over_pi[word + i] << bit | two_over_pi[word + i + 1] >> (64 - bit);
  const Wide low = (Wide{m} * window[2] >> 64) + Wide{m} * window[1];
  const Wide turns = (Wide{m * window[0]} << 64) + low;  // in units of 2^-126 quarters
  const Wide fraction = turns << 2;
  const bool negative = (fraction >> 127) != 0;
  const Word n = static_cast<Word>(turns >> 126) + (negative ? 1u : 0u);
  const Wide distance = negative ? Wide{0} - fraction : fraction;  // at most half a quarter, 2^-128 its unit
  const Word upper = static_cast<Word>(distance >> 64);
  const int zeros = upper != 0 ? __builtin_clzll(upper) : 64 + __builtin_clzll(static_cast<Word>(distance) | 1);
  const Word lead = static_cast<Word>((distance << zeros) >> 64);
  const Wide angle = Wide{lead} * half_pi;  // 2^-(127 + zeros) its unit
  const Word head = static_cast<Word>(angle >> 64), kept = head & ~Word{0x7ff};
  const Word unit = static_cast<Word>(1023 - 63 - zeros) << 52;
  double scale;
  __builtin_memcpy(&scale, &unit, sizeof scale);
  if (negative) scale = -scale;
  shifted = quarters_round + static_cast<double>(n & 3);
  r = static_cast<double>(kept) * scale;
  rest = static_cast<double>(head - kept) * scale;
}

// By Cody and Waite: pi/2 in parts of 33 bits, whose products with n below 2^20 are exact with and without fused
// multiply-add; each part is taken away exactly, s holding the difference and the rest what it rounded away.
CHAINRULE_INLINE Quarters quarters(Lane<double> a) {
  using L = Lane<double>;
  const L shifted = fma(a, L(0.6366197723675814), L(quarters_round)), n = shifted - L(quarters_round);
  const L t = fma(n, L(-0x1.921fb544p+0), a);
  const L p = n * L(0x1.0b4611a6p-34), s = t - p, back = s - t, lost = (t - (s - back)) - (p + back);
  const L p2 = n * L(0x1.3198a2ep-69), s2 = s - p2, back2 = s2 - s, lost2 = (s - (s2 - back2)) - (p2 + back2);
  const L small = fma(n, L(-0x1.b839a252049c1p-104), lost + lost2), r = s2 + small;
  Quarters q{shifted, r, (s2 - r) + small};
  const auto far = greater(a, L(largest_near));
  if (L::Masks::any(far.m)) {  // an element's own value decides, not its neighbours'
    alignas(64) double value[L::width], n_of[L::width], r_of[L::width], rest_of[L::width];
    a.store(value, L::width);
    q.shifted.store(n_of, L::width);
    q.r.store(r_of, L::width);
    q.rest.store(rest_of, L::width);
    for (int i = 0; i < L::width; ++i)
      if (value[i] > largest_near) far_quarter(value[i], n_of[i], r_of[i], rest_of[i]);
    q = {L::load(n_of, L::width), L::load(r_of, L::width), L::load(rest_of, L::width)};
  }
  return q;
}

struct SinCos {
  Lane<double> sin, cos;
};

// Of r + rest.
CHAINRULE_INLINE SinCos sin_cos(const Quarters& q) {
  const Lane<double> one(1.0), r = q.r, u = r * r, half = Lane<double>(0.5) * u, w = one - half;
  return {r + fma(r * u, sin_tail(u), q.rest), w + (((one - w) - half) + fma(u * u, cos_tail(u), -(r * q.rest)))};
}

// Where n does not have this bit.
CHAINRULE_INLINE Mask<double> without_bit(Lane<double> shifted, std::int64_t bit) {
  const auto low = packet::eigen::pand(bits(shifted), whole<double>(bit));
  return equal(from_bits<double>(packet::eigen::por(low, bits(Lane<double>(1.0)))), Lane<double>(1.0));
}

CHAINRULE_INLINE Lane<double> sin_double(Lane<double> x) {
  const Quarters q = quarters(abs(x));
  const SinCos of_r = sin_cos(q);
  const Lane<double> y = where(without_bit(q.shifted, 1), of_r.sin, of_r.cos),
                     s = where(without_bit(q.shifted, 2), y, -y);
  return Lane<double>::of(packet::eigen::pxor(s.v, packet::eigen::pand(x.v, Lane<double>(-0.0).v)));
}
CHAINRULE_INLINE Lane<double> cos_double(Lane<double> x) {
  Quarters q = quarters(abs(x));
  const SinCos of_r = sin_cos(q);
  const Lane<double> next = q.shifted + Lane<double>(1.0);  // cos(x) = sin(x + pi/2)
  const Lane<double> y = where(without_bit(next, 1), of_r.sin, of_r.cos);
  return where(without_bit(next, 2), y, -y);
}
CHAINRULE_INLINE Lane<double> tan_double(Lane<double> x) {
  const Quarters q = quarters(abs(x));
  const SinCos of_r = sin_cos(q);
  const auto even = without_bit(q.shifted, 1);
  const Lane<double> y = where(even, of_r.sin, -of_r.cos) / where(even, of_r.cos, of_r.sin);
  return Lane<double>::of(packet::eigen::pxor(y.v, packet::eigen::pand(x.v, Lane<double>(-0.0).v)));
}

// f on doubles, twice as many packets: then nothing is left to do about float's own rounding.
template <class F>
CHAINRULE_INLINE Lane<float> as_doubles(Lane<float> x, F f) {
  packet::Packet<double> parts[packet::doubles_per_float];
  packet::widen(x.v, parts);
  for (auto& part : parts) part = f(Lane<double>::of(part)).v;
  return Lane<float>::of(packet::narrow(parts));
}

// e^a / 2 for a >= 0, also where e^a is infinite.
template <class T>
CHAINRULE_INLINE Lane<T> half_exp(Lane<T> a) {
  const auto c = reduce(a);
  const Lane<T> quarter = scale(fma(c.r * c.r, exp_tail(c.r), c.r) * Lane<T>(0.25) + Lane<T>(0.25), c.shifted);
  return where(less_equal(a, Lane<T>(Format<T>::half_exp_hi)), quarter + quarter, a + Lane<T>(__builtin_inf()));
}

}  // namespace lane_math

CHAINRULE_INLINE Lane<double> sin(Lane<double> x) { return lane_math::sin_double(x); }
CHAINRULE_INLINE Lane<double> cos(Lane<double> x) { return lane_math::cos_double(x); }
CHAINRULE_INLINE Lane<double> tan(Lane<double> x) { return lane_math::tan_double(x); }
CHAINRULE_INLINE Lane<float> sin(Lane<float> x) { return lane_math::as_doubles(x, lane_math::sin_double); }
CHAINRULE_INLINE Lane<float> cos(Lane<float> x) { return lane_math::as_doubles(x, lane_math::cos_double); }
CHAINRULE_INLINE Lane<float> tan(Lane<float> x) { return lane_math::as_doubles(x, lane_math::tan_double); }

// (e^|x| - e^-|x|) / 2 with the sign of x; a polynomial where the two would cancel.
template <class T>
CHAINRULE_INLINE Lane<T> sinh(Lane<T> x) {
  const Lane<T> a = abs(x), u = x * x, h = lane_math::half_exp(a);
  const Lane<T> near = fma(a * u, lane_math::sinh_tail(u), a), far = h - Lane<T>(0.25) / h;
  return lane_math::or_sign_of(where(less(a, Lane<T>(1.0)), near, far), x);
}

template <class T>
CHAINRULE_INLINE Lane<T> cosh(Lane<T> x) {
  const Lane<T> h = lane_math::half_exp(abs(x));
  return h + Lane<T>(0.25) / h;
}

namespace lane_math {

// With z = (1 - |x|) / 2 (exact): arcsin(|x|) = pi/2 - 2 arcsin(sqrt(z)) beyond 1/2; angle is arcsin of x or of
// sqrt(z).
template <class T>
struct Arc {
  Mask<T> far;
  Lane<T> s, bend;  // angle = s + bend
};
template <class T>
CHAINRULE_INLINE Arc<T> arc(Lane<T> x) {
  const Lane<T> half(0.5), a = abs(x);
  const auto far = greater(a, half);
  const Lane<T> z = where(far, fma(-half, a, half), x * x), s = where(far, sqrt(z), x);
  return {far, s, s * (z * arcsin_tail(z))};
}

}  // namespace lane_math

template <class T>
CHAINRULE_INLINE Lane<T> arcsin(Lane<T> x) {
  const Lane<T> hi(1.5707963267948966), lo(lane_math::Format<T>::half_pi_lo);
  const auto of = lane_math::arc(x);
  const Lane<T> angle = of.s + of.bend, beyond = hi - ((angle + angle) - lo);
  return where(of.far, lane_math::or_sign_of(beyond, x), angle);
}

template <class T>
CHAINRULE_INLINE Lane<T> arccos(Lane<T> x) {
  const Lane<T> hi(1.5707963267948966), lo(lane_math::Format<T>::half_pi_lo);
  const auto of = lane_math::arc(x);
  const Lane<T> angle = of.s + of.bend, back = hi - (angle - lo);
  const Lane<T> beyond = where(less(x, Lane<T>(0.0)), back + back, angle + angle);
  return where(of.far, beyond, hi - (of.s + (of.bend - lo)));
}

// arctan(a) = c + arctan(t), c one of 0, pi/4, pi/2 and |t| <= tan(pi/8): t = a, (a - 1) / (a + 1) or -1 / a.
template <class T>
CHAINRULE_INLINE Lane<T> arctan(Lane<T> x) {
  constexpr double hi = 1.5707963267948966, lo = lane_math::Format<T>::half_pi_lo;
  const Lane<T> zero(0.0), one(1.0), a = abs(x);
  const auto middle = greater(a, Lane<T>(0.41421356237309503)), far = greater(a, Lane<T>(2.414213562373095));
  const Lane<T> over = where(far, -one, where(middle, a - one, a)), under = where(far, a, where(middle, a + one, one));
  const Lane<T> t = over / under, u = t * t;
  const Lane<T> c = where(far, Lane<T>(hi), where(middle, Lane<T>(0.5 * hi), zero));
  const Lane<T> rest = where(far, Lane<T>(lo), where(middle, Lane<T>(0.5 * lo), zero));
  return lane_math::or_sign_of(c + (fma(t * u, lane_math::arctan_tail(u), t) + rest), x);
}

// The angle of (x, y): arctan of the smaller through the larger magnitude, then one of eight octants. The result is
// k pi/4 plus or minus what the polynomial gives.
template <class T>
CHAINRULE_INLINE Lane<T> arctan2(Lane<T> y, Lane<T> x) {
  using lane_math::or_sign_of;
  constexpr double hi = 0.7853981633974483, lo = 0.5 * lane_math::Format<T>::half_pi_lo;
  const Lane<T> zero(0.0), one(1.0), ax = abs(x), ay = abs(y);
  const auto steep = less(ax, ay);
  const Lane<T> large = where(steep, ay, ax), small = where(steep, ax, ay);
  const Lane<T> q = where(equal(small, large), where(equal(large, zero), zero, one), small / large);
  const auto middle = greater(q, Lane<T>(0.41421356237309503));
  const Lane<T> t = where(middle, q - one, q) / where(middle, q + one, one), u = t * t;
  const Lane<T> bend = (t * u) * lane_math::arctan_tail(u);
  Lane<T> k = where(middle, one, zero), sign = one;
  k = where(steep, Lane<T>(2.0) - k, k), sign = where(steep, -sign, sign);
  const auto left = less(or_sign_of(one, x), zero);
  k = where(left, Lane<T>(4.0) - k, k), sign = where(left, -sign, sign);
  return or_sign_of(k * Lane<T>(hi) + (sign * t + fma(k, Lane<T>(lo), sign * bend)), y);
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
