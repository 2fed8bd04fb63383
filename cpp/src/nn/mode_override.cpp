// The thread's mode, and a module's own.
#include "nn/mode_override.hpp"

#include "chainrule/nn.hpp"
#include "graph/mode_reads.hpp"

namespace chainrule::nn {
namespace {
thread_local int override_now = -1;  // -1: none
}

ModeOverride::ModeOverride(bool training) noexcept : before_(override_now) { override_now = training; }
ModeOverride::~ModeOverride() { override_now = before_; }

bool ModuleImpl::training() const {
  const bool now = override_now < 0 ? training_ : override_now != 0;
  if (ModeReads::wanted() && override_now < 0)
    ModeReads::note({[module = weak_from_this(), now] {
                       const auto alive = module.lock();
                       return alive ? alive->training_ : now;
                     },
                     now});
  return now;
}

}  // namespace chainrule::nn
