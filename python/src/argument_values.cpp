// Arguments that are no tensors: dtypes, axes, shapes, lists of integers, seeds.
#include "common.hpp"

namespace chainrule::python {
namespace {

std::int64_t to_size(py::handle value, const char* op, const char* what) {
  const py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
  if (!index) {
    PyErr_Clear();
    throw DTypeError(std::string(op) + ": " + what + " must be an integer or a tuple of integers, got " +
                     type_name(value));
  }
  return index.cast<std::int64_t>();
}

template <class List> List to_list(py::handle value, const char* op, const char* what) {
  List list;
  if (is_sequence(value))
    for (py::handle item : value) list.push_back(to_size(item, op, what));
  else
    list.push_back(to_size(value, op, what));
  return list;
}

}  // namespace

DType to_dtype(py::handle value) {
  if (py::isinstance<py::str>(value)) return dtype_from_name(value.cast<std::string>());
  if (value.ptr() == reinterpret_cast<PyObject*>(&PyFloat_Type))
    throw DTypeError("dtype: float is ambiguous; write \"float32\" or \"float64\"");
  const py::object dtype = py::module_::import("numpy").attr("dtype")(value);
  return dtype_from_name(dtype.attr("name").cast<std::string>());
}

Dims to_axes(py::handle axis, const char* op) {
  if (axis.is_none()) return {};
  const Dims axes = to_list<Dims>(axis, op, "axis");
  if (axes.empty()) throw ValueError(std::string(op) + ": axis is an empty tuple; use axis=None for all axes");
  return axes;
}

Shape to_shape(py::handle shape, const char* op) { return to_list<Shape>(shape, op, "shape"); }

std::vector<Shape> to_shapes(py::handle shapes, const char* op) {
  if (!is_sequence(shapes))
    throw DTypeError(std::string(op) + ": input_shapes must be a list of shapes, one per input, got " +
                     type_name(shapes));
  std::vector<Shape> all;
  for (py::handle shape : shapes) all.push_back(to_shape(shape, op));
  return all;
}

std::vector<std::int64_t> to_integers(py::handle value, const char* op, const char* what) {
  if (py::isinstance<py::array>(value) || is_tensor(value))
    return to_list<std::vector<std::int64_t>>(value.attr("tolist")(), op, what);
  return to_list<std::vector<std::int64_t>>(value, op, what);
}

std::uint64_t to_seed(py::handle seed, const char* op) {
  const py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(seed.ptr()));
  if (index) {
    const unsigned long long value = PyLong_AsUnsignedLongLong(index.ptr());
    if (PyErr_Occurred() == nullptr) return value;
  }
  PyErr_Clear();
  throw ValueError(std::string(op) + ": seed must be an integer from 0 to 2**64 - 1, got " +
                   std::string(py::repr(seed)));
}

}  // namespace chainrule::python
