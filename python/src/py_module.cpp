// Modules defined in Python. Their children, parameters and buffers live in the C++ module; Python attributes reach
// them by name.
#include "py_module.hpp"

#include <algorithm>
#include <unordered_map>

namespace chainrule::python {
namespace {

using nn::ModuleImpl;

std::unordered_map<std::string, const std::type_info*>& kinds() {
  static std::unordered_map<std::string, const std::type_info*> map;
  return map;
}

PyTypeObject* module_type() { return reinterpret_cast<PyTypeObject*>(py::type::of<ModuleImpl>().ptr()); }

bool class_defined_in_python(PyTypeObject* type) {
  const auto& bases = py::detail::all_type_info(type);
  return bases.size() == 1 && bases[0]->type == module_type() && type != module_type();
}

// Calls a class derived from nn.Module. The C++ part is made before __init__ runs, so that __init__ can register
// attributes at once and need not call super().__init__().
extern "C" PyObject* call_module_class(PyObject* type, PyObject* args, PyObject* kwargs) {
  auto* cls = reinterpret_cast<PyTypeObject*>(type);
  if (cls == module_type()) {
    PyErr_SetString(PyExc_TypeError, "nn.Module: derive a class from it that defines forward(self, x)");
    return nullptr;
  }
  if (!class_defined_in_python(cls)) return py::detail::get_internals().default_metaclass->tp_call(type, args, kwargs);
  PyObject* self = cls->tp_new(cls, args, kwargs);
  if (self == nullptr) return nullptr;
  PyObject* base_init = PyObject_GetAttrString(reinterpret_cast<PyObject*>(module_type()), "__init__");
  PyObject* own_init = PyObject_GetAttrString(type, "__init__");
  PyObject* made = base_init == nullptr || own_init == nullptr ? nullptr : PyObject_CallOneArg(base_init, self);
  bool ok = made != nullptr;
  if (ok && own_init != base_init) {
    ok = cls->tp_init(self, args, kwargs) == 0;
  } else if (ok && (PyTuple_GET_SIZE(args) > 0 || (kwargs != nullptr && PyDict_GET_SIZE(kwargs) > 0))) {
    PyErr_Format(PyExc_TypeError, "%s() takes no arguments", cls->tp_name);
    ok = false;
  }
  Py_XDECREF(made);
  Py_XDECREF(base_init);
  Py_XDECREF(own_init);
  if (!ok) Py_CLEAR(self);
  return self;
}

py::object plain_dict(const py::object& self) { return self.attr("__dict__"); }

void set_plain(const py::object& self, const py::str& name, const py::object& value) {
  if (PyObject_GenericSetAttr(self.ptr(), name.ptr(), value.ptr()) != 0) throw py::error_already_set();
}

nn::NamedTensor* find(std::vector<nn::NamedTensor>& tensors, const std::string& name) {
  const auto it = std::ranges::find(tensors, name, &nn::NamedTensor::name);
  return it == tensors.end() ? nullptr : &*it;
}

bool contains(const ModuleImpl& tree, const ModuleImpl* wanted) {
  return &tree == wanted ||
         std::ranges::any_of(tree.children(), [&](const auto& child) { return contains(*child.second, wanted); });
}

bool is_container(py::handle value) {
  return PyList_Check(value.ptr()) || PyTuple_Check(value.ptr()) || PyDict_Check(value.ptr());
}

template <class Visit> void each_item(const py::object& container, const Visit& visit) {
  if (PyDict_Check(container.ptr())) {
    for (auto [key, item] : py::reinterpret_borrow<py::dict>(container))
      visit(std::string(py::str(key)), py::reinterpret_borrow<py::object>(item));
    return;
  }
  std::size_t i = 0;
  for (py::handle item : container) visit(std::to_string(i++), py::reinterpret_borrow<py::object>(item));
}

bool holds_modules(const py::object& container) {
  bool found = false;
  each_item(container, [&](const std::string&, const py::object& item) {
    found = found || py::isinstance<ModuleImpl>(item) || (is_container(item) && holds_modules(item));
  });
  return found;
}

std::shared_ptr<ModuleGroup> make_group(const py::object& container, const ModuleImpl& owner) {
  auto group = std::make_shared<ModuleGroup>(PyDict_Check(container.ptr()) ? "ModuleDict" : "ModuleList");
  each_item(container, [&](const std::string& name, const py::object& item) {
    if (py::isinstance<ModuleImpl>(item)) {
      auto child = item.cast<std::shared_ptr<ModuleImpl>>();
      if (contains(*child, &owner)) throw ValueError(name + ": a module cannot contain itself");
      group->add_child(name, std::move(child));
    } else if (is_container(item) && holds_modules(item)) {
      group->add_child(name, make_group(item, owner));
    }
  });
  return group;
}

void replace_parameter(nn::NamedTensor& slot, const Tensor& value) {
  if (value.shape() != slot.tensor.shape() || value.dtype() != slot.tensor.dtype())
    throw ShapeError(slot.name + ": a parameter can only be replaced by one of its shape and dtype: it is " +
                     slot.tensor.shape().str() + " " + std::string(name_of(slot.tensor.dtype())) + ", the new one " +
                     value.shape().str() + " " + std::string(name_of(value.dtype())));
  slot.tensor = value;
  slot.tensor.requires_grad_(true);
}

}  // namespace

void register_kind(const std::string& kind, const std::type_info& type) { kinds()[kind] = &type; }

const std::type_info* find_kind(const std::string& kind) {
  const auto it = kinds().find(kind);
  return it == kinds().end() ? nullptr : it->second;
}

py::object module_metaclass() {
  const py::handle base(reinterpret_cast<PyObject*>(py::detail::get_internals().default_metaclass));
  const py::handle type(reinterpret_cast<PyObject*>(&PyType_Type));
  py::object metaclass = type("ModuleType", py::make_tuple(base), py::dict("__module__"_a = "chainrule.nn"));
  reinterpret_cast<PyTypeObject*>(metaclass.ptr())->tp_call = &call_module_class;
  return metaclass;
}

bool defined_in_python(py::handle module) { return class_defined_in_python(Py_TYPE(module.ptr())); }

py::handle PyModule::self() const {
  return py::detail::get_object_handle(static_cast<const ModuleImpl*>(this),
                                       py::detail::get_type_info(typeid(ModuleImpl)));
}

std::string PyModule::kind() const {
  return with_gil([&] {
    const py::handle object = self();
    return object ? py::type::of(object).attr("__name__").cast<std::string>() : "Module";
  });
}

std::vector<Tensor> PyModule::forward(const std::vector<Tensor>& inputs) {
  return with_gil([&] {
    const py::object object = py::reinterpret_borrow<py::object>(self());
    if (!py::hasattr(object, "forward")) throw StateError("the class does not define forward(self, x)");
    py::tuple arguments(inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) arguments[i] = py::cast(inputs[i]);
    const py::object result = apply_python(object.attr("forward"), arguments);
    if (result.is_none()) throw ValueError("forward returned None; return a tensor or a tuple of tensors");
    return to_tensors(result, "forward");
  });
}

std::vector<Tensor> ModuleGroup::forward(const std::vector<Tensor>&) {
  throw StateError("a " + kind_ + " only holds modules: call those in it");
}

std::shared_ptr<ModuleImpl> ModuleGroup::clone_structure(const CloneChild& clone_child) const {
  auto copy = std::make_shared<ModuleGroup>(kind_);
  for (const auto& [name, child] : children()) copy->add_child(name, clone_child(child));
  return copy;
}

std::shared_ptr<ModuleImpl> PyModule::clone_structure(const CloneChild& clone_child) const {
  return with_gil([&] { return clone_object(clone_child); });
}

std::shared_ptr<ModuleImpl> PyModule::clone_object(const CloneChild& clone_child) const {
  const py::object object = py::reinterpret_borrow<py::object>(self());
  const py::object copy = make_empty(py::type::of(object));
  py::dict memo;  // the children's copies come from the caller, which copies a shared one once
  const auto remember = [&memo](const py::object& original, const py::object& made) {
    memo[py::int_(reinterpret_cast<std::uintptr_t>(original.ptr()))] = made;
  };
  std::vector<py::object> originals;  // an id is only good while its object lives
  const auto visit = [&](auto&& visit_again, const ModuleImpl& module) -> void {
    for (const auto& [name, child] : module.children()) {
      if (dynamic_cast<const ModuleGroup*>(child.get()) != nullptr) {
        visit_again(visit_again, *child);
      } else {
        originals.push_back(py::cast(child));
        remember(originals.back(), py::cast(clone_child(child)));
      }
    }
  };
  visit(visit, *this);
  remember(object, copy);
  set_state(copy, call_function("copy", "deepcopy", get_state(object), memo));
  return copy.cast<std::shared_ptr<ModuleImpl>>();
}

py::tuple get_state(const py::object& self) {
  auto& module = self.cast<ModuleImpl&>();
  py::list parameters, buffers;
  for (const auto& [name, tensor] : module.own_parameters()) parameters.append(py::make_tuple(name, Parameter(tensor)));
  for (const auto& [name, tensor] : module.own_buffers()) buffers.append(py::make_tuple(name, tensor));
  return py::make_tuple(plain_dict(self), parameters, buffers, module.training());
}

void set_state(const py::object& self, const py::tuple& state) {
  auto& module = self.cast<ModuleImpl&>();
  for (py::handle entry : state[1].cast<py::list>()) {
    const auto pair = entry.cast<py::tuple>();
    const auto& parameter = pair[1].cast<const Parameter&>();
    const bool trained = parameter.requires_grad();
    module.add_parameter(pair[0].cast<std::string>(), parameter).requires_grad_(trained);
  }
  for (py::handle entry : state[2].cast<py::list>()) {
    const auto pair = entry.cast<py::tuple>();
    module.add_buffer(pair[0].cast<std::string>(), pair[1].cast<const Tensor&>());
  }
  for (auto [name, value] : state[0].cast<py::dict>())
    set_attribute(self, py::reinterpret_borrow<py::str>(name), py::reinterpret_borrow<py::object>(value));
  module.set_training(state[3].cast<bool>());
}

py::object make_empty(const py::object& type) {  // without the class's own __init__
  py::object made = type.attr("__new__")(type);
  py::type::of<ModuleImpl>().attr("__init__")(made);
  return made;
}

py::object get_attribute(const py::object& self, const std::string& name) {
  auto& module = self.cast<ModuleImpl&>();
  if (const auto* parameter = find(module.own_parameters(), name)) return py::cast(Parameter(parameter->tensor));
  if (const auto* buffer = find(module.own_buffers(), name)) return py::cast(buffer->tensor);
  for (const auto& [child, impl] : module.children())
    if (child == name) return py::cast(impl);
  throw py::attribute_error("'" + module.kind() + "' object has no attribute '" + name + "'");
}

void set_attribute(const py::object& self, const py::str& name, const py::object& value) {
  auto& module = self.cast<ModuleImpl&>();
  const auto key = name.cast<std::string>();
  if (auto* slot = find(module.own_parameters(), key); slot != nullptr && !value.is_none()) {
    if (!is_tensor(value))
      throw DTypeError(key + ": a parameter is replaced by nn.Parameter(array); to change its values write ." + key +
                       ".copy_(array)");
    return replace_parameter(*slot, value.cast<const Tensor&>());
  }
  if (auto* slot = find(module.own_buffers(), key); slot != nullptr && !value.is_none()) {
    const Tensor source = borrow(value, key.c_str());
    if (source.symbolic())
      throw StateError(
          key + ": a buffer cannot be assigned inside a traced forward; nn.BatchNorm1d shows what can change there");
    return slot->tensor.copy_(source);
  }
  if (py::isinstance<Parameter>(value)) {
    module.remove(key);
    plain_dict(self).attr("pop")(name, py::none());
    const auto& parameter = value.cast<const Parameter&>();
    const bool trained = parameter.requires_grad();
    module.add_parameter(key, parameter).requires_grad_(trained);
    return;
  }
  if (py::isinstance<ModuleImpl>(value)) {
    auto child = value.cast<std::shared_ptr<ModuleImpl>>();
    if (contains(*child, &module)) throw ValueError(key + ": a module cannot contain itself");
    module.remove(key);
    set_plain(self, name, value);
    module.add_child(key, std::move(child));
    return;
  }
  module.remove(key);
  // An empty list or dict may be given modules later, so it, too, becomes one that registers them.
  if (is_container(value) && (holds_modules(value) || (!PyTuple_Check(value.ptr()) && py::len(value) == 0))) {
    set_plain(self, name, py::module_::import("chainrule._containers").attr("registering")(self, name, value));
    return;
  }
  set_plain(self, name, value);
}

void set_group(const py::object& self, const std::string& name, const py::object& container) {
  auto& module = self.cast<ModuleImpl&>();
  auto group = make_group(container, module);
  module.remove(name);
  if (!group->children().empty()) module.add_child(name, std::move(group));
}

void delete_attribute(const py::object& self, const py::str& name) {
  auto& module = self.cast<ModuleImpl&>();
  const auto key = name.cast<std::string>();
  const bool owned = find(module.own_parameters(), key) != nullptr || find(module.own_buffers(), key) != nullptr ||
                     std::ranges::any_of(module.children(), [&](const auto& child) { return child.first == key; });
  module.remove(key);
  if (owned)
    plain_dict(self).attr("pop")(name, py::none());
  else if (PyObject_GenericSetAttr(self.ptr(), name.ptr(), nullptr) != 0)
    throw py::error_already_set();
}

}  // namespace chainrule::python
