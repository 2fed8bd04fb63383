// The thread's mode, and a module's own.
#include "nn/mode_override.hpp"

#include "chainrule/nn.hpp"

namespace chainrule::nn {
namespace {
thread_local int override_now = -1;  // -1: none
}

ModeOverride::ModeOverride(bool training) noexcept : before_(override_now) { override_now = training; }
ModeOverride::~ModeOverride() { override_now = before_; }

bool ModuleImpl::training() const noexcept { return override_now < 0 ? training_ : override_now != 0; }

}  // namespace chainrule::nn
