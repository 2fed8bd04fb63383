// Entries by index: take, its transpose put, and flat_index, which turns positions on several axes into one.
#include "ops/take.hpp"

#include "ops/operands.hpp"

namespace chainrule {
namespace {

constexpr AttributeField axis_field{AttributeField::Kind::integer, 0, "axis", OnBatch::axis};
constexpr AttributeField batch_field{AttributeField::Kind::integer, 1, "batch_axes"};
constexpr AttributeField size_field{AttributeField::Kind::integer, 2, "size"};

// x (batch..., middle..., n, inner...) and index (batch..., count...): the first batch_axes axes are those of both.
struct Layout {
  int axis, batch_axes;
};
Layout layout(const Op& op, const Shape& entries, const Shape& index, const Attrs& attrs) {
  const Layout at{static_cast<int>(attrs.ints[0]), static_cast<int>(attrs.ints[1])};
  bool fits = at.axis >= 0 && at.axis < entries.rank() && at.batch_axes >= 0 && at.batch_axes <= at.axis &&
              at.batch_axes <= index.rank();
  for (int i = 0; fits && i < at.batch_axes; ++i) fits = entries[i] == index[i];
  if (!fits)
    fail<ShapeError>(op.name, "the index does not fit",
                     "x is " + entries.str() + ", index is " + index.str() + ", axis is " + std::to_string(at.axis));
  return at;
}
void check_index(const Op& op, const TensorType& index) {
  if (index.dtype != DType::int64)
    fail<DTypeError>(op.name, "the index must be int64", std::string(name_of(index.dtype)), "use astype(\"int64\")");
}

Types infer_take(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  check_index(op, in[1]);
  const auto [axis, batch_axes] = layout(op, in[0].shape, in[1].shape, attrs);
  Shape shape;
  for (int i = 0; i < axis; ++i) shape.push_back(in[0].shape[i]);
  for (int i = batch_axes; i < in[1].shape.rank(); ++i) shape.push_back(in[1].shape[i]);
  for (int i = axis + 1; i < in[0].shape.rank(); ++i) shape.push_back(in[0].shape[i]);
  return {{in[0].dtype, shape}};
}
// in: index, values as take gives them.
Types infer_put(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  check_index(op, in[0]);
  const Shape &index = in[0].shape, &values = in[1].shape;
  const int axis = static_cast<int>(attrs.ints[0]), batch_axes = static_cast<int>(attrs.ints[1]);
  const int picked = index.rank() - batch_axes;
  bool fits =
      batch_axes >= 0 && batch_axes <= axis && picked >= 0 && axis + picked <= values.rank() && attrs.ints[2] >= 0;
  for (int i = 0; fits && i < batch_axes; ++i) fits = values[i] == index[i];
  for (int i = 0; fits && i < picked; ++i) fits = values[axis + i] == index[batch_axes + i];
  if (!fits) fail<ShapeError>(op.name, "index and values do not fit", index.str() + " and " + values.str());
  Shape shape;
  for (int i = 0; i < axis; ++i) shape.push_back(values[i]);
  shape.push_back(attrs.ints[2]);
  for (int i = axis + picked; i < values.rank(); ++i) shape.push_back(values[i]);
  return {{in[1].dtype, shape}};
}
kernels::TakePlan& fill(const Shape& x, const Shape& index, const Attrs& attrs, kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::TakePlan>(plan);
  const int axis = static_cast<int>(attrs.ints[0]), batch_axes = static_cast<int>(attrs.ints[1]);
  body.batch = product(x, 0, batch_axes);
  body.middle = product(x, batch_axes, axis);
  body.n = x[axis];
  body.inner = product(x, axis + 1, x.rank());
  body.count = product(index, batch_axes, index.rank());
  return body;
}
void plan_take(const Op&, std::span<const TensorType> in, std::span<const TensorType> out, const Attrs& attrs,
               kernels::Plan& plan) {
  const auto& body = fill(in[0].shape, in[1].shape, attrs, plan);
  plan.units = out[0].shape.size() == 0 ? 0 : body.batch * body.middle * body.count;
  plan.cost = static_cast<double>(plan.units) * (2.0 + 0.1 * static_cast<double>(body.inner));
}
RowInputs row_inputs_take(std::span<const TensorType>, std::span<const TensorType>, const Attrs& attrs) {
  if (attrs.ints[1] > 0) return 3u;
  return attrs.ints[0] > 0 ? 1u : 2u;
}
void plan_put(const Op&, std::span<const TensorType> in, std::span<const TensorType> out, const Attrs& attrs,
              kernels::Plan& plan) {
  const auto& body = fill(out[0].shape, in[0].shape, attrs, plan);
  plan.units = out[0].shape.size() == 0 ? 0 : body.batch * body.middle * body.inner;
  plan.cost = static_cast<double>(plan.units) * (0.1 * static_cast<double>(body.n) + static_cast<double>(body.count));
}

Tensor put(const Tensor& index, const Tensor& values, const Attrs& take_attrs, std::int64_t size) {
  static const Op& op = find_op("put");
  Attrs attrs = take_attrs;
  attrs.ints[2] = size;
  const Tensor in[] = {index, values};
  return apply1(op, in, attrs);
}
Tensor take_back(const Tensor& x, const Tensor& index, const Attrs& put_attrs) {
  return take_entries(x, index, static_cast<int>(put_attrs.ints[0]), static_cast<int>(put_attrs.ints[1]));
}

// One more batch axis, which only those operands get repeated along that must have it.
Tensor with_batch(const BatchContext& c, std::size_t i) {
  if (c.batched[i]) return c.x[i];
  Dims shape = c.x[i].shape();
  shape.insert(0, c.size);
  return broadcast_to(c.x[i], Shape(shape));
}
Tensors run_batch(const BatchContext& c, std::size_t values, std::size_t index) {
  Attrs attrs = c.attrs;
  ++attrs.ints[0];
  Tensors x(c.x.begin(), c.x.end());
  x[values] = with_batch(c, values);
  if (c.batched[index] || attrs.ints[1] > 0) {
    ++attrs.ints[1];
    x[index] = with_batch(c, index);
  }
  return apply(c.op, x, attrs);
}
Tensors batch_take(const BatchContext& c) {
  if (c.batched[0] || c.attrs.ints[1] > 0) return run_batch(c, 0, 1);
  return {moveaxis(apply1(c.op, c.x, c.attrs), {c.attrs.ints[0]}, {0})};  // one x, all indices at once
}
Tensors batch_put(const BatchContext& c) { return run_batch(c, 1, 0); }

Types infer_flat_index(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  if (attrs.lists[0].rank() != static_cast<int>(in.size()))
    fail<ShapeError>(op.name, "one size per index is needed", attrs.lists[0].str());
  for (const TensorType& index : in) {
    check_index(op, index);
    if (!(index.shape == in[0].shape))
      fail<ShapeError>(op.name, "indices have different shapes", in[0].shape.str() + " and " + index.shape.str());
  }
  return {in[0]};
}
void plan_flat_index(const Op&, std::span<const TensorType> in, std::span<const TensorType>, const Attrs& attrs,
                     kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::FlatIndexPlan>(plan);
  body.axes = attrs.lists[0].rank();
  for (int i = 0; i < attrs.lists[0].rank(); ++i) body.size[i] = attrs.lists[0][i];
  plan.units = in[0].shape.size();
  plan.cost = static_cast<double>(plan.units * body.axes);
}

}  // namespace

void add_take_ops(std::vector<Op>& ops) {
  Op op;
  op.name = "take";
  op.doc = "Entries of x at index along an axis; the first batch_axes axes are axes of both.";
  op.min_inputs = op.max_inputs = 2;
  op.attributes = {axis_field, batch_field};
  op.infer = infer_take;
  op.plan = plan_take;
  op.positions = [](std::span<const TensorType> in, const Attrs& attrs) {
    return std::vector<Positions>{{1, in[0].shape[static_cast<int>(attrs.ints[0])]}};
  };
  op.saves = save_input(1);
  op.derivative = Derivative::linear;
  op.vjp = [](const RuleContext& c) {
    const std::int64_t size = c.x_types[0].shape[static_cast<int>(c.attrs.ints[0])];
    return Tensors{put(c.x[1], c.g[0], c.attrs, size), Tensor()};
  };
  op.jvp = [](const RuleContext& c) {
    return Tensors{c.g[0].defined() ? take_back(c.g[0], c.x[1], c.attrs) : Tensor()};
  };
  op.batch = Batch::rule;
  op.batch_rule = batch_take;
  op.rowwise = true;
  op.row_inputs = row_inputs_take;
  op.flops_per_output = 0;
  attach_kernels(op, "take");
  ops.push_back(op);

  op = Op{};
  op.name = "put";
  op.doc = "Zeros with values added at index along an axis: the transpose of take.";
  op.min_inputs = op.max_inputs = 2;
  op.attributes = {axis_field, batch_field, size_field};
  op.infer = infer_put;
  op.plan = plan_put;
  op.positions = [](std::span<const TensorType>, const Attrs& attrs) {
    return std::vector<Positions>{{0, attrs.ints[2]}};
  };
  op.key = 1;
  op.saves = save_input(0);
  op.derivative = Derivative::linear;
  op.vjp = [](const RuleContext& c) { return Tensors{Tensor(), take_back(c.g[0], c.x[0], c.attrs)}; };
  op.jvp = [](const RuleContext& c) {
    return Tensors{c.g[1].defined() ? put(c.x[0], c.g[1], c.attrs, c.attrs.ints[2]) : Tensor()};
  };
  op.batch = Batch::rule;
  op.batch_rule = batch_put;
  op.internal = true;
  attach_kernels(op, "put");
  ops.push_back(op);

  op = Op{};
  op.name = "flat_index";
  op.doc = "Positions on several axes as positions in row-major order.";
  op.max_inputs = Shape::max_rank;
  op.attributes = {{AttributeField::Kind::list, 0, "sizes"}};
  op.infer = infer_flat_index;
  op.plan = plan_flat_index;
  op.positions = [](std::span<const TensorType> in, const Attrs& attrs) {
    std::vector<Positions> each;
    for (std::size_t i = 0; i < in.size(); ++i) each.push_back({i, attrs.lists[0][static_cast<int>(i)]});
    return each;
  };
  op.batch = Batch::leading;
  op.internal = true;
  op.flops_per_output = 2;
  attach_kernels(op, "flat_index");
  ops.push_back(op);
}

Tensor take_entries(const Tensor& x, const Tensor& index, int axis, int batch_axes) {
  static const Op& op = find_op("take");
  Attrs attrs;
  attrs.ints[0] = axis;
  attrs.ints[1] = batch_axes;
  const Tensor in[] = {x, index};
  return apply1(op, in, attrs);
}

Tensor flat_index(const std::vector<Tensor>& indices, const Dims& sizes) {
  static const Op& op = find_op("flat_index");
  Attrs attrs;
  attrs.lists[0] = sizes;
  return apply1(op, indices, attrs);
}

void check_bounds(std::int64_t index, const Tensor& x, int axis, const char* op) {
  const std::int64_t n = x.shape()[axis];
  if (index < -n || index >= n)
    fail<IndexError>(
        op,
        std::to_string(index) + " is out of bounds for axis " + std::to_string(axis) + " of shape " + x.shape().str(),
        "");
}
void check_bounds(const Tensor& index, const Tensor& x, int axis, const char* op) {
  if (index.symbolic()) return;  // the kernel will see
  for (std::int64_t i : index.span<std::int64_t>()) check_bounds(i, x, axis, op);
}

Tensor take(const Tensor& x, const Tensor& index, std::optional<int> axis) {
  const Tensor given = settle(x, "take"), at = as_index(index, "take");
  const Tensor in = axis ? given : reshape(given, {-1});
  const int along = normal_axis(axis.value_or(0), in.rank(), "take");
  check_bounds(at, in, along, "take");
  return take_entries(in, at, along);
}

Tensor take_along_axis(const Tensor& x, const Tensor& index, int axis) {
  const char* const name = "take_along_axis";
  Tensor in = settle(x, name), at = as_index(index, name);
  const int last = in.rank() - 1, moved = normal_axis(axis, in.rank(), name);
  if (at.rank() != in.rank())
    fail<ShapeError>(name, "the index has another rank than x",
                     "x is " + x.shape().str() + ", index is " + index.shape().str(),
                     "to pick one entry per row with an index of shape (N,), use take_along");
  check_bounds(at, in, moved, name);
  if (moved != last) {
    in = swapaxes(in, moved, last);
    at = swapaxes(at, moved, last);
  }
  Shape of_x = in.shape(), of_index = at.shape();
  of_x.erase(last);
  of_index.erase(last);
  const Shape batch = broadcast_shapes(of_x, of_index, name);
  Shape full_x = batch, full_index = batch;
  full_x.push_back(in.shape()[last]);
  full_index.push_back(at.shape()[last]);
  const Tensor picked = take_entries(broadcast_to(in, full_x), broadcast_to(at, full_index), last, last);
  return moved == last ? picked : swapaxes(picked, moved, last);
}

}  // namespace chainrule
