// Elementwise ops: one Op per formula struct, and one per derivative kernel of it, all made by template.
#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "formulas/all.hpp"
#include "ops/formula_text.hpp"
#include "ops/operands.hpp"

namespace chainrule {
namespace {

Types infer_elementwise(const Op& op, std::span<const TensorType> in, const Attrs&) {
  const std::size_t first = op.key >= 0 ? static_cast<std::size_t>(op.key) : 0;
  Shape shape = in[0].shape;
  for (std::size_t i = 1; i < in.size(); ++i) shape = broadcast_shapes(shape, in[i].shape, op.name.data());
  for (std::size_t i = first; i < in.size(); ++i)
    if (in[i].dtype != in[first].dtype)
      fail<DTypeError>(op.name, "operands have different dtypes",
                       std::string(name_of(in[first].dtype)) + " and " + std::string(name_of(in[i].dtype)),
                       "use astype");
  return Types(static_cast<std::size_t>(op.outputs), TensorType{in[first].dtype, shape});
}

Types infer_mask_output(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  Types out = infer_elementwise(op, in, attrs);
  out[0].dtype = DType::boolean;
  return out;
}

// Updates: every output has the shape of input 0 exactly.
Types infer_update(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  const Types out = infer_elementwise(op, in, attrs);
  if (!(out[0].shape == in[0].shape))
    fail<ShapeError>(op.name, "operands do not fit the parameter", out[0].shape.str() + " for " + in[0].shape.str());
  return out;
}

void plan_elementwise(const Op& op, std::span<const TensorType> in, std::span<const TensorType> out, const Attrs& attrs,
                      kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::ElementwisePlan>(plan);
  const Shape& shape = out[0].shape;
  plan.units = shape.size();
  plan.cost = static_cast<double>(plan.units) * (0.08 + 0.02 * op.flops_per_output);
  std::copy(attrs.reals.begin(), attrs.reals.end(), body.r);
  if (std::all_of(in.begin(), in.end(), [&](const TensorType& type) { return type.shape == shape; })) {
    body.rank = 1;
    body.size[0] = plan.units;
    for (std::size_t k = 0; k < in.size(); ++k) body.stride[k][0] = 1;
    return;
  }
  plan.scratch_bytes = static_cast<std::int64_t>(in.size()) * kernels::elementwise_tile * 8;
  const int rank = shape.rank();
  std::int64_t strides[kernels::max_elementwise_inputs][Shape::max_rank] = {};
  const int inputs = static_cast<int>(in.size());
  for (int k = 0; k < inputs; ++k) {
    const Shape& s = in[static_cast<std::size_t>(k)].shape;
    std::int64_t step = 1;
    for (int i = s.rank() - 1, o = rank - 1; i >= 0; --i, --o) {
      strides[k][o] = s[i] == 1 ? 0 : step;
      step *= s[i];
    }
  }
  // Neighbouring axes merge when every operand walks them as one.
  int r = 0;
  for (int axis = 0; axis < rank; ++axis) {
    if (shape[axis] == 1) continue;
    bool merge = r > 0;
    for (int k = 0; k < inputs && merge; ++k) merge = body.stride[k][r - 1] == strides[k][axis] * shape[axis];
    if (merge) {
      body.size[r - 1] *= shape[axis];
    } else {
      body.size[r++] = shape[axis];
    }
    for (int k = 0; k < inputs; ++k) body.stride[k][r - 1] = strides[k][axis];
  }
  if (r == 0) {
    body.size[0] = 1;
    r = 1;
  }
  body.rank = r;
}

std::string& keep(std::string text) {  // names of derivative ops live as long as the program
  static std::vector<std::unique_ptr<std::string>> kept;
  kept.push_back(std::make_unique<std::string>(std::move(text)));
  return *kept.back();
}

// --- the formulas on Tensors, and on names ---------------------------------------------------------------------------

template <class F, class X> X derivative(int which, std::span<const X> x, const X& g, const Attrs& attrs) {
  [[maybe_unused]] const double* r = attrs.reals.data();
  if constexpr (F::inputs == 1) {
    if constexpr (F::saves == Saves::none)
      return F::d(g);
    else if constexpr (formula::params<F>() > 0)
      return F::d(x[0], g, r);
    else
      return F::d(x[0], g);
  } else if constexpr (F::inputs == 2) {
    return which == 0 ? F::d0(x[0], x[1], g) : F::d1(x[0], x[1], g);
  } else {
    if constexpr (!formula::mask_input<F>())
      if (which == 0) return F::d0(x[0], x[1], x[2], g);
    return which == 1 ? F::d1(x[0], x[1], x[2], g) : F::d2(x[0], x[1], x[2], g);
  }
}

template <class F, int which> Tensors decompose_derivative(std::span<const Tensor> x, const Attrs& attrs) {
  return {derivative<F, Tensor>(which, x, x[x.size() - 1], attrs)};
}

// g times the derivative with respect to input `which`.
template <class F> Tensor push(const RuleContext& c, int which, const Tensor& g) {
  std::vector<Tensor> saved;
  if constexpr (F::inputs == 1) {
    if constexpr (F::saves == Saves::output) saved = {c.y[0]};
    if constexpr (F::saves == Saves::input) saved = {c.x[0]};
  } else {
    for (std::size_t k = 0; k < F::inputs; ++k)  // what is not read was not saved: g, of the same size, stands in
      saved.push_back((formula::reads<F>(which) >> k) & 1u ? c.x[k] : g);
  }
  if constexpr (formula::plain<F>()) {
    return derivative<F, Tensor>(which, saved, g, c.attrs);
  } else {
    static const Op* const ops[3] = {find_op_or_null((F::inputs == 1 ? "d_" : "d0_") + std::string(c.op.name)),
                                     find_op_or_null("d1_" + std::string(c.op.name)),
                                     find_op_or_null("d2_" + std::string(c.op.name))};
    saved.push_back(g);
    return apply1(*ops[which], saved, c.attrs);
  }
}

template <class F>
std::string write_rule(int which, std::span<const std::string> x, const std::string& y, const std::string& g,
                       const Attrs& attrs) {
  if (formula::mask_input<F>() && which == 0) return {};
  std::vector<Text> saved;
  if (F::inputs == 1 && F::saves == Saves::output)
    saved.emplace_back(y);
  else
    for (const std::string& name : x) saved.emplace_back(name);
  const std::string text = derivative<F, Text>(which, saved, Text(g), attrs).str();
  return text.size() <= 90 ? text : std::string();  // longer ones explain nothing
}

template <class F> Tensors vjp_elementwise(const RuleContext& c) {
  Tensors gx(F::inputs);
  for (int i = formula::mask_input<F>() ? 1 : 0; i < F::inputs; ++i)
    if (c.needs[static_cast<std::size_t>(i)]) gx[static_cast<std::size_t>(i)] = push<F>(c, i, c.g[0]);
  return gx;
}

template <class F> Tensors jvp_elementwise(const RuleContext& c) {
  Tensor t;
  for (int i = formula::mask_input<F>() ? 1 : 0; i < F::inputs; ++i) {
    if (!c.g[static_cast<std::size_t>(i)].defined()) continue;
    const Tensor part = push<F>(c, i, c.g[static_cast<std::size_t>(i)]);
    t = t.defined() ? t + part : part;
  }
  return {t};
}

template <class F> void add_derivative(std::vector<Op>& ops, const Op& of, int which, std::string_view prefix,
                                       Tensors (*decompose)(std::span<const Tensor>, const Attrs&)) {
  Op op;
  op.name = keep(std::string(prefix) + std::string(of.name));
  op.doc = keep("g times the derivative of " + std::string(of.name) + " with respect to input " +
                std::to_string(which) + ".");
  const bool saves_none = F::inputs == 1 && F::saves == Saves::none;
  op.min_inputs = op.max_inputs = saves_none ? 1 : F::inputs + 1;
  op.key = op.max_inputs - 1;
  op.attributes = of.attributes;
  op.infer = [](const Op& o, std::span<const TensorType> in, const Attrs&) {
    Shape shape = in[0].shape;
    for (std::size_t i = 1; i < in.size(); ++i) shape = broadcast_shapes(shape, in[i].shape, o.name.data());
    return Types{TensorType{in.back().dtype, shape}};
  };
  op.plan = plan_elementwise;
  op.saves = save_inputs;
  op.derivative = Derivative::composite;
  op.decompose = decompose;
  op.batch = Batch::elementwise;
  op.elementwise = op.broadcasts = op.epilogue = op.internal = true;
  op.inplace = 0xFFFF;
  op.flops_per_output = of.flops_per_output + 2;
  attach_kernels(op, op.name);
  ops.push_back(op);
}

template <class F> void add_formula(std::vector<Op>& ops, std::string_view name, std::string_view doc,
                                    std::vector<AttributeField> attributes = {}) {
  Op op;
  op.name = name;
  op.symbol = F::inputs == 2 ? infix(name) : name == "negative" ? "-" : "";
  op.doc = doc;
  op.min_inputs = op.max_inputs = F::inputs;
  op.outputs = formula::outputs<F>();
  op.attributes = std::move(attributes);
  op.infer = formula::mask_output<F>() ? infer_mask_output : infer_elementwise;
  op.plan = plan_elementwise;
  op.key = formula::mask_input<F>() ? 1 : 0;
  op.batch = Batch::elementwise;
  op.elementwise = op.broadcasts = op.epilogue = true;
  op.flops_per_output = formula::flops<F>();
  if constexpr (formula::mask_output<F>() || formula::zero_derivative<F>()) {
    op.derivative = formula::mask_output<F>() ? Derivative::none : Derivative::zero;
    op.inplace = formula::mask_output<F>() ? 0u : 0xFFFFu;
  } else {
    op.inplace = 0xFFFF;
    op.derivative = Derivative::elementwise;
    op.saves = F::saves == Saves::none ? save_nothing : F::saves == Saves::output ? save_output : save_inputs;
    if constexpr (F::saves == Saves::input)
      for (int i = 0; i < F::inputs; ++i) op.reads[static_cast<std::size_t>(i)] = formula::reads<F>(i);
    op.vjp = vjp_elementwise<F>;
    op.rule = write_rule<F>;
    op.jvp = jvp_elementwise<F>;
  }
  attach_kernels(op, name);
  ops.push_back(op);
  if constexpr (formula::has_derivative_kernel<F>()) {
    const Op of = ops.back();
    if constexpr (F::inputs == 1) {
      add_derivative<F>(ops, of, 0, "d_", decompose_derivative<F, 0>);
    } else {
      add_derivative<F>(ops, of, 0, "d0_", decompose_derivative<F, 0>);
      add_derivative<F>(ops, of, 1, "d1_", decompose_derivative<F, 1>);
      if constexpr (F::inputs == 3) add_derivative<F>(ops, of, 2, "d2_", decompose_derivative<F, 2>);
    }
  }
}

template <class F> void add_update(std::vector<Op>& ops, std::string_view name, std::string_view doc,
                                   std::vector<AttributeField> attributes) {
  Op op;
  op.name = name;
  op.doc = doc;
  op.min_inputs = op.max_inputs = F::inputs;
  op.outputs = formula::outputs<F>();
  op.attributes = std::move(attributes);
  op.infer = infer_update;
  op.plan = plan_elementwise;
  op.batch = Batch::elementwise;
  op.elementwise = op.broadcasts = op.internal = true;
  op.inplace_pairs = true;
  op.pair = {0, 2, 3, 4};  // parameter, then the states behind the gradient
  op.flops_per_output = 12;
  attach_kernels(op, name);
  ops.push_back(op);
}

// The names of a formula's real attributes, in the order of its r[].
std::vector<AttributeField> real_attributes(std::string_view op) {
  static constexpr struct {
    std::string_view op;
    std::array<const char*, 4> names;
  } table[] = {{"leaky_relu", {"negative_slope"}},
               {"elu", {"alpha"}},
               {"clip", {"low", "high"}},
               {"adagrad_update", {"eps"}},
               {"rmsprop_update", {"alpha", "eps"}},
               {"rmsprop_full_update", {"alpha", "eps", "momentum", "centered"}},
               {"adam_update", {"beta1", "beta2", "eps"}},
               {"amsgrad_update", {"beta1", "beta2", "eps"}},
               {"adadelta_update", {"rho", "eps"}},
               {"adamax_update", {"beta1", "beta2", "eps"}},
               {"nadam_update", {"beta1", "beta2", "eps"}},
               {"radam_update", {"beta1", "beta2", "eps"}},
               {"lion_update", {"beta1", "beta2"}}};
  std::vector<AttributeField> fields;
  for (const auto& row : table)
    for (int i = 0; row.op == op && i < 4 && row.names[static_cast<std::size_t>(i)] != nullptr; ++i)
      fields.push_back({AttributeField::Kind::real, i, row.names[static_cast<std::size_t>(i)]});
  return fields;
}

// What is made of numbers alone is a number: it takes the other operand's dtype, and is computed in double until then,
// as Python does. Only symbols get here: numbers with values are computed by the language.
Tensor number(Tensor y) {
  y.data_handle()->weak = y.dtype() == DType::float64 || y.dtype() == DType::int64;
  return y;
}
bool traced_numbers(const Tensor& a, const Tensor& b) { return a.weak() && b.weak() && (a.symbolic() || b.symbolic()); }

template <class F> Tensor unary(const char* name, const Tensor& x, const Attrs& attrs = {}) {
  static const Op& op = find_op(name);
  if (traced_numbers(x, x)) return number(unary<F>(name, strong(x), attrs));
  const Tensor in[] = {formula::integers<F>() ? settle(x, name) : floating(x, name)};
  return apply1(op, in, attrs);
}
template <class F> Tensor binary(const char* name, Tensor a, Tensor b) {
  static const Op& op = find_op(name);
  if (traced_numbers(a, b)) return number(binary<F>(name, strong(a), strong(b)));
  const bool squared = std::is_same_v<F, Power> && b.weak() && !b.symbolic() && b.item() == 2.0;
  promote_operands(a, b, name, !formula::integers<F>());
  if (squared) return square(a);  // x ** 2 is x * x, in bits and speed
  const Tensor in[] = {std::move(a), std::move(b)};
  return apply1(op, in);
}

}  // namespace

void add_elementwise_ops(std::vector<Op>& ops) {
#define CHAINRULE_ADD(name, Struct, doc) add_formula<Struct>(ops, #name, doc);
  CHAINRULE_UNARY_OPS(CHAINRULE_ADD)
  CHAINRULE_BINARY_OPS(CHAINRULE_ADD)
  CHAINRULE_COMPARISON_OPS(CHAINRULE_ADD)
#undef CHAINRULE_ADD
#define CHAINRULE_ADD(name, Struct, doc) add_formula<Struct>(ops, #name, doc, real_attributes(#name));
  CHAINRULE_PARAMETRIC_OPS(CHAINRULE_ADD)
  CHAINRULE_TERNARY_OPS(CHAINRULE_ADD)
#undef CHAINRULE_ADD
#define CHAINRULE_ADD(name, Struct, doc) add_update<Struct>(ops, #name, doc, real_attributes(#name));
  CHAINRULE_UPDATE_OPS(CHAINRULE_ADD)
#undef CHAINRULE_ADD
}

#define CHAINRULE_DEFINE_UNARY(name, Struct, doc) \
  Tensor name(const Tensor& x) { return unary<Struct>(#name, x); }
#define CHAINRULE_DEFINE_BINARY(name, Struct, doc) \
  Tensor name(const Tensor& a, const Tensor& b) { return binary<Struct>(#name, a, b); }
CHAINRULE_UNARY_OPS(CHAINRULE_DEFINE_UNARY)
CHAINRULE_BINARY_OPS(CHAINRULE_DEFINE_BINARY)
CHAINRULE_COMPARISON_OPS(CHAINRULE_DEFINE_BINARY)

Tensor leaky_relu(const Tensor& x, double negative_slope) {
  Attrs attrs;
  attrs.reals[0] = negative_slope;
  return unary<LeakyRelu>("leaky_relu", x, attrs);
}
Tensor elu(const Tensor& x, double alpha) {
  Attrs attrs;
  attrs.reals[0] = alpha;
  return unary<Elu>("elu", x, attrs);
}
Tensor clip(const Tensor& x, const Tensor& low, const Tensor& high) {
  if (!low.defined() && !high.defined()) fail<ValueError>("clip", "no bound was given", "", "give low, high or both");
  // The op has numbers for bounds, as doubles; an integer dtype has no infinity for a side that is open.
  const bool floats = is_floating(x.dtype());
  const auto attribute = [floats](const Tensor& bound) {
    if (!bound.defined()) return floats;
    if (!bound.weak() || bound.symbolic()) return false;
    const double b = bound.item();
    return floats || std::isnan(b) || (std::abs(b) < 0x1p53 && b == std::floor(b));
  };
  if (!attribute(low) || !attribute(high)) {
    // At a bound the gradient is x's, as in the op; NaN goes through, be it x's or the bound's.
    const auto inside = [](const Tensor& within, const Tensor& t) {
      return is_floating(t.dtype()) ? logical_or(within, isnan(t)) : within;
    };
    const Tensor raised = low.defined() ? where(inside(greater_equal(x, low), x), x, low) : settle(x, "clip");
    return high.defined() ? where(inside(less_equal(raised, high), raised), raised, high) : raised;
  }
  constexpr double open = std::numeric_limits<double>::infinity();
  const double from = low.defined() ? low.item() : -open, to = high.defined() ? high.item() : open;
  if (std::isnan(from) || std::isnan(to))
    fail<ValueError>("clip", "a bound is not a number", "nan", "leave it out for no bound");
  if (from > to)
    fail<ValueError>("clip", "low is above high", std::to_string(from) + " and " + std::to_string(to), "exchange them");
  Attrs attrs;
  attrs.reals[0] = from;
  attrs.reals[1] = to;
  return unary<Clip>("clip", x, attrs);
}
Tensor round(const Tensor& x, int decimals) {
  if (decimals == 0 || (decimals > 0 && !is_floating(x.dtype()))) return round(x);
  const Tensor in = settle(x, "round"), scale = Tensor(std::pow(10.0, std::abs(decimals)));
  if (!is_floating(in.dtype())) return cast(round(in / scale) * scale, in.dtype());
  return decimals > 0 ? round(in * scale) / scale : round(in / scale) * scale;
}
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  static const Op& op = find_op("where");
  if (condition.dtype() != DType::boolean)
    fail<DTypeError>("where", "the condition is not bool", std::string(name_of(condition.dtype())),
                     "compare first, for instance x > 0");
  if (traced_numbers(a, b)) return number(where(condition, strong(a), strong(b)));
  Tensor x = a, y = b;
  promote_operands(x, y, "where", false);
  const Tensor in[] = {condition, x, y};
  return apply1(op, in);
}
Tensor fma(const Tensor& a, const Tensor& b, const Tensor& c) {
  static const Op& op = find_op("fma");
  Tensor x = a, y = b, z = c;
  promote_operands(x, y, "fma", true);
  promote_operands(x, z, "fma", true);
  promote_operands(x, y, "fma", true);
  const Tensor in[] = {x, y, z};
  return apply1(op, in);
}

}  // namespace chainrule
