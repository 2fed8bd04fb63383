// Whether one learning rate is that of all parameters.
#pragma once

#include "chainrule/optim.hpp"

namespace chainrule {

// Whether a group of parameters has an lr of its own, which Optimizer::set_lr does not change.
bool has_own_rates(const optim::Optimizer& optimizer);

}  // namespace chainrule
