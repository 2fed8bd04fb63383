// Byte order, widening and Fortran order, in one pass over the elements.
#include "io/elements.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "graph/tensor_data.hpp"

namespace chainrule::io {
namespace {

template <class F> auto with_element(Element element, F&& f) {
  switch (element) {
    case Element::u8:
      return f(std::uint8_t{}, std::uint8_t{});
    case Element::i8:
      return f(std::int8_t{}, std::int32_t{});
    case Element::i16:
      return f(std::int16_t{}, std::int32_t{});
    case Element::u16:
      return f(std::uint16_t{}, std::int32_t{});
    case Element::i32:
      return f(std::int32_t{}, std::int32_t{});
    case Element::u32:
      return f(std::uint32_t{}, std::int64_t{});
    case Element::i64:
      return f(std::int64_t{}, std::int64_t{});
    case Element::f32:
      return f(float{}, float{});
    case Element::f64:
      return f(double{}, double{});
    case Element::boolean:
      break;
  }
  return f(std::uint8_t{}, bool{});
}

template <class From> From load(const unsigned char* at, bool swap) {
  std::array<unsigned char, sizeof(From)> raw;
  std::memcpy(raw.data(), at, sizeof(From));
  if (swap) std::reverse(raw.begin(), raw.end());
  return std::bit_cast<From>(raw);
}

}  // namespace

std::size_t size_of(Element element) noexcept {
  return with_element(element, [](auto from, auto) { return sizeof from; });
}

const char* name_of(Element element) noexcept {
  constexpr const char* names[] = {"uint8",  "int8",  "int16",   "uint16",  "int32",
                                   "uint32", "int64", "float32", "float64", "bool"};
  return names[static_cast<std::size_t>(element)];
}

std::optional<std::size_t> byte_count(std::span<const std::uint64_t> shape, Element element) noexcept {
  // A size of 0 makes the product 0, but must not hide an overflow in the others: shapes are later multiplied in any
  // order.
  std::uint64_t bytes = size_of(element), with_ones = bytes;
  for (std::uint64_t d : shape) {
    if (__builtin_mul_overflow(with_ones, std::max<std::uint64_t>(d, 1), &with_ones) ||
        with_ones > (std::uint64_t{1} << 56))
      return {};
    bytes *= d;
  }
  return bytes;
}

Tensor tensor_from_elements(ByteSpan bytes, std::span<const std::uint64_t> shape, Element element, bool big_endian,
                            bool fortran_order) {
  Shape sizes;
  for (std::uint64_t d : shape) sizes.push_back(static_cast<std::int64_t>(d));
  const bool swap = big_endian != (std::endian::native == std::endian::big);
  return with_element(element, [&](auto from, auto to) {
    using From = decltype(from);
    using To = decltype(to);
    Tensor result = Tensor::empty(sizes, dtype_of<To>);
    To* out = reinterpret_cast<To*>(bytes_of(result));
    const auto n = static_cast<std::size_t>(sizes.size());
    const auto value = [&](std::size_t i) {
      return static_cast<To>(load<From>(bytes.data() + i * sizeof(From), swap));
    };
    if (!fortran_order || sizes.rank() < 2) {
      if (std::is_same_v<From, To> && !swap) {
        if (n > 0) std::memcpy(out, bytes.data(), n * sizeof(To));
      } else {
        for (std::size_t i = 0; i < n; ++i) out[i] = value(i);
      }
      return result;
    }
    // Output in order; the index of its element in the file is kept up to date axis by axis.
    const int rank = sizes.rank();
    Dims stride(sizes), index(sizes);
    for (int axis = 0; axis < rank; ++axis) {
      stride[axis] = axis == 0 ? 1 : stride[axis - 1] * sizes[axis - 1];
      index[axis] = 0;
    }
    std::int64_t at = 0;
    for (std::size_t i = 0; i < n; ++i) {
      out[i] = value(static_cast<std::size_t>(at));
      for (int axis = rank - 1; axis >= 0; --axis) {
        at += stride[axis];
        if (++index[axis] < sizes[axis]) break;
        at -= stride[axis] * sizes[axis];
        index[axis] = 0;
      }
    }
    return result;
  });
}

}  // namespace chainrule::io
