// The precision that a Trainer's or a training step's options name.
#pragma once

#include "chainrule/nn.hpp"
#include "program/program.hpp"

namespace chainrule {

// Throws, in the name of `who`, for an unknown name, and where these parameters or this machine cannot have it.
Precision precision_named(const std::string& name, const std::vector<nn::NamedTensor>& parameters, const char* who);

}  // namespace chainrule
