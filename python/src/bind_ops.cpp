// Op functions. The elementwise families come from the one list in elementwise_list.hpp; the rest has NumPy's
// signatures.
#include "calls.hpp"

namespace chainrule::python {
namespace {

// Ops below keep their operand only where it is recorded or where the result shares its memory, so they copy arrays.
Tensor operand(const py::object& x, const char* op) { return to_tensor(x, op); }

template <class F> auto run(const Tensor& x, F&& f) {
  return released_if(x.size() > release_threshold, std::forward<F>(f));
}

void bind_elementwise(py::module_& m) {
#define CHAINRULE_BIND_UNARY(name, Struct, doc) \
  m.def(#name, [](const py::object& x) { return call_unary(&name, x, #name); }, "x"_a, doc);
#define CHAINRULE_BIND_BINARY(name, Struct, doc)                                                                     \
  m.def(                                                                                                             \
      #name, [](const py::object& a, const py::object& b) { return call_binary(&name, a, b, #name); }, "a"_a, "b"_a, \
      doc);
  CHAINRULE_UNARY_OPS(CHAINRULE_BIND_UNARY)
  CHAINRULE_BINARY_OPS(CHAINRULE_BIND_BINARY)
  CHAINRULE_COMPARISON_OPS(CHAINRULE_BIND_BINARY)
#undef CHAINRULE_BIND_UNARY
#undef CHAINRULE_BIND_BINARY
  m.def(
      "leaky_relu",
      [](const py::object& x, double slope) {
        const Tensor t = operand(x, "leaky_relu");
        return run(t, [&] { return leaky_relu(t, slope); });
      },
      "x"_a, "negative_slope"_a = 0.01, "x where positive, else negative_slope * x.");
  m.def(
      "elu",
      [](const py::object& x, double alpha) {
        const Tensor t = operand(x, "elu");
        return run(t, [&] { return elu(t, alpha); });
      },
      "x"_a, "alpha"_a = 1.0, "x where positive, else alpha * (e^x - 1) (Clevert et al., 2015).");
  m.def(
      "clip",
      [](const py::object& x, const py::object& low, const py::object& high) {
        const Tensor t = operand(x, "clip"), from = to_tensor_or_undefined(low, "clip"),
                     to = to_tensor_or_undefined(high, "clip");
        return run(t, [&] { return clip(t, from, to); });
      },
      "x"_a, "low"_a = py::none(), "high"_a = py::none(), clip_doc);
  m.attr("round") = py::cpp_function(
      [](const py::object& x, int decimals) {
        const Tensor t = borrow(x, "round");
        return run(t, [&] { return round(t, decimals); });
      },
      py::name("round"), py::scope(m), "x"_a, "decimals"_a = 0,
      "Rounded to so many decimals, halves to even, in x's dtype; below 0 to tens, hundreds, ... The derivative is 0.");
  m.def(
      "where",
      [](const py::object& condition, const py::object& a, const py::object& b) {
        const Tensor c = operand(condition, "where"), x = operand(a, "where"), y = operand(b, "where");
        return run(c, [&] { return where(c, x, y); });
      },
      "condition"_a, "a"_a, "b"_a, "a where the condition (bool) holds, else b.");
  m.def(
      "fma",
      [](const py::object& a, const py::object& b, const py::object& c) {
        return fma(operand(a, "fma"), operand(b, "fma"), operand(c, "fma"));
      },
      "a"_a, "b"_a, "c"_a, "a * b + c, rounded once.");
  m.def(
      "cast", [](const py::object& x, const py::object& dtype) { return cast(operand(x, "cast"), to_dtype(dtype)); },
      "x"_a, "dtype"_a, "The values in another dtype.");
}

using Reduction = Tensor (*)(const Tensor&, const Dims&, bool);

void bind_reduction(py::module_& m, const char* name, Reduction f, const char* doc) {
  m.def(
      name,
      [f, name](const py::object& x, const py::object& axis, bool keepdims) {
        const Tensor t = borrow(x, name);
        const Dims axes = to_axes(axis, name);
        return run(t, [&] { return f(t, axes, keepdims); });
      },
      "x"_a, "axis"_a = py::none(), "keepdims"_a = false, doc);
}

// An order of norm: a number, None, or "fro", which is None by another name.
std::optional<double> to_order(const py::object& ord) {
  if (ord.is_none()) return std::nullopt;
  if (py::isinstance<py::str>(ord)) {
    const auto name = ord.cast<std::string>();
    if (name == "fro") return std::nullopt;
    throw ValueError("norm: not an order: '" + name + "'; use None, 'fro' or a number");
  }
  if (is_tensor(ord) && ord.cast<const Tensor&>().requires_grad() && grad_enabled())
    throw StateError(
        "norm: ord is a number, and the gradient of the tensor given for it would be lost; write x ** p "
        "with ops of tensors, or pass float(ord) where only its value is meant");
  return ord.cast<double>();
}

void bind_reductions(py::module_& m) {
  bind_reduction(m, "sum", &sum, "Sum over the axes; all of them by default.");
  bind_reduction(m, "mean", &mean, "Mean over the axes; all of them by default.");
  bind_reduction(m, "prod", &prod,
                 "Product over the axes; all of them by default. The derivative is right at zeros, too.");
  bind_reduction(m, "max", &max, "Largest element along the axes; all of them by default.");
  bind_reduction(m, "min", &min, "Smallest element along the axes; all of them by default.");
  bind_reduction(m, "logsumexp", &logsumexp, "log(sum(e^x)) over the axes, without overflow.");
  const auto spread = [&m](const char* name, Tensor (*f)(const Tensor&, const Dims&, bool, int), const char* doc) {
    m.def(
        name,
        [f, name](const py::object& x, const py::object& axis, bool keepdims, int ddof) {
          const Tensor t = borrow(x, name);
          const Dims axes = to_axes(axis, name);
          return run(t, [&] { return f(t, axes, keepdims, ddof); });
        },
        "x"_a, "axis"_a = py::none(), "keepdims"_a = false, "ddof"_a = 0, doc);
  };
  spread("var", &var, "Variance over the axes, divided by n - ddof.");
  spread("std", &chainrule::std,
         "Standard deviation over the axes, the root of var. The derivative where it is 0 is defined as 0.");
  m.def(
      "norm",
      [](const py::object& x, const py::object& ord, const py::object& axis, bool keepdims) {
        const Tensor t = operand(x, "norm");
        const std::optional<double> order = to_order(ord);
        const Dims axes = to_axes(axis, "norm");
        return run(t, [&] { return norm(t, order, axes, keepdims); });
      },
      "x"_a, "ord"_a = py::none(), "axis"_a = py::none(), "keepdims"_a = false,
      "Norm over one axis, two or (without an order) any number, all by default, as numpy.linalg.norm.\n\n"
      "None or \"fro\": the root of the sum of squares. Vectors (one axis): a number p, (sum |x|^p)^(1/p); 0 counts "
      "what\n"
      "is not 0, inf and -inf are the largest and smallest |x|. Matrices (two axes): 1, the largest sum of a column's\n"
      "absolute values, inf, of a row's, or -inf, the smallest. The derivative at 0 is defined as 0.");
  const auto place = [&m](const char* name, Tensor (*f)(const Tensor&, std::optional<int>, bool), const char* doc) {
    m.def(
        name,
        [f, name](const py::object& x, std::optional<int> axis, bool keepdims) {
          const Tensor t = borrow(x, name);
          return run(t, [&] { return f(t, axis, keepdims); });
        },
        "x"_a, "axis"_a = py::none(), "keepdims"_a = false, doc);
  };
  place("argmax", &argmax, "Index of the largest element (the first of equal ones), int64.");
  place("argmin", &argmin, "Index of the smallest element (the first of equal ones), int64.");
}

using Scan = Tensor (*)(const Tensor&, std::optional<int>, bool);

void bind_scan(py::module_& m, const char* name, Scan f, const char* doc) {
  m.def(
      name,
      [f, name](const py::object& x, std::optional<int> axis, bool reverse) {
        const Tensor t = operand(x, name);
        return run(t, [&] { return f(t, axis, reverse); });
      },
      "x"_a, "axis"_a = py::none(), py::kw_only(), "reverse"_a = false, doc);
}

void bind_scans(py::module_& m) {
  bind_scan(
      m, "cumsum", &cumsum,
      "Running sums along the axis, of all elements in a row by default; reverse: from the end. Small integers and\n"
      "bools are summed as int64.");
  bind_scan(
      m, "cumprod", &cumprod,
      "Running products along the axis, of all elements in a row by default; reverse: from the end. The derivative\n"
      "is right at zeros, too.");
}

void bind_order(py::module_& m) {
  const auto order = [&m](const char* name, Tensor (*f)(const Tensor&, std::optional<int>, bool), const char* doc) {
    m.def(
        name,
        [f, name](const py::object& x, std::optional<int> axis, bool descending) {
          const Tensor t = operand(x, name);
          return run(t, [&] { return f(t, axis, descending); });
        },
        "x"_a, "axis"_a = -1, py::kw_only(), "descending"_a = false, doc);
  };
  order("sort", &chainrule::sort,
        "The entries in order along the axis, all of them in a row with axis=None. Stable; NaN last, also when\n"
        "descending. The gradient goes back to where each entry came from.");
  order(
      "argsort", &argsort,
      "Indices (int64) that sort along the axis, of all elements in a row with axis=None. Stable; NaN last, also when\n"
      "descending.");
  m.def(
      "topk",
      [](const py::object& x, std::int64_t k, int axis, bool largest) {
        const Tensor t = operand(x, "topk");
        const TopK found = run(t, [&] { return topk(t, k, axis, largest); });
        return py::make_tuple(found.values, found.indices);
      },
      "x"_a, "k"_a, "axis"_a = -1, py::kw_only(), "largest"_a = true,
      "(values, indices) of the k largest entries along the axis, or smallest, in their order; NaN counts last.");
}

void bind_structured(py::module_& m) {
  m.def(
      "matmul",
      [](const py::object& a, const py::object& b, bool transpose_a, bool transpose_b) {
        const bool kept = recorded(a) || recorded(b);
        const Tensor x = kept ? to_tensor(a, "matmul") : borrow(a, "matmul");
        const Tensor y = kept ? to_tensor(b, "matmul") : borrow(b, "matmul");
        return released_if(x.size() > release_threshold || y.size() > release_threshold,
                           [&] { return matmul(x, y, transpose_a, transpose_b); });
      },
      "a"_a, "b"_a, py::kw_only(), "transpose_a"_a = false, "transpose_b"_a = false,
      "Matrix product (..., m, k) x (..., k, n) -> (..., m, n); leading sizes broadcast; the flags read an operand "
      "with its\n"
      "last two axes exchanged.");
  m.def(
      "outer", [](const py::object& a, const py::object& b) { return call_binary(&outer, a, b, "outer"); }, "a"_a,
      "b"_a, "Outer product a[i] b[j] of the flattened operands.");
  m.def(
      "softmax",
      [](const py::object& x, int axis) {
        const Tensor t = borrow(x, "softmax");
        return run(t, [&] { return softmax(t, axis); });
      },
      "x"_a, "axis"_a = -1, "e^x / sum(e^x) along the axis; its Jacobian is diag(s) - s s'.");
  m.def(
      "log_softmax",
      [](const py::object& x, int axis) {
        const Tensor t = borrow(x, "log_softmax");
        return run(t, [&] { return log_softmax(t, axis); });
      },
      "x"_a, "axis"_a = -1, "log(softmax(x)) along the axis, without overflow.");
  m.def(
      "softmax_cross_entropy",
      [](const py::object& logits, const py::object& labels, double label_smoothing,
         std::optional<std::int64_t> ignore_index) {
        return softmax_cross_entropy(operand(logits, "softmax_cross_entropy"), operand(labels, "softmax_cross_entropy"),
                                     label_smoothing, ignore_index);
      },
      "logits"_a, "labels"_a, py::kw_only(), "label_smoothing"_a = 0.0, "ignore_index"_a = py::none(),
      "Per-sample loss log(sum(e^x)) - x[label] of logits (..., C) and labels (...). Ignored labels give 0.");
  m.def(
      "dropout", [](const py::object& x, double p) { return dropout(operand(x, "dropout"), p); }, "x"_a, "p"_a,
      "Each element is zeroed with probability p, the rest divided by 1 - p.");
}

}  // namespace

void bind_ops(py::module_& m) {
  bind_elementwise(m);
  bind_reductions(m);
  bind_scans(m);
  bind_order(m);
  bind_structured(m);
}

}  // namespace chainrule::python
