// The Graphs behind a Trainer: one optimizer step (forward, loss, gradients, update), and one evaluation.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "chainrule/losses.hpp"
#include "chainrule/optim.hpp"
#include "graph/graph.hpp"
#include "train/gradient_sums.hpp"
#include "train/regularizers.hpp"
#include "train/step_parts.hpp"

namespace chainrule {

// What a step is traced from. Program inputs, in order: the model's inputs, the target, the sample weights if there
// are any, dropout's counter, the clip limit if there is one, mixup's share if there is one, the optimizer's scalars.
struct StepInputs {
  Types x;
  TensorType target;
  std::optional<TensorType> weight;
  bool operator==(const StepInputs&) const = default;
};

// The inputs of a trace for a batch of these types; weight may be undefined.
struct BatchInputs {
  Tensors x;
  Tensor target, weight;
};
BatchInputs batch_inputs(Tracer& tracer, const StepInputs& types);
Tensor scalar_loss(const Loss& loss, const Tensors& outputs, const Tensor& target, const Tensor& weight);

// Outputs: loss, sum of w l, sum of w, and the model's first output. With a driver the step updates no parameter:
// behind these stands the gradient of each parameter that wants one, or, for a least-squares driver, nothing.
enum StepOutput : std::size_t {
  step_loss = 0,
  step_weighted_sum = 1,
  step_weight_sum = 2,
  step_model_output = 3,
  step_gradients = 4
};

// Of an update by several batches, those before the last one collect their gradients, and it applies them.
enum class StepKind { whole, collect, apply };
struct StepPlan {
  Clip clip = Clip::none;
  StepKind kind = StepKind::whole;
  const GradientSums* sums = nullptr;  // of collect and apply
  Regularizers regularizers{};
};
// A step that collects has neither clip limit nor scalars.
GraphData trace_step(const nn::Module& model, const Loss& loss, optim::Optimizer& optimizer, const StepInputs& inputs,
                     const StepPlan& plan);
// Eval mode: x..., target, weight? -> sum of w l, sum of w, outputs...
GraphData trace_evaluation(const nn::Module& model, const Loss& loss, const StepInputs& inputs);
// Eval mode: x... -> outputs..., with what `output` asks for ("raw", "proba", "class") applied to the first.
GraphData trace_prediction(const nn::Module& model, const Types& x, const std::string& output);

Tensor link_probabilities(const Tensor& output, const std::string& link);
Tensor link_classes(const Tensor& output, const std::string& link);

}  // namespace chainrule
