// Early stopping: a value watched over the epochs, and the model as it was at its best.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "chainrule/metrics.hpp"
#include "chainrule/trainer.hpp"
#include "core/fail.hpp"
#include "io/number_text.hpp"
#include "train/monitored.hpp"

namespace chainrule {

bool greater_is_better(const char* who, const std::string& column) {
  if (const std::optional<bool> known = higher_is_better(column)) return *known;
  const std::string name = column.starts_with("val_") ? column.substr(4) : column;
  const auto ends = [&](const char* end) { return name == end || name.ends_with(std::string("_") + end); };
  for (const char* smaller : {"loss", "mae", "mse", "rmse", "error"})  // of names of one's own
    if (ends(smaller)) return false;
  for (const char* greater : {"accuracy", "r2"})
    if (ends(greater)) return true;
  fail<ValueError>(who, "whether greater is better cannot be told from the name", "monitor=\"" + column + "\"",
                   "write mode=\"min\" or mode=\"max\"");
}

bool greater_is_better(const std::string& column) { return greater_is_better("greater_is_better", column); }

namespace callbacks {

EarlyStopping::EarlyStopping(const EarlyStoppingOptions& options) : options_(options), best_(std::nan("")) {
  constexpr const char* who = "EarlyStopping";
  if (options.patience < 0) fail<ValueError>(who, "patience must be 0 or more", std::to_string(options.patience));
  if (!(options.min_delta >= 0) || std::isinf(options.min_delta))
    fail<ValueError>(who, "min_delta must be a finite number, 0 or more", std::to_string(options.min_delta));
  if (options.mode != "auto" && options.mode != "min" && options.mode != "max")
    fail<ValueError>(who, "unknown mode", "\"" + options.mode + "\"", "use \"auto\", \"min\" or \"max\"");
  greater_ = options.mode == "auto" ? greater_is_better(who, options.monitor) : options.mode == "max";
}

void EarlyStopping::on_fit_begin(FitState& fit) {
  fit.require_column("EarlyStopping", options_.monitor);
  best_ = std::nan("");
  best_epoch_ = 0;
  best_state_.clear();
}

void EarlyStopping::on_epoch_end(FitState& fit) {
  const double value = fit.value(options_.monitor);
  const bool better = greater_ ? value > best_ + options_.min_delta : value < best_ - options_.min_delta;
  if (better || (best_epoch_ == 0 && !std::isnan(value))) {
    best_ = value;
    best_epoch_ = fit.epoch;
    if (options_.restore_best) best_state_ = fit.model().state_dict();
    return;
  }
  if (fit.epoch - best_epoch_ < std::max<std::int64_t>(options_.patience, 1)) return;
  char number[32];
  std::snprintf(number, sizeof number, "%.6g", best_);
  fit.stop(options_.monitor + " has not improved for " + std::to_string(fit.epoch - best_epoch_) + " epochs" +
               (best_epoch_ == 0 ? "" : "; it was best in epoch " + std::to_string(best_epoch_) + ", " + number),
           /*for_good=*/true);
}

void EarlyStopping::on_fit_end(FitState& fit) {
  if (options_.restore_best && !best_state_.empty() && best_epoch_ != fit.epoch)
    fit.trainer().model().load_state_dict(best_state_);
  best_state_.clear();
}

std::vector<nn::NamedTensor> EarlyStopping::state_dict() const {
  std::vector<nn::NamedTensor> state{{"best", Tensor::from(std::vector{best_}, {})},
                                     {"best_epoch", Tensor::from(std::vector{best_epoch_}, {})}};
  for (const nn::NamedTensor& own : best_state_) state.push_back({"model." + own.name, own.tensor});
  return state;
}

void EarlyStopping::load_state_dict(const std::vector<nn::NamedTensor>& state) {
  const Tensor* best = nullptr;
  const Tensor* epoch = nullptr;
  std::vector<nn::NamedTensor> best_state;
  bool known = true;
  for (const auto& [name, tensor] : state) {
    if (name == "best" && tensor.dtype() == DType::float64 && tensor.size() == 1)
      best = &tensor;
    else if (name == "best_epoch" && tensor.dtype() == DType::int64 && tensor.size() == 1)
      epoch = &tensor;
    else if (name.starts_with("model."))
      best_state.push_back({name.substr(6), tensor});
    else
      known = false;
  }
  if (!known || best == nullptr || epoch == nullptr)
    fail<ValueError>("load_state_dict", "the state is not an EarlyStopping's", "",
                     "give the callbacks of the interrupted fit, in the same order");
  best_ = best->data<double>()[0];
  best_epoch_ = epoch->data<std::int64_t>()[0];
  best_state_ = std::move(best_state);
}

std::string EarlyStopping::str() const {
  return "EarlyStopping(monitor=" + options_.monitor + ", patience=" + std::to_string(options_.patience) +
         ", min_delta=" + io::number_text(options_.min_delta) + ", mode=" + (greater_ ? "max" : "min") +
         ", restore_best=" + (options_.restore_best ? "true" : "false") + ")";
}

std::shared_ptr<Callback> EarlyStopping::clone() const { return std::make_shared<EarlyStopping>(options_); }

}  // namespace callbacks
}  // namespace chainrule
