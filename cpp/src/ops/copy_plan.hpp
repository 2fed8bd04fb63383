// What the ops that only move elements share: row-major strides, CopyPlan, and the fields of such an op.
#pragma once

#include "ops/operands.hpp"

namespace chainrule {

inline void row_major(const Shape& shape, std::int64_t* strides) {
  std::int64_t step = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
}

// The start of a copy that writes out from its first element to its last: sizes and out strides. The caller makes the
// in strides of `from`, the row-major strides of in.
inline kernels::CopyPlan& start_copy(kernels::Plan& plan, const Shape& in, const Shape& out, std::int64_t* from) {
  auto& body = new_plan_body<kernels::CopyPlan>(plan);
  row_major(in, from);
  body.rank = out.rank();
  row_major(out, body.out_stride);
  for (int i = 0; i < body.rank; ++i) body.size[i] = out[i];
  return body;
}

inline void finish_copy(kernels::Plan& plan, kernels::CopyPlan& body, std::size_t element) {
  if (body.rank == 0) {
    body.rank = 1;
    body.size[0] = 1;
    body.in_stride[0] = body.out_stride[0] = 0;
  }
  plan.units = 1;
  for (int i = 0; i < body.rank; ++i) plan.units *= body.size[i];
  plan.cost = static_cast<double>(plan.units) * (0.15 + 0.05 * static_cast<double>(element));
}

inline Op structured(std::string_view name, std::string_view doc, decltype(Op::infer) infer, decltype(Op::plan) plan) {
  Op op;
  op.name = name;
  op.doc = doc;
  op.infer = infer;
  op.plan = plan;
  op.derivative = Derivative::linear;
  op.batch = Batch::leading;
  op.flops_per_output = 0;
  return op;
}

}  // namespace chainrule
