// Names and checks of functions that transforms take and return.
#include "tree_call.hpp"

namespace chainrule::python {

void check_function(const py::object& f, const char* op) {
  if (PyCallable_Check(f.ptr()) == 0)
    throw DTypeError(std::string(op) + ": expected a function, got " + type_name(f) + "; write " + op + "(f)(x)");
}

py::object named_like(const py::cpp_function& made, const py::object& f, const char* transform) {
  py::object wrapper = py::module_::import("functools").attr("partial")(one_line_errors(made));
  const std::string name = py::hasattr(f, "__name__") ? f.attr("__name__").cast<std::string>() : type_name(f);
  wrapper.attr("__name__") = std::string(transform) + "(" + name + ")";
  if (py::hasattr(f, "__doc__")) wrapper.attr("__doc__") = f.attr("__doc__");
  return wrapper;
}

}  // namespace chainrule::python
