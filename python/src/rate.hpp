// Where lr is taken: a number, a schedule or a Python function of the step.
#pragma once

#include "common.hpp"

namespace chainrule::python {

std::optional<optim::Rate> to_rate(py::handle value);  // none: it is no rate
py::object from_rate(const optim::Rate& rate);

}  // namespace chainrule::python

namespace pybind11::detail {

template <> struct type_caster<chainrule::optim::Rate> {
  PYBIND11_TYPE_CASTER(chainrule::optim::Rate, const_name("float | Schedule | collections.abc.Callable[[int], float]"));
  bool load(handle source, bool) {
    const auto rate = chainrule::python::to_rate(source);
    if (rate) value = *rate;
    return rate.has_value();
  }
  static handle cast(const chainrule::optim::Rate& rate, return_value_policy, handle) {
    return chainrule::python::from_rate(rate).release();
  }
};

}  // namespace pybind11::detail
