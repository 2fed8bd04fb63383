// The operators of Tensor, and their quick ways in.
#pragma once

#include "calls.hpp"

namespace chainrule::python {

struct Operator {
  const char *name, *reflected;
  Binary f;
  const char* op;
};
// The first five have slots of their own (fast_calls.cpp).
inline constexpr Operator operators[] = {
    {"__add__", "__radd__", &add, "add"},
    {"__sub__", "__rsub__", &subtract, "subtract"},
    {"__mul__", "__rmul__", &multiply, "multiply"},
    {"__truediv__", "__rtruediv__", &divide, "divide"},
    {"__matmul__", "__rmatmul__", &product, "matmul"},
    {"__pow__", "__rpow__", &power, "power"},
    {"__mod__", "__rmod__", &mod, "mod"},
    {"__eq__", nullptr, &equal, "equal"},
    {"__ne__", nullptr, &not_equal, "not_equal"},
    {"__lt__", nullptr, &less, "less"},
    {"__le__", nullptr, &less_equal, "less_equal"},
    {"__gt__", nullptr, &greater, "greater"},
    {"__ge__", nullptr, &greater_equal, "greater_equal"},
};

// What f returns, or null with Python's error set.
template <class F> PyObject* guarded(F&& f) noexcept {
  try {
    return f();
  } catch (py::error_already_set& error) { error.restore(); } catch (...) {
    py::detail::try_translate_exceptions();
  }
  return nullptr;
}

void bind_fast_calls(py::module_& m);  // last: for what is bound by then

}  // namespace chainrule::python
