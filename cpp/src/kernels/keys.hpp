// DType's numeric values, by element type, for kernel tables. chainrule/dtype.hpp declares functions, so kernel files
// spell the numbers; a test compares the two.
#pragma once

#include <cstdint>

namespace chainrule {
inline namespace CHAINRULE_ISA {

template <class T>
struct Key;
template <>
struct Key<float> {
  static constexpr std::uint8_t value = 0;
};
template <>
struct Key<double> {
  static constexpr std::uint8_t value = 1;
};
template <>
struct Key<std::int32_t> {
  static constexpr std::uint8_t value = 2;
};
template <>
struct Key<std::int64_t> {
  static constexpr std::uint8_t value = 3;
};
template <>
struct Key<std::uint8_t> {
  static constexpr std::uint8_t value = 4;
};
template <class T>
inline constexpr std::uint8_t key = Key<T>::value;
inline constexpr std::uint8_t key_bool = 5;
inline constexpr std::uint8_t key_bfloat16 = 6;

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
