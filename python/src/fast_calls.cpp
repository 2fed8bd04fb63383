// Ways in for calls that are over sooner than pybind11's dispatcher: operators and elementwise functions of tensors.
// What is not a plain tensor (or a Python number beside one) goes the usual way, which also says what is wrong.
#include "fast_calls.hpp"

#include "calls.hpp"

namespace chainrule::python {
namespace {

using Dispatcher = PyObject* (*)(PyObject*, PyObject* const*, std::size_t, PyObject*);

PyTypeObject* tensor_class = nullptr;
PyTypeObject* parameter_class = nullptr;

bool is_plain_tensor(PyObject* object) {
  const PyTypeObject* type = Py_TYPE(object);
  return type == tensor_class || type == parameter_class;
}

const Tensor& tensor_in(PyObject* object) {
  return *static_cast<const Tensor*>(reinterpret_cast<py::detail::instance*>(object)->simple_value_holder[0]);
}

// A new Python object, as py::cast makes it, but without an entry in pybind11's register. That finds the Python object
// of a C++ one that is handed out by reference, and this one never is.
PyObject* wrap(Tensor&& t) {
  auto value = std::make_unique<Tensor>(std::move(t));
  auto* self = reinterpret_cast<py::detail::instance*>(tensor_class->tp_alloc(tensor_class, 0));
  if (self == nullptr) throw py::error_already_set();
  self->simple_layout = self->owned = self->simple_holder_constructed = true;
  self->simple_value_holder[0] = value.get();
  static_assert(sizeof(value) <= sizeof(self->simple_value_holder) - sizeof(void*));
  new (&self->simple_value_holder[1]) std::unique_ptr<Tensor>(std::move(value));
  return reinterpret_cast<PyObject*>(self);
}

bool is_small(const Tensor& t) { return t.size() <= release_threshold; }

// A Python number beside a floating tensor is that tensor's dtype; undefined for everything else.
Tensor number_beside(PyObject* value, const Tensor& t) {
  if (t.symbolic() || !is_floating(t.dtype())) return {};
  if (PyFloat_CheckExact(value)) return Tensor::scalar(PyFloat_AS_DOUBLE(value), t.dtype()).freeze();
  if (!PyLong_CheckExact(value)) return {};
  int overflow = 0;
  const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
  return overflow ? Tensor() : Tensor::scalar(static_cast<double>(number), t.dtype()).freeze();
}

PyObject* operate(Binary f, const char* op, PyObject* a, PyObject* b) {
  if (is_plain_tensor(a)) {
    const Tensor& x = tensor_in(a);
    if (is_plain_tensor(b)) {
      const Tensor& y = tensor_in(b);
      if (is_small(x) && is_small(y)) return wrap(f(x, y));
    } else if (const Tensor y = number_beside(b, x); y.defined() && is_small(x)) {
      return wrap(f(x, y));
    }
  } else if (is_plain_tensor(b)) {
    const Tensor& y = tensor_in(b);
    if (const Tensor x = number_beside(a, y); x.defined() && is_small(y)) return wrap(f(x, y));
  }
  if (!is_operand(a) || !is_operand(b)) return Py_NewRef(Py_NotImplemented);
  return wrap(call_binary(f, a, b, op));
}

template <int which> PyObject* binary_slot(PyObject* a, PyObject* b) {
  return guarded([&] { return operate(operators[which].f, operators[which].op, a, b); });
}

// The C function behind a binding, with the one it had before.
Dispatcher exchange_function(const py::object& binding, Dispatcher fast) {
  PyMethodDef& definition =
      *py::detail::function_record_ptr_from_PyObject(PyCFunction_GET_SELF(py::detail::get_function(binding).ptr()))
           ->def;
  const auto before = reinterpret_cast<Dispatcher>(reinterpret_cast<void (*)()>(definition.ml_meth));
  definition.ml_meth = reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(fast));
  return before;
}

Dispatcher usual = nullptr;  // one and the same for all bindings

template <Unary f> PyObject* unary_function(PyObject* self, PyObject* const* args, std::size_t count, PyObject* names) {
  if (PyVectorcall_NARGS(count) == 1 && names == nullptr && is_plain_tensor(args[0]) && is_small(tensor_in(args[0])))
    return guarded([&] { return wrap(f(tensor_in(args[0]))); });
  return usual(self, args, count, names);
}

template <Binary f> PyObject* binary_function(PyObject* self, PyObject* const* args, std::size_t count,
                                              PyObject* names) {
  if (PyVectorcall_NARGS(count) == 2 && names == nullptr && is_plain_tensor(args[0]) && is_plain_tensor(args[1]) &&
      is_small(tensor_in(args[0])) && is_small(tensor_in(args[1])))
    return guarded([&] { return wrap(f(tensor_in(args[0]), tensor_in(args[1]))); });
  return usual(self, args, count, names);
}

}  // namespace

void bind_fast_calls(py::module_& m) {
  const py::object tensor = m.attr("Tensor"), parameter = m.attr("Parameter");
  tensor_class = reinterpret_cast<PyTypeObject*>(tensor.ptr());
  parameter_class = reinterpret_cast<PyTypeObject*>(parameter.ptr());
  for (PyTypeObject* type : {tensor_class, parameter_class}) {
    PyNumberMethods& slots = *type->tp_as_number;
    slots.nb_add = binary_slot<0>;
    slots.nb_subtract = binary_slot<1>;
    slots.nb_multiply = binary_slot<2>;
    slots.nb_true_divide = binary_slot<3>;
    slots.nb_matrix_multiply = binary_slot<4>;
  }
#define CHAINRULE_FAST_UNARY(name, Struct, doc)                    \
  usual = exchange_function(m.attr(#name), unary_function<&name>); \
  exchange_function(tensor.attr(#name), unary_function<&name>);
#define CHAINRULE_FAST_BINARY(name, Struct, doc) exchange_function(m.attr(#name), binary_function<&name>);
  CHAINRULE_UNARY_OPS(CHAINRULE_FAST_UNARY)
  CHAINRULE_BINARY_OPS(CHAINRULE_FAST_BINARY)
  CHAINRULE_COMPARISON_OPS(CHAINRULE_FAST_BINARY)
#undef CHAINRULE_FAST_UNARY
#undef CHAINRULE_FAST_BINARY
}

}  // namespace chainrule::python
