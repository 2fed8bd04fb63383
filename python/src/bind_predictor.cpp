// Predictor, with a way in for the usual call, one contiguous array of the right dtype and shape: it reaches the
// program without pybind11's dispatcher and without an object but the result.
#include <algorithm>

#include "fast_calls.hpp"

namespace chainrule::python {
namespace {

using Numpy = py::detail::npy_api;

constexpr double release_microseconds = 100;  // below it a call is over before others would have gained from the GIL

// What an array must be to be read or written in place.
struct ArrayType {
  ArrayType(const Shape& shape, DType t) : rank(shape.rank()), dtype(t), descr(std::string(name_of(t))) {
    std::copy(shape.begin(), shape.end(), size);
    elements = static_cast<std::size_t>(shape.size());
  }
  // 0: does not fit; 1: fits; 2: fits but for the first axis, which has size 1 and is left out.
  int fits(PyObject* object, int flags) const {
    if (Py_TYPE(object) != Numpy::get().PyArray_Type_) return 0;
    const auto* array = py::detail::array_proxy(object);
    if ((array->flags & flags) != flags || array->descr != descr.ptr()) return 0;
    if (array->nd == rank && std::equal(size, size + rank, array->dimensions)) return 1;
    return array->nd == rank - 1 && size[0] == 1 && std::equal(size + 1, size + rank, array->dimensions) ? 2 : 0;
  }
  PyObject* make(bool without_first) const {
    const int skip = without_first ? 1 : 0;
    PyObject* array = Numpy::get().PyArray_NewFromDescr_(Numpy::get().PyArray_Type_, descr.inc_ref().ptr(), rank - skip,
                                                         size + skip, nullptr, nullptr, 0, nullptr);
    if (array == nullptr) throw py::error_already_set();
    return array;
  }
  static void* data(PyObject* array) { return py::detail::array_proxy(array)->data; }

  Py_intptr_t size[Dims::max_rank];
  int rank;
  std::size_t elements;
  DType dtype;
  py::dtype descr;  // NumPy has one object per native type, so that comparing addresses is enough
};

struct PyPredictor {
  explicit PyPredictor(Predictor p)
      : predictor(std::move(p)), release(predictor.estimated_microseconds() > release_microseconds) {
    const auto shapes = predictor.input_shapes(), results = predictor.output_shapes();
    plain = shapes.size() == 1 && results.size() == 1;
    for (std::size_t i = 0; i < shapes.size(); ++i) inputs.emplace_back(shapes[i], predictor.input_dtypes()[i]);
    for (std::size_t i = 0; i < results.size(); ++i) outputs.emplace_back(results[i], predictor.output_dtypes()[i]);
  }

  // The result, or null where this is not the usual call.
  PyObject* quickly(PyObject* x, PyObject* out) {
    constexpr int readable = Numpy::NPY_ARRAY_C_CONTIGUOUS_ | Numpy::NPY_ARRAY_ALIGNED_;
    const ArrayType &from = inputs[0], &to = outputs[0];
    const int form = from.fits(x, readable);
    if (form == 0) return nullptr;
    py::object result;
    if (out == Py_None) {
      result = py::reinterpret_steal<py::object>(to.make(form == 2));
    } else if (to.fits(out, readable | Numpy::NPY_ARRAY_WRITEABLE_) == form) {
      result = py::reinterpret_borrow<py::object>(out);
    } else {
      return nullptr;
    }
    const Predictor::In in(ArrayType::data(x), from.elements, from.dtype);
    const Predictor::Out target(ArrayType::data(result.ptr()), to.elements, to.dtype);
    released_if(release, [&] { predictor(in, target); });
    return result.release().ptr();
  }

  py::object call(const py::object& x, const py::object& out) {
    const std::vector<Tensor> in = borrow_inputs(x, "Predictor");
    if (!out.is_none()) {
      const std::vector<OutputView> views = output_views(out, "Predictor");
      released_if(release, [&] { predictor(in, views); });
      return out;
    }
    const std::vector<Tensor> results = released_if(release, [&] { return predictor(in); });
    if (results.size() == 1) return to_numpy(results[0]);
    py::tuple arrays(results.size());
    for (std::size_t i = 0; i < results.size(); ++i) arrays[i] = to_numpy(results[i]);
    return arrays;
  }

