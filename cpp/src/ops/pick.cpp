// Picking by index: take_along, its transpose put_along, and one_hot.
#include "ops/operands.hpp"

namespace chainrule {
namespace {

constexpr AttributeField axis_field{AttributeField::Kind::integer, 0, "axis", OnBatch::axis};
constexpr AttributeField size_field{AttributeField::Kind::integer, 1, "size"};

void check_index(const Op& op, const TensorType& index) {
  if (index.dtype != DType::int64)
    fail<DTypeError>(op.name, "the index must be int64", std::string(name_of(index.dtype)), "use astype(\"int64\")");
}

Types infer_take(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  check_index(op, in[1]);
  const int axis = static_cast<int>(attrs.ints[0]);
  if (axis < 0 || axis >= in[0].shape.rank()) fail<IndexError>(op.name, "axis out of range", std::to_string(axis));
  Shape expected = in[0].shape;
  expected.erase(axis);
  if (!(in[1].shape == expected))
    fail<ShapeError>(op.name, "the index does not fit", "x is " + in[0].shape.str() + ", index is " + in[1].shape.str(),
                     "it needs x's shape without axis " + std::to_string(axis) + ", " + expected.str());
  return {{in[0].dtype, expected}};
}
Types infer_put(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  check_index(op, in[0]);
  if (!(in[0].shape == in[1].shape))
    fail<ShapeError>(op.name, "index and values differ", in[0].shape.str() + " and " + in[1].shape.str());
  const int axis = static_cast<int>(attrs.ints[0]);
  if (axis < 0 || axis > in[0].shape.rank() || attrs.ints[1] < 0)
    fail<IndexError>(op.name, "axis or size out of range", std::to_string(axis));
  Shape shape = in[0].shape;
  shape.insert(axis, attrs.ints[1]);
  return {{in[1].dtype, shape}};
}
void plan_along(const Shape& full, int axis, kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::ReducePlan>(plan);
  body.outer = product(full, 0, axis);
  body.n = full[axis];
  body.inner = product(full, axis + 1, full.rank());
  body.scale = 1;
  plan.units = body.outer * body.inner;
  plan.cost = static_cast<double>(plan.units) * 2.0;
}
void plan_take(const Op&, std::span<const TensorType> in, std::span<const TensorType>, const Attrs& attrs,
               kernels::Plan& plan) {
  plan_along(in[0].shape, static_cast<int>(attrs.ints[0]), plan);
}
void plan_put(const Op&, std::span<const TensorType>, std::span<const TensorType> out, const Attrs& attrs,
              kernels::Plan& plan) {
  plan_along(out[0].shape, static_cast<int>(attrs.ints[0]), plan);
  plan.cost += static_cast<double>(out[0].shape.size()) * 0.1;
}

Tensor along(const Tensor& x, const Tensor& index, std::int64_t axis) {
  static const Op& op = find_op("take_along");
  Attrs attrs;
  attrs.ints[0] = axis;
  const Tensor in[] = {x, index};
  return apply1(op, in, attrs);
}
Tensor put(const Tensor& index, const Tensor& values, std::int64_t axis, std::int64_t size) {
  static const Op& op = find_op("put_along");
  Attrs attrs;
  attrs.ints[0] = axis;
  attrs.ints[1] = size;
  const Tensor in[] = {index, values};
  return apply1(op, in, attrs);
}

template <int dtype> Types infer_one_hot(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  check_index(op, in[0]);
  if (attrs.ints[1] < 1)
    fail<ValueError>("one_hot", "the number of classes must be 1 at least", std::to_string(attrs.ints[1]));
  Shape shape = in[0].shape;
  shape.push_back(attrs.ints[1]);
  return {{static_cast<DType>(dtype), shape}};
}
void plan_one_hot(const Op&, std::span<const TensorType> in, std::span<const TensorType>, const Attrs& attrs,
                  kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::RowPlan>(plan);
  body.rows = plan.units = in[0].shape.size();
  body.n = attrs.ints[1];
  plan.cost = static_cast<double>(body.rows * body.n) * 0.1;
}

}  // namespace

void add_picking_ops(std::vector<Op>& ops) {
  Op op;
  op.name = "take_along";
  op.doc = "One entry of x per position along an axis: out[i] = x[i, index[i]].";
  op.min_inputs = op.max_inputs = 2;
  op.attributes = {axis_field};
  op.infer = infer_take;
  op.plan = plan_take;
  op.positions = [](std::span<const TensorType> in, const Attrs& attrs) {
    return std::vector<Positions>{{1, in[0].shape[static_cast<int>(attrs.ints[0])]}};
  };
  op.saves = save_input(1);
  op.derivative = Derivative::linear;
  op.vjp = [](const RuleContext& c) {
    return Tensors{put(c.x[1], c.g[0], c.attrs.ints[0], c.x_types[0].shape[static_cast<int>(c.attrs.ints[0])]),
                   Tensor()};
  };
  op.jvp = [](const RuleContext& c) {
    return Tensors{c.g[0].defined() ? along(c.g[0], c.x[1], c.attrs.ints[0]) : Tensor()};
  };
  op.batch = Batch::leading;
  op.rowwise = true;
  op.flops_per_output = 0;
  attach_kernels(op, "take_along");
  ops.push_back(op);

  op = Op{};
  op.name = "put_along";
  op.doc = "Zeros with values written at index along an axis: the transpose of take_along.";
  op.min_inputs = op.max_inputs = 2;
  op.attributes = {axis_field, size_field};
  op.infer = infer_put;
  op.plan = plan_put;
  op.positions = [](std::span<const TensorType>, const Attrs& attrs) {
    return std::vector<Positions>{{0, attrs.ints[1]}};
  };
  op.key = 1;
  op.saves = save_input(0);
  op.derivative = Derivative::linear;
  op.vjp = [](const RuleContext& c) { return Tensors{Tensor(), along(c.g[0], c.x[0], c.attrs.ints[0])}; };
  op.jvp = [](const RuleContext& c) {
    return Tensors{c.g[1].defined() ? put(c.x[0], c.g[1], c.attrs.ints[0], c.attrs.ints[1]) : Tensor()};
  };
  op.batch = Batch::leading;
  op.rowwise = op.internal = true;
  op.flops_per_output = 0;
  attach_kernels(op, "put_along");
  ops.push_back(op);

  op = Op{};
  op.doc = "Rows of zeros with a 1 at the index.";
  op.attributes = {size_field};
  op.plan = plan_one_hot;
  op.positions = [](std::span<const TensorType>, const Attrs& attrs) {
    return std::vector<Positions>{{0, attrs.ints[1], false}};
  };
  op.key = -1;
  op.derivative = Derivative::none;
  op.batch = Batch::leading;
  op.rowwise = true;
  op.flops_per_output = 0;
  attach_kernels(op, "one_hot");
  op.name = "one_hot";
  op.infer = infer_one_hot<static_cast<int>(DType::float32)>;
  ops.push_back(op);
  op.name = "one_hot_float64";
  op.infer = infer_one_hot<static_cast<int>(DType::float64)>;
  op.internal = true;
  ops.push_back(op);
}

Tensor take_along(const Tensor& x, const Tensor& index, int axis) {
  return along(settle(x, "take_along"), as_index(index, "take_along"), normal_axis(axis, x.rank(), "take_along"));
}

Tensor one_hot(const Tensor& index, std::int64_t classes, DType dtype) {
  static const Op &single = find_op("one_hot"), &twice = find_op("one_hot_float64");
  if (dtype != DType::float32 && dtype != DType::float64) return cast(one_hot(index, classes), dtype);
  Attrs attrs;
  attrs.ints[1] = classes;
  const Tensor in = as_index(index, "one_hot");
  return apply1(dtype == DType::float32 ? single : twice, std::span(&in, 1), attrs);
}

}  // namespace chainrule
