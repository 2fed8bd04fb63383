// Measures a program's groups by running it.
#pragma once

#include <functional>

#include "chainrule/profile.hpp"
#include "program/workspace.hpp"

namespace chainrule {

// `load` is called before every run and is no part of the times.
Profile profile(Workspace& workspace, int runs, const std::function<void(int run)>& load);

}  // namespace chainrule
