// Ops that give the same elements another shape or type: reshape, transpose, broadcast_to, cast.
#include <algorithm>

#include "ops/copy_plan.hpp"

namespace chainrule {
namespace {

constexpr auto list = AttributeField::Kind::list;

// --- reshape ---------------------------------------------------------------------------------------------------------
Types infer_reshape(const Op&, std::span<const TensorType> in, const Attrs& attrs) {
  Shape shape(attrs.lists[0]);
  const std::int64_t size = in[0].shape.size();
  int unknown = -1;
  std::int64_t known = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1 && unknown < 0)
      unknown = i;
    else if (shape[i] < 0)
      fail<ShapeError>("reshape", "sizes must be 0 or more, one may be -1", "shape is " + shape.str());
    else
      known *= shape[i];
  }
  if (unknown >= 0 && known != 0 && size % known == 0) {
    shape[unknown] = size / known;
    known = size;
  }
  if (known != size || (unknown >= 0 && shape[unknown] < 0))
    fail<ShapeError>("reshape", "the number of elements differs",
                     in[0].shape.str() + " (" + std::to_string(size) + ") to " + attrs.lists[0].str());
  return {{in[0].dtype, shape}};
}
Tensor reshape_to(const Tensor& x, const Dims& shape) {
  static const Op& op = find_op("reshape");
  Attrs attrs;
  attrs.lists[0] = shape;
  return apply1(op, std::span(&x, 1), attrs);
}

// --- transpose -------------------------------------------------------------------------------------------------------
Types infer_transpose(const Op&, std::span<const TensorType> in, const Attrs& attrs) {
  const Dims& axes = attrs.lists[0];
  Dims sorted = axes;
  std::sort(sorted.begin(), sorted.end());
  bool right = axes.rank() == in[0].shape.rank();
  for (int i = 0; i < sorted.rank(); ++i) right &= sorted[i] == i;
  if (!right)
    fail<ShapeError>("transpose", "axes are not a permutation of all axes",
                     axes.str() + " for shape " + in[0].shape.str());
  Shape shape;
  for (std::int64_t axis : axes) shape.push_back(in[0].shape[static_cast<int>(axis)]);
  return {{in[0].dtype, shape}};
}
void plan_transpose(const Op&, std::span<const TensorType> in, std::span<const TensorType> out, const Attrs& attrs,
                    kernels::Plan& plan) {
  std::int64_t from[Shape::max_rank] = {};
  auto& body = start_copy(plan, in[0].shape, out[0].shape, from);
  for (int i = 0; i < body.rank; ++i) body.in_stride[i] = from[attrs.lists[0][i]];
  finish_copy(plan, body, size_of(in[0].dtype));
}
Tensor transposed_back(const Tensor& g, const Dims& axes) {
  Dims inverse = axes;
  for (int i = 0; i < axes.rank(); ++i) inverse[static_cast<int>(axes[i])] = i;
  return transpose(g, inverse);
}

// --- broadcast_to ----------------------------------------------------------------------------------------------------
Types infer_broadcast(const Op&, std::span<const TensorType> in, const Attrs& attrs) {
  const Shape shape(attrs.lists[0]);
  shape.checked_size("broadcast_to");
  const Shape& from = in[0].shape;
  bool fits = from.rank() <= shape.rank();
  for (int i = 1; fits && i <= from.rank(); ++i)
    fits = from[from.rank() - i] == shape[shape.rank() - i] || from[from.rank() - i] == 1;
  if (!fits)
    fail<ShapeError>("broadcast_to", "the shape does not broadcast to the one asked for",
                     from.str() + " to " + shape.str());
  return {{in[0].dtype, shape}};
}
void plan_broadcast(const Op&, std::span<const TensorType> in, std::span<const TensorType> out, const Attrs&,
                    kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::CopyPlan>(plan);
  const Shape &from = in[0].shape, &to = out[0].shape;
  body.rank = to.rank();
  row_major(to, body.out_stride);
  std::int64_t step = 1;
  for (int i = to.rank() - 1, k = from.rank() - 1; i >= 0; --i, --k) {
    body.size[i] = to[i];
    body.in_stride[i] = k < 0 || from[k] == 1 ? 0 : step;
    if (k >= 0) step *= from[k];
  }
  finish_copy(plan, body, size_of(in[0].dtype));
}

