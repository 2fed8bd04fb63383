// Reductions: sum, mean, prod, max, min, argmax, argmin, and var and std built on them.
#include <algorithm>

#include "ops/norm.hpp"
#include "ops/operands.hpp"
#include "ops/scan.hpp"

namespace chainrule {
namespace {

constexpr AttributeField axes_field{AttributeField::Kind::list, 0, "axes", OnBatch::axis};
constexpr AttributeField keepdims_field{AttributeField::Kind::flag, 0, "keepdims"};

// A node reduces neighbouring axes only; the op functions move others next to each other first.
Shape reduced_shape(const Shape& shape, const Dims& axes, bool keepdims) {
  Shape out;
  for (int i = 0; i < shape.rank(); ++i) {
    const bool reduced = std::find(axes.begin(), axes.end(), i) != axes.end();
    if (!reduced)
      out.push_back(shape[i]);
    else if (keepdims)
      out.push_back(1);
  }
  return out;
}

Types infer_reduce(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  const Dims& axes = attrs.lists[0];
  for (int i = 0; i < axes.rank(); ++i)
    if (axes[i] < 0 || axes[i] >= in[0].shape.rank() || (i > 0 && axes[i] != axes[i - 1] + 1))
      fail<ShapeError>(op.name, "axes are not neighbours within the rank",
                       axes.str() + " for shape " + in[0].shape.str());
  return {{in[0].dtype, reduced_shape(in[0].shape, axes, attrs.ints[0] != 0)}};
}
Types infer_nonempty(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  for (std::int64_t axis : attrs.lists[0])
    if (axis >= 0 && axis < in[0].shape.rank() && in[0].shape[static_cast<int>(axis)] == 0)
      fail<ShapeError>(op.name, "nothing to reduce",
                       "axis " + std::to_string(axis) + " of shape " + in[0].shape.str() + " is empty",
                       "check for empty data");
  return infer_reduce(op, in, attrs);
}
Types infer_arg(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  Types out = infer_nonempty(op, in, attrs);
  out[0].dtype = DType::int64;
  return out;
}

void plan_reduce(const Op& op, std::span<const TensorType> in, std::span<const TensorType>, const Attrs& attrs,
                 kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::ReducePlan>(plan);
  const Shape& shape = in[0].shape;
  const Dims& axes = attrs.lists[0];
  const int first = axes.empty() ? shape.rank() : static_cast<int>(axes[0]);
  const int end = first + axes.rank();
  body.outer = product(shape, 0, first);
  body.n = product(shape, first, end);
  body.inner = product(shape, end, shape.rank());
  body.scale = 1.0;
  if (op.name == std::string_view("mean")) body.scale = 1.0 / static_cast<double>(body.n - attrs.ints[1]);
  plan.units = body.outer * body.inner;
  plan.cost = static_cast<double>(body.outer * body.n * body.inner) * 0.15;
}

// A mean is divided when all rows are in.
bool narrow_sum(kernels::Plan& plan, std::int64_t all, std::int64_t first, std::int64_t rows) {
  auto& body = plan_body<kernels::ReducePlan>(plan);
  if (body.outer != 1 || body.inner == 1 || body.n % all != 0) return false;
  body.n = body.n / all * rows;
  body.accumulate = first > 0;
  if (first + rows < all) body.scale = 1;
  return true;
}

std::int64_t flops_reduce(std::span<const TensorType> in, std::span<const TensorType>, const Attrs&) {
  return in[0].shape.size();
}

// The result with its reduced axes put back, repeated over them.
Tensor expand_back(const Tensor& y, const RuleContext& c) {
  const Shape kept = reduced_shape(c.x_types[0].shape, c.attrs.lists[0], true);
  return broadcast_to(y.shape() == kept ? y : reshape(y, kept), c.x_types[0].shape);
}
double count_of(const RuleContext& c) {
  std::int64_t n = 1;
  for (std::int64_t axis : c.attrs.lists[0]) n *= c.x_types[0].shape[static_cast<int>(axis)];
  return static_cast<double>(n);
}

Tensors vjp_sum(const RuleContext& c) { return {expand_back(c.g[0], c)}; }
Tensors vjp_mean(const RuleContext& c) {
  return {expand_back(c.g[0] * Tensor(1.0 / (count_of(c) - static_cast<double>(c.attrs.ints[1]))), c)};
}
Tensors jvp_linear(const RuleContext& c) { return apply(c.op, c.g.first(1), c.attrs); }

// max and min: equal extremes share the gradient equally.
Tensor extreme_mask(const RuleContext& c) { return cast(equal(c.x[0], expand_back(c.y[0], c)), c.x_types[0].dtype); }
Tensor extreme_count(const Tensor& mask, const RuleContext& c) {
  return sum(mask, c.attrs.lists[0], c.attrs.ints[0] != 0);
}
Tensors vjp_extreme(const RuleContext& c) {
  const Tensor mask = extreme_mask(c);
  return {mask * expand_back(c.g[0] / extreme_count(mask, c), c)};
}
Tensors jvp_extreme(const RuleContext& c) {
  const Tensor mask = extreme_mask(c);
  return {sum(mask * c.g[0], c.attrs.lists[0], c.attrs.ints[0] != 0) / extreme_count(mask, c)};
}

// For each factor the product of the others, from the running products of both ends: zeros are no special case, and
// neither is a derivative of any order.
Tensor other_factors(const RuleContext& c) {
  const Shape& shape = c.x_types[0].shape;
  const Dims& axes = c.attrs.lists[0];
  const int first = axes.empty() ? shape.rank() : static_cast<int>(axes[0]), end = first + axes.rank();
  Dims order, back;  // the reduced axes moved behind the others
  for (int i = 0; i < first; ++i) order.push_back(i);
  for (int i = end; i < shape.rank(); ++i) order.push_back(i);
  for (int i = first; i < end; ++i) order.push_back(i);
  for (int i = 0; i < shape.rank(); ++i)
    back.push_back(i < first ? i : i < end ? shape.rank() - end + i : i - axes.rank());
  const Tensor moved = end == shape.rank() ? c.x[0] : transpose(c.x[0], order);
  const Tensor rows =
      reshape(moved, {product(shape, 0, first) * product(shape, end, shape.rank()), product(shape, first, end)});
  const Tensor others = delayed(cumprod(rows, -1), false, 1.0) * delayed(cumprod(rows, -1, true), true, 1.0);
  const Tensor shaped = reshape(others, moved.shape());
  return end == shape.rank() ? shaped : transpose(shaped, back);
}
Tensors vjp_prod(const RuleContext& c) { return {expand_back(c.g[0], c) * other_factors(c)}; }
Tensors jvp_prod(const RuleContext& c) {
  return {sum(other_factors(c) * c.g[0], c.attrs.lists[0], c.attrs.ints[0] != 0)};
}

Op reduction(std::string_view name, std::string_view doc) {
  Op op;
  op.name = name;
  op.doc = doc;
  op.attributes = {axes_field, keepdims_field};
  op.infer = infer_reduce;
  op.plan = plan_reduce;
  op.batch = Batch::leading;
  op.rowwise = true;
  op.flops = flops_reduce;
  return op;
}

bool neighbours(const Dims& axes) {
  for (int i = 1; i < axes.rank(); ++i)
    if (axes[i] != axes[i - 1] + 1) return false;
  return true;
}

Tensor reduce(const Op& op, const Tensor& x, const Dims& axes, bool keepdims, int ddof = 0) {
  const Dims chosen = normal_axes(axes, x.rank(), op.name.data());
  Attrs attrs;
  attrs.ints[1] = ddof;
  if (neighbours(chosen)) {
    attrs.lists[0] = chosen;
    attrs.ints[0] = keepdims;
    return apply1(op, std::span(&x, 1), attrs);
  }
  Dims order;
  for (int i = 0; i < x.rank(); ++i)
    if (std::find(chosen.begin(), chosen.end(), i) == chosen.end()) order.push_back(i);
  const int kept = order.rank();
  for (std::int64_t axis : chosen) order.push_back(axis);
  for (int i = kept; i < x.rank(); ++i) attrs.lists[0].push_back(i);
  const Tensor moved = transpose(x, order);
  const Tensor y = apply1(op, std::span(&moved, 1), attrs);
  return keepdims ? reshape(y, reduced_shape(x.shape(), chosen, true)) : y;
}

}  // namespace

void add_reduction_ops(std::vector<Op>& ops) {
  Op op = reduction("sum", "Sum over axes; 0 where there is nothing to add.");
  op.derivative = Derivative::linear;
  op.vjp = vjp_sum;
  op.rule = [](int, std::span<const std::string>, const std::string&, const std::string& g, const Attrs&) {
    return g + " to every element";
  };
  op.jvp = jvp_linear;
  op.narrow = narrow_sum;
  attach_kernels(op, "sum");
  ops.push_back(op);

  op = reduction("mean", "Mean over axes.");
  op.attributes.push_back({AttributeField::Kind::integer, 1, "ddof"});
  op.infer = infer_nonempty;
  op.derivative = Derivative::linear;
  op.vjp = vjp_mean;
  op.rule = [](int, std::span<const std::string>, const std::string&, const std::string& g, const Attrs& attrs) {
    return g + (attrs.ints[1] ? " / (n - ddof)" : " / n") + " to every element";
  };
  op.jvp = jvp_linear;
  op.narrow = narrow_sum;
  attach_kernels(op, "sum");
  ops.push_back(op);

  op = reduction("prod", "Product over axes; 1 where there is nothing to multiply.");
  op.derivative = Derivative::custom;
  op.saves = save_input(0);
  op.vjp = vjp_prod;
  op.jvp = jvp_prod;
  attach_kernels(op, "prod");
  ops.push_back(op);

  for (const char* name : {"max", "min"}) {
    op = reduction(name, name[1] == 'a'
                             ? "Largest value over axes; NaN if one is. Equal ones share the gradient equally."
                             : "Smallest value over axes; NaN if one is. Equal ones share the gradient equally.");
    op.infer = infer_nonempty;
    op.derivative = Derivative::custom;
    op.saves = save_input(0) | save_output;
    op.vjp = vjp_extreme;
    op.rule = [](int, std::span<const std::string> x, const std::string& y, const std::string& g, const Attrs&) {
      return "where(" + x[0] + " == " + y + ", " + g + " / count, 0)";
    };
    op.jvp = jvp_extreme;
    attach_kernels(op, name);
    ops.push_back(op);
  }

  for (const char* name : {"argmax", "argmin"}) {
    op = reduction(name, name[4] == 'a'
                             ? "Index (int64) of the first largest value along an axis, or of the flattened tensor."
                             : "Index (int64) of the first smallest value along an axis, or of the flattened tensor.");
    op.infer = infer_arg;
    attach_kernels(op, name);
    ops.push_back(op);
  }
}

Tensor sum(const Tensor& x, const Dims& axes, bool keepdims) {
  static const Op& op = find_op("sum");
  return reduce(op, counting(x, "sum"), axes, keepdims);
}
Tensor mean(const Tensor& x, const Dims& axes, bool keepdims) {
  static const Op& op = find_op("mean");
  return reduce(op, floating(x, "mean"), axes, keepdims);
}
Tensor prod(const Tensor& x, const Dims& axes, bool keepdims) {
  static const Op& op = find_op("prod");
  return reduce(op, counting(x, "prod"), axes, keepdims);
}
Tensor max(const Tensor& x, const Dims& axes, bool keepdims) {
  static const Op& op = find_op("max");
  return reduce(op, settle(x, "max"), axes, keepdims);
}
Tensor min(const Tensor& x, const Dims& axes, bool keepdims) {
  static const Op& op = find_op("min");
  return reduce(op, settle(x, "min"), axes, keepdims);
}

namespace {
Tensor variance(const char* name, const Tensor& x, const Dims& axes, bool keepdims, int ddof) {
  static const Op& op = find_op("mean");
  const Tensor in = floating(x, name);
  std::int64_t n = 1;
  for (std::int64_t axis : normal_axes(axes, in.rank(), name)) n *= in.shape()[static_cast<int>(axis)];
  if (ddof < 0 || n <= ddof)
    fail<ValueError>(name, "ddof leaves nothing to divide by",
                     "ddof is " + std::to_string(ddof) + " for " + std::to_string(n) + " values", "use more values");
  const Tensor deviation = in - mean(in, axes, true);
  return reduce(op, square(deviation), axes, keepdims, ddof);
}

Tensor place_of(const Op& op, const Tensor& x, std::optional<int> axis, bool keepdims) {
  const Tensor in = settle(x, op.name.data());
  if (axis) return reduce(op, in, {*axis}, keepdims);
  const Tensor flat = reduce(op, reshape(in, {in.size()}), {0}, false);
  if (!keepdims) return flat;
  Dims ones;
  for (int i = 0; i < in.rank(); ++i) ones.push_back(1);
  return reshape(flat, ones);
}
}  // namespace

Tensor var(const Tensor& x, const Dims& axes, bool keepdims, int ddof) {
  return variance("var", x, axes, keepdims, ddof);
}
Tensor std(const Tensor& x, const Dims& axes, bool keepdims, int ddof) {
  return root_of_squares(variance("std", x, axes, keepdims, ddof));
}

Tensor argmax(const Tensor& x, std::optional<int> axis, bool keepdims) {
  static const Op& op = find_op("argmax");
  return place_of(op, x, axis, keepdims);
}
Tensor argmin(const Tensor& x, std::optional<int> axis, bool keepdims) {
  static const Op& op = find_op("argmin");
  return place_of(op, x, axis, keepdims);
}

}  // namespace chainrule
