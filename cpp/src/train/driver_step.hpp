// A Trainer's step with a driver (L-BFGS, Levenberg-Marquardt): the compiled step gives it losses and gradients of one
// batch, as often as it asks.
#pragma once

#include <vector>

#include "chainrule/drivers.hpp"
#include "chainrule/trainer.hpp"
#include "train/compiled_step.hpp"

namespace chainrule {

// Refuses what a driver cannot do: losses, options and sizes.
void check_driver(const optim::Optimizer& optimizer, const Loss& loss, const TrainerOptions& options);
// The parameters that a driver writes, and no Program; none for update rules.
std::vector<Tensor> driven_parameters(const optim::Optimizer& optimizer);

// One step of the optimizer's driver on the batch in `step`, which then holds the outputs before the update. Where the
// loss or a gradient is not finite there, or an index is wrong, step.workspace() has failed and nothing is changed.
void drive(optim::Optimizer& optimizer, CompiledStep& step, double lr);

}  // namespace chainrule
