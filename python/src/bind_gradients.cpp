// Tensor's gradients, backward, and whether operations are recorded.
#include "tensor_class.hpp"

namespace chainrule::python {
namespace {

// The cotangent to start from: what is not yet a tensor or an array is read in the output's own dtype.
Tensor to_gradient(py::handle value, const Tensor& output) {
  if (value.is_none()) return {};
  if (is_tensor(value) || py::hasattr(value, "__array__")) return to_tensor(value, "backward");
  return new_tensor(value, py::str(std::string(name_of(output.dtype()))));
}

void run_backward(const std::vector<Tensor>& tensors, const std::vector<Tensor>& gradients, bool retain_graph,
                  bool create_graph) {
  const Unlocked unlocked;
  backward(tensors, gradients, {.retain_graph = retain_graph, .create_graph = create_graph});
}

// None, or one gradient (or None) for each tensor.
std::vector<Tensor> to_gradients(const py::object& gradients, const std::vector<Tensor>& tensors) {
  std::vector<Tensor> result;
  if (gradients.is_none()) return result;
  if (!PyList_Check(gradients.ptr()) && !PyTuple_Check(gradients.ptr()))
    throw DTypeError("backward: gradients must be a list, one for each tensor, got " + type_name(gradients));
  for (py::handle g : gradients) {
    const bool known = result.size() < tensors.size();
    result.push_back(known ? to_gradient(g, tensors[result.size()]) : Tensor());
  }
  return result;
}

void bind_properties(TensorClass& c) {
  c.def_property(
      "requires_grad", &Tensor::requires_grad, [](Tensor& t, bool on) { t.requires_grad_(on); },
      "Whether operations on this tensor are recorded for backward().");
  c.def(
      "requires_grad_",
      [](py::object self, bool on) {
        self.cast<Tensor&>().requires_grad_(on);
        return self;
      },
      "on"_a = true, "Set requires_grad and return the tensor.");
  c.def_property(
      "grad",
      [](const Tensor& t) {
        const Tensor g = t.grad();
        if (!g.defined() && !t.is_leaf() && !t.retains_grad() &&
            PyErr_WarnEx(PyExc_UserWarning,
                         "grad: this tensor is the result of an operation, and backward() leaves no gradient there; "
                         "call t.retain_grad() before backward(), or read the .grad of the leaf it was computed from",
                         1) != 0)
          throw py::error_already_set();
        return tensor_or_none(g);
      },
      [](Tensor& t, const py::object& none) {
        if (!none.is_none())
          throw DTypeError("grad: only None can be assigned, which forgets the gradient, got " + type_name(none) +
                           "; backward(gradient) adds to it");
        t.zero_grad();
      },
      "The gradient that backward() has added up here, or None. Assigning None forgets it, as zero_grad() does.");
  c.def_property_readonly("is_leaf", &Tensor::is_leaf,
                          "False for the result of a recorded operation, True for any other tensor.");
  c.def(
      "retain_grad",
      [](py::object self) {
        self.cast<Tensor&>().retain_grad();
        return self;
      },
      "Let backward() leave a .grad in this result of an operation, too (leaves have one anyway). Returns the tensor.");
  c.def_property_readonly("retains_grad", &Tensor::retains_grad, "Whether retain_grad() was called on this result.");
  c.def("zero_grad", &Tensor::zero_grad, "Forget the gradient.");
  c.def(
      "backward",
      [](const Tensor& t, const py::object& gradient, bool retain_graph, bool create_graph) {
        run_backward({t}, {to_gradient(gradient, t)}, retain_graph, create_graph);
      },
      "gradient"_a = py::none(), "retain_graph"_a = false, "create_graph"_a = false,
      "Add the derivative of this tensor into .grad of every leaf that requires one.\n"
      "gradient: the cotangent to start from, of this tensor's shape; a tensor of one element can do without (it is "
      "1).\n"
      "retain_graph: keep what was recorded, for another backward; otherwise it is freed on the way.\n"
      "create_graph: record the backward too, so that gradients can be differentiated in turn; keeps the rest as "
      "well.");
  c.def("detach", &Tensor::detach, "The same values, cut off from what computed them.");
  c.def(
      "copy_",
      [](py::object self, const py::object& source) {
        Tensor& t = self.cast<Tensor&>();
        const Tensor values = borrow(source, "copy_");
        check_is_no_result(values, "copy_");
        t.copy_(values);
        return self;
      },
      "source"_a, "Copy values in, in place: same shape; the dtype is converted. Returns the tensor.");
}

void bind_recording(py::module_& m) {
  m.def("grad_enabled", &grad_enabled, "Whether operations are recorded for backward() now, on this thread.");
  m.def("set_grad_enabled", &set_grad_enabled, "on"_a, "Record from now on, or no longer, on this thread.");
  m.def(
      "stop_gradient", [](const py::object& x) { return stop_gradient(to_tensor(x, "stop_gradient")); }, "x"_a,
      "The same values; no gradient flows through, in traced and compiled functions either.");
  m.def(
      "backward",
      [](const py::object& tensors, const py::object& gradients, bool retain_graph, bool create_graph) {
        std::vector<Tensor> roots;
        if (is_tensor(tensors)) {
          roots = {tensors.cast<const Tensor&>()};
        } else {
          if (!PyList_Check(tensors.ptr()) && !PyTuple_Check(tensors.ptr()))
            throw DTypeError("backward: expected a tensor or a list of tensors to start from, got " +
                             type_name(tensors));
          for (py::handle t : tensors) {
            if (!is_tensor(t)) throw DTypeError("backward: expected tensors to start from, got " + type_name(t));
            roots.push_back(t.cast<const Tensor&>());
          }
        }
        run_backward(roots, to_gradients(gradients, roots), retain_graph, create_graph);
      },
      "tensors"_a, "gradients"_a = py::none(), py::kw_only(), "retain_graph"_a = false, "create_graph"_a = false,
      "backward() from several tensors at once: each recorded operation is visited once. gradients: a list with one "
      "for\n"
      "each tensor (None where it is 1), or None for all of them; the options are those of Tensor.backward.");
  m.def(
      "memory_use",
      [] {
        const MemoryUse use = memory_use();
        return py::dict("live"_a = use.live, "peak"_a = use.peak);
      },
      "Bytes of elements of all tensors: {'live': now, 'peak': at most since the start or reset_peak_memory()}. "
      "Memory\n"
      "shared with NumPy and the work space of compiled programs are not in it.");
  m.def("reset_peak_memory", &reset_peak_memory, "Let memory_use()['peak'] begin anew with what is live now.");
}

}  // namespace

void bind_gradients(TensorClass& c, py::module_& m) {
  bind_properties(c);
  bind_recording(m);
}

}  // namespace chainrule::python
