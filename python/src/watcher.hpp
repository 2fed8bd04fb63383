// Serves reports of long work: signals first, then whoever shows progress. Any exception ends the work and is raised
// once it is over.
#pragma once

#include "common.hpp"

namespace chainrule::python {

class Watcher {
 public:
  explicit Watcher(py::object show) : show_(std::move(show)) {}
  // report() makes the object shown; false: end the work.
  template <class Report> bool operator()(const Report& report) {
    return keeps([&] {
      if (!show_.is_none()) show_(report());
    });
  }
  bool hears_nothing() {  // signals alone
    return keeps([] {});
  }
  void rethrow() {
    if (error_) throw py::error_already_set(*error_);
  }

 private:
  template <class Call> bool keeps(const Call& call) {
    const py::gil_scoped_acquire locked;
    try {
      if (PyErr_CheckSignals() != 0) throw py::error_already_set();
      call();
    } catch (py::error_already_set& error) {
      error_ = std::make_unique<py::error_already_set>(std::move(error));
      return false;
    }
    return true;
  }

  py::object show_;
  std::unique_ptr<py::error_already_set> error_;
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
  py::object close = py::none();
  Watcher watcher(progress_function(progress, bar, close));
  const auto run = [&] {
    const py::gil_scoped_release unlocked;
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
