// Indexing of tensors as Python writes it.
#pragma once

#include "common.hpp"

namespace chainrule::python {

Tensor index_tensor(const Tensor& t, const py::object& index);

}  // namespace chainrule::python
