// A fit's averages of weights (EMA, SWA): what it validates and leaves in the model in place of the trained ones.
#include <algorithm>

#include "core/fail.hpp"
#include "train/batched_run.hpp"
#include "train/fit_run.hpp"
#include "train/weight_average.hpp"

namespace chainrule {

void FitRun::find_averages() {
  for (const auto& callback : options_.callbacks) {
    auto* average = dynamic_cast<callbacks::WeightAverage*>(callback.get());
    if (average == nullptr) continue;
    averages_.push_back(average);
    if (!average->replaces()) continue;
    if (fit_->average_ != nullptr)
      fail<ValueError>("fit", "two callbacks would replace the model by averages of its weights", "",
                       "give one EMA or SWA, or write replace=False for the others");
    fit_->average_ = average;
  }
}

// Before an epoch is validated.
void FitRun::finish_averages() {
  for (callbacks::WeightAverage* average : averages_) {
    if (std::find(averaged_.begin(), averaged_.end(), average) != averaged_.end()) continue;
    finish_average(*average);
    averaged_.push_back(average);
  }
}

void FitRun::finish_average(callbacks::WeightAverage& average) {
  if (!average.sets_batch_statistics() || !has_batch_statistics(s_.model)) {
    average.on_epoch_trained(*fit_);
    return;
  }
  // Weights without statistics of their own are no model: where a batch cannot be had, neither is there.
  const std::int64_t updates = average.updates();
  const std::vector<nn::NamedTensor> before = average.WeightAverage::state_dict();
  try {
    average.on_epoch_trained(*fit_);
    if (average.updates() == updates) return;
    set_batch_statistics(average.model(), batches_, [&](std::int64_t b) {
      if (data_.windows) open_window(b);
      return take_rows(data_.x, rows_of(b, size_of_batch(b)));
    });
  } catch (...) {
    average.WeightAverage::load_state_dict(before);
    throw;
  }
}

// After the last batch, and before on_fit_end, where EarlyStopping may put back its best epoch's. Averages of a fit
// that diverged hold weights that were gone back from.
void FitRun::install_average() {
  if (s_.history.diverged) fit_->average_ = nullptr;
  if (fit_->average_ == nullptr) return;
  if (const nn::Module average = fit_->average_->model(); average.impl()) s_.model.copy_(average);
}

}  // namespace chainrule
