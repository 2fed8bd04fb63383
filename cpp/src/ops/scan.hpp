// What derivatives of products need of scan.cpp.
#pragma once

#include "chainrule/tensor.hpp"

namespace chainrule {

// x moved one place on along the last axis, `first` in front; reverse: one place back, `first` at the end.
Tensor delayed(const Tensor& x, bool reverse, double first);

}  // namespace chainrule
