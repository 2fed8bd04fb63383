// Order along an axis: argsort.
#include <bit>

#include "ops/rowwise.hpp"

namespace chainrule {
namespace {

Types infer_order(const Op& op, std::span<const TensorType> in, const Attrs&) {
  needs_an_axis(op, in[0]);
  return {{DType::int64, in[0].shape}};
}

// Besides the output a merge needs as many indices of scratch.
void plan_order(const Op& op, std::span<const TensorType> in, std::span<const TensorType> out, const Attrs& attrs,
                kernels::Plan& plan) {
  plan_rows(op, in, out, attrs, plan);
  const std::int64_t n = in[0].shape.back();
  plan.scratch_bytes = n * 8;
  plan.cost = 3.0 * static_cast<double>(in[0].shape.size() * std::bit_width(static_cast<std::uint64_t>(n)));
}

}  // namespace

void add_sort_ops(std::vector<Op>& ops) {
  Op op;
  op.name = "argsort";
  op.doc = "Indices (int64) that sort along an axis: stable, NaN last, also when descending.";
  op.attributes = {{AttributeField::Kind::flag, 0, "descending"}};
  op.infer = infer_order;
  op.plan = plan_order;
  op.batch = Batch::leading;
  op.rowwise = true;
  op.flops_per_output = 10;
  attach_kernels(op, op.name);
  ops.push_back(op);
}

Tensor argsort(const Tensor& x, std::optional<int> axis, bool descending) {
  static const Op& op = find_op("argsort");
  Attrs attrs;
  attrs.ints[0] = descending;
  const Tensor settled = settle(x, "argsort"), in = axis ? settled : reshape(settled, {-1});
  return along(in, axis.value_or(0), "argsort", [&](const Tensor& t) { return apply1(op, std::span(&t, 1), attrs); });
}

}  // namespace chainrule