RowInputs row_inputs_broadcast(std::span<const TensorType> in, std::span<const TensorType> out, const Attrs&) {
  const Shape &from = in[0].shape, &to = out[0].shape;
  return from.rank() == to.rank() && from[0] == to[0] ? 1u : 0u;
}

// The axes that broadcasting puts in front of a sample's come behind the batch.
Tensors batch_broadcast(const BatchContext& c) {
  Dims from = c.x[0].shape(), to = c.attrs.lists[0];
  while (from.rank() <= to.rank()) from.insert(1, 1);
  to.insert(0, c.size);
  return {broadcast_to(reshape(c.x[0], from), Shape(to))};
}

// --- cast ------------------------------------------------------------------------------------------------------------
constexpr const char* cast_names[dtype_count] = {"cast_to_float32", "cast_to_float64", "cast_to_int32",
                                                 "cast_to_int64",   "cast_to_uint8",   "cast_to_bool",
                                                 "cast_to_bfloat16"};
template <int to> Types infer_cast(const Op&, std::span<const TensorType> in, const Attrs&) {
  return {{static_cast<DType>(to), in[0].shape}};
}
void plan_cast(const Op&, std::span<const TensorType> in, std::span<const TensorType>, const Attrs&,
               kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::RowPlan>(plan);
  body.rows = plan.units = in[0].shape.size();
  body.n = 1;
  plan.cost = static_cast<double>(plan.units) * 0.2;
}

template <int to> void add_cast(std::vector<Op>& ops) {
  Op op;
  op.name = cast_names[to];
  op.doc = "Converts the dtype; floats to integers truncate towards zero.";
  op.infer = infer_cast<to>;
  op.plan = plan_cast;
  op.derivative = is_floating(static_cast<DType>(to)) ? Derivative::linear : Derivative::none;
  if (op.derivative == Derivative::linear) {
    op.vjp = [](const RuleContext& c) {
      return Tensors{is_floating(c.x_types[0].dtype) ? cast(c.g[0], c.x_types[0].dtype) : Tensor()};
    };
    op.jvp = [](const RuleContext& c) { return Tensors{cast(c.g[0], static_cast<DType>(to))}; };
  }
  op.batch = Batch::elementwise;
  op.rowwise = op.internal = true;
  attach_kernels(op, op.name);
  ops.push_back(op);
}

}  // namespace

void add_shape_ops(std::vector<Op>& ops) {
  Op op = structured("reshape", "The same elements under another shape; one size may be -1.", infer_reshape, nullptr);
  op.attributes = {{list, 0, "shape", OnBatch::sizes}};
  op.view = true;
  op.vjp = [](const RuleContext& c) { return Tensors{reshape_to(c.g[0], c.x_types[0].shape)}; };
  op.rule = [](int, std::span<const std::string> x, const std::string&, const std::string& g, const Attrs&) {
    return g + ".reshape(" + x[0] + ".shape)";
  };
  op.jvp = [](const RuleContext& c) { return Tensors{reshape_to(c.g[0], c.attrs.lists[0])}; };
  ops.push_back(op);

  op = structured(
      "stop_gradient", "The same values; no gradient flows through.",
      [](const Op&, std::span<const TensorType> in, const Attrs&) { return Types{in[0]}; }, nullptr);
  op.view = true;
  op.derivative = Derivative::zero;
  op.batch = Batch::elementwise;
  op.internal = true;  // its derivative is not that of its values: no row of the case table
  ops.push_back(op);

  op = structured("transpose", "Axes in another order; reversed where none is given.", infer_transpose, plan_transpose);
  op.attributes = {{list, 0, "axes", OnBatch::permutation}};
  op.vjp = [](const RuleContext& c) { return Tensors{transposed_back(c.g[0], c.attrs.lists[0])}; };
  op.rule = [](int, std::span<const std::string>, const std::string&, const std::string& g, const Attrs&) {
    return g + ", axes put back";
  };
  op.jvp = [](const RuleContext& c) { return Tensors{transpose(c.g[0], c.attrs.lists[0])}; };
  op.rowwise = true;
  attach_kernels(op, "copy");
  ops.push_back(op);

  op = structured("broadcast_to", "The elements repeated to fill a larger shape, by NumPy's rules.", infer_broadcast,
                  plan_broadcast);
  op.attributes = {{list, 0, "shape"}};
  op.batch = Batch::rule;
  op.batch_rule = batch_broadcast;
  op.rowwise = true;
  op.row_inputs = row_inputs_broadcast;
  op.vjp = [](const RuleContext& c) { return Tensors{sum_to(c.g[0], c.x_types[0].shape)}; };
  op.rule = [](int, std::span<const std::string> x, const std::string&, const std::string& g, const Attrs&) {
    return g + " summed to " + x[0] + ".shape";
  };
  op.jvp = [](const RuleContext& c) { return Tensors{broadcast_to(c.g[0], Shape(c.attrs.lists[0]))}; };
  attach_kernels(op, "copy");
  ops.push_back(op);

  add_cast<0>(ops);
  add_cast<1>(ops);
  add_cast<2>(ops);
  add_cast<3>(ops);
  add_cast<4>(ops);
  add_cast<5>(ops);
  add_cast<6>(ops);
}

