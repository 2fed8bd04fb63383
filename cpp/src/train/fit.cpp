// fit: whole epochs inside compiled code. Work is cut into slices of at most 50 ms, between which progress is reported
// and a stop is heard; every 256 batches all that training writes is saved, to go back to when the numbers run away.
#include <chrono>
#include <cmath>
#include <cstring>

#include "chainrule/data.hpp"
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "nn/fitted_layer.hpp"
#include "train/batched_run.hpp"
#include "train/evaluate.hpp"
#include "train/fit_data.hpp"
#include "train/fitted_layers.hpp"
#include "train/rollback.hpp"
#include "train/trainer_state.hpp"

namespace chainrule {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double slice_seconds = 0.05;
constexpr std::int64_t batches_between_saves = 256;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::string place_name(std::int64_t epoch, std::int64_t batch) {
  return "epoch " + std::to_string(epoch) + ", batch " + std::to_string(batch);
}

}  // namespace

class FitRun {
 public:
  FitRun(Trainer::State& state, FitData data, const FitOptions& options)
      : s_(state),
        data_(std::move(data)),
        options_(options),
        batch_(std::min(options.batch_size, data_.rows)),
        batches_((data_.rows + batch_ - 1) / batch_),
        rollback_(check_steps(), state.saved) {
    check_validation();
    check_monitor();
    rates_.reserve(static_cast<std::size_t>(batches_between_saves));
  }

  void run() {
    first_epoch_ = s_.epochs;
    first_rate_ = s_.optimizer.epoch();
    for (std::int64_t epoch = 1; epoch <= options_.epochs && !stop_; ++epoch) {
      begin_epoch(epoch);
      while (done_ < batches_ && !stop_) slice();
      if (!stop_) end_epoch();
    }
  }

 private:
  std::int64_t size_of_batch(std::int64_t b) const { return b + 1 < batches_ ? batch_ : data_.rows - b * batch_; }
  std::int64_t position() const { return (epoch_ - 1) * batches_ + done_; }  // in batches since fit began

  CompiledStep& step_of(std::int64_t size) {
    StepInputs inputs;
    for (const Tensor& t : data_.x) inputs.x.push_back(batch_type(t, size));
    inputs.target = batch_type(data_.y, size);
    if (data_.weight.defined()) inputs.weight = batch_type(data_.weight, size);
    return s_.step_for(inputs);
  }

  // Whatever a batch of either size is refused for is said before the first one trains.
  const Program& check_steps() {
    s_.loss.impl()->check_target(data_.given_y, {});
    const std::int64_t last = size_of_batch(batches_ - 1);
    if (batch_ > 1) step_of(batch_);  // first, since its errors name the shapes as they were given
    try {
      step_of(last);
    } catch (const ValueError& error) {
      if (last > 1) throw;
      const std::string refused = error.what();
      std::int64_t better = std::max<std::int64_t>(batch_, 2);
      while (better < data_.rows && data_.rows % better == 1) ++better;
      fail<ValueError>("fit", "the last batch would hold one sample, which the model refuses",
                       std::to_string(data_.rows) + " samples, batch_size=" + std::to_string(options_.batch_size) +
                           ", " + refused.substr(0, refused.find(';')),
                       data_.rows == 1 ? "give more samples" : "write batch_size=" + std::to_string(better));
    }
    CompiledStep& step = step_of(batch_);
    const Shape output = step.output_type().shape;
    s_.loss.impl()->check_target(data_.given_y, output);
    if (output.rank() > 0 && output[0] == batch_)
      check_metrics(s_.options.metrics, s_.loss, output, batch_type(data_.y, batch_).shape);
    return step.workspace().program();
  }

