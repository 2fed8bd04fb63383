// What every traced step consists of behind its loss: guards against values that are not finite, clipping, updates.
#pragma once

#include "chainrule/optim.hpp"
#include "graph/graph.hpp"

namespace chainrule {

// Ends the run before anything is updated where a value is inf or NaN.
void guard(const Tensor& value);
// torch's clip_grad_norm_: every gradient times min(1, limit / (norm + 1e-6)). Guards the norm.
void clip_gradients(Tensors& gradients, const Tensor& limit);

// The rank-0 inputs that the optimizer's scalars come through, and their dtype.
Tensors scalar_inputs(Tracer& tracer, const optim::Optimizer& optimizer);
DType scalar_dtype(const optim::Optimizer& optimizer);

}  // namespace chainrule
