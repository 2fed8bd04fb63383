// Matrix product. Leading axes are a batch; its two derivatives are products again, so any order works.
#include "ops/matmul_plan.hpp"

#include <algorithm>

#include "ops/operands.hpp"

namespace chainrule {
namespace {

struct Sizes {
  std::int64_t m, n, k, k_other;
};
Sizes sizes(const Shape& a, const Shape& b, const Attrs& attrs) {
  const int ra = a.rank(), rb = b.rank();
  return {attrs.ints[0] ? a[ra - 1] : a[ra - 2], attrs.ints[1] ? b[rb - 2] : b[rb - 1],
          attrs.ints[0] ? a[ra - 2] : a[ra - 1], attrs.ints[1] ? b[rb - 1] : b[rb - 2]};
}
Shape leading(const Shape& s) {
  Shape l;
  for (int i = 0; i + 2 < s.rank(); ++i) l.push_back(s[i]);
  return l;
}

Types infer_matmul(const Op&, std::span<const TensorType> in, const Attrs& attrs) {
  const Shape &a = in[0].shape, &b = in[1].shape;
  const auto given = [&] {
    return "a is " + a.str() + (attrs.ints[0] ? " transposed" : "") + ", b is " + b.str() +
           (attrs.ints[1] ? " transposed" : "");
  };
  if (a.rank() < 2 || b.rank() < 2)
    fail<ShapeError>("matmul", "operands need two axes at least", given(), "reshape first");
  const Sizes s = sizes(a, b, attrs);
  if (s.k != s.k_other) {
    std::string todo;
    if (s.k == s.n)
      todo = "did you mean b.T?";
    else if (s.m == s.k_other)
      todo = "did you mean a.T?";
    fail<ShapeError>("matmul", "inner sizes differ", given(), todo);
  }
  if (in[0].dtype != in[1].dtype)
    fail<DTypeError>("matmul", "operands have different dtypes",
                     std::string(name_of(in[0].dtype)) + " and " + std::string(name_of(in[1].dtype)), "use astype");
  Shape out = broadcast_shapes(leading(a), leading(b), "matmul");
  out.push_back(s.m);
  out.push_back(s.n);
  return {{in[0].dtype, out}};
}

void plan_op(const Op&, std::span<const TensorType> in, std::span<const TensorType> out, const Attrs& attrs,
             kernels::Plan& plan) {
  const Shape &a = in[0].shape, &b = in[1].shape;
  const Sizes s = sizes(a, b, attrs);
  kernels::MatmulPlan body{};
  body.batch = leading(out[0].shape).size();
  body.m = s.m;
  body.n = s.n;
  body.k = s.k;
  body.stride_a = leading(a).size() == 1 ? 0 : s.m * s.k;
  body.stride_b = leading(b).size() == 1 ? 0 : s.k * s.n;
  body.transpose_a = static_cast<std::int32_t>(attrs.ints[0]);
  body.transpose_b = static_cast<std::int32_t>(attrs.ints[1]);
  plan_matmul(plan, body, in[0].dtype);
}

Tensor product_of(const Tensor& a, const Tensor& b, bool ta, bool tb) {
  static const Op& op = find_op("matmul");
  Attrs attrs;
  attrs.ints[0] = ta;
  attrs.ints[1] = tb;
  const Tensor in[] = {a, b};
  return apply1(op, in, attrs);
}

// C = op(A) op(B): gA = g op(B)', gB = op(A)' g, transposed where the operand was read transposed.
Tensors vjp_matmul(const RuleContext& c) {
  const bool ta = c.attrs.ints[0], tb = c.attrs.ints[1];
  Tensors gx(2);
  if (c.needs[1]) gx[1] = tb ? matmul(c.g[0], c.x[0], true, ta) : matmul(c.x[0], c.g[0], !ta, false);
  if (c.needs[0]) gx[0] = ta ? matmul(c.x[1], c.g[0], tb, true) : matmul(c.g[0], c.x[1], false, !tb);
  return gx;
}
Tensors jvp_matmul(const RuleContext& c) {
  const bool ta = c.attrs.ints[0], tb = c.attrs.ints[1];
  Tensor t;
  if (c.g[0].defined()) t = matmul(c.g[0], c.x[1], ta, tb);
  if (c.g[1].defined()) {
    const Tensor part = matmul(c.x[0], c.g[1], ta, tb);
    t = t.defined() ? t + part : part;
  }
  return {t};
}

// Leading axes broadcast already: only their number must agree, the batch being the first of them.
Tensors batch_matmul(const BatchContext& c) {
  const int rank = std::max(c.x[0].rank() - c.batched[0], c.x[1].rank() - c.batched[1]);
  const auto aligned = [&](std::size_t i) {
    if (!c.batched[i]) return c.x[i];
    Dims shape = c.x[i].shape();
    while (shape.rank() <= rank) shape.insert(1, 1);
    return reshape(c.x[i], shape);
  };
  return {matmul(aligned(0), aligned(1), c.attrs.ints[0] != 0, c.attrs.ints[1] != 0)};
}

// Rows of a matrix times another one, or products of their own for every item of the first axis.
RowInputs row_inputs_matmul(std::span<const TensorType> in, std::span<const TensorType> out, const Attrs& attrs) {
  const Shape &a = in[0].shape, &b = in[1].shape;
  if (out[0].shape.rank() == 2) return attrs.ints[0] ? RowInputs() : 1u;
  return (leading(a).size() == 1 ? 0u : 1u) | (leading(b).size() == 1 ? 0u : 2u);
}
bool narrow_matmul(kernels::Plan& plan, std::int64_t all, std::int64_t first, std::int64_t rows) {
  auto& body = plan_body<kernels::MatmulPlan>(plan);
  if (body.batch != 1 || !body.transpose_a || body.transpose_b || body.k % all != 0) return false;
  body.k_offset = body.k / all * first;
  body.k = body.k / all * rows;
  body.accumulate = first > 0;
  return true;
}

std::int64_t flops_matmul(std::span<const TensorType> in, std::span<const TensorType> out, const Attrs& attrs) {
  return 2 * out[0].shape.size() * sizes(in[0].shape, in[1].shape, attrs).k;
}

}  // namespace

void add_matmul_ops(std::vector<Op>& ops) {
  Op op;
  op.name = "matmul";
  op.doc = "Matrix product over the last two axes; leading axes broadcast.";
  op.min_inputs = op.max_inputs = 2;
  op.attributes = {{AttributeField::Kind::flag, 0, "transpose_a"}, {AttributeField::Kind::flag, 1, "transpose_b"}};
  op.infer = infer_matmul;
  op.plan = plan_op;
  op.saves = save_inputs;
  op.reads = {save_input(1), save_input(0), save_nothing};
  op.derivative = Derivative::bilinear;
  op.vjp = vjp_matmul;
  op.jvp = jvp_matmul;
  op.symbol = "@";
  op.rule = [](int i, std::span<const std::string> x, const std::string&, const std::string& g, const Attrs& attrs) {
    const auto turned = [](const std::string& t, bool turn) { return turn ? t + ".T" : t; };
    const bool ta = attrs.ints[0], tb = attrs.ints[1];
    if (i == 0) return ta ? turned(x[1], tb) + " @ " + g + ".T" : g + " @ " + turned(x[1], !tb);
    return tb ? g + ".T @ " + turned(x[0], ta) : turned(x[0], !ta) + " @ " + g;
  };
  op.batch = Batch::rule;
  op.batch_rule = batch_matmul;
  op.broadcasts = true;
  op.transposable = 3;
  op.matrix_product = op.epilogue = op.rowwise = true;
  op.row_inputs = row_inputs_matmul;
  op.narrow = narrow_matmul;
  op.flops = flops_matmul;
  attach_kernels(op, "matmul");
  ops.push_back(op);
}

Tensor outer(const Tensor& a, const Tensor& b) {
  Tensor x = a, y = b;
  promote_operands(x, y, "outer", false);
  return reshape(x, {-1, 1}) * reshape(y, {1, -1});
}

Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  Tensor x = a, y = b;
  promote_operands(x, y, "matmul", false);
  if (x.rank() == 0 || y.rank() == 0)
    fail<ShapeError>("matmul", "an operand is a scalar", "a is " + a.shape().str() + ", b is " + b.shape().str(),
                     "use * instead");
  // Vectors, as in NumPy: a row on the left, a column on the right, and the axis goes again.
  const bool row = x.rank() == 1, column = y.rank() == 1;
  if (row || column) {
    const std::int64_t k = row ? x.shape(0) : x.shape(transpose_a ? -2 : -1);
    if (k != (column ? y.shape(0) : y.shape(transpose_b ? -1 : -2)))
      fail<ShapeError>("matmul", "inner sizes differ", "a is " + a.shape().str() + ", b is " + b.shape().str());
    if (row) x = reshape(x, {1, x.shape()[0]});
    if (column) y = reshape(y, {y.shape()[0], 1});
    Tensor c = matmul(x, y, transpose_a && !row, transpose_b && !column);
    Dims shape;
    for (int i = 0; i < c.rank(); ++i)
      if (!(row && i == c.rank() - 2) && !(column && i == c.rank() - 1)) shape.push_back(c.shape()[i]);
    return reshape(c, shape);
  }
  const int ra = x.rank(), rb = y.rank();
  if (ra == 2 && rb == 2) return product_of(x, y, transpose_a, transpose_b);
  if (rb == 2 && !transpose_a) {  // one product over all rows
    const Shape lead = x.shape();
    const std::int64_t depth = lead[ra - 1];
    const std::int64_t rows = depth == 0 ? leading(lead).size() * lead[ra - 2] : -1;  // -1 of nothing is unknown
    const Tensor c = product_of(reshape(x, {rows, depth}), y, false, transpose_b);
    Dims shape = lead;
    shape[ra - 1] = c.shape()[1];
    return reshape(c, shape);
  }
  // The kernel knows one batch, or an operand used for every member of it.
  const Shape batch = broadcast_shapes(leading(x.shape()), leading(y.shape()), "matmul");
  const auto fill = [&](const Tensor& t) {
    const Shape lead = leading(t.shape());
    if (lead == batch || lead.size() == 1) return t;
    Shape full = batch;
    full.push_back(t.shape()[t.rank() - 2]);
    full.push_back(t.shape()[t.rank() - 1]);
    return broadcast_to(t, full);
  };
  return product_of(fill(x), fill(y), transpose_a, transpose_b);
}

}  // namespace chainrule
