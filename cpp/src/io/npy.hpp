// One array in NumPy's .npy format, from bytes; shared by read_npy, read_npz and NpySource.
#pragma once

#include <string>
#include <vector>

#include "chainrule/tensor.hpp"
#include "io/elements.hpp"
#include "io/file.hpp"

namespace chainrule::io {

// What the header tells, checked against the file's size.
struct NpyLayout {
  Element element;
  bool big_endian, fortran_order;
  std::vector<std::uint64_t> shape;
  std::size_t offset, bytes;  // of the elements
};
NpyLayout npy_layout(ByteSpan bytes, const std::string& name, std::string_view reader);
// Elements laid out like this, as a tensor of its own; shape: of these elements.
Tensor npy_elements(ByteSpan elements, const NpyLayout& layout, const std::vector<std::uint64_t>& shape);
Tensor parse_npy(ByteSpan bytes, const std::string& name, std::string_view reader);

}  // namespace chainrule::io
