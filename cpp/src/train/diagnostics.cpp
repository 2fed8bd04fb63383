// diagnose, overfit_one_batch and lr_find, written with a Trainer's public functions.
#include "chainrule/diagnostics.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

#include "chainrule/data.hpp"
#include "chainrule/drivers.hpp"
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "nn/fitted_layer.hpp"
#include "train/batched_run.hpp"
#include "train/fit_data.hpp"
#include "train/gradient_sums.hpp"
#include "train/group_rates.hpp"

namespace chainrule {
namespace {

std::vector<double> doubles(const Tensor& t) {
  const NoGrad nothing;
  const Tensor wide = cast(t, DType::float64);
  return {wide.data<double>(), wide.data<double>() + wide.size()};
}

double norm_of(const std::vector<double>& values) {
  double sum = 0;
  for (const double v : values) sum += v * v;
  return std::sqrt(sum);
}

std::string number(double value, const char* format = "%.3g") {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

const Tensor* find(const std::vector<nn::NamedTensor>& all, const std::string& name) {
  for (const nn::NamedTensor& one : all)
    if (one.name == name) return &one.tensor;
  return nullptr;
}

bool ends_in_weight(const std::string& name) { return name == "weight" || name.ends_with(".weight"); }

// Columns of a matrix, with its bias, in which every gradient is exactly 0.
std::int64_t dead_units(const std::vector<nn::NamedTensor>& all, const std::string& name, const Tensor& matrix) {
  const std::vector<double> g = doubles(matrix);
  const auto units = static_cast<std::size_t>(matrix.shape(1));
  std::vector<char> alive(units);
  for (std::size_t i = 0; i < g.size(); ++i)
    if (g[i] != 0) alive[i % units] = 1;
  const Tensor* bias = find(all, name.substr(0, name.size() - 6) + "bias");
  if (bias != nullptr && bias->size() == matrix.shape(1)) {
    const std::vector<double> b = doubles(*bias);
    for (std::size_t i = 0; i < units; ++i)
      if (b[i] != 0) alive[i] = 1;
  }
  return std::count(alive.begin(), alive.end(), char{0});
}

// Everything a step moves, put back at the end. In between no gradients of earlier batches wait for an update.
class PutBack {
 public:
  explicit PutBack(Trainer& trainer)
      : trainer_(trainer),
        model_(trainer.model().state_dict()),
        state_(trainer.state_dict()),
        rated_(!trainer.optimizer().driver() || trainer.optimizer().driver()->has_rate()),
        lr_(rate_of(trainer.optimizer())),
        memory_(trainer.optimizer().schedule_memory()) {
    trainer_.load_state_dict(state_);  // what could fail at the end fails now, as it does within a fit
    std::vector<nn::NamedTensor> fresh = state_;
    std::erase_if(fresh, [](const nn::NamedTensor& own) { return GradientSums::owns(own.name); });
    trainer_.load_state_dict(fresh);
  }
  ~PutBack() {
    nn::Module model = trainer_.model();
    model.load_state_dict(model_);
    trainer_.load_state_dict(state_);
    if (rated_) trainer_.optimizer().set_lr(lr_);
    trainer_.optimizer().set_schedule_memory(memory_);
  }
  PutBack(const PutBack&) = delete;
  PutBack& operator=(const PutBack&) = delete;

 private:
  static optim::Rate rate_of(const optim::Optimizer& optimizer) {
    if (optimizer.schedule().defined()) return optimizer.schedule();
    return optimizer.lr();
  }

  Trainer& trainer_;
  std::vector<nn::NamedTensor> model_, state_;
  bool rated_;
  optim::Rate lr_;
  std::vector<optim::ScheduleMemory> memory_;
};

bool finite(const nn::Module& model, const std::vector<Tensor>& xb, const Tensor& yb) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(yb.shape(0)));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  const bool fills = nn::fills_missing(*model.impl());
  for (const Tensor& t : xb)
    if (!not_finite_in(t, rows, {}, fills).empty()) return false;
  return not_finite_in(yb, rows, {}, false).empty();
}

void check_count(const char* who, const char* what, std::int64_t value, std::int64_t least) {
  if (value < least)
    fail<ValueError>(who, std::string(what) + " must be at least " + std::to_string(least), std::to_string(value));
}

// Where the smoothed loss falls most steeply over log(rate), before it is lowest: what comes behind is chance.
double steepest(const RateRange& range) {
  double best = 0, at = std::numeric_limits<double>::quiet_NaN();
  const auto lowest = std::min_element(range.smoothed.begin(), range.smoothed.end()) - range.smoothed.begin();
  for (std::size_t i = 1; i < static_cast<std::size_t>(lowest); ++i) {
    const double slope =
        (range.smoothed[i + 1] - range.smoothed[i - 1]) / (std::log(range.rates[i + 1]) - std::log(range.rates[i - 1]));
    if (slope < best) best = slope, at = range.rates[i];
  }
  return at;
}

}  // namespace

