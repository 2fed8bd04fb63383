// Whose state is what in a checkpoint. Those of callbacks that only look on, and of what writes checkpoints, count
// apart: a fit may go on without them.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "chainrule/callbacks.hpp"
#include "train/checkpoint_file.hpp"

namespace chainrule {

using Callbacks = std::vector<std::shared_ptr<Callback>>;

inline constexpr const char* averaged = "model.";  // how names of weights begin in the state of a WeightAverage

// Adds the states that there are, and to facts what keeps them. The weights of `shown`, which may be null, are those of
// the file's model. Returns each callback's name there; empty: it has no state.
std::vector<std::string> save_states(const Callbacks& callbacks, const Callback* shown, CheckpointFacts& facts,
                                     std::vector<nn::NamedTensor>& state);

// Under which name the checkpoint has each callback's state; empty: it has none. They belong together that say the same
// of themselves, the first with the first. differs hears of states that nobody here takes up.
std::vector<std::string> names_of_states(const Callbacks& callbacks, const CheckpointFacts& facts,
                                         const std::function<void(const std::string&)>& differs);

}  // namespace chainrule
