// predict and evaluate: whole sets through compiled programs in eval mode.
#include "train/evaluate.hpp"

#include <cmath>
#include <cstring>

#include "chainrule/predictor.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "io/loaded_module.hpp"
#include "nn/mode_override.hpp"
#include "train/batched_run.hpp"
#include "train/step_program.hpp"
#include "train/window_reader.hpp"

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

std::optional<std::int64_t> ignored_label(const Loss& loss) {
  for (const auto& [name, value] : loss.impl()->arguments())
    if (name == "ignore_index") return std::get<std::int64_t>(value);
  return {};
}

double measure(const Metric& metric, const Loss& loss, const Tensor& output, const Tensor& target) {
  if (metric.call) return metric.call(output, target);
  return compute_metric(metric.name, output, target, loss.impl()->link(), {}, ignored_label(loss));
}

void check_metrics(const std::vector<Metric>& metrics, const Loss& loss, const Shape& output, const Shape& target) {
  for (const Metric& metric : metrics)
    if (!metric.call) check_metric(metric.name, output, target, loss.impl()->link());
}

namespace {

// The outputs of whole sets, part by part.
class Prediction {
 public:
  Prediction(const nn::Module& model, std::int64_t total, std::int64_t batch_size, const std::string& output)
      : model_(model), total_(total), batch_size_(batch_size), output_(output) {
    if (output != "raw" && output != "proba" && output != "class")
      fail<ValueError>("predict", "unknown output", "'" + output + "'", "use \"raw\", \"proba\" or \"class\"");
  }
  void add(const std::vector<Tensor>& x, std::int64_t start) {
    run_batches(
        x, batch_size_,
        [&](std::int64_t rows) {
          Types types;
          for (const Tensor& t : x) types.push_back(batch_type(t, rows));
          return trace_prediction(model_, types, output_);
        },
        [&](const Workspace& workspace, std::int64_t first, std::int64_t rows) {
          gathered_.resize(workspace.program().outputs.size());
          for (std::size_t k = 0; k < gathered_.size(); ++k)
            gathered_[k].receive(workspace, k, start + first, rows, total_, "predict");
        },
        program_);
  }
  std::vector<Tensor> results() const {
    std::vector<Tensor> results;
    for (const Gathered& g : gathered_) results.push_back(g.tensor());
    return results;
  }

 private:
  const nn::Module& model_;
  std::int64_t total_, batch_size_;
  const std::string& output_;
  RowsProgram program_{};
  std::vector<Gathered> gathered_{};
};

// Loss and outputs of whole sets, part by part.
class EvaluationRun {
 public:
  EvaluationRun(const nn::Module& model, const Loss& loss, const std::vector<Metric>& metrics, std::int64_t total,
                std::int64_t batch_size)
      : model_(model), loss_(loss), metrics_(metrics), total_(total), batch_size_(batch_size) {}
  void add(const std::vector<Tensor>& x, const Tensor& y, const Tensor& weight, std::int64_t start) {
    std::vector<Tensor> rows_of = x;
    rows_of.push_back(y);
    if (weight.defined()) rows_of.push_back(weight);
    run_batches(
        rows_of, batch_size_,
        [&](std::int64_t rows) {
          StepInputs inputs;
          for (const Tensor& t : x) inputs.x.push_back(batch_type(t, rows));
          inputs.target = batch_type(y, rows);
          if (weight.defined()) inputs.weight = batch_type(weight, rows);
          GraphData graph = trace_evaluation(model_, loss_, inputs);
          shape_ = graph.types[static_cast<std::size_t>(graph.outputs[2])].shape;
          loss_.impl()->check_target(y, shape_);
          if (shape_.rank() > 0 && shape_[0] == rows) check_metrics(metrics_, loss_, shape_, inputs.target.shape);
          return graph;
        },
        [&](const Workspace& workspace, std::int64_t first, std::int64_t rows) {
          sums_.add(scalar(workspace, 0), scalar(workspace, 1));
          if (!metrics_.empty()) output_.receive(workspace, 2, start + first, rows, total_, "evaluate");
        },
        program_);
  }
  void check_target(const Tensor& y) const { loss_.impl()->check_target(y, shape_); }
  bool begun() const { return program_.workspace != nullptr; }
  Evaluation result(const Tensor& y) const {
    Evaluation result;
    result.loss = sums_.mean();
    for (const Metric& metric : metrics_)
      result.metrics.emplace_back(metric.name, measure(metric, loss_, output_.tensor(), y));
    return result;
  }

