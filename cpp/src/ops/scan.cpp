// Running results along an axis: cumsum and cumprod, and the linear recurrence that the derivative of cumprod is.
#include "ops/scan.hpp"

#include "ops/rowwise.hpp"

namespace chainrule {
namespace {

Types infer_scan(const Op& op, std::span<const TensorType> in, const Attrs&) {
  needs_an_axis(op, in[0]);
  if (in.size() == 2 && !(in[0] == in[1]))
    fail<ShapeError>(op.name, "operands differ", in[0].shape.str() + " and " + in[1].shape.str());
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

// y[j] = a[j] y[j - 1] + b[j] with y[-1] = 0; reverse: from the end.
Tensor recurrence(const Tensor& a, const Tensor& b, bool reverse) {
  static const Op& op = find_op("recurrence");
  Attrs attrs;
  attrs.ints[0] = reverse;
  const Tensor in[] = {a, b};
  return apply1(op, in, attrs);
}

// The transpose of b -> y is the recurrence from the other end, where a stands one place further on.
Tensors vjp_recurrence(const RuleContext& c) {
  const bool reverse = c.attrs.ints[0] != 0;
  const Tensor gb = recurrence(delayed(c.x[0], !reverse, 0.0), c.g[0], !reverse);
  return {c.needs[0] ? gb * delayed(c.y[0], reverse, 0.0) : Tensor(), gb};
}
Tensors jvp_recurrence(const RuleContext& c) {
  const bool reverse = c.attrs.ints[0] != 0;
  Tensor t = c.g[1];
  if (c.g[0].defined()) {
    const Tensor part = c.g[0] * delayed(c.y[0], reverse, 0.0);
    t = t.defined() ? t + part : part;
  }
  return {recurrence(c.x[0], t, reverse)};
}

// y[j] depends on x[i], i <= j, by y[i - 1] x[i + 1] ... x[j]: nothing is divided by, so zeros are no special case.
Tensors vjp_cumprod(const RuleContext& c) {
  const bool reverse = c.attrs.ints[0] != 0;
  return {delayed(c.y[0], reverse, 1.0) * recurrence(delayed(c.x[0], !reverse, 0.0), c.g[0], !reverse)};
}
Tensors jvp_cumprod(const RuleContext& c) {
  const bool reverse = c.attrs.ints[0] != 0;
  return {recurrence(c.x[0], delayed(c.y[0], reverse, 1.0) * c.g[0], reverse)};
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

  op = scan("cumprod", "Running products along an axis; reverse: from its end.");
  op.derivative = Derivative::custom;
  op.saves = save_input(0) | save_output;
  op.vjp = vjp_cumprod;
  op.jvp = jvp_cumprod;
  ops.push_back(op);

  op = scan("recurrence", "y[j] = a[j] y[j - 1] + b[j] along the last axis, with y[-1] = 0; reverse: from its end.");
  op.min_inputs = op.max_inputs = 2;
  op.derivative = Derivative::custom;
  op.saves = save_input(0) | save_output;
  op.vjp = vjp_recurrence;
  op.jvp = jvp_recurrence;
  op.inplace = 3;
  op.flops_per_output = 2;
  op.internal = true;
  ops.push_back(op);
}

Tensor delayed(const Tensor& x, bool reverse, double first) {
  const std::int64_t n = x.shape().back();
  if (n == 0) return x;
  Shape one = x.shape();
  one[one.rank() - 1] = 1;
  Tensor start = Tensor::full(one, first, x.dtype());
  start.data_handle()->constant = true;
  std::vector<Slice> others(static_cast<std::size_t>(x.rank()));
  others.back() = reverse ? Slice{1, n, 1} : Slice{0, n - 1, 1};
  const Tensor rest = slice(x, others);
  return reverse ? concat({rest, start}, -1) : concat({start, rest}, -1);
}

Tensor cumsum(const Tensor& x, std::optional<int> axis, bool reverse) {
  static const Op& op = find_op("cumsum");
  return scanned(op, counting(x, "cumsum"), axis, reverse);
}

Tensor cumprod(const Tensor& x, std::optional<int> axis, bool reverse) {
  static const Op& op = find_op("cumprod");
  return scanned(op, counting(x, "cumprod"), axis, reverse);
}

}  // namespace chainrule
