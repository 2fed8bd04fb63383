// Lane<T>: the value type elementwise formulas are instantiated on in kernels. For float and double one SIMD packet;
// for integers and bool one element. Mask<T> is what comparisons of lanes give. Their transcendental words are in
// lane_math.hpp.
#pragma once

#include "kernels/packet.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {

// One element. Integer arithmetic wraps around; constants saturate.
template <class T>
struct Mask {
  bool m;

  CHAINRULE_INLINE static Mask load(const unsigned char* p, int) { return {*p != 0}; }
  CHAINRULE_INLINE void store(unsigned char* p, int) const { *p = static_cast<unsigned char>(m); }
};

template <class T>
struct Lane {
  static constexpr int width = 1;
  using Wide = std::uint64_t;

  T v;

  Lane() = default;
  CHAINRULE_INLINE explicit Lane(double c) : v(saturated(c)) {}
  CHAINRULE_INLINE static Lane of(T value) {
    Lane x;
    x.v = value;
    return x;
  }
  CHAINRULE_INLINE static Lane load(const T* p, int) { return of(*p); }
  CHAINRULE_INLINE void store(T* p, int) const { *p = v; }

  friend CHAINRULE_INLINE Lane operator+(Lane a, Lane b) { return of(static_cast<T>(wide(a.v) + wide(b.v))); }
  friend CHAINRULE_INLINE Lane operator-(Lane a, Lane b) { return of(static_cast<T>(wide(a.v) - wide(b.v))); }
  friend CHAINRULE_INLINE Lane operator*(Lane a, Lane b) { return of(static_cast<T>(wide(a.v) * wide(b.v))); }
  friend CHAINRULE_INLINE Lane operator-(Lane a) { return of(static_cast<T>(Wide{0} - wide(a.v))); }
  friend CHAINRULE_INLINE Lane abs(Lane a) { return a.v < T(0) ? -a : a; }
  friend CHAINRULE_INLINE Lane sign(Lane a) { return of(static_cast<T>((a.v > T(0)) - (a.v < T(0)))); }
  friend CHAINRULE_INLINE Lane floor(Lane a) { return a; }
  friend CHAINRULE_INLINE Lane ceil(Lane a) { return a; }
  friend CHAINRULE_INLINE Lane round(Lane a) { return a; }
  // The remainder with the sign of b; 0 by 0, as in NumPy.
  friend CHAINRULE_INLINE Lane mod(Lane a, Lane b) {
    if (b.v == T(0) || (T(-1) < T(0) && b.v == T(-1))) return of(T(0));
    const T r = static_cast<T>(a.v % b.v);
    return of(r != T(0) && (r < T(0)) != (b.v < T(0)) ? static_cast<T>(r + b.v) : r);
  }
  // For b >= 0, by repeated squaring.
  friend CHAINRULE_INLINE Lane power(Lane a, Lane b) {
    Wide result = 1, square = wide(a.v);
    for (Wide left = wide(b.v); left != 0; left >>= 1, square *= square)
      if ((left & 1) != 0) result *= square;
    return of(static_cast<T>(result));
  }
  friend CHAINRULE_INLINE Lane maximum(Lane a, Lane b) { return a.v < b.v ? b : a; }
  friend CHAINRULE_INLINE Lane minimum(Lane a, Lane b) { return b.v < a.v ? b : a; }
  friend CHAINRULE_INLINE Mask<T> less(Lane a, Lane b) { return {a.v < b.v}; }
  friend CHAINRULE_INLINE Mask<T> less_equal(Lane a, Lane b) { return {a.v <= b.v}; }
  friend CHAINRULE_INLINE Mask<T> greater(Lane a, Lane b) { return {a.v > b.v}; }
  friend CHAINRULE_INLINE Mask<T> greater_equal(Lane a, Lane b) { return {a.v >= b.v}; }
  friend CHAINRULE_INLINE Mask<T> equal(Lane a, Lane b) { return {a.v == b.v}; }
  friend CHAINRULE_INLINE Mask<T> not_equal(Lane a, Lane b) { return {a.v != b.v}; }
  friend CHAINRULE_INLINE Lane where(Mask<T> m, Lane a, Lane b) { return m.m ? a : b; }

 private:
  CHAINRULE_INLINE static Wide wide(T value) { return static_cast<Wide>(value); }
  CHAINRULE_INLINE static T saturated(double c) {
    constexpr bool is_signed = T(-1) < T(0);
    constexpr int bits = static_cast<int>(sizeof(T)) * 8 - is_signed;
    constexpr T largest = static_cast<T>((Wide{1} << bits) - 1), smallest = is_signed ? static_cast<T>(~largest) : T(0);
    constexpr double end = 2.0 * static_cast<double>(Wide{1} << (bits - 1));  // largest + 1
    return c >= end ? largest : c <= static_cast<double>(smallest) ? smallest : static_cast<T>(c);
  }
};

// One packet of floats or doubles.
template <class T>
struct PacketMask {
  using Masks = packet::Masks<T>;
  static constexpr int width = packet::width<T>;

  typename Masks::type m;

