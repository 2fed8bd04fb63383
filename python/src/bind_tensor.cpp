// The Python class Tensor: conversion, operators, indexing, methods. Its gradients are in bind_gradients.cpp, ops as
// functions in bind_ops.cpp.
#include "fast_calls.hpp"
#include "indexing.hpp"
#include "tensor_class.hpp"

namespace chainrule::python {
namespace {

// Binary operators answer NotImplemented to what they cannot read, so that Python may ask the other operand.
void def_operator(TensorClass& c, const char* name, const char* reflected, Binary f, const char* op) {
  const auto forward = [f, op](const py::object& self, const py::object& other) -> py::object {
    if (!is_operand(other)) return py::reinterpret_borrow<py::object>(Py_NotImplemented);
    return py::cast(call_binary(f, self, other, op));
  };
  const auto backward = [f, op](const py::object& self, const py::object& other) -> py::object {
    if (!is_operand(other)) return py::reinterpret_borrow<py::object>(Py_NotImplemented);
    return py::cast(call_binary(f, other, self, op));
  };
  c.def(name, forward, py::is_operator());
  if (reflected != nullptr) c.def(reflected, backward, py::is_operator());
}

// & | ^ ~ are for bools alone: on integers NumPy means their bits.
void check_bool(const Tensor& t, const char* op) {
  if (t.dtype() != DType::boolean)
    throw DTypeError(std::string(op) + ": the operands must be bool, got " + std::string(name_of(t.dtype())) +
                     "; compare first, for instance (x > 0) & (x < 1)");
}
Tensor both(const Tensor& a, const Tensor& b) { return check_bool(a, "&"), check_bool(b, "&"), logical_and(a, b); }
Tensor either(const Tensor& a, const Tensor& b) { return check_bool(a, "|"), check_bool(b, "|"), logical_or(a, b); }
Tensor one_of(const Tensor& a, const Tensor& b) { return check_bool(a, "^"), check_bool(b, "^"), logical_xor(a, b); }

void bind_operators(TensorClass& c) {
  for (const Operator& o : operators) def_operator(c, o.name, o.reflected, o.f, o.op);
  def_operator(c, "__and__", "__rand__", &both, "&");
  def_operator(c, "__or__", "__ror__", &either, "|");
  def_operator(c, "__xor__", "__rxor__", &one_of, "^");
  c.def("__invert__", [](const Tensor& t) {
    check_bool(t, "~");
    return logical_not(t);
  });
  c.def("__neg__", [](const Tensor& t) { return negative(t); });
  c.def("__pos__", [](const Tensor& t) { return t; });
  c.def("__abs__", [](const Tensor& t) { return abs(t); });
  c.def("__hash__", [](const Tensor& t) { return std::hash<const void*>()(t.data_handle().get()); });
  // NumPy's functions, and its operators where an array stands on the left; the table is in chainrule/_numpy.py.
  c.def("__array_ufunc__", [](const Tensor&, const py::object& ufunc, const py::str& method, const py::args& args,
                              const py::kwargs& kwargs) {
    return py::module_::import("chainrule._numpy").attr("ufunc")(ufunc, method, args, kwargs);
  });
  c.def("__array_function__", [](const Tensor&, const py::object& function, const py::object&, const py::tuple& args,
                                 const py::dict& kwargs) {
    return py::module_::import("chainrule._numpy").attr("function")(function, args, kwargs);
  });
}

double to_number(const Tensor& t, const char* what) {
  check_has_values(t, what);
  if (t.size() != 1)
    throw ShapeError(std::string(what) + ": needs a tensor of one element, got shape " + t.shape().str() +
                     "; reduce it first, e.g. with .sum() or .max()");
  return t.item();
}

py::object item(const Tensor& t) {
  const double value = to_number(t, "item");
  switch (t.dtype()) {
    case DType::boolean:
      return py::bool_(value != 0.0);
    case DType::int32:
    case DType::int64:
    case DType::uint8:
      return to_numpy(t).attr("item")();
    default:
      return py::float_(value);
  }
}

// What NumPy calls for np.asarray(t), np.array([t, u]), a[0] = t and whatever else wants an array. In a function that
// is being differentiated or traced a gradient would be lost by it; elsewhere it is a look at the values.
py::object array_protocol(const py::object& self, const py::object& dtype, const py::object& copy) {
  const Tensor& t = self.cast<const Tensor&>();
  check_has_values(t, "numpy");
  check_gradient_is_kept(t);
  const bool may_share = py::isinstance<Parameter>(self) && (copy.is_none() || !copy.cast<bool>());
  py::object array = may_share ? live_view(t, self) : to_numpy(t);
  if (!may_share && !copy.is_none() && !copy.cast<bool>())
    throw ValueError("np.asarray(copy=False): the values of a Tensor are handed out as a copy");
  return dtype.is_none() ? array : array.attr("astype")(dtype, "copy"_a = false);
}

void bind_values(TensorClass& c) {
  c.def_property_readonly("shape", [](const Tensor& t) { return shape_tuple(t.shape()); }, "Sizes of the axes.");
  c.def_property_readonly("ndim", &Tensor::rank, "Number of axes.");
  c.def_property_readonly("size", &Tensor::size, "Number of elements.");
  c.def_property_readonly(
      "dtype", [](const Tensor& t) { return std::string(name_of(t.dtype())); }, "Name of the element type.");
  c.def_property_readonly("symbolic", &Tensor::symbolic,
                          "Whether it is traced: a place in a graph that has values when the graph runs.");
  c.def(
      "numpy", [](const Tensor& t) { return to_numpy(t); },
      "The values as a new NumPy array. A gradient ends there, as in item(), tolist(), float(t) and np.asarray(t).");
  c.def("__array__", &array_protocol, "dtype"_a = py::none(), "copy"_a = py::none());
  c.def("item", &item, "The only element as a Python number.");
  c.def(
      "tolist", [](const Tensor& t) { return to_numpy(t, "tolist").attr("tolist")(); },
      "The values as nested Python lists.");
  c.def("__float__", [](const Tensor& t) {
    const double value = to_number(t, "float");
    if (t.requires_grad() && differentiating() && written_by_numpy()) check_gradient_is_kept(t);
    return value;
  });
  c.def("__format__", [](const py::object& self, const py::object& spec) -> py::object {
    if (py::len(spec) == 0) return py::str(self);
    return py::module_::import("builtins").attr("format")(item(self.cast<const Tensor&>()), spec);
  });
  c.def("__int__", [](const Tensor& t) { return py::int_(item(t)); });
  c.def("__bool__", [](const Tensor& t) { return to_number(t, "bool") != 0.0; });
  c.def("__len__", [](const Tensor& t) {
    if (t.rank() == 0) throw ShapeError("len: a tensor of shape () has no length");
    return t.shape(0);
  });
  c.def("__getitem__", [](const Tensor& t, const py::object& index) { return index_tensor(t, index); }, "index"_a);
  c.def("__setitem__", [](const Tensor&, const py::object&, const py::object&) {
    throw StateError(
        "tensors are not written by index: t[...] = v was given; use t = where(mask, v, t), or t.copy_(array) for the "
        "whole tensor");
  });
  c.def("__iter__", [](const Tensor& t) {
    if (t.rank() == 0) throw ShapeError("iter: a tensor of shape () cannot be iterated over");
    py::list rows;
    for (std::int64_t i = 0; i < t.shape(0); ++i) rows.append(py::cast(index_tensor(t, py::int_(i))));
    return py::iter(rows);
  });
  c.def("__contains__",
        [](const Tensor& t, const py::object& value) { return to_numpy(t, "in").attr("__contains__")(value); });
  c.def("__repr__", &Tensor::str);
  c.def("__str__", &Tensor::str);
  c.def("_repr_html_", [](const Tensor& t) { return preformatted(t.str()); });
  c.def("__copy__", [](const py::object& self) {
    const Tensor& t = self.cast<const Tensor&>();
    return py::isinstance<Parameter>(self) ? py::cast(Parameter(t)) : py::cast(t);
  });
  c.def("__deepcopy__", [](const py::object& self, const py::dict&) {
    const Tensor& t = self.cast<const Tensor&>();
    Tensor copy = new_leaf(self, py::none(), "deepcopy");
    if (t.requires_grad()) copy.requires_grad_(true);
    return py::isinstance<Parameter>(self) ? py::cast(Parameter(copy)) : py::cast(copy);
  });
  c.def("__reduce__", [](const py::object& self) {
    const Tensor& t = self.cast<const Tensor&>();
    check_is_no_result(t, "pickle");
    return py::make_tuple(py::type::of(self), py::make_tuple(to_numpy(t), t.requires_grad()));
  });
}

Dims shape_arguments(const py::args& args, const char* op) {
  const bool one_sequence = args.size() == 1 && !PyIndex_Check(args[0].ptr());
  return to_shape(one_sequence ? py::object(args[0]) : py::object(args), op);
}

void bind_methods(TensorClass& c) {
#define CHAINRULE_METHOD(name, Struct, doc) \
  c.def(#name, [](const Tensor& t) { return released_if(t.size() > release_threshold, [&] { return name(t); }); }, doc);
  CHAINRULE_UNARY_OPS(CHAINRULE_METHOD)
#undef CHAINRULE_METHOD
  using Reduction = Tensor (*)(const Tensor&, const Dims&, bool);
  const auto reduction = [&c](const char* name, Reduction f, const char* doc) {
    c.def(
        name,
        [f, name](const Tensor& t, const py::object& axis, bool keepdims) {
          const Dims axes = to_axes(axis, name);
          return released_if(t.size() > release_threshold, [&] { return f(t, axes, keepdims); });
        },
        "axis"_a = py::none(), "keepdims"_a = false, doc);
  };
  reduction("sum", &sum, "Sum over the axes; all of them by default.");
  reduction("mean", &mean, "Mean over the axes; all of them by default.");
  reduction("prod", &prod, "Product over the axes; all of them by default.");
  reduction("max", &max, "Largest element along the axes; all of them by default.");
  reduction("min", &min, "Smallest element along the axes; all of them by default.");
  reduction("logsumexp", &logsumexp, "log(sum(e^x)) over the axes, without overflow.");
  const auto spread = [&c](const char* name, Tensor (*f)(const Tensor&, const Dims&, bool, int), const char* doc) {
    c.def(
        name,
        [f, name](const Tensor& t, const py::object& axis, bool keepdims, int ddof) {
          return f(t, to_axes(axis, name), keepdims, ddof);
        },
        "axis"_a = py::none(), "keepdims"_a = false, "ddof"_a = 0, doc);
  };
  spread("var", &var, "Variance over the axes, divided by n - ddof.");
  spread("std", &chainrule::std, "Standard deviation over the axes, the root of var.");
  const auto place = [&c](const char* name, Tensor (*f)(const Tensor&, std::optional<int>, bool), const char* doc) {
    c.def(
        name, [f](const Tensor& t, std::optional<int> axis, bool keepdims) { return f(t, axis, keepdims); },
        "axis"_a = py::none(), "keepdims"_a = false, doc);
  };
  place("argmax", &argmax, "Index of the largest element (the first of equal ones).");
  place("argmin", &argmin, "Index of the smallest element (the first of equal ones).");
  c.def(
      "cumsum", [](const Tensor& t, std::optional<int> axis) { return cumsum(t, axis); }, "axis"_a = py::none(),
      "Running sums along the axis, of all elements in a row by default.");
  c.def(
      "softmax", [](const Tensor& t, int axis) { return softmax(t, axis); }, "axis"_a = -1,
      "e^x / sum(e^x) along the axis.");
  c.def(
      "log_softmax", [](const Tensor& t, int axis) { return log_softmax(t, axis); }, "axis"_a = -1,
      "log(softmax(x)) along the axis, without overflow.");
  c.def(
      "clip",
      [](const Tensor& t, const py::object& low, const py::object& high) {
        return clip(t, to_tensor_or_undefined(low, "clip"), to_tensor_or_undefined(high, "clip"));
      },
      "low"_a = py::none(), "high"_a = py::none(), clip_doc);
  c.attr("round") = py::cpp_function([](const Tensor& t, int decimals) { return round(t, decimals); },
                                     py::name("round"), py::is_method(c), "decimals"_a = 0,
                                     "Rounded to so many decimals, halves to even; below 0 to tens, hundreds, ...");
  c.def(
      "__round__", [](const Tensor& t, std::optional<int> decimals) { return round(t, decimals.value_or(0)); },
      "decimals"_a = py::none());
  c.def(
      "astype", [](const Tensor& t, const py::object& dtype) { return t.astype(to_dtype(dtype)); }, "dtype"_a,
      "The values in another dtype.");
  c.def(
      "reshape", [](const Tensor& t, const py::args& shape) { return t.reshape(shape_arguments(shape, "reshape")); },
      "Another shape of the same size; one size may be -1.");
  c.def(
      "transpose",
      [](const Tensor& t, const py::args& axes) {
        const bool reversed = axes.empty() || (axes.size() == 1 && axes[0].is_none());
        return t.transpose(reversed ? Dims{} : shape_arguments(axes, "transpose"));
      },
      "Axes in the given order; reversed by default.");
  c.def_property_readonly("T", &Tensor::T, "The axes reversed.");
  c.def(
      "squeeze", [](const Tensor& t, const py::object& axis) { return squeeze(t, to_axes(axis, "squeeze")); },
      "axis"_a = py::none(), "Without the given axes of size 1; without all of them by default.");
  c.def(
      "expand_dims", [](const Tensor& t, int axis) { return expand_dims(t, axis); }, "axis"_a,
      "With a new axis of size 1.");
  c.def(
      "swapaxes", [](const Tensor& t, int axis1, int axis2) { return swapaxes(t, axis1, axis2); }, "axis1"_a, "axis2"_a,
      "Two axes exchanged.");
  c.def(
      "take",
      [](const Tensor& t, const py::object& indices, std::optional<int> axis) {
        return take(t, to_tensor(indices, "take"), axis);
      },
      "indices"_a, "axis"_a = py::none(), "Entries at the indices along the axis, of the flattened tensor by default.");
  reduction("any", &any, "Whether any element along the axes (all by default) is not 0.");
  reduction("all", &all, "Whether no element along the axes (all by default) is 0.");
  c.def("flatten", [](const Tensor& t) { return t.reshape({-1}); }, "All elements along one axis.");
}

}  // namespace

void bind_tensor(py::module_& m) {
  TensorClass c(m, "Tensor",
                "An array that may record how it was computed. Made with chainrule.tensor or by operations.");
  const auto make = [](const py::object& value, bool requires_grad) {
    Tensor t = new_leaf(value, py::none(), "Tensor");
    if (requires_grad) t.requires_grad_(true);
    return t;
  };
  c.def(py::init(make), "value"_a, "requires_grad"_a = false);
  bind_values(c);
  bind_operators(c);
  bind_gradients(c, m);
  bind_methods(c);
  py::class_<Parameter, Tensor>(m, "Parameter",
                                "A tensor that a module trains: it registers itself when assigned to one.")
      .def(py::init([](const py::object& value, bool requires_grad) {
             Parameter p(new_leaf(value, py::none(), "Parameter"));
             if (!is_floating(p.dtype()))
               throw DTypeError("Parameter: only floating-point values can be trained, got " +
                                std::string(name_of(p.dtype())) + "; pass floats, e.g. array.astype(np.float32)");
             p.requires_grad_(requires_grad);
             return p;
           }),
           "value"_a, "requires_grad"_a = true)
      .def(
          "numpy", [](const py::object& self) { return live_view(self.cast<const Parameter&>(), self); },
          "A read-only view of the values, which shows every later change.");
  bind_making(m);
}

}  // namespace chainrule::python
