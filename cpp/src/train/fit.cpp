// fit: whole epochs inside compiled code. Work is cut into slices of at most 50 ms, between which progress is reported
// and a stop is heard.
#include <chrono>
#include <cmath>
#include <cstring>

#include "chainrule/data.hpp"
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "train/batched_run.hpp"
#include "train/evaluate.hpp"
#include "train/trainer_state.hpp"

namespace chainrule {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double slice_seconds = 0.05;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void check_options(const FitOptions& options) {
  if (options.epochs < 0) fail<ValueError>("fit", "epochs must be 0 or more", std::to_string(options.epochs));
  if (options.batch_size < 1)
    fail<ValueError>("fit", "batch_size must be at least 1", std::to_string(options.batch_size));
  if (!(options.validation_split >= 0.0 && options.validation_split < 1.0))
    fail<ValueError>("fit", "validation_split must be in [0, 1)", std::to_string(options.validation_split));
  if (options.validation_split > 0 && options.validation_data.first.defined())
    fail<ValueError>("fit", "validation_data and validation_split were both given", "", "give one of them");
}

Tensor class_weights(const Tensor& y, const std::map<std::int64_t, double>& weights) {
  for (const auto& [label, weight] : weights)
    if (!(weight >= 0) || !std::isfinite(weight))
      fail<ValueError>("fit", "a class weight must be a finite number, 0 or more",
                       "class " + std::to_string(label) + " has " + std::to_string(weight));
  if (is_floating(y.dtype()))
    fail<DTypeError>("fit", "class_weight needs integer labels", std::string(name_of(y.dtype())), "use sample_weight");
  const Tensor labels = cast(y, DType::int64);
  Tensor result = Tensor::empty({y.shape(0)}, DType::float32);
  if (labels.size() != y.shape(0))
    fail<ShapeError>("fit", "class_weight needs one label per sample", "y is " + y.shape().str());
  auto* out = reinterpret_cast<float*>(bytes_of(result));
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    const auto found = weights.find(labels.data<std::int64_t>()[i]);
    out[i] = found == weights.end() ? 1.0f : static_cast<float>(found->second);
  }
  return result;
}

Tensor combined_weight(const Tensor& y, const FitOptions& options) {
  if (options.class_weight.empty()) return options.sample_weight;
  const Tensor weights = class_weights(y, options.class_weight);
  if (!options.sample_weight.defined()) return weights;
  return cast(reshape(options.sample_weight, {-1}), DType::float32) * weights;
}

void check_weight(const Tensor& weight, std::int64_t rows) {
  if (!weight.defined()) return;
  if (!(weight.shape() == Shape{rows}) && !(weight.shape() == Shape{rows, 1}))
    fail<ShapeError>("fit", "sample_weight must hold one number per sample",
                     "it is " + weight.shape().str() + " for " + std::to_string(rows) + " samples");
  const Tensor values = cast(weight, DType::float64);
  double total = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    const double w = values.data<double>()[i];
    if (!(w >= 0) || !std::isfinite(w))
      fail<ValueError>("fit", "sample_weight must hold finite numbers, 0 or more",
                       std::to_string(w) + " at position " + std::to_string(i));
    total += w;
  }
  if (total == 0) fail<ValueError>("fit", "all sample weights are 0", "", "give some samples a weight");
}

// What one epoch adds up.
struct Sums {
  double weighted = 0, weights = 0;
  double mean() const { return weights == 0 ? std::nan("") : weighted / weights; }
};

}  // namespace

History Trainer::fit(const Tensor& x, const Tensor& y, const FitOptions& options) {
  return fit(std::vector<Tensor>{x}, y, options);
}

