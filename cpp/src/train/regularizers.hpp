// What a Trainer's options l1, max_norm and mixup add to a traced step.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "chainrule/trainer.hpp"

namespace chainrule {

struct Regularizers {
  double l1 = 0.0;
  std::optional<double> max_norm{};
  double mixup = 0.0;
};
Regularizers regularizers_of(const TrainerOptions& options);
void check_numbers(const TrainerOptions& options);  // what is wrong with any model
void check_regularizers(const TrainerOptions& options, const nn::Module& model);

// g + l1 sign(p) for parameters of two or more axes, others' g as it is: the derivative of l1 sum |p|, 0 at 0.
Tensor with_l1(const Tensor& gradient, const Tensor& parameter, double l1);

// The matrices of the model that max_norm limits: not the tables of Embeddings, whose columns are no unit's weights.
bool has_units(const nn::Module& model, const Tensor& parameter);
// w (in, out), a unit's weights being a column: w * c / max(norm, c). Columns with
// values above 1e15, whose squares might overflow, are made smaller first.
Tensor limited_columns(const Tensor& weight, double c);

// m a + (1 - m) b in a's dtype; m: float64 ().
Tensor mixed(const Tensor& a, const Tensor& b, const Tensor& m);
std::vector<Tensor> mixed_with_mirror(const std::vector<Tensor>& inputs, const Tensor& m);
// The m of a step, from Beta(alpha, alpha): the same for the same seed and step. By two gamma draws in the logarithm,
// which no small alpha makes 0 / 0. Marsaglia and Tsang (2000), A simple method for generating gamma variables.
double mixup_share(double alpha, std::uint64_t seed, std::uint64_t step);

}  // namespace chainrule
