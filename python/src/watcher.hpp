// Serves reports of long work: signals first, then whoever shows progress. Any exception ends the work and is raised
// once it is over.
#pragma once

#include <utility>

#include "interrupts.hpp"

namespace chainrule::python {

class Watcher {
 public:
  explicit Watcher(py::object show) : show_(std::move(show)), before_(std::exchange(present_, this)) {}
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;
  ~Watcher() { present_ = before_; }
  // report() makes the object shown; false: end the work.
  template <class Report> bool operator()(const Report& report) {
    return keeps([&] {
      if (!show_.is_none()) show_(report());
    });
  }
  bool hears_nothing() {  // signals alone
    return keeps([] {});
  }
  // Before Python code runs in the middle of the work: a signal of before is the watcher's, and does not end that code.
  static void hear_first() {
    if (present_ != nullptr) present_->hears_nothing();
  }
  void rethrow() {
    if (error_) throw py::error_already_set(*error_);
  }

 private:
  template <class Call> bool keeps(const Call& call) {
    return with_gil([&] {
      if (error_) return false;
      try {
        hear();
        call();
        hear();
      } catch (py::error_already_set& error) {
        error_ = std::make_unique<py::error_already_set>(std::move(error));
        return false;
      }
      return true;
    });
  }
  // Work within a callback, an evaluation or a fit, is part of it: the Ctrl-C that waits is for the work around it.
  void hear() const {
    if (before_ == nullptr) return Interrupts::hear();
    if (PyErr_CheckSignals() != 0) throw py::error_already_set();
  }

  inline static thread_local Watcher* present_ = nullptr;

  py::object show_;
  std::unique_ptr<py::error_already_set> error_;
  Watcher* const before_;
};

// progress="auto" (a bar on a terminal), True, False, or a function that gets every report. bar: who makes the bar in
// chainrule.progress; close: what is to be called at the end, or None.
inline py::object progress_function(const py::object& progress, const char* bar, py::object& close) {
  if (progress.ptr() == Py_False || progress.is_none()) return py::none();
  if (PyCallable_Check(progress.ptr()) != 0) return progress;
  const py::object made = py::module_::import("chainrule.progress").attr(bar)(progress);
  if (!made.is_none()) close = made.attr("close");
  return made;
}

// Runs work(watch) without the GIL; the bar is closed whatever happens, and what the watcher caught is raised.
template <class Work> auto watched(const py::object& progress, const char* bar, const Work& work) {
  const Interrupts interrupts;
  py::object close = py::none();
  Watcher watcher(progress_function(progress, bar, close));
  const auto run = [&] {
    const Unlocked unlocked;
    return work(watcher);
  };
  auto result = [&] {
    try {
      return run();
    } catch (...) {
      if (!close.is_none()) close();
      watcher.rethrow();  // which may be why the work has thrown
      throw;
    }
  }();
  if (!close.is_none()) close();
  watcher.rethrow();
  return result;
}

// test(on_step) without the GIL; a signal ends it, and what its handler raised is raised once all is put back.
template <class Test> auto interruptible(const Test& test) {
  return watched(py::none(), "",
                 [&](Watcher& watcher) { return test([&watcher] { return watcher.hears_nothing(); }); });
}

Metric to_metric(py::handle value);  // a name or a function

}  // namespace chainrule::python
