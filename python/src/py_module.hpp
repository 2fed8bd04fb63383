// Modules defined in Python: the C++ object behind them, the metaclass that makes it, and what assigning an attribute
// registers.
#pragma once

#include <pybind11/trampoline_self_life_support.h>

#include "common.hpp"

namespace chainrule::python {

// Stands behind a Python class derived from nn.Module. C++ may hold it longer than Python does.
class PyModule : public nn::ModuleImpl, public py::trampoline_self_life_support {
 public:
  std::vector<Tensor> forward(const std::vector<Tensor>& inputs) override;
  std::string kind() const override;
  std::string repr_arguments() const override { return {}; }
  std::shared_ptr<nn::ModuleImpl> clone_structure(const CloneChild& clone_child) const override;

 private:
  py::handle self() const;
  std::shared_ptr<nn::ModuleImpl> clone_object(const CloneChild& clone_child) const;  // with the GIL
};

// What a list or dict of modules becomes: a child whose children are numbered or named as in the container.
class ModuleGroup final : public nn::ModuleImpl {
 public:
  explicit ModuleGroup(std::string kind) : kind_(std::move(kind)) {}
  std::vector<Tensor> forward(const std::vector<Tensor>& inputs) override;
  std::string kind() const override { return kind_; }
  std::string repr_arguments() const override { return {}; }
  std::shared_ptr<nn::ModuleImpl> clone_structure(const CloneChild& clone_child) const override;

 private:
  std::string kind_;
};

// The Python class of the built-in layer that the handle class H makes. Never instantiated: it only gives pybind11 a
// type to file the Python class under, since the layers' own implementation classes are private to the library.
template <class H> struct Kind : nn::ModuleImpl {};

// Kinds by name, for handing modules to Python as the class they were made from.
void register_kind(const std::string& kind, const std::type_info& type);
const std::type_info* find_kind(const std::string& kind);

py::object module_metaclass();
// True for instances of classes written in Python, false for built-in layers.
bool defined_in_python(py::handle module);

// Registers the modules in a list, tuple or dict as the child `name`, in place of what was there.
void set_group(const py::object& self, const std::string& name, const py::object& container);

// A Python-defined module as (attributes, parameters, buffers, mode), and back into one that make_empty made.
py::tuple get_state(const py::object& self);
void set_state(const py::object& self, const py::tuple& state);
py::object make_empty(const py::object& type);

py::object get_attribute(const py::object& self, const std::string& name);
void set_attribute(const py::object& self, const py::str& name, const py::object& value);
void delete_attribute(const py::object& self, const py::str& name);

}  // namespace chainrule::python

namespace pybind11 {

// A module appears in Python as the class of its kind; one defined in Python always has its own object already.
template <> struct polymorphic_type_hook<chainrule::nn::ModuleImpl> {
  static const void* get(const chainrule::nn::ModuleImpl* source, const std::type_info*& type) {
    if (source != nullptr && dynamic_cast<const chainrule::python::PyModule*>(source) == nullptr)
      type = chainrule::python::find_kind(source->kind());
    return source;
  }
};

}  // namespace pybind11