Diagnosis diagnose(const Trainer& trainer, const std::vector<Tensor>& x, const Tensor& y) {
  const std::vector<nn::NamedTensor> moving = gradients(trainer, x, y), still = gradients(trainer, x, y, false);
  Diagnosis result;
  result.loss = trainer.evaluate(x, y).at("loss");
  double largest = 0;
  const auto spread = [](const ParameterHealth& p) {
    return p.gradient_norm / std::sqrt(static_cast<double>(std::max<std::int64_t>(p.shape.size(), 1)));
  };
  for (const nn::NamedTensor& parameter : trainer.model().named_parameters()) {
    const Tensor *gradient = find(moving, parameter.name), *quiet = find(still, parameter.name);
    if (gradient == nullptr) {
      if (parameter.tensor.requires_grad())
        result.warnings.push_back(parameter.name + ": the loss does not depend on it");
      continue;
    }
    ParameterHealth p{parameter.name,
                      parameter.tensor.shape(),
                      norm_of(doubles(parameter.tensor)),
                      norm_of(doubles(*gradient)),
                      0,
                      0};
    if (!std::isfinite(p.weight_norm)) result.warnings.push_back(p.name + ": it holds inf or NaN");
    if (!std::isfinite(p.gradient_norm)) result.warnings.push_back(p.name + ": its gradient holds inf or NaN");
    if (p.shape.rank() == 2 && ends_in_weight(p.name) && quiet != nullptr) {
      p.units = p.shape[1];
      p.dead = dead_units(still, p.name, *quiet);
      if (2 * p.dead > p.units)
        result.warnings.push_back(p.name + ": " + std::to_string(p.dead) + " of " + std::to_string(p.units) +
                                  " units are dead, no sample gives them a gradient; lower the learning rate, or use "
                                  "LeakyReLU");
    }
    if (p.shape.rank() >= 2 && std::isfinite(p.gradient_norm)) largest = std::max(largest, spread(p));
    result.parameters.push_back(p);
  }
  for (const ParameterHealth& p : result.parameters) {
    if (p.shape.rank() < 2 || !std::isfinite(p.gradient_norm)) continue;
    if (spread(p) < 1e-4 * largest)
      result.warnings.push_back(p.name + ": its gradient vanishes, " + number(spread(p) / largest) +
                                " of the largest layer's; use ReLU, normalization, or another initialization");
    if (p.weight_norm > 0 && p.gradient_norm > 100 * p.weight_norm)
      result.warnings.push_back(p.name + ": its gradient explodes, " + number(p.gradient_norm / p.weight_norm) +
                                " times as long as itself; clip gradients, standardize the data, or use another "
                                "initialization");
  }
  return result;
}

std::string Diagnosis::str() const {
  std::size_t width = 9;
  for (const ParameterHealth& p : parameters) width = std::max(width, p.name.size());
  const auto cell = [](const std::string& text, std::size_t size) {
    return std::string(text.size() < size ? size - text.size() : 1, ' ') + text;
  };
  std::string text =
      "parameter" + std::string(width - 9, ' ') + "           shape        norm    gradient        dead\n";
  for (const ParameterHealth& p : parameters) {
    text += p.name + std::string(width - p.name.size(), ' ') + cell(p.shape.str(), 16) +
            cell(number(p.weight_norm), 12) + cell(number(p.gradient_norm), 12) +
            cell(p.units > 0 ? std::to_string(p.dead) + " of " + std::to_string(p.units) : "", 12);
    while (text.back() == ' ') text.pop_back();
    text += "\n";
  }
  text += "loss " + number(loss, "%.5g") + (warnings.empty() ? ", no warnings\n" : "\n");
  for (const std::string& warning : warnings) text += "! " + warning + "\n";
  return text;
}

