// How op functions are called from Python: operands converted, arrays read in place where nothing keeps them, the GIL
// released for large work.
#pragma once

#include "common.hpp"

namespace chainrule::python {

using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);

// True where the op will be recorded, so that its operands outlive the call.
inline bool recorded(py::handle value) {
  if (!is_tensor(value)) return false;
  const Tensor& t = value.cast<const Tensor&>();
  return t.symbolic() || (t.requires_grad() && grad_enabled());
}

inline Tensor call_unary(Unary f, py::handle x, const char* op) {
  const Tensor in = borrow(x, op);
  return released_if(in.size() > release_threshold, [&] { return f(in); });
}

inline Tensor call_binary(Binary f, py::handle a, py::handle b, const char* op) {
  const bool kept = recorded(a) || recorded(b);
  const Tensor x = kept ? to_tensor(a, op) : borrow(a, op);
  const Tensor y = kept ? to_tensor(b, op) : borrow(b, op);
  return released_if(x.size() > release_threshold || y.size() > release_threshold, [&] { return f(x, y); });
}

inline Tensor product(const Tensor& a, const Tensor& b) { return matmul(a, b); }

}  // namespace chainrule::python
