// chainrule.random: draws that are made anew in every call and in every run of a compiled function.
#include "common.hpp"

namespace chainrule::python {

void bind_random(py::module_& m) {
  m.def(
      "random_normal",
      [](const py::object& shape, double mean, double std, const py::object& dtype) {
        return random::normal(to_shape(shape, "random.normal"), {mean, std, to_dtype(dtype)});
      },
      "shape"_a, "mean"_a = 0.0, "std"_a = 1.0, "dtype"_a = "float32",
      "Normal draws, new in each call, in a compiled function in each run and in vmap for each sample; manual_seed(s)\n"
      "starts them again.\n"
      "Constants to every derivative: mean + std * normal(shape) has gradients for mean and std.");
  m.def(
      "random_uniform",
      [](const py::object& shape, double low, double high, const py::object& dtype) {
        return random::uniform(to_shape(shape, "random.uniform"), {low, high, to_dtype(dtype)});
      },
      "shape"_a, "low"_a = 0.0, "high"_a = 1.0, "dtype"_a = "float32",
      "Uniform draws in [low, high), new in each call, and in a compiled function in each run; manual_seed(s) starts\n"
      "them again. Constants to every derivative.");
}

}  // namespace chainrule::python
