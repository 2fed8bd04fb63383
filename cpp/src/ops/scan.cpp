// Running results along an axis: cumsum.
#include "ops/rowwise.hpp"

namespace chainrule {
namespace {

Types infer_scan(const Op& op, std::span<const TensorType> in, const Attrs&) {
  needs_an_axis(op, in[0]);
  return {in[0]};
}

Op scan(std::string_view name, std::string_view doc) {
  Op op;
  op.name = name;
  op.doc = doc;
  op.attributes = {{AttributeField::Kind::flag, 0, "reverse"}};  // kept in attrs.ints[0], given to the kernel in i[0]
  op.infer = infer_scan;                                         // types of the outputs, or an error
  op.plan = plan_rows;                                           // fills a RowPlan; units, cost
  op.batch = Batch::leading;
  op.rowwise = true;
  op.inplace = 1;
  op.flops_per_output = 1;
  attach_kernels(op, name);
  return op;
}

Tensor call(const Op& op, const Tensor& x, bool reverse) {
  Attrs attrs;
  attrs.ints[0] = reverse;
  return apply1(op, std::span(&x, 1), attrs);
}

// Along the axis; without one, of all elements in a row, as in NumPy.
Tensor scanned(const Op& op, const Tensor& x, std::optional<int> axis, bool reverse) {
  const Tensor in = axis ? x : reshape(x, {-1});
  return along(in, axis.value_or(0), op.name.data(), [&](const Tensor& t) { return call(op, t, reverse); });
}

}  // namespace

void add_scan_ops(std::vector<Op>& ops) {
  Op op = scan("cumsum", "Running sums along an axis; reverse: from its end.");
  op.derivative = Derivative::linear;
  op.vjp = [](const RuleContext& c) { return Tensors{call(c.op, c.g[0], c.attrs.ints[0] == 0)}; };
  op.jvp = [](const RuleContext& c) { return Tensors{call(c.op, c.g[0], c.attrs.ints[0] != 0)}; };
  ops.push_back(op);
}

Tensor cumsum(const Tensor& x, std::optional<int> axis, bool reverse) {
  static const Op& op = find_op("cumsum");
  return scanned(op, counting(x, "cumsum"), axis, reverse);
}

}  // namespace chainrule
