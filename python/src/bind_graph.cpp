// Functions of tensors, traced and printed.
#include "common.hpp"

namespace chainrule::python {

Function to_function(const py::object& f) {
  if (PyCallable_Check(f.ptr()) == 0) throw DTypeError("expected a function of tensors, got " + type_name(f));
  return [function = hold(f)](const std::vector<Tensor>& inputs) {
    const py::gil_scoped_acquire locked;
    py::tuple arguments(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) arguments[i] = py::cast(inputs[i]);
    const py::object result = held(function)(*arguments);
    if (result.is_none()) throw ValueError("the function returned None; return a tensor or a tuple of tensors");
    return to_tensors(result, "function");
  };
}

namespace {

std::vector<Tensor> primals(const py::args& args) {
  std::vector<Tensor> tensors;
  for (py::handle arg : args)
    tensors.push_back(is_tensor(arg) ? arg.cast<const Tensor&>() : new_tensor(arg, py::none()));
  return tensors;
}

void check_function(const py::object& f, const char* op) {
  if (PyCallable_Check(f.ptr()) == 0)
    throw DTypeError(std::string(op) + ": expected a function, got " + type_name(f) + "; write " + op + "(f)(x)");
}

}  // namespace

void bind_graph(py::module_& m) {
  py::class_<Graph>(m, "Graph", "A recorded computation; printed, one line per operation.")
      .def("__str__", &Graph::str)
      .def("__repr__",
           [](const Graph& g) {
             return "Graph(" + std::to_string(g.size()) + " nodes, " + std::to_string(g.flops()) + " FLOP)";
           })
      .def("__len__", &Graph::size)
      .def_property_readonly("flops", &Graph::flops, "Floating-point operations of one run.");
  m.def(
      "trace",
      [](const py::object& f, const py::args& examples) {
        check_function(f, "trace");
        return trace(to_function(f), primals(examples));
      },
      "f"_a, "Record what f does on tensors shaped like the examples.");
}

}  // namespace chainrule::python
