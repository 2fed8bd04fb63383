// The transcendental words of Lane<float> and Lane<double>: at most 4 ULP over the whole range, on every instruction
// set, with and without fused multiply-add. No branch depends on a value, so an element's bits never depend on its
// neighbours. Subnormal inputs count as 0 and subnormal results may be 0, as the kernels' floating-point mode has it.
//
// Polynomials are weighted minimax fits (Lawson's iteration), rounded coefficient by coefficient. For power, Eigen's.
#pragma once

#include "kernels/lane.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

namespace lane_math {

// c0 + c1 x + c2 x^2 ..., by Horner's rule.
template <class X>
CHAINRULE_INLINE X polynomial(X, double c0) {
  return X(c0);
}
template <class X, class... C>
CHAINRULE_INLINE X polynomial(X x, double c0, C... rest) {
  return fma(polynomial(x, rest...), x, X(c0));
}

// ln2_hi and lg2_hi, the upper parts of log(2) and log10(2), have so few bits that a product with an exponent is exact.
template <class T>
struct Format;
template <>
struct Format<float> {
  static constexpr int mantissa = 23;
  static constexpr std::int32_t bias = 127, sqrt_half_bits = 0x3f3504f3;
  static constexpr double round = 0x1.8p23;  // adding it rounds to an integer, kept in the low bits
  static constexpr double largest = 0x1.fffffep127, smallest = 0x1p-126;
  static constexpr double exp_hi = 88.722831, exp_lo = -87.336540;  // e^x is finite, and normal
  static constexpr double half_exp_hi = 89.4159863;                 // e^x / 2 is finite
  static constexpr double ln2_hi = 0x1.62e4p-1, ln2_lo = 0x1.7f7d1cf79abcap-20;
  static constexpr double lg2_hi = 0x1.344p-2, lg2_lo = 0x1.3509f79fef312p-18;
  static constexpr double expm1_lo = -18.0;  // e^x is below half an ULP of 1
  static constexpr std::int32_t upper_half = static_cast<std::int32_t>(0xfffff000u);
  static constexpr double tail_end = 13.3;                      // e^(-t^2/2) is subnormal
  static constexpr double half_pi_lo = -4.371139000186241e-08;  // pi/2 - what it rounds to
  static constexpr double gelu_a = 1.5957691216057308, gelu_a_lo = -4.5340680421052716e-8;
  static constexpr double gelu_b = 0.07135481627260025, gelu_b_lo = 2.3988323959931356e-9;
};
template <>
struct Format<double> {
  static constexpr int mantissa = 52;
  static constexpr std::int64_t bias = 1023, sqrt_half_bits = 0x3fe6a09e667f3bcd;
  static constexpr double round = 0x1.8p52;
  static constexpr double largest = 0x1.fffffffffffffp1023, smallest = 0x1p-1022;
  static constexpr double exp_hi = 709.782712893383973096, exp_lo = -708.396418532264106;
  static constexpr double half_exp_hi = 710.4758600739439;
  static constexpr double ln2_hi = 0x1.62e42fefa38p-1, ln2_lo = 0x1.ef35793c7673p-45;
  static constexpr double lg2_hi = 0x1.34413509f78p-2, lg2_lo = 0x1.fef311f12b358p-46;
  static constexpr double expm1_lo = -40.0;
  static constexpr std::int64_t upper_half = static_cast<std::int64_t>(0xfffffffff8000000u);
  static constexpr double tail_end = 37.8;
  static constexpr double half_pi_lo = 6.123233995736766e-17;
  static constexpr double gelu_a = 1.5957691216057308, gelu_a_lo = -9.9693088091109203e-17;
  static constexpr double gelu_b = 0.07135481627260025, gelu_b_lo = -6.1751499181553155e-19;
};

template <class T>
CHAINRULE_INLINE packet::Integers<T> bits(Lane<T> x) {
  return packet::eigen::preinterpret<packet::Integers<T>>(x.v);
}
template <class T>
CHAINRULE_INLINE Lane<T> from_bits(packet::Integers<T> i) {
  return Lane<T>::of(packet::eigen::preinterpret<packet::Packet<T>>(i));
}
template <class T>
CHAINRULE_INLINE packet::Integers<T> whole(packet::word<T> i) {
  return packet::eigen::pset1<packet::Integers<T>>(i);
}
template <class T>
CHAINRULE_INLINE Lane<T> or_sign_of(Lane<T> x, Lane<T> of) {
  return Lane<T>::of(packet::eigen::por(x.v, packet::eigen::pand(of.v, Lane<T>(-0.0).v)));
}

// (e^r - 1 - r) / r^2 on |r| <= ln2/2
CHAINRULE_INLINE Lane<float> exp_tail(Lane<float> r) {
  return polynomial(r, 0.49999994, 0.1666652, 0.04166826, 0.008368853, 0.0013821804);
}
CHAINRULE_INLINE Lane<double> exp_tail(Lane<double> r) {
  return polynomial(r, 0.5000000000000011, 0.16666666666666413, 0.04166666666652587, 0.008333333333492964,
                    0.0013888888944831783, 0.00019841269512208275, 2.480149178215631e-05, 2.7557579201344374e-06,
                    2.7630741945316096e-07, 2.5003010508143485e-08);
}

// (log(1 + f) - f) / f^2 on sqrt(1/2) <= 1 + f <= sqrt(2)
CHAINRULE_INLINE Lane<float> log_tail(Lane<float> f) {
  return polynomial(f, -0.49999988, 0.33333313, -0.2500159, 0.20002766, -0.16609634, 0.1416708, -0.13223156, 0.12988496,
                    -0.07771967);
}
CHAINRULE_INLINE Lane<double> log_tail(Lane<double> f) {
  return polynomial(f, -0.5000000000000004, 0.33333333333333187, -0.24999999999972408, 0.20000000000033066,
                    -0.16666666671657426, 0.14285714285607212, -0.1249999958987318, 0.1111111076078759,
                    -0.1000001816596979, 0.0909093809457052, -0.08332869241645874, 0.07691238552366449,
                    -0.07149673766126421, 0.06687938343898739, -0.06198666335264407, 0.05649019465428162,
                    -0.05645856766617837, 0.06537559383800945, -0.06100015549501283, 0.026931905620575316);
}

// erf(a) / a - 1 in u = a^2 <= 1
CHAINRULE_INLINE Lane<float> erf_tail(Lane<float> u) {
  return polynomial(u, 0.12837917, -0.37612626, 0.11283583, -0.026853692, 0.005188074, -0.0008007878, 7.846108e-05);
}
CHAINRULE_INLINE Lane<double> erf_tail(Lane<double> u) {
  return polynomial(u, 0.12837916709551256, -0.3761263890318346, 0.11283791670942665, -0.026866170642932573,
                    0.0052239776049439746, -0.0008548325882088036, 0.00012055292355167774, -1.4924691555786853e-05,
                    1.6446901627528331e-06, -1.6204712019350185e-07, 1.3704615735031151e-08, -7.768465346567732e-10);
}

// (tanh(a) / a - 1) / a^2 in u = a^2, a <= 0.625
CHAINRULE_INLINE Lane<float> tanh_tail(Lane<float> u) {
  return polynomial(u, -0.3333328, 0.13331416, -0.05373794, 0.020634117, -0.0057000867);
}
CHAINRULE_INLINE Lane<double> tanh_tail(Lane<double> u) {
  return polynomial(u, -0.33333333333332854, 0.1333333333326197, -0.05396825393122182, 0.02186948757519661,
                    -0.008863220992303128, 0.0035919890992910327, -0.0014549585308312862, 0.0005863154972517468,
                    -0.0002285622587235214, 7.714229615030673e-05, -1.607161950579979e-05);
}

// Phi(-t) e^(t^2/2) (t + K) for 0.74 <= t <= tail_end in s = (t - K) / (t + K), the substitution of Shepherd and
// Laframboise (Math. Comp. 36, 1981). K is picked so that the leading coefficient rounds well.
template <class T>
inline constexpr double tail_k = sizeof(T) == 4 ? 2.78125 : 3.9375;
CHAINRULE_INLINE Lane<float> tail(Lane<float> s) {
  return polynomial(s, 0.72035885, -0.47901842, 0.18845677, -0.020179752, -0.016020086, 0.0037765037, 0.0023635689,
                    -0.0004302794, -0.00038863128);
}
CHAINRULE_INLINE Lane<double> tail(Lane<double> s) {
  return polynomial(s, 0.7541108056114132, -0.6032175877860373, 0.37888832174197334, -0.17784760767381708,
                    0.054453735111022285, -0.005057371600027428, -0.0038312483092030904, 0.0014048022089210828,
                    0.00024344976721179027, -0.00021491749971347805, -2.2422843872522367e-05, 3.3558545224065914e-05,
                    4.545489673594332e-06, -5.497583143739453e-06, -1.3630249750789231e-06, 8.632561292412308e-07,
                    3.96562943386742e-07, -1.1004287935981453e-07, -9.20209575622273e-08, 8.474002836573759e-09,
                    1.2026898653306147e-08);
}

template <class T>
CHAINRULE_INLINE Lane<T> shifted_exponent(Lane<T> x) {
  return fma(x, Lane<T>(1.4426950408889634), Lane<T>(Format<T>::round));
}

// x = n ln2 + r: n = round(x / ln2), kept as a number and in the low bits of `shifted`.
template <class T>
struct Reduced {
  Lane<T> shifted, n, r;
};
template <class T>
CHAINRULE_INLINE Reduced<T> reduce(Lane<T> x) {
  using F = Format<T>;
  const Lane<T> shifted = shifted_exponent(x), n = shifted - Lane<T>(F::round);
  return {shifted, n, fma(n, Lane<T>(-F::ln2_lo), fma(n, Lane<T>(-F::ln2_hi), x))};
}

// y 2^n, where y and the result are normal numbers.
template <class T>
CHAINRULE_INLINE Lane<T> scale(Lane<T> y, Lane<T> shifted) {
  return from_bits<T>(
      packet::eigen::padd(bits(y), packet::eigen::plogical_shift_left<Format<T>::mantissa>(bits(shifted))));
}

// a e^(x + low) 2^lift for x + low <= 0; low holds what x lost to rounding. A lift keeps e^x normal where a makes the
// product normal.
template <int lift, class T>
CHAINRULE_INLINE Lane<T> times_exp(Lane<T> a, Lane<T> x, Lane<T> low) {
  using F = Format<T>;
  const Lane<T> sum = x + low, shifted = shifted_exponent(sum), n = shifted - Lane<T>(F::round);
  const Lane<T> r = fma(n, Lane<T>(-F::ln2_hi), x) + fma(n, Lane<T>(-F::ln2_lo), low);
  const Lane<T> y = fma(a, fma(r * r, exp_tail(r), r), a) * scale(Lane<T>(1.0), shifted + Lane<T>(lift));
  return where(less(sum, Lane<T>(F::exp_lo - lift * 0.6931471805599453)), Lane<T>(0.0), y);
}

// e^-|x|
template <class T>
CHAINRULE_INLINE Lane<T> exp_negative(Lane<T> x) {
  return times_exp<0>(Lane<T>(1.0), -abs(x), Lane<T>(0.0));
}

// a e^(-t^2/2) to full relative accuracy: t = h + l with h^2 exact, t^2 = h^2 + l (t + h).
template <class T>
CHAINRULE_INLINE Lane<T> times_exp_half_square(Lane<T> a, Lane<T> t) {
  const Lane<T> half(-0.5), h = from_bits<T>(packet::eigen::pand(bits(t), whole<T>(Format<T>::upper_half)));
  return times_exp<0>(a, half * (h * h), half * ((t - h) * (t + h)));
}

// hi + lo, about twice as precise as a lane alone.
template <class T>
struct Twice {
  Lane<T> hi, lo;
};
// Dekker's product (Numer. Math. 18, 1971): the parts of the factors are short enough for exact products.
template <class T>
CHAINRULE_INLINE Twice<T> times(Twice<T> a, Twice<T> b) {
  const auto upper = whole<T>(Format<T>::upper_half);
  const Lane<T> ah = from_bits<T>(packet::eigen::pand(bits(a.hi), upper)), al = a.hi - ah;
  const Lane<T> bh = from_bits<T>(packet::eigen::pand(bits(b.hi), upper)), bl = b.hi - bh;
  const Lane<T> p = a.hi * b.hi, lost = ((ah * bh - p) + ah * bl + al * bh) + al * bl;
  return {p, lost + (a.hi * b.lo + a.lo * b.hi)};
}

// |x|, held to where e^(-t^2/2) is subnormal.
template <class T>
CHAINRULE_INLINE Lane<T> tail_argument(Lane<T> x) {
  return minimum(abs(x), Lane<T>(Format<T>::tail_end));
}

// Phi(-t) for t >= 0.74.
template <class T>
CHAINRULE_INLINE Lane<T> upper_tail(Lane<T> t) {
  const Lane<T> one(1.0), k(tail_k<T>), d = one / (t + k);
  return times_exp_half_square(d * tail(fma(-(k + k), d, one)), t);
}

// Phi(x) for |x| <= 1: (1 + erf(x / sqrt 2)) / 2.
template <class T>
CHAINRULE_INLINE Lane<T> normal_cdf_near(Lane<T> x) {
  const Lane<T> half(0.5), slope(0.35355339059327373);
  return fma(x, fma(erf_tail(half * (x * x)), slope, slope), half);
}

// m = 2^e (1 + f) with sqrt(1/2) <= 1 + f <= sqrt(2).
template <class T>
struct Split {
  Lane<T> e, f;
};
template <class T>
CHAINRULE_INLINE Split<T> split(Lane<T> m) {
  using F = Format<T>;
  using packet::eigen::padd, packet::eigen::psub;
  constexpr packet::word<T> shift = F::bias + 1;  // keeps the exponent field positive
  const auto i = bits(m);
  const auto field = packet::eigen::plogical_shift_right<F::mantissa>(
      padd(psub(i, whole<T>(F::sqrt_half_bits)), whole<T>(shift << F::mantissa)));
  const Lane<T> e =
      from_bits<T>(packet::eigen::por(field, bits(Lane<T>(F::round)))) - Lane<T>(F::round + static_cast<double>(shift));
  const auto mantissa = psub(i, packet::eigen::plogical_shift_left<F::mantissa>(psub(field, whole<T>(shift))));
  return {e, from_bits<T>(mantissa) - Lane<T>(1.0)};
}

// log(m) + c
template <class T>
CHAINRULE_INLINE Lane<T> log_plus(Lane<T> m, Lane<T> c) {
  using F = Format<T>;
  const auto [e, f] = split(m);
  const Lane<T> small = fma(f * f, log_tail(f), fma(e, Lane<T>(F::ln2_lo), c));
  return fma(e, Lane<T>(F::ln2_hi), f + small);
}

// The values of a logarithm outside its domain: x is the argument, y the result inside.
template <class T>
CHAINRULE_INLINE Lane<T> log_domain(Lane<T> x, Lane<T> y) {
  using F = Format<T>;
  const Lane<T> zero(0.0);
  const Lane<T> low = where(less(x, zero), Lane<T>(__builtin_nan("")), Lane<T>(-__builtin_inf()));
  return where(less(x, Lane<T>(F::smallest)), low, where(less_equal(x, Lane<T>(F::largest)), y, x));
}

}  // namespace lane_math

