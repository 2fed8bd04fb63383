// How tensors are made: tensor, from_numpy, zeros, ones, full.
#include "common.hpp"

namespace chainrule::python {

void bind_making(py::module_& m) {
  m.def(
      "tensor",
      [](const py::object& value, const py::object& dtype, bool requires_grad) {
        Tensor t = requires_grad ? new_leaf(value, dtype, "tensor") : new_tensor(value, dtype);
        if (requires_grad) t.requires_grad_(true);
        return t;
      },
      "value"_a, "dtype"_a = py::none(), py::kw_only(), "requires_grad"_a = false,
      "A new tensor from numbers, nested lists, an array or a tensor; always a copy. Python floats become float32, "
      "ints\n"
      "int64, bools bool; arrays and NumPy's scalars keep their dtype. Tensors, also in lists, keep their gradients "
      "and are\n"
      "traced; requires_grad=True makes a new leaf, without what computed the values.");
  m.def(
      "from_numpy", [](const py::array& array) { return share_array(array, "from_numpy"); }, "array"_a,
      "A tensor on the array's own memory, without a copy. It is never written through; later changes of the array "
      "show.");
  const auto filled = [&m](const char* name, Tensor (*make)(const Shape&, DType), const char* doc) {
    m.def(
        name,
        [make, name](const py::object& shape, const py::object& dtype) {
          const Shape sizes = to_shape(shape, name);
          (void)sizes.checked_size(name);
          return make(sizes, to_dtype(dtype));
        },
        "shape"_a, "dtype"_a = "float32", doc);
  };
  filled("zeros", &Tensor::zeros, "A tensor of zeros.");
  filled("ones", &Tensor::ones, "A tensor of ones.");
  m.def(
      "full",
      [](const py::object& shape, const py::object& value, const py::object& dtype) {
        const Shape sizes = to_shape(shape, "full");
        (void)sizes.checked_size("full");
        const Tensor given = to_tensor(value, "full");
        const DType type = !dtype.is_none() ? to_dtype(dtype) : given.weak() ? DType::float32 : given.dtype();
        if (given.weak() && !given.symbolic() && given.dtype() != DType::int64)
          return Tensor::full(sizes, given.item(), type);
        return broadcast_to(cast(given, type), sizes);
      },
      "shape"_a, "value"_a, "dtype"_a = py::none(),
      "A tensor with the same value everywhere, or with a tensor's values repeated, which keeps its gradient.\n"
      "dtype: float32 for a number, that of the value otherwise.");
}

}  // namespace chainrule::python
