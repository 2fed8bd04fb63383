// What std and norm share.
#pragma once

#include "chainrule/tensor.hpp"

namespace chainrule {

// The square root of a sum of squares, with derivative 0 at 0: there it has a kink, and 0 is among its subgradients.
Tensor root_of_squares(const Tensor& sum);

}  // namespace chainrule