template <class T>
CHAINRULE_INLINE Lane<T> exp(Lane<T> x) {
  using F = lane_math::Format<T>;
  const auto c = lane_math::reduce(x);
  const Lane<T> y = fma(c.r * c.r, lane_math::exp_tail(c.r), c.r) + Lane<T>(1.0);
  const Lane<T> scaled = lane_math::scale(y, c.shifted);
  return where(less(x, Lane<T>(F::exp_lo)), Lane<T>(0.0),
               where(less_equal(x, Lane<T>(F::exp_hi)), scaled, x + Lane<T>(__builtin_inf())));
}

// 2^n (p + 1) - 1 with p = e^r - 1; p itself where n is 0. Halved inside, so that 2^n may be 2^128.
template <class T>
CHAINRULE_INLINE Lane<T> expm1(Lane<T> x) {
  using F = lane_math::Format<T>;
  const auto c = lane_math::reduce(x);
  const Lane<T> half(0.5), p = fma(c.r * c.r, lane_math::exp_tail(c.r), c.r);
  const Lane<T> s = lane_math::scale(half, c.shifted), y = fma(s, p, s - half);
  const Lane<T> inside = where(equal(c.n, Lane<T>(0.0)), lane_math::or_sign_of(p, x), y + y);
  return where(less(x, Lane<T>(F::expm1_lo)), Lane<T>(-1.0),
               where(less_equal(x, Lane<T>(F::exp_hi)), inside, x + Lane<T>(__builtin_inf())));
}

