// Parameters and groups of parameters, as optimizers take them.
#pragma once

#include "common.hpp"

namespace chainrule::python {

// The parameters of Adam(params), with their names where these are given.
std::vector<nn::NamedTensor> parameters_of(const py::object& params, const char* name);
std::vector<Tensor> tensors_of(const std::vector<nn::NamedTensor>& named);
// What every optimizer takes beside its own arguments.
optim::GroupOptions group_options(const char* optimizer, const py::object& groups, bool decay_bias_and_norm);
bool are_groups(const py::object& params);
std::vector<optim::Group> to_groups(const char* optimizer, const py::object& params);
py::dict from_groups(const std::vector<optim::NamedGroup>& groups);  // as they are written

}  // namespace chainrule::python
