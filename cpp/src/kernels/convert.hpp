// Conversions between element types, one value at a time. Integers narrow modulo 2^bits; floating point to integer
// truncates toward zero, saturates at the target's ends and takes NaN to 0; anything but zero is true.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace movement {
namespace {

struct Bool {
  std::uint8_t value;
};
struct BFloat16 {
  std::uint16_t bits;  // the upper half of a float32
};

inline std::uint32_t bits_of(float x) {
  std::uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

inline float float_of(std::uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// To nearest, ties to even; a NaN stays one, made quiet since its payload may sit in the bits that go.
inline BFloat16 round_to_bfloat16(float x) {
  const std::uint32_t bits = bits_of(x);
  const std::uint32_t rounded = bits + 0x7FFFu + ((bits >> 16) & 1u);
  const std::uint32_t result = x != x ? bits | 0x00400000u : rounded;
  return {static_cast<std::uint16_t>(result >> 16)};
}

// Rounded to odd (cut off, the last bit set if anything was lost), so that the rounding to bfloat16 which follows sees
// on which side of a tie x lies.
inline float round_to_odd(double x) {
  const float nearest = static_cast<float>(x);
  if (static_cast<double>(nearest) == x || x != x) return nearest;
  const double magnitude = x < 0 ? -x : x;
  const double reached = nearest < 0 ? -static_cast<double>(nearest) : static_cast<double>(nearest);
  const std::uint32_t cut = bits_of(nearest) - (reached > magnitude ? 1u : 0u);
  return float_of(cut | 1u);
}

// Rounded to odd likewise where 53 bits are not enough.
inline double round_to_odd(std::int64_t x) {
  constexpr std::int64_t exact = std::int64_t{1} << 53, lost = 0x7FF;
  if (x >= -exact && x <= exact) return static_cast<double>(x);
  return static_cast<double>((x & lost) != 0 ? (x & ~lost) | (lost + 1) : x);
}

template <class To, class From>
inline To saturate(From x) {
  constexpr To low = std::numeric_limits<To>::min(), high = std::numeric_limits<To>::max();
  if (x != x) return To(0);
  if (x <= static_cast<From>(low)) return low;
  if (x >= static_cast<From>(high)) return high;  // high itself, or the power of two above it
  return static_cast<To>(x);
}

template <class To, class From>
inline To convert(const From& x) {  // by reference: GCC does not vectorize copies of the structs above
  if constexpr (std::is_same_v<To, From>) {
    return x;
  } else if constexpr (std::is_same_v<From, Bool>) {
    return convert<To>(static_cast<std::int32_t>((0u - x.value) >> 31));  // 1 unless 0, without a test
  } else if constexpr (std::is_same_v<From, BFloat16>) {
    return convert<To>(float_of(static_cast<std::uint32_t>(x.bits) << 16));
  } else if constexpr (std::is_same_v<To, Bool>) {
    return {static_cast<std::uint8_t>(x != From(0))};
  } else if constexpr (std::is_same_v<To, BFloat16>) {
    if constexpr (std::is_same_v<From, float> || std::is_same_v<From, std::uint8_t>) {
      return round_to_bfloat16(static_cast<float>(x));
    } else if constexpr (std::is_same_v<From, std::int64_t>) {
      return round_to_bfloat16(round_to_odd(round_to_odd(x)));
    } else {
      return round_to_bfloat16(round_to_odd(static_cast<double>(x)));
    }
  } else if constexpr (std::is_floating_point_v<From> && !std::is_floating_point_v<To>) {
    return saturate<To>(x);
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace
}  // namespace movement
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
