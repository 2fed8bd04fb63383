// What layers check of their sizes, dtypes and inputs, each with its error text.
#pragma once

#include "chainrule/nn.hpp"

namespace chainrule::nn {

void check_parameter_dtype(const char* kind, DType dtype);  // float32 or float64
// The last axis of x must have `features`.
void check_last_axis(const ModuleImpl& layer, const Tensor& x, std::int64_t features);

}  // namespace chainrule::nn