template <class T>
CHAINRULE_INLINE Lane<T> log(Lane<T> x) {
  return lane_math::log_domain(x, lane_math::log_plus(x, Lane<T>(0.0)));
}

// e + log(1 + f) / log(2): exact at powers of two.
template <class T>
CHAINRULE_INLINE Lane<T> log2(Lane<T> x) {
  const auto [e, f] = lane_math::split(x);
  const Lane<T> y = fma(fma(f * f, lane_math::log_tail(f), f), Lane<T>(1.4426950408889634), e);
  return lane_math::log_domain(x, y);
}

template <class T>
CHAINRULE_INLINE Lane<T> log10(Lane<T> x) {
  using F = lane_math::Format<T>;
  const auto [e, f] = lane_math::split(x);
  const Lane<T> y = fma(fma(f * f, lane_math::log_tail(f), f), Lane<T>(0.4342944819032518), e * Lane<T>(F::lg2_lo));
  return lane_math::log_domain(x, fma(e, Lane<T>(F::lg2_hi), y));
}

// log(u) + rest / u, with u = 1 + x rounded and rest what the rounding took away.
template <class T>
CHAINRULE_INLINE Lane<T> log1p(Lane<T> x) {
  const Lane<T> one(1.0), u = one + x, b = u - one, rest = (one - (u - b)) + (x - b);
  const Lane<T> y = lane_math::log_domain(u, lane_math::log_plus(u, rest / u));
  return lane_math::or_sign_of(y, x);
}

