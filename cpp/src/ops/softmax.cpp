// softmax, log_softmax, logsumexp and the cross-entropy of logits and labels: row-wise ops over the last axis.
#include "ops/rowwise.hpp"

namespace chainrule {
namespace {

constexpr AttributeField smoothing{AttributeField::Kind::real, 0, "label_smoothing"};
constexpr AttributeField ignored{AttributeField::Kind::integer, 0, "ignore_index"};
constexpr AttributeField has_ignored{AttributeField::Kind::flag, 1, "has_ignore_index"};

void check_rows(const Op& op, const TensorType& x) {
  needs_an_axis(op, x);
  if (x.shape.back() == 0)
    fail<ShapeError>(op.name, "the axis is empty", "shape is " + x.shape.str(), "check for empty data");
}
Shape without_last(const Shape& shape) {
  Shape out = shape;
  out.erase(out.rank() - 1);
  return out;
}

Types infer_same(const Op& op, std::span<const TensorType> in, const Attrs&) {
  check_rows(op, in[0]);
  if (in.size() == 2 && !(in[0] == in[1]))
    fail<ShapeError>(op.name, "operands differ", in[0].shape.str() + " and " + in[1].shape.str());
  return {in[0]};
}
Types infer_logsumexp(const Op& op, std::span<const TensorType> in, const Attrs&) {
  check_rows(op, in[0]);
  return {{in[0].dtype, without_last(in[0].shape)}};
}
void check_labels(const Op& op, const TensorType& logits, const TensorType& labels) {
  check_rows(op, logits);
  if (!(labels.shape == without_last(logits.shape)))
    fail<ShapeError>(op.name, "labels do not fit the logits",
                     "logits are " + logits.shape.str() + ", labels are " + labels.shape.str(),
                     "give one label per row, shape " + without_last(logits.shape).str());
  if (labels.dtype != DType::int64)
    fail<DTypeError>(op.name, "labels must be int64", std::string(name_of(labels.dtype)), "use astype(\"int64\")");
}
Types infer_cross_entropy(const Op& op, std::span<const TensorType> in, const Attrs&) {
  check_labels(op, in[0], in[1]);
  return Types(3, TensorType{in[0].dtype, in[1].shape});  // the loss, and the row's largest logit and log-sum
}
Types infer_cross_entropy_gradient(const Op& op, std::span<const TensorType> in, const Attrs&) {
  check_labels(op, in[0], in[1]);
  return {in[0]};
}

Op rowwise(std::string_view name, std::string_view doc, decltype(Op::infer) infer) {
  Op op;
  op.name = name;
  op.doc = doc;
  op.infer = infer;
  op.plan = plan_rows;
  op.batch = Batch::leading;
  op.rowwise = op.epilogue = true;
  op.flops_per_output = 12;
  return op;
}
Tensor call(const char* name, std::initializer_list<Tensor> in, const Attrs& attrs = {}) {
  return apply1(find_op(name), std::span(in.begin(), in.size()), attrs);
}
Op gradient_of_rows(const char* name, const char* doc, Tensors (*decompose)(std::span<const Tensor>, const Attrs&)) {
  Op op = rowwise(name, doc, infer_same);
  op.min_inputs = op.max_inputs = 2;
  op.saves = save_inputs;
  op.derivative = Derivative::composite;
  op.decompose = decompose;
  op.internal = true;
  op.inplace = 2;
  op.flops_per_output = 4;
  attach_kernels(op, name);
  return op;
}

// p - q times g, from ops with rules: softmax minus the (smoothed) target, zero in ignored rows.
Tensors decompose_gradient(std::span<const Tensor> x, const Attrs& attrs) {
  const Tensor& logits = x[0];
  const std::int64_t n = logits.shape(-1);
  Tensor labels = x[1];
  Tensor g = x[4];
  if (attrs.ints[1]) {
    const Tensor drop = equal(labels, Tensor(attrs.ints[0]));
    labels = where(drop, Tensor(0), labels);
    g = where(drop, Tensor(0.0), g);
  }
  const Tensor target = one_hot(labels, n, logits.dtype()) * Tensor(1.0 - attrs.reals[0]) +
                        Tensor(attrs.reals[0] / static_cast<double>(n));
  return {(softmax(logits, -1) - target) * expand_dims(g, -1)};
}
Tensor gradient_of_cross_entropy(const RuleContext& c, const Tensor& g) {
  return call("d_softmax_cross_entropy", {c.x[0], c.x[1], c.y[1], c.y[2], g}, c.attrs);
}

}  // namespace

void add_softmax_ops(std::vector<Op>& ops) {
  Op op = rowwise("softmax", "e^x / sum(e^x) along an axis; its Jacobian is diag(s) - s s'.", infer_same);
  op.derivative = Derivative::symmetric;
  op.saves = save_output;
  op.vjp = [](const RuleContext& c) { return Tensors{call("d_softmax", {c.y[0], c.g[0]})}; };
  op.rule = [](int, std::span<const std::string>, const std::string& y, const std::string& g, const Attrs&) {
    return y + " * (" + g + " - sum(" + g + " * " + y + "))";
  };
  op.jvp = op.vjp;
  op.inplace = 1;
  attach_kernels(op, op.name);
  ops.push_back(op);

  op = rowwise("log_softmax", "x - logsumexp(x) along an axis, without overflow.", infer_same);
  op.derivative = Derivative::custom;
  op.saves = save_output;
  op.vjp = [](const RuleContext& c) { return Tensors{call("d_log_softmax", {c.y[0], c.g[0]})}; };
  op.rule = [](int, std::span<const std::string>, const std::string& y, const std::string& g, const Attrs&) {
    return g + " - exp(" + y + ") * sum(" + g + ")";
  };
  op.jvp = [](const RuleContext& c) { return Tensors{c.g[0] - sum(exp(c.y[0]) * c.g[0], {-1}, true)}; };
  op.inplace = 1;
  attach_kernels(op, op.name);
  ops.push_back(op);

  op = rowwise("logsumexp", "log(sum(e^x)) over axes, without overflow.", infer_logsumexp);
  op.derivative = Derivative::custom;
  op.saves = save_input(0);
  op.vjp = [](const RuleContext& c) { return Tensors{softmax(c.x[0], -1) * expand_dims(c.g[0], -1)}; };
  op.rule = [](int, std::span<const std::string> x, const std::string&, const std::string& g, const Attrs&) {
    return g + " * softmax(" + x[0] + ")";
  };
  op.jvp = [](const RuleContext& c) { return Tensors{sum(softmax(c.x[0], -1) * c.g[0], {-1})}; };
  attach_kernels(op, op.name);
  ops.push_back(op);

  ops.push_back(gradient_of_rows(
      "d_softmax", "y (g - sum(g y)): g through softmax at y.",
      [](std::span<const Tensor> x, const Attrs&) { return Tensors{x[0] * (x[1] - sum(x[1] * x[0], {-1}, true))}; }));
  ops.push_back(gradient_of_rows(
      "d_log_softmax", "g - e^y sum(g): g through log_softmax at y.",
      [](std::span<const Tensor> x, const Attrs&) { return Tensors{x[1] - exp(x[0]) * sum(x[1], {-1}, true)}; }));

  op = rowwise("softmax_cross_entropy", "logsumexp(x) - x[label] per row, with label smoothing and an ignored label.",
               infer_cross_entropy);
  op.min_inputs = op.max_inputs = 2;
  op.outputs = 3;
  op.attributes = {smoothing, ignored, has_ignored};
  op.positions = [](std::span<const TensorType> in, const Attrs& attrs) {
    const auto ignore = attrs.ints[1] ? std::optional(attrs.ints[0]) : std::nullopt;
    return std::vector<Positions>{{1, in[0].shape[in[0].shape.rank() - 1], false, ignore}};
  };
  op.derivative = Derivative::custom;
  op.saves = save_input(0) | save_input(1) | (save_output << 1) | (save_output << 2);
  op.vjp = [](const RuleContext& c) {
    return Tensors{c.g[0].defined() ? gradient_of_cross_entropy(c, c.g[0]) : Tensor(), Tensor()};
  };
  op.jvp = [](const RuleContext& c) {
    Tensor one = Tensor::ones(c.y_types[0].shape, c.y_types[0].dtype);
    one.data_handle()->constant = true;
    return Tensors{c.g[0].defined() ? sum(gradient_of_cross_entropy(c, one) * c.g[0], {-1}) : Tensor(), Tensor(),
                   Tensor()};
  };
  op.rule = [](int i, std::span<const std::string> x, const std::string&, const std::string& g, const Attrs&) {
    return i ? std::string() : g + " * (softmax(" + x[0] + ") - one_hot(" + x[1] + "))";
  };
  op.flops_per_output = 12;
  op.flops = [](std::span<const TensorType> in, std::span<const TensorType>, const Attrs&) {
    return 12 * in[0].shape.size();
  };
  attach_kernels(op, op.name);
  ops.push_back(op);

  op = rowwise("d_softmax_cross_entropy", "g (softmax(x) - target): the cross-entropy gradient p - q.",
               infer_cross_entropy_gradient);
  op.min_inputs = op.max_inputs = 5;
  op.attributes = {smoothing, ignored, has_ignored};
  op.saves = save_inputs;
  op.derivative = Derivative::composite;
  op.decompose = decompose_gradient;
  op.internal = true;
  op.inplace = 1;
  attach_kernels(op, op.name);
  ops.push_back(op);
}

Tensor softmax(const Tensor& x, int axis) {
  static const Op& op = find_op("softmax");
  return along(floating(x, "softmax"), axis, "softmax", [](const Tensor& t) { return apply1(op, std::span(&t, 1)); });
}
Tensor log_softmax(const Tensor& x, int axis) {
  static const Op& op = find_op("log_softmax");
  return along(floating(x, "log_softmax"), axis, "log_softmax",
               [](const Tensor& t) { return apply1(op, std::span(&t, 1)); });
}

Tensor logsumexp(const Tensor& x, const Dims& axes, bool keepdims) {
  static const Op& op = find_op("logsumexp");
  const Tensor in = floating(x, "logsumexp");
  const Dims chosen = normal_axes(axes, in.rank(), "logsumexp");
  Dims order, kept, final_shape;
  std::int64_t n = 1;
  for (int i = 0; i < in.rank(); ++i) {
    bool reduced = false;
    for (std::int64_t axis : chosen) reduced |= axis == i;
    if (!reduced) {
      order.push_back(i);
      kept.push_back(in.shape()[i]);
    } else {
      n *= in.shape()[i];
    }
    if (!reduced || keepdims) final_shape.push_back(reduced ? 1 : in.shape()[i]);
  }
  for (std::int64_t axis : chosen) order.push_back(axis);
  kept.push_back(n);
  Tensor rows = transpose(in, order);
  if (!(rows.shape() == Shape(kept))) rows = reshape(rows, kept);
  const Tensor y = apply1(op, std::span(&rows, 1));
  return y.shape() == Shape(final_shape) ? y : reshape(y, final_shape);
}

Tensor softmax_cross_entropy(const Tensor& logits, const Tensor& labels, double label_smoothing,
                             std::optional<std::int64_t> ignore_index) {
  static const Op& op = find_op("softmax_cross_entropy");
  if (!(label_smoothing >= 0.0 && label_smoothing <= 1.0))
    fail<ValueError>("softmax_cross_entropy", "label_smoothing is outside [0, 1]", std::to_string(label_smoothing));
  if (is_floating(labels.dtype()))
    fail<DTypeError>("softmax_cross_entropy", "labels are not integers", std::string(name_of(labels.dtype())),
                     "use astype(\"int64\"), or a loss of probabilities");
  Attrs attrs;
  attrs.reals[0] = label_smoothing;
  attrs.ints[0] = ignore_index.value_or(0);
  attrs.ints[1] = ignore_index.has_value();
  const Tensor in[] = {floating(logits, "softmax_cross_entropy"),
                       cast(settle(labels, "softmax_cross_entropy"), DType::int64)};
  return apply1(op, in, attrs);
}

}  // namespace chainrule
