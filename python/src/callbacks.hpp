// Where fit takes callbacks: those of C++, Python objects with the same methods, or functions.
#pragma once

#include "common.hpp"

namespace chainrule::python {

// who: the call that errors name.
std::vector<std::shared_ptr<Callback>> to_callbacks(const py::object& callbacks, const std::string& who);

// The averages of weights are in a file of their own.
void bind_ema(py::module_& m);
void bind_swa(py::module_& m);

}  // namespace chainrule::python