// |x| + |x|^3 P(x^2) near 0, 1 - 2 / (e^2|x| + 1) further out, with the sign of x.
template <class T>
CHAINRULE_INLINE Lane<T> tanh(Lane<T> x) {
  const Lane<T> one(1.0), a = abs(x), u = x * x;
  const Lane<T> near = fma(a * u, lane_math::tanh_tail(u), a);
  const Lane<T> far = one - Lane<T>(2.0) / (exp(a + a) + one);
  return lane_math::or_sign_of(where(less(a, Lane<T>(0.625)), near, far), x);
}

// 1 / (1 + e^-x), written with e^-|x| so that both ends are accurate.
template <class T>
CHAINRULE_INLINE Lane<T> sigmoid(Lane<T> x) {
  const Lane<T> one(1.0), e = lane_math::exp_negative(x);
  return where(less(x, Lane<T>(0.0)), e, one) / (one + e);
}

// x sigmoid(z + low), also where the sigmoid alone is subnormal. low holds what z lost to rounding.
template <class T>
CHAINRULE_INLINE Lane<T> times_sigmoid(Lane<T> x, Lane<T> z, Lane<T> low) {
  const Lane<T> one(1.0), zero(0.0), unlift(0x1p-16);
  const auto negative = less(z, zero);
  const Lane<T> e = lane_math::times_exp<16>(one, -abs(z), where(negative, low, -low));
  return where(negative, (x * e) * unlift, x) / fma(e, unlift, one);
}
template <class T>
CHAINRULE_INLINE Lane<T> times_sigmoid(Lane<T> x, Lane<T> z) {
  return times_sigmoid(x, z, Lane<T>(0.0));
}

