// The Python class Tensor while it is being bound, in several files.
#pragma once

#include "common.hpp"

namespace chainrule::python {

using TensorClass = py::class_<Tensor>;

void bind_gradients(TensorClass& c, py::module_& m);  // what records and follows records, and memory in use

}  // namespace chainrule::python
