// What every traced step consists of behind its loss: guards against values that are not finite, clipping, updates.
#pragma once

#include <span>
#include <vector>

#include "chainrule/optim.hpp"
#include "graph/graph.hpp"

namespace chainrule {

// Ends the run before anything is updated where a value is inf or NaN.
void guard(const Tensor& value);
// torch's clip_grad_norm_: every gradient times min(1, limit / (norm + 1e-6)). Guards the norm.
void clip_gradients(Tensors& gradients, const Tensor& limit);

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
