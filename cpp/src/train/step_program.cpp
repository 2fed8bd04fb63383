// Tracing a step, an evaluation and a prediction.
#include "train/step_program.hpp"

#include "autodiff/rules.hpp"
#include "chainrule/drivers.hpp"
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "nn/mode_override.hpp"
#include "ops/random_scope.hpp"
#include "train/step_parts.hpp"

namespace chainrule {
namespace {

Tensor scalar_loss(const Loss& loss, const Tensors& outputs, const Tensor& target, const Tensor& weight) {
  const Tensor value = loss(outputs, target, weight);
  return value.size() == 1 && loss.reduction() != "none" ? value : mean(value);  // "none" leaves the mean to us
}

void check_least_squares(const GraphData& graph, const optim::Optimizer& optimizer) {
  const std::string name = optimizer.method().name();
  for (const Node& node : graph.nodes)
    if (node.op->draws)
      fail<ValueError>(name, "needs the same residuals at every look", "the model draws random numbers (dropout)",
                       "leave dropout away, or use Adam");
  if (!graph.updates.empty())
    fail<ValueError>(name, "needs samples that do not depend on each other",
                     "the model keeps statistics of its batches (BatchNorm)", "use LayerNorm, or Adam");
}

}  // namespace

GraphData trace_step(const nn::Module& model, const Loss& loss, optim::Optimizer& optimizer, const StepInputs& inputs,
                     bool clip) {
  const nn::ModeOverride mode(true);
  const auto tracer = Tracer::create();
  const TraceScope recording(*tracer);
  Tensors x;
  for (const TensorType& type : inputs.x) x.push_back(tracer->input(type));
  const Tensor target = tracer->input(inputs.target);
  const Tensor weight = inputs.weight ? tracer->input(*inputs.weight) : Tensor();
  RandomScope random(tracer->input({DType::int64, Shape{2}}));
  const Tensor limit = clip ? tracer->input({DType::float64, {}}) : Tensor();

  const Tensors outputs = model(x);
  const Tensor value = scalar_loss(loss, outputs, target, weight);
  const auto [weighted, weights] = loss.sums(outputs, target, weight);
  guard(value);
  Tensors results{value, weighted, weights, outputs[0]};
  if (optimizer.driver() && optimizer.driver()->least_squares()) {
    check_least_squares(tracer->graph(), optimizer);
    tracer->set_outputs(results);
    return tracer->take();
  }

  const std::vector<Tensor>& parameters = optimizer.parameters();
  std::vector<ValueId> wrt;
  for (const Tensor& p : parameters) wrt.push_back(tracer->value_of(p));
  const Tensor start = start_cotangent(value, {}, "Trainer");
  Tensors gradients = gradients_in_trace(*tracer, std::span(&value, 1), std::span(&start, 1), wrt);
  for (std::size_t i = 0; i < gradients.size(); ++i)
    if (!parameters[i].requires_grad()) gradients[i] = Tensor();
  bool trains = false;
  for (const Tensor& g : gradients) trains |= g.defined();
  if (!trains)
    fail<StateError>(
        "Trainer", "the loss reaches no parameter the optimizer may move",
        std::to_string(parameters.size()) + " parameters in " + optimizer.str(),
        "give the optimizer this model's parameters, unfreeze one, or compute the loss from the model's output");
  if (clip) {
    clip_gradients(gradients, limit);
  } else {
    for (const Tensor& g : gradients)
      if (g.defined()) guard(g);
  }

  if (optimizer.driver()) {
    for (std::size_t i = 0; i < parameters.size(); ++i)
      if (parameters[i].requires_grad())
        results.push_back(gradients[i].defined() ? gradients[i]
                                                 : Tensor::zeros(parameters[i].shape(), parameters[i].dtype()));
    tracer->set_outputs(results);
    return tracer->take();
  }
  const std::vector<Tensors> scalars = scalar_inputs(*tracer, optimizer);
  for (const std::size_t i : in_order_of_groups(optimizer, gradients)) {
    const std::size_t group = optimizer.group_of(i);
    const std::vector<Tensor>& states = optimizer.states(i);
    const Tensors updated =
        optimizer.rule_of(group).update(tracer->symbol(wrt[i]), gradients[i], states, scalars[group]);
    tracer->add_update(parameters[i], updated[0]);
    for (std::size_t k = 0; k < states.size(); ++k) tracer->add_update(states[k], updated[k + 1]);
  }
  tracer->set_outputs(results);
  return tracer->take();
}

GraphData trace_evaluation(const nn::Module& model, const Loss& loss, const StepInputs& inputs) {
  const nn::ModeOverride mode(false);
  const auto tracer = Tracer::create();
  const TraceScope recording(*tracer);
  Tensors x;
  for (const TensorType& type : inputs.x) x.push_back(tracer->input(type));
  const Tensor target = tracer->input(inputs.target);
  const Tensor weight = inputs.weight ? tracer->input(*inputs.weight) : Tensor();
  const Tensors outputs = model(x);
  const auto [weighted, weights] = loss.sums(outputs, target, weight);
  Tensors results = {weighted, weights};
  results.insert(results.end(), outputs.begin(), outputs.end());
  tracer->set_outputs(results);
  return tracer->take();
}

GraphData trace_prediction(const nn::Module& model, const Types& x, const std::string& output) {
  const nn::ModeOverride mode(false);
  return trace_types(
      [&](const Tensors& in) {
        Tensors outputs = model(in);
        if (output == "proba")
          outputs[0] = link_probabilities(outputs[0], model.link());
        else if (output == "class")
          outputs[0] = link_classes(outputs[0], model.link());
        return outputs;
      },
      x);
}

Tensor link_probabilities(const Tensor& output, const std::string& link) {
  if (link == "softmax") return softmax(output, -1);
  if (link == "sigmoid") return sigmoid(output);
  if (link == "exp") return exp(output);
  if (link == "probability") return output;
  if (link == "sign" || link == "argmax")
    fail<StateError>("predict", "the model has scores, no probabilities", "its loss has the link '" + link + "'",
                     "use output=\"raw\" or \"class\", or train with CrossEntropyLoss or BCEWithLogitsLoss");
  fail<StateError>("predict", "the model has no probabilities", "its loss has the link '" + link + "'",
                   "use output=\"raw\", or train with a classification loss");
}

Tensor link_classes(const Tensor& output, const std::string& link) {
  if (link == "softmax" || link == "exp" || link == "argmax") return argmax(output, -1);
  if (link == "sigmoid" || link == "sign" || link == "probability") {
    const Tensor positive = cast(greater_equal(output, Tensor(link == "probability" ? 0.5 : 0.0)), DType::int64);
    return output.rank() == 2 && output.shape(1) == 1 ? reshape(positive, {-1}) : positive;
  }
  fail<StateError>("predict", "the model has no classes", "its loss has the link '" + link + "'",
                   "use output=\"raw\", or train with a classification loss");
}

}  // namespace chainrule
