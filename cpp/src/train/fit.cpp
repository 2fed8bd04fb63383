// fit: whole epochs inside compiled code. Work is cut into slices of at most 50 ms, between which callbacks and
// progress are served and a stop is heard; every 256 batches all that training writes is saved, to go back to when the
// numbers run away.
#include <algorithm>
#include <cstring>
#include <limits>

#include "chainrule/data.hpp"
#include "core/fail.hpp"
#include "train/batched_run.hpp"
#include "train/driver_step.hpp"
#include "train/fit_run.hpp"

namespace chainrule {
namespace {

constexpr double slice_seconds = 0.05;
constexpr std::int64_t batches_between_saves = 256;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

FitRun::FitRun(Trainer& trainer, FitData data, const FitOptions& options)
    : trainer_(trainer),
      s_(*trainer.state_),
      data_(std::move(data)),
      options_(options),
      batch_(std::min(options.batch_size, data_.samples)),
      batches_((data_.samples + batch_ - 1) / batch_),
      per_window_(data_.windows && data_.windows->windows() > 1 ? data_.windows->window_rows() / batch_ : batches_),
      rollback_(check_steps(), s_.saved, also_written(s_, options)) {
  check_validation();
  callbacks::check_folders(options.callbacks);
  find_averages();
  given_rate_ = rate_text();
  fit_->trainer_ = &trainer_;
  fit_->run_ = this;
  fit_->warn_ = options.on_warning;
  fit_->columns_ = columns();
  fit_->epochs = options_.epochs;
  fit_->batches = batches_;
  fit_->history = &s_.history;
  for (const optim::Schedule& schedule : s_.optimizer.schedules())
    if (const std::string watched = schedule.impl()->monitor(); !watched.empty())
      fit_->require_column(schedule.impl()->name(), watched);
  rates_.reserve(static_cast<std::size_t>(batches_between_saves) * s_.optimizer.group_count());
}

FitRun::~FitRun() {
  fit_->trainer_ = nullptr;
  fit_->warn_ = nullptr;
  fit_->average_ = nullptr;
  fit_->resumed_ = nullptr;
  fit_->history = nullptr;
}

void FitRun::run() {
  first_epoch_ = s_.epochs;
  first_rate_ = s_.optimizer.epoch();
  if (s_.optimizer.driver()) driver_start_ = s_.optimizer.state_dict();
  try {
    call_back([&](Callback& c) { c.on_fit_begin(*fit_); });
    if (resumed_) take_up();
    if (stop_ && finished_ < options_.epochs && s_.history.stopped.empty()) s_.history.stopped = *fit_->stop_;
    epochs();
    install_average();
  } catch (...) {
    for (const auto& callback : options_.callbacks) try {
        callback->on_fit_end(*fit_);
      } catch (...) {  // the first error is the one to be told
      }
    throw;
  }
  call_back([&](Callback& c) { c.on_fit_end(*fit_); });
}

void FitRun::epochs() {
  for (std::int64_t epoch = finished_ + 1; epoch <= options_.epochs && !stop_; ++epoch) {
    begin_epoch(epoch);
    if (resumed_) go_on_in_epoch();
    while (done_ < batches_ && !stop_) slice();
    if (done_ == batches_) end_epoch();
  }
}

// What callbacks and progress functions change is saved before the next batch.
template <class Calls> void FitRun::notice_changes(const Calls& calls) {
  const Changes before = changes();
  calls();
  if (fit_->stop_) stop_ = true;
  if (changes() == before) return;
  changed_ = position();
  if (!observed_.empty()) observed_.back() = s_.optimizer.schedule_memory();
}

template <class Call> void FitRun::call_back(const Call& call) {
  if (options_.callbacks.empty()) return;
  notice_changes([&] {
    for (const auto& callback : options_.callbacks) call(*callback);
  });
}

// Whether on_progress lets fit go on.
bool FitRun::report() {
  if (!options_.on_progress) return true;
  bool goes_on = true;
  notice_changes([&] { goes_on = options_.on_progress(*fit_); });
  return goes_on;
}

FitRun::Changes FitRun::changes() const {
  const optim::Optimizer& optimizer = s_.optimizer;
  std::vector<bool> trained;
  for (const Tensor& p : optimizer.parameters()) trained.push_back(p.requires_grad());
  std::vector<double> rates(optimizer.group_count());
  optimizer.rates_at(optimizer.step_count(), rates);
  return {rollback_.versions(), std::move(rates), optimizer.step_count(), s_.global_step, std::move(trained)};
}

// What the steps of this fit may write beside what the first one writes: a driver's parameters, and those that a
// callback may unfreeze.
std::vector<Tensor> FitRun::also_written(Trainer::State& state, const FitOptions& options) {
  optim::Optimizer& optimizer = state.optimizer;
  std::vector<Tensor> all = driven_parameters(optimizer);
  if (optimizer.driver() || options.callbacks.empty()) return all;
  for (std::size_t i = 0; i < optimizer.parameters().size(); ++i) {
    if (optimizer.parameters()[i].requires_grad()) continue;
    all.push_back(optimizer.parameters()[i]);
    const std::vector<Tensor>& states = optimizer.states(i);
    all.insert(all.end(), states.begin(), states.end());
  }
  return all;
}

void FitRun::begin_epoch(std::int64_t epoch) {
  epoch_ = epoch;
  done_ = before_ = 0;
  averaged_.clear();
  // Of an epoch that was ended within an update, or of steps by hand.
  if (s_.sums.batches > 0 && !resumed_) s_.sums.clear();
  observed_.push_back(s_.optimizer.schedule_memory());
  begin_schedule();
  begin_order();
  epoch_start_ = Clock::now();
  sums_ = {};
  outputs_ = targets_ = {};
  per_row_output_ = !s_.options.metrics.empty();
  fit_->epoch = epoch;
  fit_->epoch_end = false;
  fit_->lr = s_.optimizer.lr();
  fit_->logged_.clear();
}

// Batches first ... first + count - 1 of order_, all of one size; how many of them were finished. Those in a row that
// update run at once, and so do those that only collect gradients.
std::int64_t FitRun::run_batches(std::int64_t first, std::int64_t count, bool record) {
  const std::int64_t size = size_of_batch(first);
  CompiledStep *updating = &step_of(size), *collecting = nullptr;
  if (s_.options.accumulate > 1) {
    collecting = &step_of(size, /*updates=*/false);
    updating = &step_of(size);  // once more: a new step may take the place of an old one
  }
  std::int64_t finished = 0;
  while (finished < count) {
    const std::int64_t b = first + finished;
    const bool updates = updates_at(b);
    std::int64_t alike = 1;
    while (finished + alike < count && updates_at(b + alike) == updates) ++alike;
    ran_ = updates ? updating : collecting;
    finished += run_alike(*ran_, b, alike, updates, record);
    if (ran_->workspace().failed()) break;
  }
  return finished;
}

std::int64_t FitRun::run_alike(CompiledStep& step, std::int64_t first, std::int64_t count, bool updates, bool record) {
  Workspace& workspace = step.workspace();
  workspace.refresh();
  const std::int64_t size = size_of_batch(first), optimizer_steps = s_.optimizer.step_count();
  std::int64_t finished = 0;
  const std::size_t groups = s_.optimizer.group_count();
  rates_.resize(static_cast<std::size_t>(count) * groups);
  for (std::int64_t i = 0; updates && i < count; ++i)
    s_.optimizer.rates_at(optimizer_steps + i, std::span(rates_).subspan(static_cast<std::size_t>(i) * groups, groups));
  const auto load_scalars = [&](std::int64_t b) {
    step.load_scalars(s_.optimizer, rates_of(b - first), s_.seed,
                      s_.global_step + static_cast<std::uint64_t>(b - first), optimizer_steps + b - first + 1,
                      s_.clipping.limit);
  };
  for (std::int64_t b = first; s_.optimizer.driver() && b < first + count; ++b) {
    step.load_rows(data_.x, data_.y, data_.weight, rows_of(b, size), 0, 1);
    load_scalars(b);
    drive(s_.optimizer, step, rates_of(b - first)[0]);
    if (workspace.failed()) break;
    if (record) keep_results(step, b);
    ++finished;
  }
  if (s_.optimizer.driver()) return count_steps(workspace, finished, updates);
  run_team(workspace.threads(), [&](int thread, Team& team) {
    for (std::int64_t b = first; b < first + count; ++b) {
      // An output may be an input's memory: it is read before anyone loads the next batch.
      if (b != first && team.size > 1) team.barrier.wait();
      // Each thread its own rows: the first layer finds them in the cache of the core that multiplies them.
      step.load_rows(data_.x, data_.y, data_.weight, rows_of(b, size), thread, team.size);
      if (thread == 0) load_scalars(b);
      workspace.run_as(thread, team);
      if (workspace.failed()) break;
      if (thread != 0) continue;
      if (record) keep_results(step, b);
      ++finished;
    }
  });
  return count_steps(workspace, finished, updates);
}

std::int64_t FitRun::count_steps(Workspace& workspace, std::int64_t finished, bool updates) {
  workspace.count_versions(static_cast<std::uint64_t>(finished));
  s_.count_batches(finished, updates);
  return finished;
}

// What batch b has given, by the thread that ran it last.
void FitRun::keep_results(const CompiledStep& step, std::int64_t b) {
  sums_.add(step.scalar(step_weighted_sum), step.scalar(step_weight_sum));
  if (!per_row_output_) return;
  const std::size_t width = row_bytes(outputs_);
  std::memcpy(bytes_of(outputs_) + static_cast<std::size_t>(b * batch_) * width, step.output_data(),
              static_cast<std::size_t>(size_of_batch(b)) * width);
}

// How many batches from `first` may run at once: of one shape, and up to the next save.
std::int64_t FitRun::most_from(std::int64_t first, std::int64_t at) const {
  const bool smaller_last = data_.samples % batch_ != 0 && size_of_batch(first) == batch_;
  const std::int64_t same_shape = batches_ - first - (smaller_last ? 1 : 0);
  return std::min({same_shape, per_window_ - first % per_window_, batches_between_saves - at % batches_between_saves});
}

// The same up to the next batch after which a callback wants to be called.
std::int64_t FitRun::until_call(std::int64_t at) const {
  std::int64_t least = batches_between_saves;
  for (const auto& callback : options_.callbacks)
    if (const std::int64_t every = callback->every(); every > 0) least = std::min(least, every - at % every);
  return least;
}

void FitRun::slice() {
  if (data_.windows) try {
      open_window(done_);
    } catch (const ReadStopped&) {
      fit_->batch = done_;
      return stop_waiting("in " + place());
    }
  const std::int64_t size = size_of_batch(done_), at = position();
  // A batch that fails has changed nothing, so the last one needs no place to go back to.
  const bool last = epoch_ == options_.epochs && done_ + 1 == batches_;
  const bool no_way_back = data_.windows && !data_.windows->any_order() && done_ == first_batch_;
  if ((at % batches_between_saves == 0 || at == changed_ || no_way_back) && !last)
    rollback_.save({at, s_.global_step, s_.epochs, s_.optimizer.step_count()}, /*keep_first=*/epoch_ == 1);
  keep_outputs(step_of(size), size);
  const std::int64_t affordable = step_seconds_ > 0 ? static_cast<std::int64_t>(slice_seconds / step_seconds_) : 4;
  const std::int64_t count = std::min(std::clamp<std::int64_t>(affordable, 1, most_from(done_, at)), until_call(at));
  const auto slice_start = Clock::now();
  done_ += run_batches(done_, count, /*record=*/true);
  if (ran_->workspace().failed()) return fail_at(*ran_);
  step_seconds_ = seconds_since(slice_start) / static_cast<double>(count);
  report_slice(/*early=*/count < affordable);
}

// early: it was cut short, for a callback or a save; what goes by the clock keeps its pace.
void FitRun::report_slice(bool early) {
  if (options_.callbacks.empty() && !options_.on_progress) return;
  fit_->batch = done_;
  fit_->loss = sums_.mean();
  fit_->samples_per_second =
      static_cast<double>(std::min(done_ * batch_, data_.samples) - before_ * batch_) / seconds_since(epoch_start_);
  call_back([&](Callback& c) {
    if (const std::int64_t every = c.every(); every > 0 && position() % every == 0) c.on_batch_end(*fit_);
  });
  if (done_ == batches_) return;
  if (early && !stop_ && seconds_since(served_) < slice_seconds) return settle();
  served_ = Clock::now();
  call_back([&](Callback& c) { c.on_slice(*fit_); });
  const bool goes_on = stop_ || report();
  if (fit_->stop_) s_.history.stopped = *fit_->stop_ + " (" + place() + ")";
  if (!stop_ && !goes_on) s_.history.stopped = "interrupted in " + place();
  if (!goes_on && data_.windows) data_.windows->stop();
  stop_ |= !goes_on;
  settle();
}

std::string FitRun::place() const {
  return "epoch " + std::to_string(epoch_) + " after batch " + std::to_string(done_);
}

void FitRun::settle() {
  fit_->ending = stop_ || (fit_->epoch_end && epoch_ == options_.epochs);
  call_back([&](Callback& c) { c.on_settled(*fit_); });
}

// The model's outputs of the whole epoch, in the order of the samples, for the metrics.
void FitRun::keep_outputs(const CompiledStep& step, std::int64_t size) {
  if (!per_row_output_) return;
  TensorType type = step.output_type();
  per_row_output_ = type.shape.rank() > 0 && type.shape[0] == size;
  if (!per_row_output_ || outputs_.defined()) return;
  type.shape[0] = data_.samples;
  outputs_ = make_tensor(type);
}

Evaluation FitRun::validate() {
  const nn::Module model = fit_->model();
  if (data_.validation_windows)
    return evaluate_windows(model, s_.loss, s_.options.metrics, *data_.validation_windows, validation_batch());
  return evaluate_all(model, s_.loss, s_.options.metrics, data_.validation.x, data_.validation.y, {},
                      validation_batch());
}

// Nobody wants to wait for a source any more.
void FitRun::stop_waiting(const std::string& where) {
  stop_ = true;
  if (data_.windows) data_.windows->stop();
  s_.history.stopped = "interrupted " + where;
  if (position() > begin_at_) settle();
}

// The epoch is trained. A checkpoint is from before it was ended: to end it is then the first that a fit does which
// goes on from there.
void FitRun::stop_measuring(const std::string& what) {
  for (const std::string& column : columns())
    if (column.starts_with("val_")) s_.history.append(column, std::numeric_limits<double>::quiet_NaN());
  s_.history.log(fit_->logged_);
  fit_->batch = batches_;
  --s_.epochs;
  s_.optimizer.set_epoch(s_.optimizer.epoch() - 1);
  unmeasured_ = true;
  stop_waiting("in " + what + " of epoch " + std::to_string(epoch_));
  unmeasured_ = false;
  ++s_.epochs;
  s_.optimizer.set_epoch(s_.optimizer.epoch() + 1);
}

void FitRun::end_epoch() {
  check_epoch_weight();
  ++s_.epochs;
  s_.optimizer.set_epoch(s_.optimizer.epoch() + 1);
  History& history = s_.history;
  history.append("loss", sums_.mean());
  if (per_row_output_) {
    const Tensor targets = data_.windows ? targets_ : data::take_rows(data_.y, order_);
    for (const Metric& metric : s_.options.metrics)
      history.append(metric.name, measure(metric, s_.loss, outputs_, targets));
  }
  std::optional<Evaluation> validation;
  std::string part = "the batch statistics of the averaged weights";
  try {
    finish_averages();
    part = "the validation";
    if (data_.validates()) validation = validate();
  } catch (const ReadStopped&) { return stop_measuring(part); }
  if (validation) {
    history.append("val_loss", validation->loss);
    for (const auto& [name, value] : validation->metrics) history.append("val_" + name, value);
  }
  fit_->batch = batches_;
  fit_->loss = history["loss"].back();
  fit_->samples_per_second =
      static_cast<double>(std::max<std::int64_t>(data_.samples - before_ * batch_, 0)) / seconds_since(epoch_start_);
  fit_->epoch_end = true;
  call_back([&](Callback& c) { c.on_epoch_end(*fit_); });
  history.log(fit_->logged_);
  s_.optimizer.observe([&](const std::string& watched) { return history[watched].back(); });
  const bool goes_on = report();
  if (!goes_on && data_.windows) data_.windows->stop();
  if (epoch_ < options_.epochs) {
    if (stop_) history.stopped = *fit_->stop_;
    if (!stop_ && !goes_on) history.stopped = "interrupted after epoch " + std::to_string(epoch_);
    stop_ |= !goes_on;
  }
  settle();
}

}  // namespace chainrule
