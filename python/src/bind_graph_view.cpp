// The Python class Graph, trace, and Tensor.graph: what was recorded, to be looked at. Names come from the function's
// own arguments and variables.
#include "path.hpp"
#include "py_module.hpp"

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

// Adds value under the name, and what it holds where it is a module, list, tuple or dict of tensors.
void add_named(NamedTensors& into, const std::string& name, py::handle value, int depth = 0) {
  if (is_tensor(value)) {
    into.emplace_back(name, value.cast<const Tensor&>());
  } else if (py::isinstance<nn::ModuleImpl>(value)) {
    const nn::Module module = unwrap_module(value, "graph");
    const std::string prefix = name.empty() ? "" : name + ".";
    for (const auto& [path, parameter] : module.named_parameters()) into.emplace_back(prefix + path, parameter);
    for (const auto& [path, buffer] : module.named_buffers()) into.emplace_back(prefix + path, buffer);
  } else if (depth == 0 && (PyList_Check(value.ptr()) || PyTuple_Check(value.ptr()))) {
    std::size_t i = 0;
    for (py::handle item : value) add_named(into, name + "[" + std::to_string(i++) + "]", item, 1);
  } else if (depth == 0 && PyDict_Check(value.ptr())) {
    for (const auto& [key, item] : py::reinterpret_borrow<py::dict>(value))
      if (py::isinstance<py::str>(key)) add_named(into, name + "." + key.cast<std::string>(), item, 1);
  }
}

// While one lives, it watches f return and keeps the tensors in its variables then: names for what f computes.
class Locals {
 public:
  explicit Locals(const py::object& f) : sys_(py::module_::import("sys")), before_(sys_.attr("getprofile")()) {
    if (!PyFunction_Check(f.ptr())) return;
    const auto named = named_;
    const auto watch = [named, code = py::object(f.attr("__code__"))](const py::object& frame, const std::string& event,
                                                                      const py::object&) {
      if (event != "return" || frame.attr("f_code").ptr() != code.ptr()) return;
      named->clear();
      for (const auto& [name, value] : py::dict(frame.attr("f_locals")))
        if (is_tensor(value)) named->emplace_back(name.cast<std::string>(), value.cast<const Tensor&>());
    };
    sys_.attr("setprofile")(py::cpp_function(watch));
    watching_ = true;
  }
  ~Locals() {
    if (watching_) sys_.attr("setprofile")(before_);
  }
  Locals(const Locals&) = delete;
  Locals& operator=(const Locals&) = delete;
  std::shared_ptr<NamedTensors> named() const { return named_; }

 private:
  py::object sys_, before_;
  std::shared_ptr<NamedTensors> named_ = std::make_shared<NamedTensors>();
  bool watching_ = false;
};

// Those of the code that called: what a reader of the picture named.
NamedTensors variables_of_caller() {
  NamedTensors named;
  const py::object frame = py::module_::import("sys").attr("_getframe")(0);
  for (const char* scope : {"f_locals", "f_globals"})
    for (const auto& [name, value] : py::dict(frame.attr(scope))) {
      const std::string text = py::str(name);
      if (text[0] != '_') add_named(named, text, value);
    }
  return named;
}

NamedTensors all_variables(const py::object& f, const Locals& locals) {
  NamedTensors all = *locals.named();
  for (auto& variable : named_variables(f)) all.push_back(std::move(variable));
  return all;
}

py::dict tensors_by_name(const NamedTensors& tensors) {
  py::dict by_name;
  for (const auto& [name, tensor] : tensors) by_name[py::str(name)] = py::cast(tensor);
  return by_name;
}

}  // namespace

// The names that a function's code uses, with their values: what it closed over, then its globals.
NamedTensors named_variables(const py::object& f) {
  NamedTensors named;
  if (py::isinstance<nn::ModuleImpl>(f)) add_named(named, "", f);
  if (!PyFunction_Check(f.ptr())) return named;
  const py::object code = f.attr("__code__"), closure = f.attr("__closure__");
  std::size_t i = 0;
  if (!closure.is_none())
    for (py::handle name : code.attr("co_freevars")) {
      const py::object cell = closure[py::int_(i++)];
      if (py::hasattr(cell, "cell_contents")) add_named(named, name.cast<std::string>(), cell.attr("cell_contents"));
    }
  const py::dict globals = f.attr("__globals__");
  for (py::handle name : code.attr("co_names"))
    if (globals.contains(name)) add_named(named, name.cast<std::string>(), globals[name]);
  return named;
}

std::vector<std::string> argument_names(const py::object& f) {
  std::vector<std::string> names;
  if (!PyFunction_Check(f.ptr())) return names;
  const py::object code = f.attr("__code__");
  const auto count = code.attr("co_argcount").cast<std::size_t>();
  for (py::handle name : code.attr("co_varnames"))
    if (names.size() < count) names.push_back(name.cast<std::string>());
  return names;
}

