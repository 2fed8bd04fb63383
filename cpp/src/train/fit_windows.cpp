// The order of an epoch's rows, and the windows of a source one after the other.
#include <cstring>

#include "chainrule/data.hpp"
#include "core/fail.hpp"
#include "train/batched_run.hpp"
#include "train/fit_run.hpp"
#include "train/samplers.hpp"

namespace chainrule {

// The order of epoch s_.epochs of the stream: of all rows, or of the windows.
void FitRun::begin_order() {
  if (!data_.windows) {
    order_ = data::sampled_order("fit", data_.sampler.get(), data_.rows, s_.seed, s_.epochs, options_.shuffle, batch_);
    return;
  }
  window_order_ = data_.windows->order(s_.seed, s_.epochs, options_.shuffle);
  slot_ = -1;
}

// The window that batch b of the epoch is of; the one after it is read meanwhile.
void FitRun::open_window(std::int64_t b) {
  const std::int64_t slot = b / per_window_;
  if (slot == slot_) return;
  slot_ = -1;
  const auto at = static_cast<std::size_t>(slot);
  const std::int64_t window = window_order_[at];
  std::int64_t next = -1;
  if (at + 1 < window_order_.size())
    next = window_order_[at + 1];
  else if (epoch_ < options_.epochs)
    next = data_.windows->order(s_.seed, s_.epochs + 1, options_.shuffle)[0];
  const data::SourceRows& rows = data_.windows->take(window, next);
  try {
    set_window(data_, rows, options_);
    s_.loss.impl()->check_target(data_.given_y, step_of(size_of_batch(b)).output_type().shape);
  } catch (...) {  // bad data: as where one batch of them fails
    if (epoch_ == 1) back_to_start();
    throw;
  }
  // The first window's rows have the order that tensors in memory have.
  const std::uint64_t pass = s_.epochs + (static_cast<std::uint64_t>(window) << 32);
  order_ = data::epoch_order(data_.rows, s_.seed, pass, options_.shuffle);
  slot_ = slot;
  first_batch_ = slot * per_window_;
  if (s_.options.metrics.empty() || done_ == batches_) return;  // the pass for batch statistics has no outputs
  if (!targets_.defined()) targets_ = make_tensor(batch_type(data_.y, data_.samples));
  const Tensor here = data::take_rows(data_.y, order_);
  std::memcpy(bytes_of(targets_) + static_cast<std::size_t>(first_batch_ * batch_) * row_bytes(here), here.raw_data(),
              static_cast<std::size_t>(data_.rows) * row_bytes(here));
}

// A window may weigh nothing, an epoch of them may not.
void FitRun::check_epoch_weight() {
  if (!data_.windows || !data_.weight.defined() || sums_.sums().second != 0) return;
  if (epoch_ == 1) back_to_start();
  fail<ValueError>(
      "fit",
      ignored_label(s_.loss) ? "all sample weights are 0, or all labels are ignored" : "all sample weights are 0",
      data_.windows->str(), "give some samples a weight");
}

// Whether batches first ... last, counted from the beginning of the fit, can be had once more. What is read in its
// order only may not be there again.
bool FitRun::can_replay(std::int64_t first, std::int64_t last) const {
  if (!data_.windows || data_.windows->any_order()) return true;
  const auto is_here = [&](std::int64_t at) {
    return at / batches_ == epoch_ - 1 && at % batches_ / per_window_ == slot_;
  };
  return is_here(first) && is_here(last);
}

}  // namespace chainrule
