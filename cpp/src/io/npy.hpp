// One array in NumPy's .npy format, from bytes; shared by read_npy and read_npz.
#pragma once

#include <string>

#include "chainrule/tensor.hpp"
#include "io/file.hpp"

namespace chainrule::io {

Tensor parse_npy(ByteSpan bytes, const std::string& name, std::string_view reader);

}  // namespace chainrule::io
