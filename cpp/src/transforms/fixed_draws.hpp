// Random draws fixed within one transform: every call of the function sees the same dropout masks.
#pragma once

#include "chainrule/graph.hpp"

namespace chainrule {

Function with_fixed_draws(Function f);

}  // namespace chainrule
