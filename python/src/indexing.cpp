// t[...]: integers, slices, None and Ellipsis become slice, squeeze and expand_dims, so indexing has gradients and
// traces.
#include "indexing.hpp"

namespace chainrule::python {
namespace {

Slice to_slice(const py::handle& item) {
  const auto bound = [](const py::object& value) -> std::optional<std::int64_t> {
    if (value.is_none()) return {};
    const py::object index = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    if (!index) throw py::error_already_set();
    return index.cast<std::int64_t>();
  };
  Slice result{bound(item.attr("start")), bound(item.attr("stop")), 1};
  const auto step = bound(item.attr("step"));
  if (step) result.step = *step;
  if (result.step == 0) throw ValueError("index: a slice's step cannot be 0");
  return result;
}

}  // namespace

Tensor index_tensor(const Tensor& t, const py::object& index) {
  const py::tuple items = PyTuple_Check(index.ptr()) ? py::reinterpret_borrow<py::tuple>(index) : py::make_tuple(index);
  int used = 0, ellipses = 0;
  for (py::handle item : items) {
    if (item.ptr() == Py_Ellipsis)
      ++ellipses;
    else if (!item.is_none())
      ++used;
  }
  if (ellipses > 1) throw IndexError("index: only one ... is allowed");
  if (used > t.rank())
    throw IndexError("index: too many indices: " + std::to_string(used) + " for a tensor of shape " + t.shape().str());

  std::vector<Slice> slices;
  Dims squeezed;              // axes of t that an integer picks from
  std::vector<int> inserted;  // axes of the result that None makes, in ascending order
  bool narrowed = false;
  int axis = 0, out = 0;
  const auto pass = [&](int count) {
    for (int i = 0; i < count; ++i) slices.push_back({});
    axis += count;
    out += count;
  };
  for (py::handle item : items) {
    if (item.ptr() == Py_Ellipsis) {
      pass(t.rank() - used);
    } else if (item.is_none()) {
      inserted.push_back(out++);
    } else if (PySlice_Check(item.ptr())) {
      slices.push_back(to_slice(item));
      narrowed = true;
      ++axis;
      ++out;
    } else if (PyIndex_Check(item.ptr()) && !PyBool_Check(item.ptr()) && !is_tensor(item) &&
               !py::isinstance<py::array>(item)) {
      const std::int64_t i = PyLong_AsLongLong(py::reinterpret_steal<py::object>(PyNumber_Index(item.ptr())).ptr());
      if (PyErr_Occurred() != nullptr) throw py::error_already_set();
      const std::int64_t n = t.shape(axis);
      if (i < -n || i >= n)
        throw IndexError("index: " + std::to_string(i) + " is out of bounds for axis " + std::to_string(axis) +
                         " of shape " + t.shape().str());
      const std::int64_t start = i < 0 ? i + n : i;
      slices.push_back({start, start + 1, 1});
      squeezed.push_back(axis++);
      narrowed = true;
    } else {
      throw IndexError(
          "index: expected integers, slices, None or ..., got " + type_name(item) +
          "; to pick by an array of labels use take_along(x, index, axis), by a mask use where(mask, a, b)");
    }
  }
  Tensor result = narrowed ? slice(t, slices) : t;
  if (!squeezed.empty()) result = squeeze(result, squeezed);
  for (int new_axis : inserted) result = expand_dims(result, new_axis);
  return result;
}

}  // namespace chainrule::python