  CHAINRULE_INLINE static PacketMask load(const unsigned char* p, int n) {
    if (n == width) return {Masks::load(p)};
    alignas(16) unsigned char some[width] = {};
    for (int j = 0; j < n; ++j) some[j] = p[j];
    return {Masks::load(some)};
  }
  CHAINRULE_INLINE void store(unsigned char* p, int n) const {
    if (n == width) return Masks::store(p, m);
    alignas(16) unsigned char some[width];
    Masks::store(some, m);
    for (int j = 0; j < n; ++j) p[j] = some[j];
  }
};

template <>
struct Mask<float> : PacketMask<float> {
  CHAINRULE_INLINE static Mask load(const unsigned char* p, int n) { return {PacketMask::load(p, n)}; }
};
template <>
struct Mask<double> : PacketMask<double> {
  CHAINRULE_INLINE static Mask load(const unsigned char* p, int n) { return {PacketMask::load(p, n)}; }
};

template <class T>
struct PacketLane {
  using Self = Lane<T>;
  using Packet = packet::Packet<T>;
  using Masks = packet::Masks<T>;
  static constexpr int width = packet::width<T>;

  Packet v;

  CHAINRULE_INLINE static Self of(Packet p) {
    Self x;
    x.v = p;
    return x;
  }
  // The first n elements from p; the others are 0.
  CHAINRULE_INLINE static Self load(const T* p, int n) {
    return of(n == width ? packet::eigen::ploadu<Packet>(p) : packet::load_some(p, n));
  }
  CHAINRULE_INLINE void store(T* p, int n) const {
    if (n == width)
      packet::eigen::pstoreu(p, v);
    else
      packet::store_some(p, v, n);
  }

  friend CHAINRULE_INLINE Self operator+(Self a, Self b) { return of(packet::eigen::padd(a.v, b.v)); }
  friend CHAINRULE_INLINE Self operator-(Self a, Self b) { return of(packet::eigen::psub(a.v, b.v)); }
  friend CHAINRULE_INLINE Self operator*(Self a, Self b) { return of(packet::eigen::pmul(a.v, b.v)); }
  friend CHAINRULE_INLINE Self operator/(Self a, Self b) { return of(packet::eigen::pdiv(a.v, b.v)); }
  friend CHAINRULE_INLINE Self operator-(Self a) { return of(packet::eigen::pnegate(a.v)); }
  // One rounding where the instruction set has it; on x86-64-v2 a multiplication and an addition.
  friend CHAINRULE_INLINE Self fma(Self a, Self b, Self c) { return of(packet::eigen::pmadd(a.v, b.v, c.v)); }
  friend CHAINRULE_INLINE Self sqrt(Self a) { return of(packet::sqrt(a.v)); }
  friend CHAINRULE_INLINE Self abs(Self a) { return of(packet::eigen::pabs(a.v)); }
  friend CHAINRULE_INLINE Self floor(Self a) { return of(packet::eigen::pfloor(a.v)); }
  friend CHAINRULE_INLINE Self ceil(Self a) { return of(packet::eigen::pceil(a.v)); }
  friend CHAINRULE_INLINE Self round(Self a) { return of(packet::eigen::print(a.v)); }  // half to even

  friend CHAINRULE_INLINE Mask<T> less(Self a, Self b) { return {{Masks::lt(a.v, b.v)}}; }
  friend CHAINRULE_INLINE Mask<T> less_equal(Self a, Self b) { return {{Masks::le(a.v, b.v)}}; }
  friend CHAINRULE_INLINE Mask<T> greater(Self a, Self b) { return {{Masks::lt(b.v, a.v)}}; }
  friend CHAINRULE_INLINE Mask<T> greater_equal(Self a, Self b) { return {{Masks::le(b.v, a.v)}}; }
  friend CHAINRULE_INLINE Mask<T> equal(Self a, Self b) { return {{Masks::eq(a.v, b.v)}}; }
  friend CHAINRULE_INLINE Mask<T> not_equal(Self a, Self b) { return {{Masks::no(Masks::eq(a.v, b.v))}}; }
  friend CHAINRULE_INLINE Self where(Mask<T> m, Self a, Self b) { return of(Masks::select(m.m, a.v, b.v)); }

  // NaN if either is: pmax and pmin give a when a or b is NaN.
  friend CHAINRULE_INLINE Self maximum(Self a, Self b) {
    return of(Masks::select(Masks::eq(b.v, b.v), packet::eigen::pmax(a.v, b.v), b.v));
  }
  friend CHAINRULE_INLINE Self minimum(Self a, Self b) {
    return of(Masks::select(Masks::eq(b.v, b.v), packet::eigen::pmin(a.v, b.v), b.v));
  }
  // NaN stays NaN; -0 gives 0.
  friend CHAINRULE_INLINE Self sign(Self a) {
    const Self zero(0.0);
    return where(greater(a, zero), Self(1.0), where(less(a, zero), Self(-1.0), a + zero));
  }
};

template <>
struct Lane<float> : PacketLane<float> {
  Lane() = default;
  CHAINRULE_INLINE explicit Lane(double c) { v = packet::eigen::pset1<Packet>(static_cast<float>(c)); }
};
template <>
struct Lane<double> : PacketLane<double> {
  Lane() = default;
  CHAINRULE_INLINE explicit Lane(double c) { v = packet::eigen::pset1<Packet>(c); }
};

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
