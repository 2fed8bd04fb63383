// gradients: all gradients of a loss by parameter, without an update.
#include "autodiff/rules.hpp"
#include "chainrule/diagnostics.hpp"
#include "chainrule/ops.hpp"
#include "graph/tensor_data.hpp"
#include "nn/mode_override.hpp"
#include "ops/random_scope.hpp"
#include "program/workspace.hpp"
#include "train/batched_run.hpp"
#include "train/rollback.hpp"
#include "train/step_program.hpp"

namespace chainrule {
namespace {

// x..., target, dropout's counter -> gradients of those `moving` that the loss reaches (the others leave the list), and
// the model's first output.
GraphData trace_gradients(const nn::Module& model, const Loss& loss, const StepInputs& inputs, bool train,
                          std::vector<nn::NamedTensor>& moving) {
  const nn::ModeOverride mode(train);
  const auto tracer = Tracer::create();
  const TraceScope recording(*tracer);
  const auto [x, target, weight] = batch_inputs(*tracer, inputs);
  RandomScope random(tracer->input({DType::int64, Shape{2}}));
  const Tensors outputs = model(x);
  const Tensor value = scalar_loss(loss, outputs, target, weight);
  std::vector<ValueId> wrt;
  for (const nn::NamedTensor& p : moving) wrt.push_back(tracer->value_of(p.tensor));
  const Tensor start = start_cotangent(value, {}, "gradients");
  const Tensors all = gradients_in_trace(*tracer, std::span(&value, 1), std::span(&start, 1), wrt);
  Tensors results;
  std::vector<nn::NamedTensor> reached;
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!all[i].defined()) continue;
    results.push_back(all[i]);
    reached.push_back(moving[i]);
  }
  moving = std::move(reached);
  results.push_back(outputs[0]);
  tracer->set_outputs(results);
  return tracer->take();
}

}  // namespace

std::vector<nn::NamedTensor> gradients(const Trainer& trainer, const std::vector<Tensor>& x, const Tensor& y,
                                       bool train) {
  const nn::Module model = trainer.model();
  const Loss& loss = trainer.loss();
  const NoGrad nothing;
  const std::int64_t rows = common_rows("gradients", x, y);
  loss.impl()->check_target(y, {});
  StepInputs inputs;
  for (const Tensor& t : x) inputs.x.push_back(batch_type(t, rows));
  inputs.target = batch_type(y, rows);
  std::vector<nn::NamedTensor> moving;
  for (const nn::NamedTensor& p : model.named_parameters())
    if (p.tensor.requires_grad()) moving.push_back(p);
  Workspace workspace(compile_program(trace_gradients(model, loss, inputs, train, moving)), available_threads());
  const GraphData& graph = workspace.program().graph;
  loss.impl()->check_target(y, graph.types[static_cast<std::size_t>(graph.outputs.back())].shape);
  const std::int64_t counter[2] = {static_cast<std::int64_t>(trainer.options().seed), trainer.global_step()};
  std::size_t at = 0;
  for (const Tensor& t : x) workspace.bind_input(at++, t.raw_data());
  workspace.bind_input(at++, y.raw_data());
  workspace.bind_input(at++, counter);

  // BatchNorm's running statistics move in train mode: they go back.
  Rollback::Blocks blocks;
  Rollback rollback(workspace.program(), blocks);
  const bool writes = !workspace.program().written.empty();
  if (writes) rollback.save({.batch = 0}, false);
  try {
    workspace.run();
  } catch (...) {
    if (writes) rollback.restore(*rollback.place_before(0));
    throw;
  }
  if (writes) rollback.restore(*rollback.place_before(0));
  for (std::size_t i = 0; i < moving.size(); ++i) {
    const TensorType& type = graph.types[static_cast<std::size_t>(graph.outputs[i])];
    moving[i].tensor =
        Tensor::from_raw(workspace.output(i), static_cast<std::size_t>(type.shape.size()), type.shape, type.dtype);
  }
  return moving;
}

}  // namespace chainrule
