// The op that ends gradients, which a trace writes down for what was computed under no_grad.
#pragma once

#include "graph/op.hpp"

namespace chainrule {

// Set by the registry, a floor above, when it is built: before any op can be called.
extern const Op* stop_gradient_op;

}  // namespace chainrule
