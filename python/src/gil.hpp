// Taking and letting go of the GIL where Python may be shutting down meanwhile. Before Python 3.14 it then ends every
// other thread that wants the GIL by unwinding its stack, which destructors of C++ do not survive. Here such a thread
// hangs until the process has ended, as later Pythons have it.
#pragma once

#include <pybind11/pybind11.h>

#include <chrono>
#include <thread>
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
