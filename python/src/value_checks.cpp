// What stands between a tensor and a Python value: a trace, or a gradient that would be lost. The user's line is named.
#include "common.hpp"

namespace chainrule::python {

std::string python_line() {
  PyFrameObject* frame = PyEval_GetFrame();  // borrowed
  if (frame == nullptr) return {};
  const py::object line = py::module_::import("chainrule._frames").attr("line");
  return line(py::handle(reinterpret_cast<PyObject*>(frame))).cast<std::string>();
}

bool written_by_numpy() {
  PyFrameObject* frame = PyEval_GetFrame();  // borrowed
  if (frame == nullptr) return false;
  const py::object writes = py::module_::import("chainrule._frames").attr("writes_numbers");
  return writes(py::handle(reinterpret_cast<PyObject*>(frame))).cast<bool>();
}

void check_has_values(const Tensor& t, const char* what) {
  if (t.symbolic())
    throw StateError(
        std::string(what) + ": " + python_line() +
        "a traced tensor has no value yet; keep it a tensor (where(condition, a, b) chooses between values), or "
        "run the function on values (grad does; compile, Trainer and save trace)");
}

void check_gradient_is_kept(const Tensor& t) {
  if (t.requires_grad() && grad_enabled() && (differentiating() || tracing()))
    throw StateError("numpy: " + python_line() + "the gradient of a tensor of shape " + t.shape().str() +
                     " would be lost in an array; keep it a tensor (cr.stack([a, b]) joins tensors), or write "
                     "x.numpy() where only its values are meant");
}

void check_is_no_result(const Tensor& t, const char* op) {
  if (t.requires_grad() && grad_enabled() && (differentiating() || tracing()))
    throw StateError(
        std::string(op) + ": " + python_line() + "the gradient of a tensor of shape " + t.shape().str() +
        " would be lost in a copy; use the tensor itself, or, where only its values are meant, x.detach() or "
        "cr.no_grad()");
}

}  // namespace chainrule::python
