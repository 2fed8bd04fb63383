// The Trainer's methods for a look at a training are in a file of their own.
#pragma once

#include "common.hpp"

namespace chainrule::python {

void bind_diagnostics(py::module_& m, py::class_<Trainer>& trainer);

}  // namespace chainrule::python
