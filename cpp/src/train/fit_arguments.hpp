// What tells one fit from another, as text that a checkpoint keeps.
#pragma once

#include <string>

#include "chainrule/tensor.hpp"

namespace chainrule {

std::string type_text(const Tensor& t);  // "float32 (3, 4)"; none: undefined

}  // namespace chainrule
