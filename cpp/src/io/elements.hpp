// Array elements as data files store them (any byte order, types chainrule lacks), turned into a Tensor.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "chainrule/tensor.hpp"
#include "io/file.hpp"

namespace chainrule::io {

// i8, i16 and u16 become int32, u32 becomes int64; the others have a dtype of their own.
enum class Element { u8, i8, i16, u16, i32, u32, i64, f32, f64, boolean };

std::size_t size_of(Element element) noexcept;
const char* name_of(Element element) noexcept;

// Elements times size; empty where that exceeds what a file can hold (2^56 bytes).
std::optional<std::size_t> byte_count(std::span<const std::uint64_t> shape, Element element) noexcept;

// bytes holds exactly the elements of `shape` (at most eight sizes), first axis slowest; Fortran order: first axis
// fastest, which is transposed into row-major order.
Tensor tensor_from_elements(ByteSpan bytes, std::span<const std::uint64_t> shape, Element element, bool big_endian,
                            bool fortran_order = false);

}  // namespace chainrule::io
