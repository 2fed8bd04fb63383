// The Python class nn.Module: calling, parameters, states, files, copies. The layers are in bind_layers.cpp, what makes
// Python-defined modules work in py_module.cpp.
#include "calls.hpp"
#include "py_module.hpp"
#include "sources.hpp"
#include "watcher.hpp"

namespace chainrule::python {

using nn::Module;
using nn::ModuleImpl;

py::object predict_arrays(const Module& model, const py::object& x, std::int64_t batch_size,
                          const std::string& output) {
  std::vector<Tensor> results;
  // A tuple of rows that are no arrays is one input, as a list is.
  bool several = PyTuple_Check(x.ptr()) != 0;
  if (several)
    for (py::handle item : x) several = several && (is_tensor(item) || py::isinstance<py::array>(item));
  if (is_source(x)) {
    const std::shared_ptr<data::Source> source = to_source(x, "predict");
    results = interruptible([&](const std::function<bool()>& on_wait) {
      return chainrule::predict(model, source, batch_size, output, on_wait);
    });
  } else {
    const std::vector<Tensor> inputs =
        several ? borrow_inputs(x, "predict") : std::vector<Tensor>{borrow(x, "predict")};
    const Unlocked unlocked;
    results = chainrule::predict(model, inputs, batch_size, output);
  }
  if (results.size() == 1) return to_numpy(results[0]);
  py::tuple arrays(results.size());
  for (std::size_t i = 0; i < results.size(); ++i) arrays[i] = to_numpy(results[i]);
  return arrays;
}

py::object wrap_module(const Module& module) { return py::cast(module.impl()); }

Module unwrap_module(py::handle value, const char* op) {
  if (!py::isinstance<ModuleImpl>(value))
    throw DTypeError(std::string(op) + ": expected a module, got " + type_name(value));
  return Module(value.cast<std::shared_ptr<ModuleImpl>>());
}

namespace {

Module handle(const py::object& self) { return Module(self.cast<std::shared_ptr<ModuleImpl>>()); }

// Not those that a transform differentiates now: of them a copy would lose the gradient.
void check_values_are_own(const Module& module, const char* op) {
  for (const Tensor& p : module.parameters()) {
    const Tensor& now = nn::ParameterScope::present(p);
    if (now.data_handle() != p.data_handle()) check_is_no_result(now, op);
  }
}

py::object call(const py::object& self, const py::args& args) {
  const Module module = handle(self);
  std::vector<Tensor> inputs;
  for (py::handle arg : args) inputs.push_back(to_tensor(arg, "input"));
  if (inputs.empty()) throw ValueError(module->kind() + ": called without an input");
  const std::vector<Tensor> outputs = released_if(!defined_in_python(self), [&] { return module(inputs); });
  return from_tensors(outputs);
}

py::list parameter_list(const py::object& self) {
  py::list result;
  for (const Tensor& p : handle(self).parameters()) result.append(py::cast(Parameter(p)));
  return result;
}

py::list named(const std::vector<nn::NamedTensor>& tensors, bool parameters) {
  py::list result;
  for (const auto& [name, tensor] : tensors)
    result.append(py::make_tuple(name, parameters ? py::cast(Parameter(tensor)) : py::cast(tensor)));
  return result;
}

bool from_torch(const py::dict& state) {
  for (auto [_, value] : state)
    if (py::type::of(value).attr("__module__").cast<std::string>().starts_with("torch")) return true;
  return false;
}

void load_state(const py::object& self, const py::dict& state, const std::optional<std::string>& layout) {
  if (!layout && from_torch(state))
    throw ValueError(
        "load_state_dict: torch tensors need layout=: torch keeps Linear weights as (out, in), chainrule as (in, out), "
        "and a "
        "square one would load wrong without a sound; write layout=\"torch\" (or \"chainrule\" if they are already "
        "(in, out))");
  handle(self).load_state_dict(from_dict(state, "load_state_dict"), layout.value_or("chainrule"));
}

py::object predict(const py::object& self, const py::object& x, std::int64_t batch_size, const std::string& output) {
  return predict_arrays(handle(self), x, batch_size, output);
}

py::tuple reduce(const py::object& self) {
  const py::module_ core = py::module_::import("chainrule._core");
  if (defined_in_python(self))
    return py::make_tuple(core.attr("_make_empty"), py::make_tuple(py::type::of(self)), get_state(self), py::none(),
                          py::none(), core.attr("_set_state"));
  const Module module = handle(self);
  return py::make_tuple(core.attr("_unpickle"), py::make_tuple(py::bytes(module.to_bytes()), module.training()));
}

using ModuleClass = py::class_<ModuleImpl, PyModule, py::smart_holder>;

void bind_states(ModuleClass& c) {
  c.def("parameters", &parameter_list, "The parameters as a list, each once.");
  c.def(
      "named_parameters", [](const py::object& self) { return named(handle(self).named_parameters(), true); },
      "(name, parameter) pairs, each parameter once, by its first path.");
  c.def(
      "named_buffers", [](const py::object& self) { return named(handle(self).named_buffers(), false); },
      "(name, tensor) pairs of what is kept but not trained, such as running statistics.");
  c.def(
      "buffer",
      [](const py::object& self, const std::string& name, const py::object& value) {
        return self.cast<ModuleImpl&>().add_buffer(name, new_leaf(value, py::none(), "buffer"));
      },
      "name"_a, "value"_a,
      "Keep an array with the module: saved and copied with it, not trained. Reachable as an attribute.");
  c.def(
      "state_dict", [](const py::object& self) { return to_dict(handle(self).state_dict()); },
      "Copies of all parameters and buffers, by name, as NumPy arrays.");
  c.def("load_state_dict", &load_state, "state"_a, "layout"_a = py::none(),
        "Copy values in by name. layout=\"torch\": Linear weights are (out, in) and are transposed; torch tensors need "
        "the\n"
        "layout to be named. On any difference nothing is changed, and the error lists all of them.");
  c.def(
      "init",
      [](py::object self, const py::object& seed) {
        handle(self).init(to_seed(seed, "init"));
        return self;
      },
      "seed"_a, "Draw all parameters anew; buffers return to their start. Returns the module.");
  c.def(
      "astype",
      [](py::object self, const py::object& dtype) {
        handle(self).astype(to_dtype(dtype));
        return self;
      },
      "dtype"_a, "Convert all parameters and buffers in place. Returns the module.");
  c.def_property_readonly(
      "dtype", [](const py::object& self) { return std::string(name_of(handle(self).dtype())); },
      "Element type of the parameters; float32 where there are none.");
  c.def(
      "zero_grad",
      [](const py::object& self) {
        for (Tensor p : handle(self).parameters()) p.zero_grad();
      },
      "Forget the gradients of all parameters.");
  c.def(
      "requires_grad_",
      [](py::object self, bool on) {
        for (Tensor p : handle(self).parameters()) p.requires_grad_(on);
        return self;
      },
      "on"_a = true, "Set requires_grad of all parameters. Returns the module.");
}

void bind_modes(ModuleClass& c) {
  c.def(
      "train",
      [](py::object self, bool on) {
        handle(self).train(on);
        return self;
      },
      "on"_a = true, "Set train mode (dropout drops, BatchNorm1d uses batch statistics). Returns the module.");
  c.def(
      "eval",
      [](py::object self) {
        handle(self).eval();
        return self;
      },
      "Set eval mode. Returns the module.");
  c.def_property_readonly(
      "training", [](const py::object& self) { return self.cast<ModuleImpl&>().training(); },
      "True in train mode, which a new model is in; a loaded one is in eval mode.");
  c.def_property_readonly(
      "children",
      [](const py::object& self) {
        py::dict result;
        for (const auto& [name, child] : self.cast<ModuleImpl&>().children()) result[py::str(name)] = py::cast(child);
        return result;
      },
      "The modules this one is made of, by name.");
  c.def_property_readonly(
      "link", [](const py::object& self) { return handle(self).link(); },
      "How outputs become probabilities or classes: \"softmax\", \"sigmoid\", \"exp\", \"probability\" or\n"
      "\"identity\"; set by the Trainer from its loss.");
}

void bind_copies(ModuleClass& c, py::module_& m) {
  const auto clone = [](const py::object& self) {
    check_values_are_own(handle(self), "clone");
    return wrap_module(handle(self).clone());
  };
  c.def("clone", clone, "A copy with its own parameters, same values.");
  c.def(
      "copy_",
      [](py::object self, const py::object& source) {
        const Module from = unwrap_module(source, "copy_");
        check_values_are_own(from, "copy_");
        handle(self).copy_(from);
        return self;
      },
      "source"_a,
      "Take over the values of another module's parameters and buffers, by name and shape. Returns this one.");
  c.def(
      "lerp_",
      [](py::object self, const py::object& source, double weight) {
        const Module from = unwrap_module(source, "lerp_");
        check_values_are_own(from, "lerp_");
        handle(self).lerp_(from, weight);
        return self;
      },
      "source"_a, "weight"_a,
      "Move every parameter by weight * (source - own), by name and shape; buffers are copied. Returns this module.");
  c.def("__deepcopy__", [clone](const py::object& self, const py::dict&) { return clone(self); }, "memo"_a);
  c.def("__copy__", [](const py::object& self) -> py::object {
    throw StateError("copy: modules are handles; use the module itself to share it, or clone() for a copy of its own");
    return self;
  });
  c.def("__reduce__", &reduce);
  c.def("_set_group", &set_group, "name"_a, "container"_a);
  m.def("_make_empty", &make_empty, "cls"_a);
  m.def("_set_state", &set_state, "module"_a, "state"_a);
  m.def(
      "_unpickle",
      [](const py::bytes& bytes, bool training) {
        const std::string_view view = bytes;
        Model model = loads({reinterpret_cast<const unsigned char*>(view.data()), view.size()}, "pickle");
        model.train(training);
        return wrap_module(model);
      },
      "data"_a, "training"_a);
}

}  // namespace

void bind_nn(py::module_& m) {
  ModuleClass c(
      m, "Module", py::metaclass(module_metaclass()), py::dynamic_attr(),
      "A part of a network, or a whole one. Derive from it, assign layers, nn.Parameter(array) and lists of layers\n"
      "in __init__ (no super().__init__() needed), and write forward(self, x).");
  c.def(py::init_alias<>());
  c.def("__call__", &call,
        "Run the module on tensors or arrays; returns a tensor, or a tuple where forward returns one.");
  c.def(
      "__getattr__", [](const py::object& self, const std::string& name) { return get_attribute(self, name); },
      "name"_a);
  c.def("__setattr__", &set_attribute, "name"_a, "value"_a);
  c.def("__delattr__", &delete_attribute, "name"_a);
  c.def("__repr__", [](const py::object& self) { return handle(self).str(); });
  c.def("_repr_html_", [](const py::object& self) { return preformatted(handle(self).summary()); });
  c.def(
      "summary", [](const py::object& self) { return handle(self).summary(); },
      "A table: path, layer, output features, parameters.");
  c.def("predict", &predict, "x"_a, "batch_size"_a = 1024, "output"_a = "raw",
        "Outputs for all samples as a NumPy array, in eval mode whatever the flag says. output=\"proba\" gives "
        "probabilities\n"
        "and \"class\" labels, by the link of the loss it was trained with. Several inputs are a tuple of arrays, "
        "several\n"
        "outputs come as one; proba and class are of the first. x may be a source of chainrule.data, read window by "
        "window.");
  c.def_static("__init_subclass__", [](const py::kwargs&) {});
  bind_states(c);
  bind_modes(c);
  bind_copies(c, m);
}

}  // namespace chainrule::python