  void check_validation() {
    if (data_.validation.x.empty()) return;
    StepInputs inputs;
    const std::int64_t rows = std::min(validation_batch(), data_.validation.y.shape(0));
    for (const Tensor& t : data_.validation.x) inputs.x.push_back(batch_type(t, rows));
    inputs.target = batch_type(data_.validation.y, rows);
    const GraphData graph = trace_evaluation(s_.model, s_.loss, inputs);
    const ValueId output = graph.outputs[2];
    s_.loss.impl()->check_target(data_.validation.y, graph.types[static_cast<std::size_t>(output)].shape);
  }
  void check_monitor() const {
    const optim::Schedule& schedule = s_.optimizer.schedule();
    const std::string watched = schedule.defined() ? schedule.impl()->monitor() : "";
    if (watched.empty()) return;
    std::vector<std::string> columns{"loss"};
    for (const Metric& metric : s_.options.metrics) columns.push_back(metric.name);
    if (!data_.validation.x.empty())
      for (std::size_t i = 0, n = columns.size(); i < n; ++i) columns.push_back("val_" + columns[i]);
    std::string known;
    for (const std::string& column : columns) {
      if (column == watched) return;
      known += (known.empty() ? "" : ", ") + column;
    }
    fail<ValueError>("fit", "the schedule watches a value that no epoch gives",
                     "monitor=\"" + watched + "\", there are " + known,
                     watched.starts_with("val_") ? "give validation_data or validation_split" : "");
  }
  std::int64_t validation_batch() const { return std::max<std::int64_t>(batch_, 1024); }

  void begin_epoch(std::int64_t epoch) {
    epoch_ = epoch;
    done_ = 0;
    observed_.push_back(s_.optimizer.schedule_memory());
    begin_schedule();
    order_ = data::epoch_order(data_.rows, s_.seed, s_.epochs, options_.shuffle);
    epoch_start_ = Clock::now();
    sums_ = {};
    outputs_ = {};
    per_row_output_ = !s_.options.metrics.empty();
    progress_ = {};
    progress_.epoch = epoch;
    progress_.epochs = options_.epochs;
    progress_.batches = batches_;
  }

  // Batches first ... first + count - 1 of order_, all of one size; how many of them were finished.
  template <class Each>
  std::int64_t run_batches(CompiledStep& step, std::int64_t first, std::int64_t count, const Each& each) {
    Workspace& workspace = step.workspace();
    workspace.refresh();
    const std::int64_t size = size_of_batch(first), optimizer_steps = s_.optimizer.step_count();
    std::int64_t finished = 0;
    rates_.resize(static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i)
      rates_[static_cast<std::size_t>(i)] = s_.optimizer.lr_at(optimizer_steps + i);
    run_team(workspace.threads(), [&](int thread, Team& team) {
      for (std::int64_t b = first; b < first + count; ++b) {
        // An output may be an input's memory: it is read before anyone loads the next batch.
        if (b != first && team.size > 1) team.barrier.wait();
        // Each thread its own rows: the first layer finds them in the cache of the core that multiplies them.
        step.load_rows(data_.x, data_.y, data_.weight, rows_of(b, size), thread, team.size);
        if (thread == 0)
          step.load_scalars(s_.optimizer, rates_[static_cast<std::size_t>(b - first)], s_.seed,
                            s_.global_step + static_cast<std::uint64_t>(b - first), optimizer_steps + b - first + 1,
                            s_.options.clip_norm.value_or(0));
        workspace.run_as(thread, team);
        if (workspace.failed()) break;
        if (thread != 0) continue;
        each(b);
        ++finished;
      }
    });
    workspace.count_versions(static_cast<std::uint64_t>(finished));
    s_.global_step += static_cast<std::uint64_t>(finished);
    s_.optimizer.set_step_count(optimizer_steps + finished);
    return finished;
  }
  std::span<const std::int64_t> rows_of(std::int64_t b, std::int64_t size) const {
    return std::span(order_).subspan(static_cast<std::size_t>(b * batch_), static_cast<std::size_t>(size));
  }

  // How many batches from `first` may run at once: of one shape, and up to the next save.
  std::int64_t most_from(std::int64_t first, std::int64_t at) const {
    const bool smaller_last = data_.rows % batch_ != 0 && size_of_batch(first) == batch_;
    const std::int64_t same_shape = batches_ - first - (smaller_last ? 1 : 0);
    return std::min(same_shape, batches_between_saves - at % batches_between_saves);
  }

