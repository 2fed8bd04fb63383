// Element types of a Tensor. bfloat16 is for storage and cast only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "chainrule/export.hpp"

namespace chainrule {

enum class DType : std::uint8_t { float32, float64, int32, int64, uint8, boolean, bfloat16 };
inline constexpr int dtype_count = 7;

CHAINRULE_API std::size_t size_of(DType dtype) noexcept;        // bytes per element
CHAINRULE_API std::string_view name_of(DType dtype) noexcept;   // "float32", ..., NumPy's names
CHAINRULE_API DType dtype_from_name(std::string_view name);     // throws DTypeError
CHAINRULE_API bool is_floating(DType dtype) noexcept;           // float32, float64, bfloat16
CHAINRULE_API DType promote(DType a, DType b, const char* op);  // NumPy's table; two float dtypes are refused

template <class T> inline constexpr DType dtype_of = DType::float32;
template <> inline constexpr DType dtype_of<double> = DType::float64;
template <> inline constexpr DType dtype_of<std::int32_t> = DType::int32;
template <> inline constexpr DType dtype_of<std::int64_t> = DType::int64;
template <> inline constexpr DType dtype_of<std::uint8_t> = DType::uint8;
template <> inline constexpr DType dtype_of<bool> = DType::boolean;

}  // namespace chainrule
