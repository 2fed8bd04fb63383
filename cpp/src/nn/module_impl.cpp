// ModuleImpl: what a module is made of, its text and its start values. Calling it is in module_call.cpp.
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

// A leaf in memory of its own where the value is a result of an op or shares memory of the caller.
Tensor owned_leaf(const Tensor& value) {
  const TensorData& data = *value.data_handle();
  if (!data.node && !data.storage->borrowed && !data.weak && !data.constant) return value;
  return copy_of(value);
}

void check_value(const char* op, const std::string& name, const Tensor& value) {
  if (!value.defined()) fail<StateError>(op, "the tensor is undefined", name);
  if (value.symbolic())
    fail<StateError>(op, "the tensor has no values while a function is traced", name, "build modules outside of it");
}

bool contains(const ModuleImpl& module, const ModuleImpl* wanted) {
  if (&module == wanted) return true;
  for (const auto& [name, child] : module.children())
    if (contains(*child, wanted)) return true;
  return false;
}

}  // namespace

ModuleImpl::~ModuleImpl() = default;

std::string ModuleImpl::repr_arguments() const { return text_of(arguments(), 0, {}); }

std::string ModuleImpl::repr() const {
  std::string text = repr_arguments();
  for (const auto& [name, child] : children_) {
    if (!text.empty()) text += ", ";
    if (name.find_first_not_of("0123456789") != std::string::npos) text += name + "=";
    text += child->repr();
  }
  return kind() + "(" + text + ")";
}

void ModuleImpl::init_own(std::uint64_t, std::uint32_t) {
  for (const NamedTensor& start : starts_)
    for (auto* group : {&parameters_, &buffers_})
      for (NamedTensor& own : *group)
        if (own.name == start.name) own.tensor.copy_(start.tensor);
}

void ModuleImpl::check_name(const std::string& name, const char* op) const {
  if (name.empty() || name.front() == '.' || name.back() == '.' || name.find("..") != std::string::npos)
    fail<ValueError>(op, "a name and its parts between dots must not be empty", "'" + name + "'");
  bool taken = false;
  for (const NamedTensor& own : parameters_) taken |= own.name == name;
  for (const NamedTensor& own : buffers_) taken |= own.name == name;
  for (const auto& [other, child] : children_) taken |= other == name;
  if (taken) fail<ValueError>(op, "the name is taken", "'" + name + "'", "use another name");
}

Tensor& ModuleImpl::add_parameter(std::string name, Tensor value, bool keep_start) {
  check_name(name, "add_parameter");
  check_value("add_parameter", name, value);
  if (!is_floating(value.dtype()))
    fail<DTypeError>("add_parameter", "a parameter must be floating",
                     name + " is " + std::string(name_of(value.dtype())), "use astype, or add_buffer");
  value = owned_leaf(value);
  if (keep_start) starts_.push_back({name, copy_of(value)});
  value.requires_grad_(true);
  parameters_.push_back({std::move(name), std::move(value)});
  return parameters_.back().tensor;
}

Tensor& ModuleImpl::add_buffer(std::string name, Tensor value) {
  check_name(name, "add_buffer");
  check_value("add_buffer", name, value);
  value = owned_leaf(value);
  starts_.push_back({name, copy_of(value)});
  buffers_.push_back({std::move(name), std::move(value)});
  return buffers_.back().tensor;
}

void ModuleImpl::add_child(std::string name, std::shared_ptr<ModuleImpl> child) {
  check_name(name, "add_child");
  if (!child) fail<StateError>("add_child", "the module is undefined", name);
  if (contains(*child, this)) fail<ValueError>("add_child", "a module cannot contain itself", name);
  children_.emplace_back(std::move(name), std::move(child));
}

void ModuleImpl::remove(const std::string& name) {
  for (auto* group : {&parameters_, &buffers_, &starts_})
    std::erase_if(*group, [&](const NamedTensor& own) { return own.name == name; });
  std::erase_if(children_, [&](const auto& child) { return child.first == name; });
}

void ModuleImpl::set_training(bool on) {
  training_ = on;
  for (const auto& [name, child] : children_) child->set_training(on);
}

std::shared_ptr<ModuleImpl> ModuleImpl::clone_structure(const CloneChild& clone_child) const {
  if (!is_layer_kind(kind()))
    fail<StateError>("clone", "this kind of module cannot be rebuilt from its arguments", repr(),
                     "override clone_structure(), mostly to return std::make_shared of its own kind");
  auto copy = make_layer(kind(), arguments());
  for (const auto& [name, child] : children_) copy->add_child(name, clone_child(child));
  return copy;
}

}  // namespace chainrule::nn
