// Derivative rules as linear maps: whether a given one is, and its transpose, which is the rule of the other mode.
#pragma once

#include <span>

#include "graph/graph.hpp"
#include "graph/op.hpp"

namespace chainrule {

// What a rule maps, for messages: its name and what it is given.
struct RuleName {
  const char* rule;   // "jvp"
  const char* reads;  // "tangents"
};

// linear, recorded on symbols of these types, and its pullback of `at`. Throws ValueError where it is not linear.
Tensors transposed(const Function& linear, const Types& types, std::span<const Tensor> at, const RuleName& name);

// Throws ValueError where `linear`, which has given y at t, is seen not to be linear: on values by another call at -2
// t, in a trace by what it records. Whether values were compared that are not all 0.
bool check_linear(const Function& linear, const Tensors& t, const Tensors& y, const RuleName& name);

}  // namespace chainrule
