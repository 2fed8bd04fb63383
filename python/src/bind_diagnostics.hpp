// What belongs to the Trainer's class and is in files of its own.
#pragma once

#include "common.hpp"

namespace chainrule::python {

void bind_history(py::module_& m);
void bind_diagnostics(py::module_& m, py::class_<Trainer>& trainer);

}  // namespace chainrule::python
