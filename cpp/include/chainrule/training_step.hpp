// One optimizer step for any loss of any tensors and modules, compiled: physics losses, actor and critic, shared parts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chainrule/graph.hpp"
#include "chainrule/optim.hpp"
#include "chainrule/profile.hpp"

namespace chainrule {

// A loss, a function of the step's inputs that returns one number, and the optimizer that lowers it: only its
// parameters move.
struct LossAndOptimizer {
  Function loss;
  optim::Optimizer optimizer;
};

struct TrainingStepOptions {
  std::optional<double> clip_norm{};   // each optimizer's gradients are scaled down to this global norm,
  std::optional<double> clip_value{};  // or each element of a gradient is held to [-clip_value, clip_value]
  std::uint64_t seed = 0;              // keys dropout and other draws, by the number of the step
  std::string precision = "float32";   // or "bf16", as in TrainerOptions
};

// Several parts run in order: a later loss sees what the earlier optimizers have done. Everything is one Program,
// traced once per shapes and dtypes of the inputs. Modules compute in the mode, train or eval, that each of them is in.
class CHAINRULE_API TrainingStep {
 public:
  TrainingStep(std::vector<LossAndOptimizer> parts, const TrainingStepOptions& options = {});
  TrainingStep(Function loss, const optim::Optimizer& optimizer, const TrainingStepOptions& options = {});

  // The losses before the update, one per part. Where a loss or a gradient is not finite nothing changes, and
  // ValueError says which. variant: a name for what else the losses make of the inputs, each of which is traced.
  std::vector<double> operator()(const std::vector<Tensor>& inputs, const std::string& variant = {});
  // Where the time of a step goes. Runs it so often, and puts everything back as it was.
  Profile profile(const std::vector<Tensor>& inputs, int runs = 100, const std::string& variant = {});
  std::int64_t step_count() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace chainrule