History Trainer::fit(const std::vector<Tensor>& x, const Tensor& y, const FitOptions& options) {
  State& s = *state_;
  const NoGrad nothing;
  check_options(options);
  if (!y.defined()) fail<StateError>("fit", "y is undefined", "", "give one target per sample");
  std::int64_t rows = common_rows("fit", x, y);
  check_weight(options.sample_weight, rows);
  s.loss.impl()->check_target(y);

  // Whole-set arrays a batch is drawn from; weight may be undefined.
  struct {
    std::vector<Tensor> x;
    Tensor y, weight;
  } data{x, y, combined_weight(y, options)};
  Tensor validation_y = options.validation_data.second;
  std::vector<Tensor> validation_x;
  if (options.validation_data.first.defined()) {
    validation_x = {options.validation_data.first};
    common_rows("fit: validation_data", validation_x, validation_y);
  } else if (options.validation_split > 0) {
    const auto [train_rows, held_out] = data::split_rows(rows, options.validation_split, options.seed.value_or(s.seed));
    for (const Tensor& t : x) validation_x.push_back(data::take_rows(t, held_out));
    validation_y = data::take_rows(y, held_out);
    for (Tensor& t : data.x) t = data::take_rows(t, train_rows);
    data.y = data::take_rows(y, train_rows);
    if (data.weight.defined()) data.weight = data::take_rows(data.weight, train_rows);
    rows = common_rows("fit", data.x, data.y);
  }
  if (options.seed) {
    s.seed = *options.seed;
    s.global_step = s.epochs = 0;
  }

  const std::int64_t batch = std::min(options.batch_size, rows), batches = (rows + batch - 1) / batch;
  const auto step_of = [&](std::int64_t size) -> CompiledStep& {
    StepInputs inputs;
    for (const Tensor& t : data.x) inputs.x.push_back(batch_type(t, size));
    inputs.target = batch_type(data.y, size);
    if (data.weight.defined()) inputs.weight = batch_type(data.weight, size);
    return s.step_for(inputs);
  };

  History history;
  s.stopped.clear();
  bool stop = false;
  double step_seconds = 0;
  for (std::int64_t epoch = 1; epoch <= options.epochs && !stop; ++epoch) {
    const std::vector<std::int64_t> order = data::epoch_order(rows, s.seed, s.epochs, options.shuffle);
    const auto epoch_start = Clock::now();
    Sums sums;
    Tensor outputs;  // of the whole epoch, in `order`, for the metrics
    bool per_row_output = !s.options.metrics.empty();
    Progress progress;
    progress.epoch = epoch;
    progress.epochs = options.epochs;
    progress.batches = batches;
    std::int64_t done = 0;
    while (done < batches && !stop) {
      const std::int64_t size = done + 1 < batches ? batch : rows - (batches - 1) * batch;
      CompiledStep& step = step_of(size);
      Workspace& workspace = step.workspace();
      workspace.refresh();
      if (per_row_output) {
        TensorType type = step.output_type();
        per_row_output = type.shape.rank() > 0 && type.shape[0] == size;
        if (per_row_output && !outputs.defined()) {
          type.shape[0] = rows;
          outputs = make_tensor(type);
        }
      }
      const std::int64_t same_shape = size == batch && rows % batch != 0 ? batches - 1 - done : batches - done;
      const std::int64_t affordable = step_seconds > 0 ? static_cast<std::int64_t>(slice_seconds / step_seconds) : 4;
      const std::int64_t count = std::clamp<std::int64_t>(affordable, 1, same_shape);
      const std::int64_t first = done, optimizer_steps = s.optimizer.step_count();
      const auto slice_start = Clock::now();
      std::int64_t finished = 0;
      run_team(workspace.threads(), [&](int thread, Team& team) {
        for (std::int64_t b = first; b < first + count; ++b) {
          if (thread == 0)
            step.load(data.x, data.y, data.weight,
                      std::span(order).subspan(static_cast<std::size_t>(b * batch), static_cast<std::size_t>(size)),
                      s.optimizer, s.seed, s.global_step + static_cast<std::uint64_t>(b - first),
                      optimizer_steps + b - first + 1, s.options.clip_norm.value_or(0));
          workspace.run_as(thread, team);
          if (workspace.failed()) break;
          if (thread != 0) continue;
          sums.weighted += step.scalar(step_weighted_sum);
          sums.weights += step.scalar(step_weight_sum);
          if (per_row_output) {
            const std::size_t width = row_bytes(outputs);
            std::memcpy(bytes_of(outputs) + static_cast<std::size_t>(b * batch) * width, step.output_data(),
                        static_cast<std::size_t>(size) * width);
          }
          ++finished;
        }
      });
      workspace.count_versions(static_cast<std::uint64_t>(finished));
      s.global_step += static_cast<std::uint64_t>(finished);
      s.optimizer.set_step_count(optimizer_steps + finished);
      done += finished;
      if (workspace.failed()) {
        s.explain_failure(step, "epoch " + std::to_string(epoch) + ", batch " + std::to_string(done + 1));
        stop = true;
        break;
      }
      step_seconds = seconds_since(slice_start) / static_cast<double>(count);
      if (options.on_progress && done < batches) {
        progress.batch = done;
        progress.loss = sums.mean();
        progress.samples_per_second = static_cast<double>(done * batch) / seconds_since(epoch_start);
        if (!options.on_progress(progress)) {
          s.stopped = "interrupted in epoch " + std::to_string(epoch) + " after batch " + std::to_string(done);
          stop = true;
        }
      }
    }
    if (stop) break;
    ++s.epochs;
    progress.samples_per_second = static_cast<double>(rows) / seconds_since(epoch_start);
    history.append("loss", sums.mean());
    if (per_row_output) {
      const Tensor targets = data::take_rows(data.y, order);
      for (const Metric& metric : s.options.metrics)
        history.append(metric.name, metric.call ? metric.call(outputs, targets)
                                                : compute_metric(metric.name, outputs, targets, s.loss.impl()->link()));
    }
    if (!validation_x.empty()) {
      const Evaluation e = evaluate_all(s.model, s.loss, s.options.metrics, validation_x, validation_y, {},
                                        std::max<std::int64_t>(batch, 1024));
      history.append("val_loss", e.loss);
      for (const auto& [name, value] : e.metrics) history.append("val_" + name, value);
    }
    if (options.on_progress) {
      progress.batch = batches;
      progress.loss = sums.mean();
      progress.epoch_end = true;
      progress.history = &history;
      if (!options.on_progress(progress) && epoch < options.epochs) {
        s.stopped = "interrupted after epoch " + std::to_string(epoch);
        stop = true;
      }
    }
  }
  history.stopped = s.stopped;
  return history;
}

}  // namespace chainrule