// x sigmoid(v (a + b v^2)) with a and b of gelu_tanh. The exponential turns the argument's absolute error into a
// relative one, so the argument is computed to twice the precision.
template <class T>
CHAINRULE_INLINE Lane<T> times_gelu_sigmoid(Lane<T> x, Lane<T> v) {
  using F = lane_math::Format<T>;
  using lane_math::Twice, lane_math::times;
  const Twice<T> square = times(Twice<T>{v, Lane<T>(0.0)}, Twice<T>{v, Lane<T>(0.0)});
  const Twice<T> cubic = times(square, Twice<T>{Lane<T>(F::gelu_b), Lane<T>(F::gelu_b_lo)});
  const Lane<T> a(F::gelu_a), sum = a + cubic.hi, back = sum - a, lost = (a - (sum - back)) + (cubic.hi - back);
  const Twice<T> z = times(Twice<T>{sum, lost + (cubic.lo + Lane<T>(F::gelu_a_lo))}, Twice<T>{v, Lane<T>(0.0)});
  return times_sigmoid(x, z.hi, z.lo);
}

template <class T>
CHAINRULE_INLINE Lane<T> normal_cdf(Lane<T> x) {
  const Lane<T> t = lane_math::tail_argument(x), q = lane_math::upper_tail(t);
  const Lane<T> far = where(less(x, Lane<T>(0.0)), q, Lane<T>(1.0) - q);
  return where(less(t, Lane<T>(0.75)), lane_math::normal_cdf_near(x), far);
}

