// What layers check of their sizes, dtypes and inputs, each with its error text.
#pragma once

#include "chainrule/nn.hpp"

namespace chainrule::nn {

void check_parameter_dtype(const char* kind, DType dtype);  // float32 or float64
// The last axis of x must have `features`.
void check_last_axis(const ModuleImpl& layer, const Tensor& x, std::int64_t features);
void check_child_dtypes(const ModuleImpl& parent);  // one model has one dtype

// The buffer as a value of the trace x belongs to, so that arithmetic on the buffer alone is recorded, too.
Tensor read_with(const Tensor& buffer, const Tensor& x);

inline std::string place(const std::pair<std::string, std::shared_ptr<ModuleImpl>>& child) {
  return child.first + " " + child.second->repr();
}

}  // namespace chainrule::nn
