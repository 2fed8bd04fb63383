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

void check_least_squares(const GraphData& graph, const optim::Optimizer& optimizer) {
  const std::string name = optimizer.method().name();
  for (const Node& node : graph.nodes)
    if (node.op->draws)
      fail<ValueError>(name, "needs the same residuals at every look", "the model draws random numbers",
                       "leave away what draws (Dropout, GaussianNoise), or use Adam");
  if (!graph.updates.empty())
    fail<ValueError>(name, "needs samples that do not depend on each other",
                     "the model keeps statistics of its batches (BatchNorm)", "use LayerNorm, or Adam");
}

// Adds what the batches before have collected. A loss that is a mean weighs each batch by what it is the mean of; start
// is then multiplied by that, and `count` is it.
void collect_gradients(Tracer& tracer, Tensors& gradients, const Tensor& count, const StepPlan& plan) {
  const GradientSums& sums = *plan.sums;
  const bool applies = plan.kind == StepKind::apply;
  Tensor divisor;
  if (count.defined()) {
    const Tensor total = sums.weight + cast(count, DType::float64);
    tracer.add_update(sums.weight, applies ? sums.weight * Tensor(0.0) : total);
    divisor = where(equal(total, Tensor(0.0)), Tensor(1.0), total);
  }
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    Tensor& g = gradients[i];
    const Tensor& sum = sums.gradients[i];
    if (applies) tracer.add_update(sum, sum * Tensor(0.0));  // also of what was frozen since: no later update is its
    if (!g.defined()) continue;
    if (!applies) guard(g);
    g = sum + g;
    if (!applies) tracer.add_update(sum, g);
    if (applies && divisor.defined()) g = g / cast(divisor, g.dtype());
  }
}

// What a batch counts for beside others of the same update; undefined where the loss is a sum.
Tensor batch_count(const Loss& loss, const Tensor& weights, const Tensor& target) {
  if (loss.reduction() == "sum") return {};
  return loss.reduction() == "mean" ? weights : Tensor(static_cast<double>(target.shape(0)));
}

}  // namespace

BatchInputs batch_inputs(Tracer& tracer, const StepInputs& types) {
  BatchInputs inputs;
  for (const TensorType& type : types.x) inputs.x.push_back(tracer.input(type));
  inputs.target = tracer.input(types.target);
  if (types.weight) inputs.weight = tracer.input(*types.weight);
  return inputs;
}

Tensor scalar_loss(const Loss& loss, const Tensors& outputs, const Tensor& target, const Tensor& weight) {
  const Tensor value = loss(outputs, target, weight);
  return value.size() == 1 && loss.reduction() != "none" ? value : mean(value);  // "none" leaves the mean to us
}

GraphData trace_step(const nn::Module& model, const Loss& loss, optim::Optimizer& optimizer, const StepInputs& inputs,
                     const StepPlan& plan) {
  const nn::ModeOverride mode(true);
  const auto tracer = Tracer::create();
  const TraceScope recording(*tracer);
  auto [x, target, weight] = batch_inputs(*tracer, inputs);
  RandomScope random(tracer->input({DType::int64, Shape{2}}));
  const bool clips = plan.clip != Clip::none && plan.kind != StepKind::collect;
  const Tensor limit = clips ? tracer->input({DType::float64, {}}) : Tensor();
  const Tensor share = plan.regularizers.mixup > 0 ? tracer->input({DType::float64, {}}) : Tensor();
  if (share.defined()) x = mixed_with_mirror(x, share);

  const Tensors outputs = model(x);
  Tensor value = scalar_loss(loss, outputs, target, weight);
  auto [weighted, weights] = loss.sums(outputs, target, weight);
  if (share.defined()) {
    const Tensor other = flip(target, {0}), other_weight = weight.defined() ? flip(weight, {0}) : Tensor();
    value = mixed(value, scalar_loss(loss, outputs, other, other_weight), share);
    weighted = mixed(weighted, loss.sums(outputs, other, other_weight).first, share);
  }
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
  const Tensor count = plan.kind == StepKind::whole ? Tensor() : batch_count(loss, weights, target);
  Tensor start = start_cotangent(value, {}, "Trainer");
  if (count.defined()) start = start * cast(count, value.dtype());
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
  if (plan.kind != StepKind::whole) collect_gradients(*tracer, gradients, count, plan);
  if (plan.kind == StepKind::collect) {
    tracer->set_outputs(results);
    return tracer->take();
  }
  if (plan.regularizers.l1 > 0)
    for (std::size_t i = 0; i < gradients.size(); ++i)
      if (gradients[i].defined()) gradients[i] = with_l1(gradients[i], tracer->symbol(wrt[i]), plan.regularizers.l1);
  clip_gradients(gradients, limit, plan.clip);

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
    Tensors updated = optimizer.rule_of(group).update(tracer->symbol(wrt[i]), gradients[i], states, scalars[group]);
    if (plan.regularizers.max_norm && has_units(model, parameters[i]))
      updated[0] = limited_columns(updated[0], *plan.regularizers.max_norm);
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
  const auto [x, target, weight] = batch_inputs(*tracer, inputs);
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
