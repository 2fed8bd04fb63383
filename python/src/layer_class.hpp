// How a layer of C++ becomes a Python class.
#pragma once

#include "py_module.hpp"

namespace chainrule::python {

template <class H> using LayerClass = py::class_<Kind<H>, nn::ModuleImpl, py::smart_holder>;

// The layer's own implementation, filed under the stand-in type of its Python class.
template <class H> std::shared_ptr<Kind<H>> as_kind(const H& layer) {
  const auto& impl = layer.impl();
  return {impl, reinterpret_cast<Kind<H>*>(impl.get())};
}

template <class H> LayerClass<H> layer(py::module_& m, const char* name, const char* doc) {
  register_kind(name, typeid(Kind<H>));
  return LayerClass<H>(m, name, doc);
}

// Standardizer and the others that are fitted to data.
void bind_preprocessing(py::module_& m);

}  // namespace chainrule::python