 private:
  static double scalar(const Workspace& workspace, std::size_t k) {
    const GraphData& graph = workspace.program().graph;
    const TensorType& type = graph.types[static_cast<std::size_t>(graph.outputs[k])];
    return Tensor::view_raw(workspace.output(k), type.shape, type.dtype).item();
  }

  const nn::Module& model_;
  const Loss& loss_;
  const std::vector<Metric>& metrics_;
  std::int64_t total_, batch_size_;
  Shape shape_{};  // of the last traced output
  RowsProgram program_{};
  WeightedMean sums_{};
  Gathered output_{};
};

// fit and others take the windows one after the other.
template <class Call> void each_window(WindowReader& windows, const Call& call) {
  for (std::int64_t w = 0; w < windows.windows(); ++w)
    call(windows.take(w, w + 1 < windows.windows() ? w + 1 : -1), windows.first_row(w));
  windows.drop();
}

}  // namespace

std::vector<Tensor> predict_all(const nn::Module& model, const std::vector<Tensor>& x, std::int64_t batch_size,
                                const std::string& output) {
  const NoGrad nothing;
  Prediction prediction(model, common_rows("predict", x), batch_size, output);
  prediction.add(x, 0);
  return prediction.results();
}

Evaluation evaluate_all(const nn::Module& model, const Loss& loss, const std::vector<Metric>& metrics,
                        const std::vector<Tensor>& x, const Tensor& y, const Tensor& weight, std::int64_t batch_size) {
  const NoGrad nothing;
  EvaluationRun run(model, loss, metrics, common_rows("evaluate", x, y), batch_size);
  run.add(x, y, weight, 0);
  return run.result(y);
}

Evaluation evaluate_windows(const nn::Module& model, const Loss& loss, const std::vector<Metric>& metrics,
                            WindowReader& windows, std::int64_t batch_size) {
  const NoGrad nothing;
  EvaluationRun run(model, loss, metrics, windows.rows(), batch_size);
  Tensor targets;
  each_window(windows, [&](const data::SourceRows& rows, std::int64_t first) {
    if (!rows.y.defined())
      fail<StateError>("evaluate", "the source gives no targets", windows.str(), "let it give (inputs, targets)");
    if (run.begun()) run.check_target(rows.y);
    run.add(rows.x, rows.y, {}, first);  // weights count in training only
    if (metrics.empty()) return;
    if (!targets.defined()) targets = make_tensor(batch_type(rows.y, windows.rows()));
    std::memcpy(bytes_of(targets) + static_cast<std::size_t>(first) * row_bytes(targets), rows.y.raw_data(),
                static_cast<std::size_t>(rows.y.shape(0)) * row_bytes(targets));
  });
  return run.result(targets);
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

std::vector<Tensor> predict(const nn::Module& model, const std::shared_ptr<data::Source>& source,
                            std::int64_t batch_size, const std::string& output, const std::function<bool()>& on_wait) {
  WindowReader windows("predict", source, batch_size, {.whole_batches = false, .on_wait = on_wait});
  const NoGrad nothing;
  Prediction prediction(model, windows.rows(), batch_size, output);
  each_window(windows, [&](const data::SourceRows& rows, std::int64_t first) { prediction.add(rows.x, first); });
  return prediction.results();
}

Tensor nn::Module::predict(const Tensor& x, std::int64_t batch_size, const std::string& output) const {
  std::vector<Tensor> results = chainrule::predict(*this, {x}, batch_size, output);
  if (results.size() != 1)
    fail<ValueError>("predict", "the model does not have one output", std::to_string(results.size()) + " outputs",
                     "use the function predict(model, {x})");
  return results[0];
}

}  // namespace chainrule