void bind_graph_view(py::module_& m) {
  py::class_<Graph>(m, "Graph",
                    "A recorded computation: what trace(f, ...) or tensor.graph() returns.\n\n"
                    "print(graph) is a table with one line per value: name, op with inputs and attributes, shape, "
                    "dtype, FLOP, bytes that backward keeps, module. In a notebook it is drawn.")
      .def("__str__", &Graph::str)
      .def("__repr__",
           [](const Graph& g) {
             return "Graph(" + std::to_string(g.size()) + " nodes, " + std::to_string(g.flops()) + " FLOP)";
           })
      .def("_repr_html_",
           [](const Graph& g) {
             const Unlocked unlocked;
             return g.to_html();
           })
      .def("__len__", &Graph::size)
      .def_property_readonly("flops", &Graph::flops, "Floating-point operations of one run.")
      .def_property_readonly("saved_bytes", &Graph::saved_bytes,
                             "Bytes that backward keeps of one run, each array once; parameters are not counted.")
      .def("to_dot", &Graph::to_dot,
           "The graph in Graphviz's language: a picture for `dot`. Needs nothing installed.\n\n"
           "Modules are frames. Values stand in the boxes where they are known; gradients, in red, in the boxes and on "
           "the edges they came by.")
      .def(
          "to_svg",
          [](const Graph& g, const py::object& path) {
            const std::string file = path.is_none() ? std::string() : path_of(path);
            const Unlocked unlocked;
            return g.to_svg(file);
          },
          "path"_a = py::none(),
          "The picture as SVG text, also written to path if one is given. Drawn by Graphviz's program dot; StateError "
          "says\nwhat to install where it is missing. Up to 1000 ops.")
      .def("to_json", &Graph::to_json,
           "The graph as JSON text, for other programs: values, nodes, outputs, and what they cost.")
      .def(
          "with_values",
          [](const Graph& g, const py::args& args, const py::object& cotangent) {
            std::vector<Tensor> inputs, cotangents;
            for (py::handle arg : args) inputs.push_back(to_tensor(arg, "with_values"));
            if (PyTuple_Check(cotangent.ptr()))
              for (py::handle item : cotangent) cotangents.push_back(to_tensor_or_undefined(item, "with_values"));
            else if (!cotangent.is_none())
              cotangents.push_back(to_tensor(cotangent, "with_values"));
            return g.with_values(inputs, cotangents);
          },
          "cotangent"_a = py::none(),
          "The same graph run on these arguments, with all values; and all gradients, if it has one output of one "
          "element\nor cotangents are given (one per output: a tuple where there are several). No state is changed.")
      .def_property_readonly(
          "values", [](const Graph& g) { return tensors_by_name(g.values()); },
          "The known values by name: a dict of tensors, empty before with_values.")
      .def_property_readonly(
          "gradients", [](const Graph& g) { return tensors_by_name(g.gradients()); },
          "The known gradients by name: a dict of tensors.");
  m.def(
      "trace",
      [](const py::object& f, const py::args& examples) {
        if (PyCallable_Check(f.ptr()) == 0)
          throw DTypeError("trace: expected a function, got " + type_name(f) + "; write trace(f, *examples)");
        std::vector<Tensor> inputs;
        for (py::handle example : examples)
          inputs.push_back(is_tensor(example) ? example.cast<const Tensor&>() : new_tensor(example, py::none()));
        const Locals locals(f);
        const Graph graph = trace(to_function(f), inputs);
        return graph.named(argument_names(f), all_variables(f, locals));
      },
      "f"_a,
      "The Graph of what f does on tensors shaped like the examples, whose values are not read.\n\n"
      ">>> len(cr.trace(lambda x: cr.tanh(x).sum(), cr.ones((2, 3))))\n2");
  py::class_<Explanation>(m, "Explanation",
                          "What explain(f, ...) returns: printed, the chain rule for f step by step; in a notebook, a "
                          "table.")
      .def("__str__", &Explanation::str)
      .def("__repr__", &Explanation::str)
      .def("_repr_html_", &Explanation::to_html)
      .def_property_readonly("graph", &Explanation::graph, "The Graph of f with values and gradients.")
      .def_property_readonly("difference", &Explanation::difference,
                             "The largest difference between a derivative by the chain rule and the numeric one.");
  m.def(
      "explain",
      [](const py::object& f, const py::args& args, const py::object& cotangent) {
        if (PyCallable_Check(f.ptr()) == 0)
          throw DTypeError("explain: expected a function, got " + type_name(f) + "; write explain(f, *args)");
        std::vector<Tensor> x;
        for (py::handle arg : args) x.push_back(to_tensor(arg, "explain"));
        const Locals locals(f);
        ExplainOptions options;
        options.names = argument_names(f);
        options.cotangent = to_tensor_or_undefined(cotangent, "explain");
        options.variables = [&] { return all_variables(f, locals); };
        return explain(to_function(f), x, options);
      },
      "f"_a, "cotangent"_a = py::none(),
      "The chain rule for f at these arguments, step by step, computed in float64: every step with its value; "
      "backwards,\nwhat arrives at a step, its local derivatives and what it sends on, the sums where a value is used "
      "more "
      "than once;\nand the derivatives beside central differences. f returns one tensor; for several outputs the rows "
      "of "
      "the Jacobian\nare carried along, or the one product that a cotangent asks for. For up to 100 ops on values of "
      "up to "
      "64 elements.\n\n>>> cr.explain(lambda x, y: x * y + x, 2.0, 5.0).graph.gradients[\"x\"].item()\n6.0");
  const py::object tensor = m.attr("Tensor");
  const auto graph_of = [](const Tensor& t) { return t.graph().named({}, variables_of_caller()); };
  tensor.attr("graph") = py::cpp_function(
      graph_of, py::name("graph"), py::is_method(tensor),
      "The Graph of what was recorded behind this tensor, with the values, and after backward() on it with the "
      "gradients.\n\nLeaves and results carry the names of the caller's variables.");
}

}  // namespace chainrule::python