  void slice() {
    const std::int64_t size = size_of_batch(done_), at = position();
    CompiledStep& step = step_of(size);
    // A batch that fails has changed nothing, so the last one needs no place to go back to.
    const bool last = epoch_ == options_.epochs && done_ + 1 == batches_;
    if (at % batches_between_saves == 0 && !last)
      rollback_.save({at, s_.global_step, s_.epochs, s_.optimizer.step_count()}, /*keep_start=*/epoch_ == 1);
    keep_outputs(step, size);
    const std::int64_t affordable = step_seconds_ > 0 ? static_cast<std::int64_t>(slice_seconds / step_seconds_) : 4;
    const std::int64_t count = std::clamp<std::int64_t>(affordable, 1, most_from(done_, at));
    const auto slice_start = Clock::now();
    done_ += run_batches(step, done_, count, [&](std::int64_t b) {
      sums_.add(step.scalar(step_weighted_sum), step.scalar(step_weight_sum));
      if (!per_row_output_) return;
      const std::size_t width = row_bytes(outputs_);
      std::memcpy(bytes_of(outputs_) + static_cast<std::size_t>(b * batch_) * width, step.output_data(),
                  static_cast<std::size_t>(size) * width);
    });
    if (step.workspace().failed()) return fail_at(step);
    step_seconds_ = seconds_since(slice_start) / static_cast<double>(count);
    if (!options_.on_progress || done_ == batches_) return;
    progress_.batch = done_;
    progress_.loss = sums_.mean();
    progress_.samples_per_second = static_cast<double>(done_ * batch_) / seconds_since(epoch_start_);
    if (options_.on_progress(progress_)) return;
    s_.history.stopped = "interrupted in epoch " + std::to_string(epoch_) + " after batch " + std::to_string(done_);
    stop_ = true;
  }

  // The model's outputs of the whole epoch, in the order of the samples, for the metrics.
  void keep_outputs(const CompiledStep& step, std::int64_t size) {
    if (!per_row_output_) return;
    TensorType type = step.output_type();
    per_row_output_ = type.shape.rank() > 0 && type.shape[0] == size;
    if (!per_row_output_ || outputs_.defined()) return;
    type.shape[0] = data_.rows;
    outputs_ = make_tensor(type);
  }

  // Batch done_ has failed. Bad data is an error that leaves everything as it was before fit; numbers that ran away end
  // training, with the parameters that last gave a finite loss.
  void fail_at(CompiledStep& step) {
    stop_ = true;
    const std::string where = place_name(epoch_, done_ + 1);
    const std::int64_t at = position();
    const bool finite_loss = std::isfinite(step.scalar(step_loss));
    try {
      step.workspace().throw_failure();
    } catch (const IndexError&) {  // a label or an index that a loss of one's own picks by
      back_to_start();
      s_.explain_label(step, where);
      throw;
    } catch (const ValueError&) {  // a check of the step
      if (epoch_ == 1) check_data();
    }
    std::string& stopped = s_.history.stopped;
    stopped = std::string(finite_loss ? "a gradient" : "the loss") + " was not finite in " + where + "; ";
    if (finite_loss || at == 0) {
      stopped += "the parameters are those before that batch";
    } else {
      return_to(at - 1);
      stopped += "the parameters are those that last gave a finite loss, one batch before";
    }
    stopped += "; lower the learning rate or clip gradients";
  }

  void check_data() {
    const auto rows = rows_of(done_, size_of_batch(done_));
    const auto check = [&](const std::string& name, const Tensor& values) {
      const bool missing = name[0] == 'X' && nn::fills_missing(*s_.model.impl());
      const std::string found = not_finite_in(values, rows, data_.given_row, missing);
      if (found.empty()) return;
      back_to_start();
      fail<ValueError>("fit", "the data holds inf or NaN", name + " has " + found,
                       "clean it first: nothing was trained");
    };
    for (std::size_t i = 0; i < data_.x.size(); ++i)
      check(data_.x.size() == 1 ? "X" : "X[" + std::to_string(i) + "]", data_.x[i]);
    check("y", data_.y);
  }

  void back_to_start() {
    if (const Rollback::Place* start = rollback_.place_before(0)) restore(*start);
  }
  void restore(const Rollback::Place& place) {
    rollback_.restore(place);
    s_.global_step = place.global_step;
    s_.epochs = place.epochs;
    s_.optimizer.set_step_count(place.optimizer_steps);
    begin_schedule();
  }

