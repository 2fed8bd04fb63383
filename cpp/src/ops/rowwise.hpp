// What ops over the last axis share: their plan, and running them along any other axis.
#pragma once

#include "ops/operands.hpp"

namespace chainrule {

inline void plan_rows(const Op& op, std::span<const TensorType> in, std::span<const TensorType>, const Attrs& attrs,
                      kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::RowPlan>(plan);
  const std::int64_t size = in[0].shape.size();
  body.n = in[0].shape.back();
  body.rows = plan.units = body.n == 0 ? 0 : size / body.n;
  body.r[0] = attrs.reals[0];
  body.i[0] = attrs.ints[0];
  body.i[1] = attrs.ints[1];
  plan.cost = static_cast<double>(size) * 0.06 * op.flops_per_output + 5.0 * static_cast<double>(body.rows);
}

inline void needs_an_axis(const Op& op, const TensorType& x) {
  if (x.shape.rank() < 1)
    fail<ShapeError>(op.name, "needs one axis at least", "shape is " + x.shape.str(), "reshape it to (1,)");
}

// An axis (not negative) and the last one exchanged.
inline Tensor exchanged_with_last(const Tensor& x, int axis) {
  if (axis == x.rank() - 1) return x;
  Dims order;
  for (int i = 0; i < x.rank(); ++i) order.push_back(i);
  order[axis] = x.rank() - 1;
  order[x.rank() - 1] = axis;
  return transpose(x, order);
}

// f(x with the axis last), its axes put back.
template <class F> Tensor along(const Tensor& x, int axis, const char* op, F&& f) {
  const int at = normal_axis(axis, x.rank(), op);
  return exchanged_with_last(f(exchanged_with_last(x, at)), at);
}

}  // namespace chainrule
