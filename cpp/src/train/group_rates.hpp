// Whether one learning rate is that of all parameters.
#pragma once

#include <string>

#include "chainrule/optim.hpp"

namespace chainrule {

// A group of parameters that has an lr of its own, which Optimizer::set_lr does not change: "group 1 ('*.bias') has
// lr=0.2"; empty: there is none.
std::string own_rate_text(const optim::Optimizer& optimizer);

}  // namespace chainrule
