// Where fit takes callbacks: those of C++, Python objects with the same methods, or functions.
#pragma once

#include "common.hpp"

namespace chainrule::python {

// who: the call that errors name.
std::vector<std::shared_ptr<Callback>> to_callbacks(const py::object& callbacks, const std::string& who);

}  // namespace chainrule::python
