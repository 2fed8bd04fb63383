// What indexing is made of; see take.cpp.
#pragma once

#include <vector>

#include "chainrule/tensor.hpp"

namespace chainrule {

// Entries at index (int64) along a non-negative axis; the first batch_axes axes of x and index run together.
Tensor take_entries(const Tensor& x, const Tensor& index, int axis, int batch_axes = 0);
// int64 tensors of one shape, one per axis, to positions in an array of these sizes; checks the bounds.
Tensor flat_index(const std::vector<Tensor>& indices, const Dims& sizes);

// Throws IndexError where an entry of index (int64, unless symbolic) is none of x's along the axis.
void check_bounds(const Tensor& index, const Tensor& x, int axis, const char* op);
void check_bounds(std::int64_t index, const Tensor& x, int axis, const char* op);

}  // namespace chainrule
