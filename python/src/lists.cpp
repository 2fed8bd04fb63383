// Nested lists: whether there are tensors in them, which are stacked by the op, or whose numbers they hold.
#include "common.hpp"

namespace chainrule::python {
namespace {

// The dtype of the first floating tensor in a nested list, which Python's numbers beside it take.
std::optional<DType> floating_dtype(py::handle value) {
  if (is_tensor(value)) {
    const DType dtype = value.cast<const Tensor&>().dtype();
    return is_floating(dtype) ? std::optional(dtype) : std::nullopt;
  }
  const Nesting level;
  if (is_sequence(value))
    for (py::handle item : value)
      if (const auto dtype = floating_dtype(item)) return dtype;
  return std::nullopt;
}

Tensor stacked_beside(py::handle list, const char* op, const std::optional<DType>& beside) {
  const Nesting level;
  std::vector<Tensor> parts;
  for (py::handle item : list) {
    if (is_sequence(item) && holds_tensor(item))
      parts.push_back(stacked_beside(item, op, beside));
    else if (is_sequence(item) && beside && has_python_numbers(item))
      parts.push_back(new_tensor(item, py::str(std::string(name_of(*beside)))).freeze());
    else
      parts.push_back(to_tensor(item, op));
    if (!(parts.back().shape() == parts.front().shape()))
      throw ShapeError(std::string(op) + ": the entries of a list have different shapes: " +
                       parts.front().shape().str() + " and " + parts.back().shape().str() + "; all must be equal");
  }
  return stack(parts);
}

}  // namespace

bool is_numpy_scalar(py::handle value) {
  static const py::handle generic = py::object(py::module_::import("numpy").attr("generic")).release();
  return PyObject_TypeCheck(value.ptr(), reinterpret_cast<PyTypeObject*>(generic.ptr())) != 0;
}

bool is_sequence(py::handle value) { return PyList_Check(value.ptr()) || PyTuple_Check(value.ptr()); }

bool holds_tensor(py::handle value) {
  if (is_tensor(value)) return true;
  if (!is_sequence(value)) return false;
  const Nesting level;
  for (py::handle item : value)
    if (holds_tensor(item)) return true;
  return false;
}

bool has_python_numbers(py::handle value) {
  py::object first = py::reinterpret_borrow<py::object>(value);
  for (int depth = 0; is_sequence(first); ++depth) {
    if (py::len(first) == 0 || depth > Py_GetRecursionLimit()) return true;
    first = py::object(first[py::int_(0)]);
  }
  return !py::isinstance<py::array>(first) && !is_numpy_scalar(first);
}

Tensor stacked(py::handle list, const char* op) { return stacked_beside(list, op, floating_dtype(list)); }

}  // namespace chainrule::python
