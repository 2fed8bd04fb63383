// Guards, clipping and the optimizer's scalars in a traced step.
#include "train/step_parts.hpp"

#include "autodiff/rules.hpp"
#include "chainrule/ops.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {

void guard(const Tensor& value) {
  static const Op& op = find_op("check_finite");
  apply(op, std::span(&value, 1));
}

void clip_gradients(Tensors& gradients, const Tensor& limit) {
  Tensor squares;
  for (const Tensor& g : gradients)
    if (g.defined()) accumulate(squares, sum(square(g)));
  if (!squares.defined()) return;
  const Tensor norm = sqrt(squares);
  guard(norm);
  const Tensor factor = minimum(cast(limit, norm.dtype()) / (norm + Tensor(1e-6)), Tensor(1.0));
  for (Tensor& g : gradients)
    if (g.defined()) g = g * factor;
}

DType scalar_dtype(const optim::Optimizer& optimizer) {
  return optimizer.parameters().empty() ? DType::float32 : optimizer.parameters()[0].dtype();
}

Tensors scalar_inputs(Tracer& tracer, const optim::Optimizer& optimizer) {
  Tensors scalars;
  if (!optimizer.rule()) return scalars;
  for (std::size_t i = optimizer.rule()->scalars(0.0, 1).size(); i-- > 0;)
    scalars.push_back(tracer.input({scalar_dtype(optimizer), {}}));
  return scalars;
}

}  // namespace chainrule