template <class T>
CHAINRULE_INLINE Lane<T> normal_pdf(Lane<T> x) {
  return lane_math::times_exp_half_square(Lane<T>(0.3989422804014327), lane_math::tail_argument(x));
}

// x Phi(x), also where Phi(x) alone is subnormal. Further out it is max(x, 0) - t Phi(-t) with t = |x|; there
// t / (t + K) serves both as a factor and, in s = 2t / (t + K) - 1, as the argument.
template <class T>
CHAINRULE_INLINE Lane<T> times_normal_cdf(Lane<T> x) {
  const Lane<T> zero(0.0), t = lane_math::tail_argument(x), b = t / (t + Lane<T>(lane_math::tail_k<T>));
  const Lane<T> q = lane_math::times_exp_half_square(b * lane_math::tail(fma(Lane<T>(2.0), b, Lane<T>(-1.0))), t);
  const Lane<T> far = where(less(x, zero), -q, x - q);
  return where(less(t, Lane<T>(0.75)), x * lane_math::normal_cdf_near(x), far);
}

// x + x P(x^2) near 0 (lifted: x P(x^2) must not become subnormal before x), 1 - 2 Phi(-sqrt(2) |x|) further out.
template <class T>
CHAINRULE_INLINE Lane<T> erf(Lane<T> x) {
  const Lane<T> one(1.0), a = abs(x), t = lane_math::tail_argument(a * Lane<T>(1.4142135623730951));
  const Lane<T> lifted = x * Lane<T>(0x1p16);
  const Lane<T> near = fma(lifted, lane_math::erf_tail(x * x), lifted) * Lane<T>(0x1p-16);
  const Lane<T> far = fma(Lane<T>(-2.0), lane_math::upper_tail(t), one);
  return where(less(a, one), near, lane_math::or_sign_of(far, x));
}

// C's pow: 0^0 is 1; a negative base needs an integral exponent. Eigen's branches choose between equal results.
template <class T>
CHAINRULE_INLINE Lane<T> power(Lane<T> a, Lane<T> b) {
  return Lane<T>::of(packet::eigen::generic_pow(a.v, b.v));
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
