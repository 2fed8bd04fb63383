// Python values to tensors and back. Which dtypes and layouts are accepted is decided here and nowhere else.
#include <cstring>

#include "common.hpp"

namespace chainrule::python {
namespace {

constexpr int contiguous = py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;

py::handle tensor_type() {
  static const py::handle type = py::type::of<Tensor>().inc_ref();
  return type;
}

py::module_ numpy() { return py::module_::import("numpy"); }

[[noreturn]] void unsupported(const py::dtype& dtype, const char* op) {
  const std::string name = py::str(static_cast<const py::object&>(dtype));
  const std::string start = std::string(op) + ": arrays of " + name + " are not supported; ";
  switch (dtype.kind()) {
    case 'f':
      throw DTypeError(start + (dtype.itemsize() > 8 ? "convert with a.astype(np.float64), which rounds"
                                                     : "convert with a.astype(np.float32)"));
    case 'i':
    case 'u':
      throw DTypeError(start + "convert with a.astype(np.int64)" +
                       (dtype.kind() == 'u' && dtype.itemsize() == 8 ? ", which holds values below 2**63" : ""));
    case 'c':
      throw DTypeError(start + "pass the real and imaginary parts as two arrays");
    case 'U':
    case 'S':
      throw DTypeError(start + "text has to be encoded as numbers first, e.g. np.unique(a, return_inverse=True)[1]");
    case 'O':
      throw DTypeError(
          start +
          "it holds Python objects: convert with a.astype(np.float32), which also tells which entry is no number");
    case 'M':
    case 'm':
      throw DTypeError(start + "convert with a.astype(np.int64)");
    default:
      throw DTypeError(start + "convert to float32, float64, int32, int64, uint8 or bool");
  }
}

DType dtype_of_array(const py::dtype& dtype, const char* op) {
  if (dtype.byteorder() == '>')
    throw DTypeError(std::string(op) + ": arrays of " + std::string(py::str(static_cast<const py::object&>(dtype))) +
                     " are not supported: their bytes are in big-endian order; convert with "
                     "a.astype(a.dtype.newbyteorder('='))");
  const auto bytes = dtype.itemsize();
  switch (dtype.kind()) {
    case 'f':
      if (bytes == 4) return DType::float32;
      if (bytes == 8) return DType::float64;
      break;
    case 'i':
      if (bytes == 4) return DType::int32;
      if (bytes == 8) return DType::int64;
      break;
    case 'u':
      if (bytes == 1) return DType::uint8;
      break;
    case 'b':
      return DType::boolean;
    default:
      break;
  }
  unsupported(dtype, op);
}

Shape shape_of(const py::array& array, const char* op) {
  if (array.ndim() > Dims::max_rank)
    throw ShapeError(std::string(op) + ": the array has " + std::to_string(array.ndim()) +
                     " axes; at most 8 are supported");
  Shape shape;
  for (py::ssize_t i = 0; i < array.ndim(); ++i) shape.push_back(array.shape(i));
  return shape;
}

py::array contiguous_array(const py::array& array) {
  if ((array.flags() & contiguous) == contiguous) return array;
  return numpy().attr("require")(array, py::none(), "CA");
}

Tensor copy_array(const py::array& array, const char* op) {
  const DType dtype = dtype_of_array(array.dtype(), op);
  const py::array source = contiguous_array(array);
  return Tensor::from_raw(source.data(), static_cast<std::size_t>(source.size()), shape_of(source, op), dtype);
}

Tensor borrow_array(const py::array& array, const char* op) {
  const DType dtype = dtype_of_array(array.dtype(), op);
  const py::array source = contiguous_array(array);
  return Tensor::view_raw(source.data(), shape_of(source, op), dtype, hold(source));
}

py::array as_array(py::handle value, const char* op) {
  if (py::isinstance<py::array>(value)) {
    // Of the subclasses only a masked array means something else than its values.
    if (Py_TYPE(value.ptr()) != py::detail::npy_api::get().PyArray_Type_ && py::hasattr(value, "filled"))
      throw DTypeError(std::string(op) +
                       ": masked arrays are not supported; give the masked cells a value with a.filled(value)");
    return py::reinterpret_borrow<py::array>(value);
  }
  if (is_sequence(value)) {
    py::array array = numpy().attr("asarray")(value);
    if (array.dtype().kind() == 'f' && has_python_numbers(value)) return array.attr("astype")("float32");
    return array;
  }
  if (py::hasattr(value, "__array__")) return numpy().attr("asarray")(value);
  throw DTypeError(std::string(op) + ": expected a tensor, an array or a number, got " + type_name(value));
}

// A Python or NumPy scalar, or an undefined tensor for anything else.
Tensor scalar_or_undefined(py::handle value, const char* op) {
  PyObject* object = value.ptr();
  if (PyFloat_Check(object)) return Tensor(PyFloat_AS_DOUBLE(object));
  if (PyBool_Check(object)) return Tensor(object == Py_True);
  if (PyLong_Check(object)) {
    int overflow = 0;
    const long long number = PyLong_AsLongLongAndOverflow(object, &overflow);
    if (overflow != 0)
      throw ValueError(std::string(op) + ": the integer " + std::string(py::str(value)) + " does not fit into 64 bits");
    return Tensor(static_cast<std::int64_t>(number));
  }
  if (!is_numpy_scalar(value)) return {};
  const py::dtype dtype(value.attr("dtype"));
  switch (dtype.kind()) {
    case 'f':
      return Tensor(py::float_(py::reinterpret_borrow<py::object>(value)).cast<double>());
    case 'b':
      return Tensor(value.attr("item")().cast<bool>());
    case 'i':
    case 'u':
      return scalar_or_undefined(value.attr("item")(), op);
    default:
      unsupported(dtype, op);
  }
}

}  // namespace

std::string type_name(py::handle value) { return Py_TYPE(value.ptr())->tp_name; }

bool is_tensor(py::handle value) {
  PyTypeObject* type = reinterpret_cast<PyTypeObject*>(tensor_type().ptr());
  return Py_TYPE(value.ptr()) == type || PyType_IsSubtype(Py_TYPE(value.ptr()), type);
}

bool is_operand(py::handle value) {
  PyObject* object = value.ptr();
  return is_tensor(value) || PyFloat_Check(object) || PyLong_Check(object) || py::isinstance<py::array>(value) ||
         is_numpy_scalar(value) || is_sequence(value);
}

Tensor to_tensor(py::handle value, const char* op) {
  if (is_tensor(value)) return value.cast<const Tensor&>();
  const Tensor scalar = scalar_or_undefined(value, op);
  if (!scalar.defined() && holds_tensor(value)) return stacked(value, op);
  return scalar.defined() ? scalar : copy_array(as_array(value, op), op).freeze();
}

Tensor borrow(py::handle value, const char* op) {
  if (is_tensor(value)) return value.cast<const Tensor&>();
  const Tensor scalar = scalar_or_undefined(value, op);
  if (!scalar.defined() && holds_tensor(value)) return stacked(value, op);
  return scalar.defined() ? scalar : borrow_array(as_array(value, op), op).freeze();
}

Tensor to_tensor_or_undefined(py::handle value, const char* op) {
  return value.is_none() ? Tensor() : to_tensor(value, op);
}

Tensor new_tensor(py::handle value, py::handle dtype) {
  const bool given = !dtype.is_none();
  if (is_tensor(value)) {
    const Tensor& t = value.cast<const Tensor&>();
    if (t.symbolic()) return given ? t.astype(to_dtype(dtype)) : t;
    if (t.requires_grad() && grad_enabled()) {
      const Tensor copy = stack({t}).reshape(t.shape());  // the one op that copies
      return given ? copy.astype(to_dtype(dtype)) : copy;
    }
    const Tensor copy = Tensor::from_raw(t.raw_data(), static_cast<std::size_t>(t.size()), t.shape(), t.dtype());
    return given ? copy.astype(to_dtype(dtype)) : copy;
  }
  if (holds_tensor(value)) {
    const Tensor t = stacked(value, "tensor");
    return given ? t.astype(to_dtype(dtype)) : t;
  }
  const bool plain =  // np.float64 is a float, too, but keeps its dtype
      !is_numpy_scalar(value) && (PyFloat_Check(value.ptr()) || PyLong_Check(value.ptr()) || is_sequence(value));
  if (plain && given) {  // straight to the dtype asked for: floats do not pass through float32
    const DType wanted = to_dtype(dtype);
    return copy_array(py::array(numpy().attr("asarray")(value)), "tensor").astype(wanted);
  }
  if (plain && !is_sequence(value)) {
    const char* name = PyBool_Check(value.ptr()) ? "bool" : PyLong_Check(value.ptr()) ? "int64" : "float32";
    return copy_array(py::array(numpy().attr("asarray")(value, name)), "tensor");
  }
  const py::array array =
      is_numpy_scalar(value) ? py::array(numpy().attr("asarray")(value)) : as_array(value, "tensor");
  const Tensor t = copy_array(array, "tensor");
  return given ? t.astype(to_dtype(dtype)) : t;
}

Tensor new_leaf(py::handle value, py::handle dtype, const char* op) {
  if (is_tensor(value)) check_is_no_result(value.cast<const Tensor&>(), op);
  const Tensor t = new_tensor(value, dtype);
  return t.requires_grad() ? t.detach() : t;
}

Tensor share_array(const py::array& array, const char* op) {
  if ((array.flags() & contiguous) != contiguous)
    throw ValueError(std::string(op) +
                     ": the array is not C-contiguous, so it cannot be shared; use cr.tensor(a), which copies");
  return borrow_array(array, op);
}

std::vector<Tensor> to_tensors(py::handle value, const char* op) {
  std::vector<Tensor> tensors;
  if (is_sequence(value))
    for (py::handle item : value) tensors.push_back(to_tensor(item, op));
  else
    tensors.push_back(to_tensor(value, op));
  return tensors;
}

std::vector<Tensor> borrow_inputs(py::handle value, const char* op) {
  std::vector<Tensor> tensors;
  if (PyTuple_Check(value.ptr()))  // several inputs; a list is one nested array
    for (py::handle item : value) tensors.push_back(borrow(item, op));
  else
    tensors.push_back(borrow(value, op));
  return tensors;
}

Tensor borrow_target(py::handle value, const char* op) {
  if (!PyTuple_Check(value.ptr())) return borrow(value, op);
  std::vector<Tensor> targets;
  for (py::handle item : value) {
    // A tuple of numbers, or of rows that are no arrays, is one array, as a list is.
    if (!is_tensor(item) && (!py::hasattr(item, "__array__") || is_numpy_scalar(item))) return borrow(value, op);
    targets.push_back(borrow(item, op));
  }
  return nn::join_targets(targets);
}

std::vector<OutputView> output_views(py::handle out, const char* op) {
  std::vector<OutputView> views;
  const auto add = [&](py::handle item) {
    if (!py::isinstance<py::array>(item))
      throw DTypeError(std::string(op) + ": out= takes NumPy arrays, one per output, got " + type_name(item));
    auto array = py::reinterpret_borrow<py::array>(item);
    if (!array.writeable()) throw ValueError(std::string(op) + ": out= is read-only");
    if ((array.flags() & contiguous) != contiguous)
      throw ValueError(std::string(op) + ": out= is not C-contiguous; use np.empty(shape, dtype)");
    views.push_back({array.mutable_data(), shape_of(array, op), dtype_of_array(array.dtype(), op)});
  };
  if (is_sequence(out))
    for (py::handle item : out) add(item);
  else
    add(out);
  return views;
}

py::array to_numpy(const Tensor& t, const char* what) {
  check_has_values(t, what);
  if (t.dtype() == DType::bfloat16) return to_numpy(t.detach().astype(DType::float32));
  py::array array(py::dtype(std::string(name_of(t.dtype()))),
                  std::vector<py::ssize_t>(t.shape().begin(), t.shape().end()));
  if (t.size() > 0)
    std::memcpy(array.mutable_data(), t.raw_data(), static_cast<std::size_t>(t.size()) * size_of(t.dtype()));
  return array;
}

py::array live_view(const Tensor& t, py::handle owner) {
  if (t.symbolic()) return to_numpy(t);
  py::array array(py::dtype(std::string(name_of(t.dtype()))),
                  std::vector<py::ssize_t>(t.shape().begin(), t.shape().end()), t.exported_data(), owner);
  array.attr("setflags")("write"_a = false);
  return array;
}

py::object from_tensors(const std::vector<Tensor>& tensors) {
  if (tensors.size() == 1) return py::cast(tensors[0]);
  py::tuple result(tensors.size());
  for (std::size_t i = 0; i < tensors.size(); ++i) result[i] = py::cast(tensors[i]);
  return result;
}

py::object tensor_or_none(const Tensor& t) { return t.defined() ? py::cast(t) : py::none(); }

py::tuple shape_tuple(const Dims& shape) {
  py::tuple sizes(static_cast<std::size_t>(shape.rank()));
  for (int i = 0; i < shape.rank(); ++i) sizes[static_cast<std::size_t>(i)] = py::int_(shape[i]);
  return sizes;
}

py::dict to_dict(const std::vector<nn::NamedTensor>& tensors) {
  py::dict result;
  for (const auto& [name, tensor] : tensors) result[py::str(name)] = to_numpy(tensor);
  return result;
}

template <class T> static py::object to_value(const T& value) {
  if constexpr (!std::is_same_v<T, std::vector<nn::Called>>) {
    return py::cast(value);
  } else {
    py::list made;
    for (const nn::Called& each : value) made.append(optim::make_schedule(each));
    return made.size() == 1 ? py::object(made[0]) : py::object(made);
  }
}

py::dict to_kwargs(const nn::Arguments& arguments) {
  py::dict kwargs;
  for (const auto& [name, value] : arguments)
    kwargs[py::str(name)] = std::visit([](const auto& v) { return to_value(v); }, value);
  return kwargs;
}

std::vector<nn::NamedTensor> from_dict(const py::dict& d, const char* op) {
  std::vector<nn::NamedTensor> tensors;
  for (auto [name, value] : d) {
    if (!py::isinstance<py::str>(name))
      throw ValueError(std::string(op) + ": names must be strings, got " + type_name(name));
    py::object array = py::reinterpret_borrow<py::object>(value);
    if (py::hasattr(array, "detach") && !is_tensor(array))
      array = array.attr("detach")();  // a torch tensor with a gradient
    tensors.push_back({name.cast<std::string>(), new_leaf(array, py::none(), op)});
  }
  return tensors;
}

std::string preformatted(const std::string& text) {
  return "<pre>" + py::module_::import("html").attr("escape")(text).cast<std::string>() + "</pre>";
}

std::shared_ptr<PyObject> hold(py::object object) {
  return {object.release().ptr(), [](PyObject* pointer) {
            if (Py_IsInitialized() != 0) with_gil([&] { Py_DECREF(pointer); });
          }};
}

py::object held(const std::shared_ptr<PyObject>& object) { return py::reinterpret_borrow<py::object>(object.get()); }

}  // namespace chainrule::python
