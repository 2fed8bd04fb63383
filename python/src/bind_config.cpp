// Error classes, version, build information, threads and seeds.
#include "common.hpp"

namespace chainrule::python {
namespace {

// New exception classes live as long as the interpreter: references are kept on purpose.
PyObject* make_error(py::module_& m, const char* name, const char* doc, const py::tuple& bases) {
  const std::string full = std::string("chainrule.") + name;
  PyObject* type = PyErr_NewExceptionWithDoc(full.c_str(), doc, bases.ptr(), nullptr);
  if (type == nullptr) throw py::error_already_set();
  m.attr(name) = py::handle(type);
  return type;
}

struct ErrorTypes {
  PyObject *error, *shape, *value, *dtype, *index, *state, *file;
};
ErrorTypes types;

}  // namespace

void bind_errors(py::module_& m) {
  const auto pair = [](PyObject* second) { return py::make_tuple(py::handle(types.error), py::handle(second)); };
  types.error = make_error(m, "Error", "What chainrule raises; every other error class derives from it.",
                           py::make_tuple(py::handle(PyExc_RuntimeError)));
  types.shape = make_error(m, "ShapeError", "Shapes that do not fit.", pair(PyExc_ValueError));
  types.value = make_error(m, "ValueError", "A value out of its domain.", pair(PyExc_ValueError));
  types.dtype = make_error(m, "DTypeError", "Element types that do not fit.", pair(PyExc_TypeError));
  types.index = make_error(m, "IndexError", "An index or a name that is not there.", pair(PyExc_IndexError));
  types.state =
      make_error(m, "StateError", "Something called at the wrong time.", py::make_tuple(py::handle(types.error)));
  types.file = make_error(m, "FileError", "A file that is unreadable, damaged or hostile.", pair(PyExc_OSError));
  py::register_exception_translator([](std::exception_ptr thrown) {
    try {
      if (thrown) std::rethrow_exception(thrown);
    } catch (const ShapeError& e) { PyErr_SetString(types.shape, e.what()); } catch (const ValueError& e) {
      PyErr_SetString(types.value, e.what());
    } catch (const DTypeError& e) { PyErr_SetString(types.dtype, e.what()); } catch (const IndexError& e) {
      PyErr_SetString(types.index, e.what());
    } catch (const StateError& e) { PyErr_SetString(types.state, e.what()); } catch (const FileError& e) {
      PyErr_SetString(types.file, e.what());
    } catch (const Error& e) { PyErr_SetString(types.error, e.what()); }
  });
}

void bind_config(py::module_& m) {
  m.attr("__version__") = std::to_string(CHAINRULE_VERSION_MAJOR) + "." + std::to_string(CHAINRULE_VERSION_MINOR) +
                          "." + std::to_string(CHAINRULE_VERSION_PATCH);
  m.def("config", &config, "Version, instruction set and why, bf16, threads, Eigen version and build type, as text.");
  m.def("show_config", [] { py::print(config()); }, "Print what this build is and what it runs on.");
  m.def("isa_level", &isa_level, "The instruction set in use: \"v2\", \"v3\", \"v4\", \"native\" or \"default\".");
  m.def("has_bf16", &has_bf16,
        "Whether Trainer(..., precision=\"bf16\") can run here: on processors with AMX, unless CHAINRULE_ISA caps it.");
  m.def("num_threads", &num_threads, "How many threads chainrule uses.");
  m.def("set_num_threads", &set_num_threads, "threads"_a, "Use this many threads, at least 1.");
  m.def(
      "manual_seed", [](const py::object& seed) { manual_seed(to_seed(seed, "manual_seed")); }, "seed"_a,
      "Set the seed that layers built without one, and dropout outside a Trainer, take their keys from (0 at start).");
}

}  // namespace chainrule::python
