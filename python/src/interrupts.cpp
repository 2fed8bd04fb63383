// Ctrl-C that waits for a place where the work can be ended.
#include "interrupts.hpp"

#include <csignal>

namespace chainrule::python {
namespace {

bool waits = false;          // all of this under the GIL
unsigned long listener = 0;  // the thread in which it waits: the main one

[[noreturn]] void raise_interrupt() {
  PyErr_SetNone(PyExc_KeyboardInterrupt);
  throw py::error_already_set();
}

void handle(const py::object&, const py::object&) {
  if (waits) {
    waits = false;
    raise_interrupt();
  }
  waits = true;
}

}  // namespace

Interrupts::Interrupts() {
  const py::module_ signal = py::module_::import("signal");
  if (!signal.attr("getsignal")(SIGINT).is(signal.attr("default_int_handler"))) return;
  const py::module_ threading = py::module_::import("threading");
  if (!threading.attr("current_thread")().is(threading.attr("main_thread")())) return;
  const py::cpp_function handler(&handle);
  try {
    signal.attr("signal")(SIGINT, handler);
  } catch (py::error_already_set& error) {  // signals are the main interpreter's
    if (!error.matches(PyExc_ValueError)) throw;
    return;
  }
  handler_ = handler;
  waits = false;
  listener = PyThread_get_thread_ident();
}

Interrupts::~Interrupts() {
  if (!handler_) return;
  try {
    const py::module_ signal = py::module_::import("signal");
    if (signal.attr("getsignal")(SIGINT).is(handler_))
      signal.attr("signal")(SIGINT, signal.attr("default_int_handler"));
  } catch (py::error_already_set&) {  // another signal's handler has raised; of all that may fail, nothing else can
  }
  if (waits) PyErr_SetInterruptEx(SIGINT);
  waits = false;
}

void Interrupts::hear() {
  if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  if (!waits || listener != PyThread_get_thread_ident()) return;
  waits = false;
  raise_interrupt();
}

}  // namespace chainrule::python