Tensor reshape(const Tensor& x, const Dims& shape) { return reshape_to(settle(x, "reshape"), shape); }

Tensor stop_gradient(const Tensor& x) {
  static const Op& op = find_op("stop_gradient");
  return apply1(op, std::span(&x, 1));
}

Tensor transpose(const Tensor& x, const Dims& axes) {
  static const Op& op = find_op("transpose");
  Attrs attrs;
  if (axes.empty()) {
    for (int i = x.rank() - 1; i >= 0; --i) attrs.lists[0].push_back(i);
  } else {
    for (std::int64_t axis : axes) attrs.lists[0].push_back(normal_axis(static_cast<int>(axis), x.rank(), "transpose"));
  }
  bool same = attrs.lists[0].rank() == x.rank();
  for (int i = 0; same && i < x.rank(); ++i) same = attrs.lists[0][i] == i;
  const Tensor in = settle(x, "transpose");
  return same ? in : apply1(op, std::span(&in, 1), attrs);
}

Tensor squeeze(const Tensor& x, const Dims& axes) {
  Dims shape;
  Dims chosen;
  if (axes.empty()) {
    for (int i = 0; i < x.rank(); ++i)
      if (x.shape()[i] == 1) chosen.push_back(i);
  } else {
    chosen = normal_axes(axes, x.rank(), "squeeze");
  }
  for (int i = 0; i < x.rank(); ++i) {
    if (std::find(chosen.begin(), chosen.end(), i) == chosen.end()) {
      shape.push_back(x.shape()[i]);
    } else if (x.shape()[i] != 1) {
      fail<ShapeError>("squeeze", "the axis has not size 1",
                       "axis " + std::to_string(i) + " of shape " + x.shape().str());
    }
  }
  return reshape(x, shape);
}

Tensor expand_dims(const Tensor& x, int axis) { return expand_dims(x, Dims{axis}); }

Tensor expand_dims(const Tensor& x, const Dims& axes) {
  if (axes.empty()) return x;
  Dims shape = x.shape();
  for (std::int64_t axis : normal_axes(axes, x.rank() + axes.rank(), "expand_dims"))
    shape.insert(static_cast<int>(axis), 1);
  return reshape(x, shape);
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  static const Op& op = find_op("broadcast_to");
  if (x.shape() == shape && !x.weak()) return x;
  Attrs attrs;
  attrs.lists[0] = shape;
  const Tensor in = settle(x, "broadcast_to");
  return apply1(op, std::span(&in, 1), attrs);
}

Tensor cast(const Tensor& x, DType dtype) {
  static const Op* const ops[dtype_count] = {&find_op(cast_names[0]), &find_op(cast_names[1]), &find_op(cast_names[2]),
                                             &find_op(cast_names[3]), &find_op(cast_names[4]), &find_op(cast_names[5]),
                                             &find_op(cast_names[6])};
  if (x.dtype() == dtype) return x.weak() ? strong(x) : x;
  if (x.weak() && !x.symbolic()) return number_as(x, dtype, "cast");
  return apply1(*ops[static_cast<std::size_t>(dtype)], std::span(&x, 1));
}

}  // namespace chainrule
