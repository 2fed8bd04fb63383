// What every traced step consists of behind its loss: guards against values that are not finite, clipping, updates.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "chainrule/optim.hpp"
#include "graph/graph.hpp"

namespace chainrule {

// Ends the run before anything is updated where a value is inf or NaN.
void guard(const Tensor& value);

// What becomes of gradients before an update. norm, torch's clip_grad_norm_: all of them times
// min(1, limit / (norm + 1e-6)); value, clip_grad_value_: each element held to [-limit, limit].
enum class Clip { none, norm, value };
struct Clipping {
  Clip by = Clip::none;
  double limit = 0;
};
// ValueError: both are given, or one that is not above 0.
Clipping clipping_of(const char* who, const std::optional<double>& norm, const std::optional<double>& value);
// Guards the norm, or each gradient. limit: float64, rank 0; undefined without clipping.
void clip_gradients(Tensors& gradients, const Tensor& limit, Clip by);

// The rank-0 inputs that the scalars of each of the optimizer's groups come through, and their dtype.
std::vector<Tensors> scalar_inputs(Tracer& tracer, const optim::Optimizer& optimizer);
DType scalar_dtype(const optim::Optimizer& optimizer);
// The numbers that go through them in step `step`, from 1, at the groups' rates: both as they are and in float32. How
// many they are. In a floating-point environment of ours.
std::size_t write_scalars(const optim::Optimizer& optimizer, std::span<const double> rates, std::int64_t step,
                          double* values, float* single);
std::size_t scalar_count(const optim::Optimizer& optimizer);
// The parameters with gradients by group, so that each group is one update.
std::vector<std::size_t> in_order_of_groups(const optim::Optimizer& optimizer, const Tensors& gradients);

}  // namespace chainrule