  // The learning rate as it was in epoch s_.epochs of the stream. It goes on from fit to fit, also where the stream
  // begins anew.
  void begin_schedule() {
    const auto epoch = static_cast<std::size_t>(s_.epochs - first_epoch_);
    s_.optimizer.set_epoch(first_rate_ + static_cast<std::int64_t>(epoch));
    s_.optimizer.set_schedule_memory(observed_[epoch]);
  }

  // The state before batch `target`: from the last save, the batches since then once more.
  void return_to(std::int64_t target) {
    const Rollback::Place* place = rollback_.place_before(target);
    if (place == nullptr) return;
    std::int64_t at = place->batch;
    restore(*place);
    for (std::int64_t ordered = -1; at < target;) {
      const std::int64_t epoch = at / batches_, first = at % batches_;
      s_.epochs = first_epoch_ + static_cast<std::uint64_t>(epoch);
      begin_schedule();
      if (ordered != epoch) order_ = data::epoch_order(data_.rows, s_.seed, s_.epochs, options_.shuffle);
      ordered = epoch;
      const std::int64_t count = std::min(target - at, most_from(first, at));
      at += run_batches(step_of(size_of_batch(first)), first, count, [](std::int64_t) {});
    }
    s_.epochs = first_epoch_ + static_cast<std::uint64_t>(target / batches_);
    begin_schedule();
  }

  void end_epoch() {
    ++s_.epochs;
    s_.optimizer.set_epoch(s_.optimizer.epoch() + 1);
    const double loss = sums_.mean();
    History& history = s_.history;
    history.append("loss", loss);
    if (per_row_output_) {
      const Tensor targets = data::take_rows(data_.y, order_);
      for (const Metric& metric : s_.options.metrics)
        history.append(metric.name, measure(metric, s_.loss, outputs_, targets));
    }
    if (!data_.validation.x.empty()) {
      const Evaluation e = evaluate_all(s_.model, s_.loss, s_.options.metrics, data_.validation.x, data_.validation.y,
                                        {}, validation_batch());
      history.append("val_loss", e.loss);
      for (const auto& [name, value] : e.metrics) history.append("val_" + name, value);
    }
    if (const optim::Schedule& schedule = s_.optimizer.schedule(); schedule.defined())
      if (const std::string watched = schedule.impl()->monitor(); !watched.empty())
        s_.optimizer.observe(history[watched].back());
    if (!options_.on_progress) return;
    progress_.samples_per_second = static_cast<double>(data_.rows) / seconds_since(epoch_start_);
    progress_.batch = batches_;
    progress_.loss = loss;
    progress_.epoch_end = true;
    progress_.history = &history;
    if (options_.on_progress(progress_) || epoch_ == options_.epochs) return;
    history.stopped = "interrupted after epoch " + std::to_string(epoch_);
    stop_ = true;
  }

  Trainer::State& s_;
  FitData data_;
  const FitOptions& options_;
  const std::int64_t batch_, batches_;
  std::uint64_t first_epoch_ = 0;  // of the stream, when this fit began
  std::int64_t first_rate_ = 0;    // the optimizer's epoch then
  Rollback rollback_;
  bool stop_ = false;
  double step_seconds_ = 0;
  std::vector<double> rates_;                      // of the batches of one slice
  std::vector<optim::ScheduleMemory> observed_{};  // at the start of each epoch of this fit

  // Of the present epoch.
  std::int64_t epoch_ = 1, done_ = 0;
  std::vector<std::int64_t> order_;
  Clock::time_point epoch_start_;
  WeightedMean sums_;
  Tensor outputs_;
  bool per_row_output_ = false;
  Progress progress_;
};

History Trainer::fit(const Tensor& x, const Tensor& y, const FitOptions& options) {
  return fit(std::vector<Tensor>{x}, y, options);
}

History Trainer::fit(const std::vector<Tensor>& x, const Tensor& y, const FitOptions& options) {
  State& s = *state_;
  const NoGrad nothing;
  FitData data = fit_data(x, y, options, options.seed.value_or(s.seed));
  FittedLayers fitted(s.model, data.x);
  FitRun run(s, std::move(data), options);
  if (options.seed) {
    s.seed = *options.seed;
    s.global_step = s.epochs = 0;
  }
  s.history = {};
  run.run();
  fitted.keep();
  return s.history;
}

}  // namespace chainrule
