// What stands between a tensor and a Python value: a trace, or a gradient that would be lost. The user's line is named.
#include "common.hpp"

namespace chainrule::python {

std::string python_line() {
  PyFrameObject* frame = PyEval_GetFrame();  // borrowed
  if (frame == nullptr) return {};
  const auto code = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
  const auto path = code.attr("co_filename").cast<std::string>();
  return "line " + std::to_string(PyFrame_GetLineNumber(frame)) + " of " + path.substr(path.rfind('/') + 1) + ": ";
}

bool storing_an_item() {
  PyFrameObject* frame = PyEval_GetFrame();  // borrowed
  if (frame == nullptr) return false;
  static const int store = py::module_::import("opcode").attr("opmap")["STORE_SUBSCR"].cast<int>();
  const auto code = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
  const auto bytes = code.attr("co_code").cast<std::string>();
  const auto at = static_cast<std::size_t>(PyFrame_GetLasti(frame));
  return at < bytes.size() && static_cast<unsigned char>(bytes[at]) == store;
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

}  // namespace chainrule::python
