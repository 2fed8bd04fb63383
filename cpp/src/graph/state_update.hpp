// How a module gives a buffer a new value: at once when run on values, as a state update of the Graph when traced.
#pragma once

#include "chainrule/tensor.hpp"

namespace chainrule {

void update_buffer(const Tensor& buffer, const Tensor& new_value);

}  // namespace chainrule
