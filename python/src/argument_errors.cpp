// Calls whose arguments do not fit: pybind11's list of overloads becomes one line that names the argument. Done once,
// for every function, method, constructor and property of the module; the words are in chainrule/_arguments.py.
#include <algorithm>
#include <string_view>
#include <unordered_map>

#include "common.hpp"

namespace chainrule::python {
namespace {

using Dispatcher = PyObject* (*)(PyObject*, PyObject* const*, std::size_t, PyObject*);
using Record = py::detail::function_record;

Dispatcher pybind_dispatcher = nullptr;

// What a setter sets: pybind11 gives setters no name.
std::unordered_map<const Record*, std::string>& set_names() {
  static std::unordered_map<const Record*, std::string> names;
  return names;
}

std::string called_name(const Record& record) {
  if (const auto found = set_names().find(&record); found != set_names().end()) return found->second;
  if (*record.name == '\0') return "function";
  return record.is_constructor ? record.scope.attr("__name__").cast<std::string>() : std::string(record.name);
}

bool takes_number(const Record& record, const py::detail::argument_record& option) {
  return option.name != nullptr &&
         std::string_view(record.signature).find(std::string(option.name) + ": typing.SupportsFloat") !=
             std::string_view::npos;
}

// The line for a failed call, or an empty string where the error came from elsewhere.
std::string explained(const Record& first, PyObject* const* arguments, std::size_t count, PyObject* keywords) {
  const py::error_already_set error;  // takes the error; what it says is pybind11's own text
  const std::string text = py::str(error.value());
  const char* kind =
      first.is_constructor ? "(): incompatible constructor arguments." : "(): incompatible function arguments.";
  const bool refused = text.rfind(std::string(first.name) + kind, 0) == 0;
  if (!refused && text.rfind("Unable to cast Python instance", 0) != 0) {  // a cast inside a binding
    py::error_already_set(error).restore();
    return {};
  }
  py::list signatures, positional;
  for (const Record* record = &first; record != nullptr; record = record->next) signatures.append(record->signature);
  for (std::size_t i = 0; i < count; ++i) positional.append(py::handle(arguments[i]));
  py::dict named;
  for (py::ssize_t i = 0; keywords != nullptr && i < PyTuple_GET_SIZE(keywords); ++i)
    named[py::handle(PyTuple_GET_ITEM(keywords, i))] = py::handle(arguments[count + static_cast<std::size_t>(i)]);
  const py::object explain = py::module_::import("chainrule._arguments").attr("explain");
  return py::str(explain(called_name(first), signatures, positional, named, first.is_method));
}

PyObject* dispatch(PyObject* self, PyObject* const* arguments, std::size_t flagged_count, PyObject* keywords) {
  PyObject* result = pybind_dispatcher(self, arguments, flagged_count, keywords);
  if (result != nullptr ||
      (PyErr_ExceptionMatches(PyExc_TypeError) == 0 && PyErr_ExceptionMatches(PyExc_RuntimeError) == 0))
    return result;
  try {
    const Record& first = *py::detail::function_record_ptr_from_PyObject(self);
    const std::string line =
        explained(first, arguments, static_cast<std::size_t>(PyVectorcall_NARGS(flagged_count)), keywords);
    if (!line.empty()) PyErr_SetString(PyExc_TypeError, line.c_str());
  } catch (py::error_already_set& error) { error.restore(); }
  return nullptr;
}

// Options are numbers: of a recorded tensor only the value would be taken, and its gradient lost in silence.
void check_options(const Record& record, PyObject* const* arguments, std::size_t count, PyObject* keywords) {
  const auto check = [&](const py::detail::argument_record& option, py::handle value) {
    if (!is_tensor(value) || !takes_number(record, option)) return;
    const Tensor& t = value.cast<const Tensor&>();
    if (t.symbolic())
      throw StateError(called_name(record) + ": " + python_line() + option.name +
                       " is a number that tracing fixes, and the tensor given for it has no value yet; let the "
                       "function refer to it instead of taking it as an argument");
    if (t.requires_grad() && grad_enabled())
      throw StateError(called_name(record) + ": " + python_line() + option.name +
                       " is a number, and the gradient of the tensor given for it would be lost; write it with ops of "
                       "tensors, or pass float(" +
                       option.name + ") where only its value is meant");
  };
  for (std::size_t i = 0; i < count && i < record.args.size(); ++i) check(record.args[i], arguments[i]);
  for (py::ssize_t i = 0; keywords != nullptr && i < PyTuple_GET_SIZE(keywords); ++i)
    for (const py::detail::argument_record& option : record.args)
      if (option.name != nullptr &&
          py::str(py::handle(PyTuple_GET_ITEM(keywords, i))).cast<std::string>() == option.name)
        check(option, arguments[count + static_cast<std::size_t>(i)]);
}

PyObject* dispatch_with_options(PyObject* self, PyObject* const* arguments, std::size_t flagged_count,
                                PyObject* keywords) {
  try {
    check_options(*py::detail::function_record_ptr_from_PyObject(self), arguments,
                  static_cast<std::size_t>(PyVectorcall_NARGS(flagged_count)), keywords);
  } catch (const StateError& error) {
    const py::object type = py::module_::import("chainrule").attr("StateError");
    PyErr_SetString(type.ptr(), error.what());
    return nullptr;
  }
  return dispatch(self, arguments, flagged_count, keywords);
}

// pybind11 cuts NumPy's floats and tensors to integers where it may convert: integers are taken as they are.
void refuse_fractions(Record& record) {
  const std::string signature = record.signature;
  for (py::detail::argument_record& argument : record.args)
    if (argument.name != nullptr &&
        signature.find(std::string(argument.name) + ": typing.SupportsInt") != std::string::npos)
      argument.convert = false;
}

void redirect(py::handle value, const std::string& set_name = {}) {
  const py::handle function = py::detail::get_function(value);
  if (!function || PyCFunction_Check(function.ptr()) == 0) return;
  PyObject* self = PyCFunction_GET_SELF(function.ptr());
  Record* record = self == nullptr ? nullptr : py::detail::function_record_ptr_from_PyObject(self);
  if (record == nullptr) return;
  const auto dispatcher = reinterpret_cast<Dispatcher>(reinterpret_cast<void (*)()>(record->def->ml_meth));
  const bool known = dispatcher == &dispatch || dispatcher == &dispatch_with_options;
  if (!known) pybind_dispatcher = dispatcher;  // one and the same for all of them
  const bool options = record->next == nullptr && std::any_of(record->args.begin(), record->args.end(),
                                                              [&](const auto& a) { return takes_number(*record, a); });
  record->def->ml_meth =
      reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(options ? &dispatch_with_options : &dispatch));
  if (!set_name.empty()) set_names().emplace(record, set_name);
  for (; record != nullptr; record = record->next) refuse_fractions(*record);
}

void redirect_class(py::handle type) {
  for (auto [name, member] :
       py::reinterpret_steal<py::dict>(PyDict_Copy(reinterpret_cast<PyTypeObject*>(type.ptr())->tp_dict))) {
    if (PyObject_TypeCheck(member.ptr(), &PyProperty_Type)) {
      redirect(member.attr("fget"));
      redirect(member.attr("fset"), py::str(name));
    } else if (PyObject_TypeCheck(member.ptr(), &PyStaticMethod_Type)) {
      redirect(member.attr("__func__"));
    } else {
      redirect(member);
    }
  }
}

}  // namespace

py::object one_line_errors(py::object function) {
  redirect(function);
  return function;
}

void bind_argument_errors(py::module_& m) {
  for (auto [name, member] : m.attr("__dict__").cast<py::dict>()) {
    if (PyType_Check(member.ptr()))
      redirect_class(member);
    else
      redirect(member);
  }
}

}  // namespace chainrule::python
