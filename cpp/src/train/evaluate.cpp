// predict and evaluate: whole sets through compiled programs in eval mode.
#include "train/evaluate.hpp"

#include <cmath>

#include "chainrule/predictor.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "io/loaded_module.hpp"
#include "nn/mode_override.hpp"
#include "train/batched_run.hpp"
#include "train/step_program.hpp"

namespace chainrule {

void WeightedMean::add(double batch_weighted, double batch_weights) {
  const FloatEnvironment environment;
  add_in_environment(batch_weighted, batch_weights);
}
double WeightedMean::mean() const {
  const FloatEnvironment environment;
  return mean_in_environment();
}
[[gnu::noinline]] void WeightedMean::add_in_environment(double batch_weighted, double batch_weights) {
  weighted_ += batch_weighted;
  weights_ += batch_weights;
}
[[gnu::noinline]] double WeightedMean::mean_in_environment() const {
  return weights_ == 0 ? std::nan("") : weighted_ / weights_;
}

double measure(const Metric& metric, const Loss& loss, const Tensor& output, const Tensor& target) {
  if (metric.call) return metric.call(output, target);
  std::optional<std::int64_t> left_out;
  for (const auto& [name, value] : loss.impl()->arguments())
    if (name == "ignore_index") left_out = std::get<std::int64_t>(value);
  return compute_metric(metric.name, output, target, loss.impl()->link(), {}, left_out);
}

void check_metrics(const std::vector<Metric>& metrics, const Loss& loss, const Shape& output, const Shape& target) {
  for (const Metric& metric : metrics)
    if (!metric.call) check_metric(metric.name, output, target, loss.impl()->link());
}

std::vector<Tensor> predict_all(const nn::Module& model, const std::vector<Tensor>& x, std::int64_t batch_size,
                                const std::string& output) {
  if (output != "raw" && output != "proba" && output != "class")
    fail<ValueError>("predict", "unknown output", "'" + output + "'", "use \"raw\", \"proba\" or \"class\"");
  const NoGrad nothing;
  const std::int64_t total = common_rows("predict", x);
  std::vector<Gathered> gathered;
  run_batches(
      x, batch_size,
      [&](std::int64_t rows) {
        Types types;
        for (const Tensor& t : x) types.push_back(batch_type(t, rows));
        return trace_prediction(model, types, output);
      },
      [&](const Workspace& workspace, std::int64_t first, std::int64_t rows) {
        gathered.resize(workspace.program().outputs.size());
        for (std::size_t k = 0; k < gathered.size(); ++k)
          gathered[k].receive(workspace, k, first, rows, total, "predict");
      });
  std::vector<Tensor> results;
  for (const Gathered& g : gathered) results.push_back(g.tensor());
  return results;
}

Evaluation evaluate_all(const nn::Module& model, const Loss& loss, const std::vector<Metric>& metrics,
                        const std::vector<Tensor>& x, const Tensor& y, const Tensor& weight, std::int64_t batch_size) {
  const NoGrad nothing;
  const std::int64_t total = common_rows("evaluate", x, y);
  std::vector<Tensor> rows_of = x;
  rows_of.push_back(y);
  if (weight.defined()) rows_of.push_back(weight);
  WeightedMean sums;
  Gathered output;
  const auto scalar = [](const Workspace& workspace, std::size_t k) {
    const GraphData& graph = workspace.program().graph;
    const TensorType& type = graph.types[static_cast<std::size_t>(graph.outputs[k])];
    return Tensor::view_raw(workspace.output(k), type.shape, type.dtype).item();
  };
  run_batches(
      rows_of, batch_size,
      [&](std::int64_t rows) {
        StepInputs inputs;
        for (const Tensor& t : x) inputs.x.push_back(batch_type(t, rows));
        inputs.target = batch_type(y, rows);
        if (weight.defined()) inputs.weight = batch_type(weight, rows);
        GraphData graph = trace_evaluation(model, loss, inputs);
        const Shape& shape = graph.types[static_cast<std::size_t>(graph.outputs[2])].shape;
        loss.impl()->check_target(y, shape);
        if (shape.rank() > 0 && shape[0] == rows) check_metrics(metrics, loss, shape, inputs.target.shape);
        return graph;
      },
      [&](const Workspace& workspace, std::int64_t first, std::int64_t rows) {
        sums.add(scalar(workspace, 0), scalar(workspace, 1));
        if (!metrics.empty()) output.receive(workspace, 2, first, rows, total, "evaluate");
      });
  Evaluation result;
  result.loss = sums.mean();
  for (const Metric& metric : metrics)
    result.metrics.emplace_back(metric.name, measure(metric, loss, output.tensor(), y));
  return result;
}

std::vector<Tensor> predict(const nn::Module& model, const std::vector<Tensor>& x, std::int64_t batch_size,
                            const std::string& output) {
  try {
    return predict_all(model, x, batch_size, output);
  } catch (const IndexError&) {
    // Called on values, layers tell which one is none of their categories. A loaded model has its graph only.
    const nn::ModeOverride mode(false);
    const NoGrad nothing;
    if (dynamic_cast<const io::LoadedModel*>(model.impl().get()) == nullptr) model(x);
    throw;
  }
}

Tensor nn::Module::predict(const Tensor& x, std::int64_t batch_size, const std::string& output) const {
  std::vector<Tensor> results = chainrule::predict(*this, {x}, batch_size, output);
  if (results.size() != 1)
    fail<ValueError>("predict", "the model does not have one output", std::to_string(results.size()) + " outputs",
                     "use the function predict(model, {x})");
  return results[0];
}

}  // namespace chainrule
