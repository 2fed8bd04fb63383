// Where fit and batches take samplers: those of C++, or Python objects with a method order(seed, epoch).
#pragma once

#include "common.hpp"

namespace chainrule::python {

void bind_samplers(py::module_& m);
// None: null. who: the call that errors name.
std::shared_ptr<const data::Sampler> to_sampler(const py::object& sampler, const char* who);

}  // namespace chainrule::python
