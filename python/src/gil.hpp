// Taking and letting go of the GIL where Python may be shutting down meanwhile. Before Python 3.14 it then ends every
// other thread that wants the GIL by unwinding its stack, which destructors of C++ do not survive. Here such a thread
// hangs until the process has ended, as later Pythons have it.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>
#include <utility>
#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace chainrule::python {

[[noreturn]] inline void hang() {
  for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
}

// For what runs Python code or waits for the GIL: calls of Python's C interface, with no C++ object around that the
// thread's end would destroy.
template <class Call> auto outlives_python(const Call& call) {
#if defined(__GLIBCXX__)
  try {
    return call();
  } catch (abi::__forced_unwind&) { hang(); }
#else
  return call();  // threads are not unwound there
#endif
}

// call() with the GIL, in any thread.
template <class Call> auto with_gil(const Call& call) {
  if (Py_IsInitialized() == 0) hang();
  return outlives_python([&] {
    const pybind11::gil_scoped_acquire locked;
    return outlives_python(call);
  });
}

// A reference of one's own to what a call of Python's C interface has given.
template <class Call> pybind11::object result_of(const Call& call) {
  PyObject* const result = outlives_python(call);
  if (result == nullptr) throw pybind11::error_already_set();
  return pybind11::reinterpret_steal<pybind11::object>(result);
}

// What work in C++ calls of Python's code, with the GIL: where objects are around, as they are in py::object's own
// calls, the thread's end must not reach them.
inline pybind11::object apply_python(pybind11::handle function, const pybind11::tuple& arguments,
                                     pybind11::handle named = {}) {
  return result_of([&] { return PyObject_Call(function.ptr(), arguments.ptr(), named.ptr()); });
}

template <class... Arguments> pybind11::object call_python(pybind11::handle function, Arguments&&... arguments) {
  return apply_python(function, pybind11::make_tuple(std::forward<Arguments>(arguments)...));
}

template <class... Arguments>
pybind11::object call_method(pybind11::handle object, const char* name, Arguments&&... arguments) {
  return call_python(result_of([&] { return PyObject_GetAttrString(object.ptr(), name); }),
                     std::forward<Arguments>(arguments)...);
}

template <class... Arguments>
pybind11::object call_function(const char* module, const char* name, Arguments&&... arguments) {
  return call_method(result_of([&] { return PyImport_ImportModule(module); }), name,
                     std::forward<Arguments>(arguments)...);
}

// Without the GIL as long as it lives.
class Unlocked {
 public:
  Unlocked() : state_(PyEval_SaveThread()) {}
  ~Unlocked() {
    outlives_python([this] { PyEval_RestoreThread(state_); });
  }
  Unlocked(const Unlocked&) = delete;
  Unlocked& operator=(const Unlocked&) = delete;

 private:
  PyThreadState* state_;
};

}  // namespace chainrule::python
