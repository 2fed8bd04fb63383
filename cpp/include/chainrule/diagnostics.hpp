// Looking at a training before trusting it: gradients and dead units by layer, one batch learnt by heart, and the range
// of learning rates. All of them put back whatever they change.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "chainrule/trainer.hpp"

namespace chainrule {

// The gradients of the mean loss over all rows at once, by parameter; nothing is updated. A parameter that is frozen or
// that the loss does not reach is not among them. train: in train mode, as a step has them.
CHAINRULE_API std::vector<nn::NamedTensor> gradients(const Trainer& trainer, const std::vector<Tensor>& x,
                                                     const Tensor& y, bool train = true);

struct ParameterHealth {
  std::string name;
  Shape shape{};
  double weight_norm = 0, gradient_norm = 0;  // Euclidean
  std::int64_t units = 0, dead = 0;           // of a layer's matrix: its columns, and those no sample gives a gradient
};
struct CHAINRULE_API Diagnosis {
  double loss = 0;
  std::vector<ParameterHealth> parameters;
  std::vector<std::string> warnings;
  std::string str() const;  // a table, and the warnings under it
};
// Warns of a parameter or gradient with inf or NaN; of a layer of which more than half of the units get no gradient
// from any sample (in eval mode, so that dropout plays no part); of a matrix whose root mean square gradient is below
// 1e-4 of the largest matrix's (vanishing); and of one whose gradient is more than 100 times as long as itself
// (exploding).
CHAINRULE_API Diagnosis diagnose(const Trainer& trainer, const std::vector<Tensor>& x, const Tensor& y);

struct OverfitOptions {
  std::int64_t batch_size = 32;
  std::int64_t steps = 200;
  std::function<bool()> on_step{};  // called after every step; false ends the test there
};
struct CHAINRULE_API OverfitCheck {
  std::vector<double> losses;  // before each step
  bool passed = false;         // the last is below 5 % of the first
  std::string str() const;
};
// Trains on the first rows of x and y only. A model, loss and optimizer that belong together learn them by heart.
CHAINRULE_API OverfitCheck overfit_one_batch(Trainer& trainer, const std::vector<Tensor>& x, const Tensor& y,
                                             const OverfitOptions& options = {});

struct RateRangeOptions {
  double start = 1e-7, end = 10.0;
  std::int64_t steps = 100;
  std::int64_t batch_size = 32;
  std::function<bool()> on_step{};  // called after every step; false ends the test there
};
struct CHAINRULE_API RateRange {
  std::vector<double> rates, losses, smoothed;
  double suggestion = 0;  // where the smoothed loss falls most steeply, before its lowest; NaN where it does not fall
  std::string str() const;
};
// The range test of L. N. Smith (Cyclical learning rates, 2017): a step at each of `steps` rates in geometric order,
// until the smoothed loss is four times its lowest or not finite. A step is an update, of `accumulate` batches.
// StateError where a group of parameters has an lr of its own.
CHAINRULE_API RateRange lr_find(Trainer& trainer, const std::vector<Tensor>& x, const Tensor& y,
                                const RateRangeOptions& options = {});

}  // namespace chainrule