  Predictor predictor;
  bool release, plain = false;
  std::vector<ArrayType> inputs, outputs;
};

PyTypeObject* predictor_class = nullptr;
ternaryfunc usual_call = nullptr;
PyObject* out_name = nullptr;

PyObject* call_predictor(PyObject* self, PyObject* args, PyObject* keywords) {
  if (Py_TYPE(self) == predictor_class) {
    auto* predictor = static_cast<PyPredictor*>(reinterpret_cast<py::detail::instance*>(self)->simple_value_holder[0]);
    const Py_ssize_t given = PyTuple_GET_SIZE(args), named = keywords == nullptr ? 0 : PyDict_GET_SIZE(keywords);
    PyObject* out = Py_None;
    if (named == 1) out = PyDict_GetItemWithError(keywords, out_name);
    if (given == 2 && named == 0) out = PyTuple_GET_ITEM(args, 1);
    if (predictor != nullptr && predictor->plain && out != nullptr && given + named <= 2 && given >= 1) {
      bool failed = false;
      PyObject* result = guarded([&] {
        failed = true;
        PyObject* made = predictor->quickly(PyTuple_GET_ITEM(args, 0), out);
        failed = false;
        return made;
      });
      if (result != nullptr || failed) return result;
    }
  }
  return usual_call(self, args, keywords);
}

PyPredictor make(const py::object& model, std::int64_t batch, const std::string& output, const py::object& input_shape,
                 const py::object& input_shapes, const py::object& input_dtypes) {
  PredictorOptions options;
  options.output = output;
  if (!input_shape.is_none()) options.input_shape = to_shape(input_shape, "Predictor");
  if (!input_shapes.is_none()) options.input_shapes = to_shapes(input_shapes, "Predictor");
  if (!input_dtypes.is_none())
    for (py::handle dtype : input_dtypes) options.input_dtypes.push_back(to_dtype(dtype));
  return PyPredictor(Predictor(unwrap_module(model, "Predictor"), batch, options));
}

py::tuple shape_tuples(const std::vector<Shape>& shapes) {
  py::tuple tuples(shapes.size());
  for (std::size_t i = 0; i < shapes.size(); ++i) tuples[i] = shape_tuple(shapes[i]);
  return tuples;
}

}  // namespace

void bind_predictor(py::module_& m) {
  py::class_<PyPredictor> c(
      m, "Predictor",
      "A model compiled for `batch` samples, with a copy of its weights: p(x, out=None). It infers, whatever the "
      "model's "
      "flag\nsays, and gives the bits of model.predict. Nothing is allocated in C++, nothing is locked; one sample "
      "uses "
      "one thread.\n\n"
      "x has shape (batch, ...), or that of one sample where batch is 1, and so has the result; several inputs or "
      "outputs "
      "are\ntuples. output: \"raw\", \"proba\" or \"class\", as in predict. input_shape: of one sample, where neither "
      "the "
      "layers nor\nthe model's file tell it; input_shapes and input_dtypes: of several inputs. copy.copy(p) shares the "
      "weights and can run\nin another thread. Raises StateError, ShapeError, DTypeError.\n\n"
      ">>> model = nn.Linear(3, 2, seed=0)\n"
      ">>> p = cr.Predictor(model)\n"
      ">>> x, y = np.ones(3, np.float32), np.empty(2, np.float32)\n"
      ">>> p(x, out=y) is y, bool((y == model.predict(x[None])[0]).all())\n"
      "(True, True)");
  c.def(py::init(&make), "model"_a, "batch"_a = 1, py::kw_only(), "output"_a = PredictorOptions().output,
        "input_shape"_a = py::none(), "input_shapes"_a = py::none(), "input_dtypes"_a = py::none());
  c.def("__call__", &PyPredictor::call, "x"_a, "out"_a = py::none(),
        "The model's output for x, as a new array or in out.");
  c.def(
      "refresh", [](PyPredictor& p) { p.predictor.refresh(); },
      "Take the model's present weights, for all copies; none of them may be running. StateError where layers or\n"
      "tensors of the model were exchanged, or its dtype changed.");
  c.def(
      "copy", [](const PyPredictor& p) { return PyPredictor(p); },
      "Another one with the same weights and memory of its own, for another thread.");
  c.def("__copy__", [](const PyPredictor& p) { return PyPredictor(p); });
  c.def("__reduce__", [](const PyPredictor&) -> py::tuple {
    throw DTypeError(
        "Predictor: cannot be pickled or deep-copied; copy.copy(p) shares the weights, and Predictor(model) makes one "
        "of "
        "a model, which can be pickled");
  });
  c.def(
      "profile", [](PyPredictor& p, int runs) { return p.predictor.profile(runs); }, py::kw_only(), "runs"_a = 1000,
      "Where the time of a call goes: a Profile, which prints as a table.");
  c.def_property_readonly("batch", [](const PyPredictor& p) { return p.predictor.batch(); }, "Samples per call.");
  c.def_property_readonly(
      "input_shapes", [](const PyPredictor& p) { return shape_tuples(p.predictor.input_shapes()); },
      "Of each input, with the batch.");
  c.def_property_readonly(
      "output_shapes", [](const PyPredictor& p) { return shape_tuples(p.predictor.output_shapes()); },
      "Of each output, with the batch.");
  c.def("__repr__", [](const PyPredictor& p) { return p.predictor.str(); });

  predictor_class = reinterpret_cast<PyTypeObject*>(c.ptr());
  out_name = PyUnicode_InternFromString("out");
  usual_call = std::exchange(predictor_class->tp_call, &call_predictor);
}

}  // namespace chainrule::python
