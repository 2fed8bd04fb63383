// Profiles of steps that write what they train.
#pragma once

#include <functional>

#include "chainrule/profile.hpp"
#include "program/workspace.hpp"

namespace chainrule {

// Runs the step's program with a clock; then everything it writes is as it was. `load` is called before every run.
Profile profile_step(Workspace& step, int runs, const std::function<void(int run)>& load);

}  // namespace chainrule
