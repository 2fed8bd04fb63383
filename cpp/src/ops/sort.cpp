// Order along an axis: argsort; sort and topk, which take the entries in that order.
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
  plan.cost = 3.0 * static_cast<double>(in[0].shape.size()) *
              static_cast<double>(std::bit_width(static_cast<std::uint64_t>(n)));
}

Types infer_reordered(const Op& op, std::span<const TensorType> in, const Attrs&) {
  needs_an_axis(op, in[0]);
  if (!(in[1] == TensorType{DType::int64, in[0].shape}))
    fail<ShapeError>(op.name, "the order does not fit",
                     "x is " + in[0].shape.str() + ", the order " + in[1].shape.str());
  return {in[0]};
}

Tensor order_of(const Tensor& x, bool descending) {
  static const Op& op = find_op("argsort");
  Attrs attrs;
  attrs.ints[0] = descending;
  return apply1(op, std::span(&x, 1), attrs);
}
Tensor reordered(const Tensor& x, const Tensor& order) {
  static const Op& op = find_op("reorder");
  const Tensor in[] = {x, order};
  return apply1(op, in);
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

  op = Op{};
  op.name = "reorder";
  op.doc = "x[order[j]] at j along the last axis, order being a permutation: its transpose is the inverse one.";
  op.min_inputs = op.max_inputs = 2;
  op.infer = infer_reordered;
  op.plan = plan_rows;
  op.positions = [](std::span<const TensorType> in, const Attrs&) {
    return std::vector<Positions>{{1, in[0].shape[in[0].shape.rank() - 1], false}};
  };
  op.saves = save_input(1);
  op.derivative = Derivative::linear;
  op.vjp = [](const RuleContext& c) { return Tensors{reordered(c.g[0], order_of(c.x[1], false)), Tensor()}; };
  op.jvp = [](const RuleContext& c) { return Tensors{reordered(c.g[0], c.x[1])}; };
  op.batch = Batch::leading;
  op.rowwise = op.internal = true;
  op.flops_per_output = 0;
  attach_kernels(op, op.name);
  ops.push_back(op);
}

namespace {
// Without an axis all elements in a row.
template <class F> Tensor in_order(const char* name, const Tensor& x, std::optional<int> axis, F&& f) {
  const Tensor settled = settle(x, name), in = axis ? settled : reshape(settled, {-1});
  return along(in, axis.value_or(0), name, f);
}
}  // namespace

Tensor argsort(const Tensor& x, std::optional<int> axis, bool descending) {
  return in_order("argsort", x, axis, [&](const Tensor& t) { return order_of(t, descending); });
}
Tensor sort(const Tensor& x, std::optional<int> axis, bool descending) {
  return in_order("sort", x, axis, [&](const Tensor& t) { return reordered(t, order_of(t, descending)); });
}

TopK topk(const Tensor& x, std::int64_t k, int axis, bool largest) {
  const Tensor in = settle(x, "topk");
  const int at = normal_axis(axis, in.rank(), "topk");
  if (k < 0 || k > in.shape()[at])
    fail<ValueError>("topk", "k is out of range",
                     std::to_string(k) + " of " + std::to_string(in.shape()[at]) + " entries",
                     "k runs from 0 to the size of the axis");
  std::vector<Slice> first(static_cast<std::size_t>(at) + 1);
  first.back().stop = k;
  const Tensor rows = exchanged_with_last(in, at), order = order_of(rows, largest);
  return {slice(exchanged_with_last(reordered(rows, order), at), first), slice(exchanged_with_last(order, at), first)};
}

}  // namespace chainrule
