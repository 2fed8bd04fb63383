// Parameters and groups of parameters, as optimizers take them.
#include "optim_arguments.hpp"

#include "rate.hpp"

namespace chainrule::python {
namespace {

nn::ArgumentValue to_value(const char* optimizer, const std::string& name, py::handle value) {
  if (PyBool_Check(value.ptr()) != 0) return value.cast<bool>();
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  if (PyTuple_Check(value.ptr()) || PyList_Check(value.ptr())) {
    std::vector<double> numbers;
    for (py::handle number : value) {
      if (PyNumber_Check(number.ptr()) == 0)
        throw DTypeError(std::string(optimizer) + ": " + name + " must be numbers, got " + type_name(number));
      numbers.push_back(number.cast<double>());
    }
    return numbers;
  }
  if (const auto rate = to_rate(value)) return *rate;
  throw DTypeError(std::string(optimizer) + ": " + name + " cannot be " + type_name(value) + " in a group");
}

// Without "params", which a group has where groups are lists of parameters.
nn::Arguments to_arguments(const char* optimizer, py::handle given) {
  nn::Arguments arguments;
  for (const auto& [name, value] : given.cast<py::dict>()) {
    const std::string text = py::str(name);
    if (text != "params") arguments.emplace_back(text, to_value(optimizer, text, value));
  }
  return arguments;
}

std::vector<std::string> to_patterns(const char* optimizer, py::handle given) {
  if (py::isinstance<py::str>(given)) return {given.cast<std::string>()};
  if (!PyTuple_Check(given.ptr()))
    throw DTypeError(std::string(optimizer) + ": groups are told by patterns of names, got " + type_name(given) +
                     "; write {\"*.bias\": {\"weight_decay\": 0.0}}");
  std::vector<std::string> patterns;
  for (py::handle pattern : given) {
    if (!py::isinstance<py::str>(pattern))
      throw DTypeError(std::string(optimizer) + ": patterns of names are strings, got " + type_name(pattern));
    patterns.push_back(pattern.cast<std::string>());
  }
  return patterns;
}

}  // namespace

std::vector<nn::NamedTensor> parameters_of(const py::object& params, const char* name) {
  if (PyFloat_Check(params.ptr()) || PyLong_Check(params.ptr()))
    throw DTypeError(std::string(name) + ": the first argument is the parameters, got " +
                     std::string(py::repr(params)) + "; write lr=" + std::string(py::repr(params)));
  if (py::isinstance<nn::ModuleImpl>(params))
    throw DTypeError(std::string(name) + ": expected a list of parameters, got a module; write model.parameters()");
  std::vector<nn::NamedTensor> named;
  if (is_tensor(params)) {
    named.push_back({"", params.cast<const Tensor&>()});
    return named;
  }
  for (py::handle item : params) {
    py::handle value = item;
    std::string own_name;
    if (PyTuple_Check(item.ptr()) && PyTuple_GET_SIZE(item.ptr()) == 2) {  // (name, p)
      value = PyTuple_GET_ITEM(item.ptr(), 1);
      if (PyUnicode_Check(PyTuple_GET_ITEM(item.ptr(), 0)))
        own_name = py::handle(PyTuple_GET_ITEM(item.ptr(), 0)).cast<std::string>();
    }
    if (PyDict_Check(item.ptr()))
      throw DTypeError(std::string(name) +
                       ": parameters are given alone or in groups, not both; write "
                       "[{\"params\": model.parameters()}]");
    if (!is_tensor(value))
      throw DTypeError(std::string(name) + ": parameters must be tensors, got " + type_name(item) +
                       "; write model.parameters(), or cr.tensor(a, requires_grad=True)");
    named.push_back({std::move(own_name), value.cast<const Tensor&>()});
  }
  return named;
}

std::vector<Tensor> tensors_of(const std::vector<nn::NamedTensor>& named) {
  std::vector<Tensor> tensors;
  for (const nn::NamedTensor& p : named) tensors.push_back(p.tensor);
  return tensors;
}

optim::GroupOptions group_options(const char* optimizer, const py::object& groups, bool decay_bias_and_norm) {
  optim::GroupOptions options;
  options.decay_bias_and_norm = decay_bias_and_norm;
  if (groups.is_none()) return options;
  if (!PyDict_Check(groups.ptr()))
    throw DTypeError(std::string(optimizer) + ": groups is a dict of patterns, got " + type_name(groups) +
                     "; write {\"*.bias\": {\"weight_decay\": 0.0}}, or give lists of parameters first");
  for (const auto& [patterns, arguments] : groups.cast<py::dict>()) {
    if (!PyDict_Check(arguments.ptr()))
      throw DTypeError(std::string(optimizer) + ": a group is a dict of arguments, got " + type_name(arguments) +
                       "; write {\"*.bias\": {\"weight_decay\": 0.0}}");
    if (arguments.contains("params"))
      throw ValueError(std::string(optimizer) +
                       ": a group by name has \"params\", but its parameters are those whose names fit " +
                       std::string(py::repr(patterns)) + "; write [{\"params\": [...], ...}] as the first argument");
    options.groups.push_back({to_patterns(optimizer, patterns), to_arguments(optimizer, arguments)});
  }
  return options;
}

bool are_groups(const py::object& params) {
  if (!PyList_Check(params.ptr()) && !PyTuple_Check(params.ptr())) return false;
  return py::len(params) > 0 && PyDict_Check(params[py::int_(0)].ptr());
}

std::vector<optim::Group> to_groups(const char* optimizer, const py::object& params) {
  std::vector<optim::Group> groups;
  for (py::handle item : params) {
    if (!PyDict_Check(item.ptr()) || !item.contains("params"))
      throw DTypeError(std::string(optimizer) + ": every group is a dict with \"params\", got " + type_name(item) +
                       "; write [{\"params\": a.parameters(), \"lr\": 1e-3}, ...]");
    groups.push_back({tensors_of(parameters_of(item["params"], optimizer)), to_arguments(optimizer, item)});
  }
  return groups;
}

py::dict from_groups(const std::vector<optim::NamedGroup>& groups) {
  py::dict all;
  for (const optim::NamedGroup& group : groups) {
    const py::object key = group.patterns.size() == 1 ? py::object(py::str(group.patterns[0]))
                                                      : py::object(py::tuple(py::cast(group.patterns)));
    all[key] = to_kwargs(group.arguments);
  }
  return all;
}

}  // namespace chainrule::python
