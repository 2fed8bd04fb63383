// What the binding files share: their list, and how Python values become tensors and back. No arithmetic here.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chainrule/chainrule.hpp"
#include "gil.hpp"

namespace chainrule::python {

namespace py = pybind11;
using namespace pybind11::literals;

void bind_errors(py::module_& m);
void bind_config(py::module_& m);
void bind_tensor(py::module_& m);
void bind_making(py::module_& m);
void bind_ops(py::module_& m);
void bind_structure(py::module_& m);
void bind_random(py::module_& m);
void bind_registry(py::module_& m);
void bind_nn(py::module_& m);
void bind_layers(py::module_& m);
void bind_losses(py::module_& m);
void bind_schedules(py::module_& m);
void bind_optim(py::module_& m);
void bind_metrics(py::module_& m);
void bind_callbacks(py::module_& m);
void bind_train(py::module_& m);
void bind_training_step(py::module_& m);
void bind_data(py::module_& m);
void bind_splits(py::module_& m);
void bind_selection(py::module_& m);
void bind_ensemble(py::module_& m);
void bind_graph_view(py::module_& m);
void bind_transforms(py::module_& m);
void bind_profile(py::module_& m);
void bind_compile(py::module_& m);
void bind_custom_gradient(py::module_& m);
void bind_model(py::module_& m);
void bind_predictor(py::module_& m);
void bind_argument_errors(py::module_& m);  // last: for all that is bound by then

// A leaf that a module owns or will own; Python sees it as a subclass of Tensor whose numpy() is a live view.
struct Parameter : Tensor {
  Parameter() = default;
  explicit Parameter(const Tensor& t) : Tensor(t) {}
};

// --- into tensors ---------------------------------------------------------------------------------------------------
bool is_tensor(py::handle value);
bool is_operand(py::handle value);  // what an operator accepts: tensor, number, array, list, tuple
// A tensor as it is; a Python or NumPy scalar as a weak scalar; an array or nested list as a copy. A nested list with
// tensors in it is stacked by the op, so that they keep their gradients and are traced.
Tensor to_tensor(py::handle value, const char* op);
// The same, but a contiguous array is read in place: only for inputs that nothing keeps after the call.
Tensor borrow(py::handle value, const char* op);
Tensor to_tensor_or_undefined(py::handle value, const char* op);  // None: undefined
// Never weak, always a copy: what cr.tensor gives. Of recorded tensors it is recorded, too.
Tensor new_tensor(py::handle value, py::handle dtype);
Tensor new_leaf(py::handle value, py::handle dtype, const char* op);  // the same without the record
Tensor share_array(const py::array& array, const char* op);           // no copy; throws where it would need one
// The tensors a function receives or returns: a tensor or a tuple or list of them.
std::vector<Tensor> to_tensors(py::handle value, const char* op);
std::vector<Tensor> borrow_inputs(py::handle value, const char* op);  // X or (X1, X2, ...) of fit and predict
Tensor borrow_target(py::handle value, const char* op);  // y, or (y1, y2, ...) of arrays as the columns of one

DType to_dtype(py::handle value);                                 // a name, a NumPy dtype or scalar type
Dims to_axes(py::handle axis, const char* op);                    // None: no axes; an int; a tuple of ints
Shape to_shape(py::handle shape, const char* op);                 // an int or a sequence of ints
std::vector<Shape> to_shapes(py::handle shapes, const char* op);  // one per input
// An int or a sequence or array of ints; `what` is the argument's name.
std::vector<std::int64_t> to_integers(py::handle value, const char* op, const char* what);
std::uint64_t to_seed(py::handle seed, const char* op);
// Labels or groups of rows: integers as they are, words and other objects numbered in sorted order; None: undefined.
Tensor to_labels(const py::object& values, const char* op, const char* what);
// stratify="auto" (y where it holds labels of which some occur `rows` times), True (y), None or False, or labels.
Tensor to_stratify(const py::object& stratify, const py::object& y, std::int64_t rows, const char* op);

// The memory of out=: a contiguous, writable array, or a tuple or list of them.
std::vector<OutputView> output_views(py::handle out, const char* op);

// One level of a walk through nested containers: throws RecursionError where Python would, as in lists that hold
// themselves.
struct Nesting {
  Nesting() {
    if (Py_EnterRecursiveCall(" in nested lists, tuples and dicts") != 0) throw py::error_already_set();
  }
  ~Nesting() { Py_LeaveRecursiveCall(); }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;
};

// Lists and tuples, nested.
bool is_numpy_scalar(py::handle value);
bool is_sequence(py::handle value);
bool holds_tensor(py::handle value);
bool has_python_numbers(py::handle value);  // Python's own (their floats become float32), not NumPy's (with a dtype)
Tensor stacked(py::handle list, const char* op);  // one with tensors in it; Python's numbers take their dtype

// --- and back -------------------------------------------------------------------------------------------------------
// A new array; what: the call that errors name.
py::array to_numpy(const Tensor& t, const char* what = "numpy");
py::array live_view(const Tensor& t, py::handle owner);       // read-only, on the tensor's own memory
py::object from_tensors(const std::vector<Tensor>& tensors);  // one: itself; several: a tuple
py::object tensor_or_none(const Tensor& t);
py::array to_array(const std::vector<std::int64_t>& values);  // a new array, int64
py::tuple shape_tuple(const Dims& shape);
py::dict to_dict(const std::vector<nn::NamedTensor>& tensors);  // name -> a new array
py::dict to_kwargs(const nn::Arguments& arguments);             // name -> a Python value
std::vector<nn::NamedTensor> from_dict(const py::dict& d, const char* op);

std::string preformatted(const std::string& text);  // for notebooks

// A Python object that C++ may hold, copy and drop without the GIL.
std::shared_ptr<PyObject> hold(py::object object);
py::object held(const std::shared_ptr<PyObject>& object);
std::string type_name(py::handle value);
// Where a tensor becomes a NumPy value: throws StateError, with the user's line, if a gradient were lost by it.
void check_gradient_is_kept(const Tensor& t);
// The same where a new leaf, a copy or a pickle would be made of it; op makes them.
void check_is_no_result(const Tensor& t, const char* op);
bool written_by_numpy();  // whether Python is executing a[...] = value, or a call that writes numbers into an array
void check_has_values(const Tensor& t, const char* what);  // throws StateError, with the user's line, where traced
std::string python_line();  // "line 3 of x.py: ", where Python is right now; empty outside Python code

// The function itself, whose wrong calls from now on get one line instead of pybind11's list: for functions made at run
// time.
py::object one_line_errors(py::object function);

inline constexpr const char* clip_doc =
    "Values limited to [low, high]: minimum(maximum(x, low), high); None leaves a side open. Bounds that are tensors "
    "or\n"
    "arrays broadcast, and have gradients.";

// A Python function of tensors, callable from C++ with or without the GIL.
Function to_function(const py::object& f);
std::vector<std::string> argument_names(const py::object& f);  // of a plain function; else none
NamedTensors named_variables(const py::object& f);             // tensors that its code refers to
Loss to_loss(py::handle value);
// Whole sets through model.predict: one array, or a tuple where there are several outputs.
py::object predict_arrays(const nn::Module& model, const py::object& x, std::int64_t batch_size,
                          const std::string& output);
py::object wrap_module(const nn::Module& module);
nn::Module unwrap_module(py::handle value, const char* op);

// Below this many elements an op is over before releasing the GIL pays.
inline constexpr std::int64_t release_threshold = 32768;

template <class F> auto released_if(bool release, F&& f) {
  if (!release) return f();
  const Unlocked unlocked;
  return f();
}

}  // namespace chainrule::python