OverfitCheck overfit_one_batch(Trainer& trainer, const std::vector<Tensor>& x, const Tensor& y,
                               const OverfitOptions& options) {
  check_count("overfit_one_batch", "batch_size", options.batch_size, 1);
  check_count("overfit_one_batch", "steps", options.steps, 2);
  std::vector<std::int64_t> first;
  for (std::int64_t i = 0; i < std::min(options.batch_size, common_rows("overfit_one_batch", x, y)); ++i)
    first.push_back(i);
  const std::vector<Tensor> xb = take_rows(x, first);
  const Tensor yb = data::take_rows(y, first);
  const PutBack later(trainer);
  OverfitCheck result;
  for (std::int64_t i = 0; i < options.steps; ++i) {
    double loss = 0;  // one update takes the batch so many times
    for (std::int64_t k = 0; k < trainer.options().accumulate; ++k) loss = trainer.step(xb, yb);
    result.losses.push_back(loss);
    if (options.on_step && !options.on_step()) break;
  }
  result.passed = result.losses.back() < 0.05 * result.losses.front();
  return result;
}

std::string OverfitCheck::str() const {
  return std::string(passed ? "passed" : "failed") + ": one batch, " + std::to_string(losses.size()) + " steps, loss " +
         number(losses.front(), "%.4g") + " -> " + number(losses.back(), "%.4g") +
         (passed
              ? ""
              : "; a loss that cannot be driven to 0 (noise, dropout, mixup), the learning rate, or data and targets "
                "that do not belong together");
}

RateRange lr_find(Trainer& trainer, const std::vector<Tensor>& x, const Tensor& y, const RateRangeOptions& options) {
  check_count("lr_find", "batch_size", options.batch_size, 1);
  check_count("lr_find", "steps", options.steps, 3);
  if (!(options.start > 0 && options.end > options.start && std::isfinite(options.end)))
    fail<ValueError>("lr_find", "rates must rise from above 0",
                     "start is " + number(options.start) + ", end is " + number(options.end));
  if (trainer.optimizer().driver())
    fail<StateError>("lr_find", "this optimizer finds the length of its steps by itself", trainer.optimizer().str(),
                     "give the Trainer one with a learning rate, such as SGD or Adam");
  if (const std::string own = own_rate_text(trainer.optimizer()); !own.empty())
    fail<StateError>("lr_find", "a group of parameters has an lr of its own, which no rate of the range would move",
                     own, "give the optimizer its group with an lr_scale in place of an lr");
  const std::int64_t rows = common_rows("lr_find", x, y), size = std::min(options.batch_size, rows),
                     batches = rows / size;
  const PutBack later(trainer);
  RateRange range;
  std::vector<std::int64_t> order;
  double running = 0, lowest = std::numeric_limits<double>::infinity();
  const std::int64_t accumulate = trainer.options().accumulate;
  for (std::int64_t i = 0; i < options.steps; ++i) {
    const double rate = options.start * std::pow(options.end / options.start,
                                                 static_cast<double>(i) / static_cast<double>(options.steps - 1));
    trainer.optimizer().set_lr(rate);
    double loss = 0;  // of the batches of one update
    bool ran_away = false;
    for (std::int64_t b = i * accumulate; b < (i + 1) * accumulate && !ran_away; ++b) {
      if (b % batches == 0)
        order = data::epoch_order(rows, trainer.options().seed, static_cast<std::uint64_t>(b / batches), true);
      const auto batch = std::span<const std::int64_t>(order).subspan(static_cast<std::size_t>(b % batches * size),
                                                                      static_cast<std::size_t>(size));
      const std::vector<Tensor> xb = take_rows(x, batch);
      const Tensor yb = data::take_rows(y, batch);
      try {
        loss += trainer.step(xb, yb) / static_cast<double>(accumulate);
      } catch (const ValueError&) {  // not finite: the range ends here, unless the data are to blame
        if (range.rates.size() < 3 || !finite(trainer.model(), xb, yb)) throw;
        ran_away = true;
      }
    }
    if (ran_away) break;
    running = 0.9 * running + 0.1 * loss;
    const double smooth = running / (1 - std::pow(0.9, static_cast<double>(i + 1)));
    range.rates.push_back(rate);
    range.losses.push_back(loss);
    range.smoothed.push_back(smooth);
    lowest = std::min(lowest, smooth);
    if (smooth > 4 * std::abs(lowest) && i >= 10) break;
    if (options.on_step && !options.on_step()) break;
  }
  range.suggestion = steepest(range);
  return range;
}

std::string RateRange::str() const {
  return "RateRange(" + std::to_string(rates.size()) + " rates from " + number(rates.front()) + " to " +
         number(rates.back()) + ", suggestion " + number(suggestion) + ")";
}

}  // namespace chainrule
