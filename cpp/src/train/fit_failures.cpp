// A batch that fails: what it says, and the way back to the parameters before it.
#include <cmath>
#include <numeric>

#include "chainrule/data.hpp"
#include "core/fail.hpp"
#include "nn/fitted_layer.hpp"
#include "train/fit_run.hpp"

namespace chainrule {

// Batch done_ has failed. Bad data is an error that leaves everything as it was before fit; numbers that ran away end
// training, with the parameters that last gave a finite loss.
void FitRun::fail_at(CompiledStep& step) {
  stop_ = true;
  const std::string where = "epoch " + std::to_string(epoch_) + ", batch " + std::to_string(done_ + 1);
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
  s_.history.diverged = true;
  std::string& stopped = s_.history.stopped;
  stopped = std::string(finite_loss ? "a gradient" : "the loss") + " was not finite in " + where + "; ";
  // What a callback has done cannot be replayed: never back across it.
  const Rollback::Place* place = at > 0 ? rollback_.place_before(at - 1) : nullptr;
  if (s_.optimizer.driver()) {
    stopped += "the parameters are those that last gave a finite loss";
  } else if (finite_loss || place == nullptr || place->batch < changed_ || !can_replay(place->batch, at - 1)) {
    stopped += "the parameters are those before that batch";
  } else {
    return_to(at - 1);
    stopped += "the parameters are those that last gave a finite loss, one batch before";
  }
  stopped += "; lower the learning rate or clip gradients";
}

void FitRun::check_data() {
  const auto rows = rows_of(done_, size_of_batch(done_));
  if (data_.windows) {  // rows are named as the source counts them
    data_.given_row.resize(static_cast<std::size_t>(data_.rows));
    std::iota(data_.given_row.begin(), data_.given_row.end(),
              data_.windows->first_row(window_order_[static_cast<std::size_t>(slot_)]));
  }
  const auto check = [&](const std::string& name, const Tensor& values) {
    // Where the very first batch of all fails, no layer has filled what is missing.
    const bool missing = name[0] == 'X' && s_.global_step > 0 && nn::fills_missing(*s_.model.impl());
    const std::string found = not_finite_in(values, rows, data_.given_row, missing);
    if (found.empty()) return;
    back_to_start();
    fail<ValueError>("fit", "the data holds inf or NaN", name + " has " + found, "clean it first: nothing was trained");
  };
  if (nn::fills_missing(*s_.model.impl())) check("y", data_.y);  // before what a layer should have filled
  for (std::size_t i = 0; i < data_.x.size(); ++i)
    check(data_.x.size() == 1 ? "X" : "X[" + std::to_string(i) + "]", data_.x[i]);
  check("y", data_.y);
}

void FitRun::back_to_start() {
  if (const Rollback::Place* start = rollback_.place_before(begin_at_)) restore(*start);
  if (s_.optimizer.driver()) s_.optimizer.load_state_dict(driver_start_);
}
void FitRun::restore(const Rollback::Place& place) {
  rollback_.restore(place);
  s_.global_step = place.global_step;
  s_.epochs = place.epochs;
  s_.optimizer.set_step_count(place.optimizer_steps);
  s_.sums.batches = place.batch % batches_ % s_.options.accumulate;
  begin_schedule();
}

// The learning rate as it was in epoch s_.epochs of the stream. It goes on from fit to fit, also where the stream
// begins anew.
void FitRun::begin_schedule() {
  const auto epoch = static_cast<std::size_t>(s_.epochs - first_epoch_);
  s_.optimizer.set_epoch(first_rate_ + static_cast<std::int64_t>(epoch));
  s_.optimizer.set_schedule_memory(observed_[epoch]);
}

// The state before batch `target`: from the last save, the batches since then once more.
void FitRun::return_to(std::int64_t target) {
  const Rollback::Place* place = rollback_.place_before(target);
  if (place == nullptr) return;
  std::int64_t at = place->batch;
  restore(*place);
  for (std::int64_t ordered = -1; at < target;) {
    const std::int64_t epoch = at / batches_, first = at % batches_;
    s_.epochs = first_epoch_ + static_cast<std::uint64_t>(epoch);
    begin_schedule();
    if (ordered != epoch) begin_order();
    ordered = epoch;
    if (data_.windows) try {
        open_window(first);
      } catch (const ReadStopped&) { break; }
    const std::int64_t count = std::min(target - at, most_from(first, at));
    const std::int64_t finished = run_batches(first, count, /*record=*/false);
    if (ran_->workspace().failed()) break;  // as good as it gets: every finished batch had a finite loss
    at += finished;
  }
  s_.epochs = first_epoch_ + static_cast<std::uint64_t>(target / batches_);
  begin_schedule();
}

}  // namespace chainrule
