// t[...]: Python's items as chainrule::IndexItem. The rules are in ops/index.cpp; here only what an item is is decided.
#include "indexing.hpp"

namespace chainrule::python {
namespace {

bool is_integer(py::handle item) {
  return PyIndex_Check(item.ptr()) != 0 && !PyBool_Check(item.ptr()) && !is_tensor(item) &&
         !py::isinstance<py::array>(item);
}

std::int64_t to_int64(py::handle item) {
  const py::object number = py::reinterpret_steal<py::object>(PyNumber_Index(item.ptr()));
  if (!number) throw py::error_already_set();
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
  if (overflow != 0) throw IndexError("index: " + std::string(py::str(number)) + " is out of bounds for any axis");
  return value;
}

Slice to_slice(py::handle item) {
  for (const char* bound : {"start", "stop", "step"}) {
    const py::object value = item.attr(bound);
    if (!value.is_none() && !is_integer(value))
      throw IndexError("index: a slice's bounds must be integers or None, got " + type_name(value) +
                       (is_tensor(value) ? "; a bound cannot depend on a tensor: the result's shape would" : ""));
  }
  Py_ssize_t start = 0, stop = 0, step = 0;
  if (PySlice_Unpack(item.ptr(), &start, &stop, &step) != 0) {
    PyErr_Clear();
    throw ValueError("index: a slice's step cannot be 0");
  }
  // Missing bounds have become the furthest ones, which slice() cuts to the axis.
  return {start, stop, step};
}

// A tensor of integers or bools from an array or a list.
Tensor to_entries(py::handle item) {
  if (is_tensor(item)) {
    const Tensor& t = item.cast<const Tensor&>();
    if (is_floating(t.dtype()))
      throw IndexError("index: a tensor of " + std::string(name_of(t.dtype())) +
                       " picks nothing; use astype(\"int64\") for positions or a comparison for a mask");
    return t;
  }
  if (!py::isinstance<py::array>(item)) {
    for (py::handle entry : item)
      if (is_tensor(entry)) return to_entries(py::cast(to_tensor(item, "index")));
  }
  py::array array = py::module_::import("numpy").attr("asarray")(item);
  if (array.size() == 0 && !py::isinstance<py::array>(item)) array = array.attr("astype")("int64");
  const char kind = array.dtype().kind();
  if (kind != 'i' && kind != 'u' && kind != 'b')
    throw IndexError("index: an array of " + std::string(py::str(static_cast<const py::object&>(array.dtype()))) +
                     " picks nothing; use a.astype(np.int64) for positions or a comparison for a mask");
  if (kind == 'u' || (kind == 'i' && array.itemsize() < 4)) array = array.attr("astype")("int64");
  return to_tensor(array, "index");
}

IndexItem to_index(py::handle item) {
  if (item.ptr() == Py_Ellipsis) return ellipsis;
  if (item.is_none()) return newaxis;
  if (PySlice_Check(item.ptr())) return to_slice(item);
  if (is_integer(item)) return to_int64(item);
  if (PyBool_Check(item.ptr()))
    throw IndexError("index: a single bool is no index; use where(condition, a, b), or 0 and 1 as integers");
  if (is_tensor(item) || py::isinstance<py::array>(item) || PyList_Check(item.ptr()) || PyTuple_Check(item.ptr()))
    return to_entries(item);
  throw IndexError("index: expected integers, slices, None, ..., or arrays of integers or bools, got " +
                   type_name(item));
}

}  // namespace

Tensor index_tensor(const Tensor& t, const py::object& index) {
  std::vector<IndexItem> items;
  if (PyTuple_Check(index.ptr()))
    for (py::handle item : py::reinterpret_borrow<py::tuple>(index)) items.push_back(to_index(item));
  else
    items.push_back(to_index(index));
  return chainrule::index(t, items);
}

}  // namespace chainrule::python
