// Callbacks of a fit: FitState, the built-in ones, and those written in Python.
#include "callbacks.hpp"

#include <algorithm>
#include <array>

#include "path.hpp"
#include "watcher.hpp"

namespace chainrule::python {
namespace {

constexpr std::array hooks{"on_fit_begin", "on_batch_end", "on_slice", "on_epoch_end", "on_fit_end"};
using Hook = std::size_t;

// Callback's own empty methods would only cost time: fit stops for every batch after which it calls.
bool overrides(const py::object& object, const char* hook) {
  if (!py::hasattr(object, hook)) return false;
  const py::object base = py::module_::import("chainrule.callbacks").attr("Callback");
  const py::object method = object.attr(hook);
  return !py::hasattr(method, "__func__") || !py::object(method.attr("__func__")).is(base.attr(hook));
}

// Any Python object with some of the methods, or a function, called at the end of every epoch.
class PythonCallback : public Callback {
 public:
  PythonCallback(const py::object& object, std::int64_t every) : object_(hold(object)), every_(every) {
    bool any = false;
    for (Hook i = 0; i < hooks.size(); ++i) {
      any |= py::hasattr(object, hooks[i]);
      has_[i] = overrides(object, hooks[i]);
    }
    function_ = !any;
    keeps_ = any && overrides(object, "state_dict");
    observer_ = py::bool_(py::getattr(object, "observer", py::bool_(false)));
  }
  void on_fit_begin(FitState& fit) override { call(0, fit); }
  std::int64_t every() const override { return has_[1] ? every_ : 0; }
  void on_batch_end(FitState& fit) override { call(1, fit); }
  void on_slice(FitState& fit) override { call(2, fit); }
  void on_epoch_end(FitState& fit) override { call(3, fit); }
  void on_fit_end(FitState& fit) override { call(4, fit); }
  std::vector<nn::NamedTensor> state_dict() const override {
    if (!keeps_) return {};
    return with_gil([&] { return state_of_object(); });
  }
  void load_state_dict(const std::vector<nn::NamedTensor>& state) override {
    if (!keeps_) return Callback::load_state_dict(state);
    with_gil([&] { call_method(held(object_), "load_state_dict", to_dict(state)); });
  }
  std::string str() const override {
    return with_gil([&] { return type_name(held(object_)); });
  }
  bool observer() const override { return observer_; }
  // A deep copy: what Python objects can do by themselves.
  std::shared_ptr<Callback> clone() const override {
    return with_gil([&] {
      if (function_ && PyFunction_Check(object_.get()) != 0) return std::make_shared<PythonCallback>(*this);
      return std::make_shared<PythonCallback>(call_function("copy", "deepcopy", held(object_)), every_);
    });
  }

 private:
  std::vector<nn::NamedTensor> state_of_object() const {
    const py::object state = call_method(held(object_), "state_dict");
    if (!py::isinstance<py::dict>(state))
      throw DTypeError(type_name(held(object_)) + ".state_dict() must return a dict of arrays by name, got " +
                       type_name(state));
    std::vector<nn::NamedTensor> all;
    for (const auto& [name, value] : state.cast<py::dict>()) try {
        all.push_back(state_of(name, value));
      } catch (const std::exception& error) {
        throw DTypeError(type_name(held(object_)) + ".state_dict(): what it gives for " + std::string(py::repr(name)) +
                         " cannot be kept: " + error.what());
      }
    return all;
  }
  // Numbers and lists of Python's are NumPy's float64 and int64, not float32.
  static nn::NamedTensor state_of(py::handle name, py::handle value) {
    const bool of_python =
        PyFloat_Check(value.ptr()) != 0 || py::isinstance<py::list>(value) || py::isinstance<py::tuple>(value);
    py::dict array;
    array[name] = of_python ? call_function("numpy", "asarray", value) : py::reinterpret_borrow<py::object>(value);
    return from_dict(array, "state_dict")[0];
  }
  void call(Hook hook, FitState& fit) const {
    if (!has_[hook] && !(function_ && hook == 3)) return;
    with_gil([&] {
      Watcher::hear_first();
      if (function_)
        call_python(held(object_), fit.shared_from_this());
      else
        call_method(held(object_), hooks[hook], fit.shared_from_this());
    });
  }

  std::shared_ptr<PyObject> object_;
  std::int64_t every_;
  std::array<bool, hooks.size()> has_{};
  bool function_ = false, keeps_ = false, observer_ = false;  // keeps_: something in checkpoints
};

void check_hooks(const py::object& callback, const std::string& who) {
  for (py::handle name : py::reinterpret_steal<py::list>(PyObject_Dir(callback.ptr()))) {
    const auto text = name.cast<std::string>();
    if (!text.starts_with("on_") || std::find(hooks.begin(), hooks.end(), text) != hooks.end()) continue;
    std::string known;
    for (const char* hook : hooks) known += (known.empty() ? "" : ", ") + std::string(hook);
    throw ValueError(who + ": " + type_name(callback) + "." + text + " is no call of a callback; there are " + known);
  }
  const bool gives = overrides(callback, "state_dict"), takes = overrides(callback, "load_state_dict");
  if (gives != takes)
    throw DTypeError(who + ": " + type_name(callback) + " has " + (gives ? "state_dict" : "load_state_dict") +
                     " alone; write " + (gives ? "load_state_dict(state)" : "state_dict()") +
                     ", too: one gives what the other takes up");
}

std::int64_t every_of(const py::object& callback, const std::string& who) {
  if (!py::hasattr(callback, "every")) return 1;
  const py::object every = callback.attr("every");
  if (PyBool_Check(every.ptr()) != 0 || !PyIndex_Check(every.ptr()) || every.cast<std::int64_t>() < 0)
    throw ValueError(who + ": " + type_name(callback) + ".every must be a number of batches, got " +
                     std::string(py::repr(every)));
  return every.cast<std::int64_t>();
}

std::shared_ptr<Callback> to_callback(const py::object& callback, const std::string& who) {
  if (py::isinstance<Callback>(callback)) return callback.cast<std::shared_ptr<Callback>>();
  const bool is_class = PyType_Check(callback.ptr()) != 0;
  if (is_class)
    throw DTypeError(who + ": a callback is a class; write " + std::string(py::str(callback.attr("__name__"))) + "()");
  const bool any = std::any_of(hooks.begin(), hooks.end(), [&](const char* h) { return py::hasattr(callback, h); });
  if (!any && PyCallable_Check(callback.ptr()) == 0)
    throw DTypeError(who +
                     ": a callback must be one of chainrule.callbacks, an object with on_epoch_end or the like, or "
                     "a function of the FitState, got " +
                     type_name(callback));
  if (any) check_hooks(callback, who);
  return std::make_shared<PythonCallback>(callback, any ? every_of(callback, who) : 0);
}

void bind_fit_state(py::module_& m) {
  py::class_<FitState, std::shared_ptr<FitState>>(
      m, "FitState",
      "A running fit, as callbacks and progress functions see it. Kept beyond its end, its numbers stay and "
      "its calls raise\nStateError.")
      .def_readonly("epoch", &FitState::epoch, "Counts from 1; 0 before the first.")
      .def_readonly("epochs", &FitState::epochs)
      .def_readonly("batch", &FitState::batch, "Finished batches of this epoch.")
      .def_readonly("batches", &FitState::batches)
      .def_readonly("loss", &FitState::loss, "Running mean of this epoch.")
      .def_readonly("lr", &FitState::lr, "The learning rate that this epoch began with.")
      .def_readonly("samples_per_second", &FitState::samples_per_second)
      .def_readonly("epoch_end", &FitState::epoch_end)
      .def_readonly("resumed_from", &FitState::resumed_from, "The checkpoint that this fit goes on from, or \"\".")
      .def_property_readonly("columns", &FitState::columns, "The columns that every row of the history has.")
      .def_property_readonly(
          "trainer", [](const FitState& fit) { return fit.trainer(); }, "The Trainer.")
      .def_property_readonly(
          "model", [](const FitState& fit) { return wrap_module(fit.model()); },
          "What is validated, and what the trained model becomes when fit ends: the averages of EMA or SWA where there "
          "are any, else\nthe trainer's model.")
      .def_property_readonly(
          "history",
          [](const FitState& fit) {
            fit.trainer();
            return *fit.history;
          },
          "A copy of the history so far, at the end of an epoch with its row.")
      .def_property_readonly(
          "row",
          [](const FitState& fit) {
            py::dict row;
            if (fit.history != nullptr)
              for (const auto& [name, values] : fit.history->columns())
                if (!values.empty()) row[py::str(name)] = values.back();
            return row;
          },
          "The last finished epoch's values, by name.")
      .def("value", &FitState::value, "column"_a, "A value of the last finished epoch's row.")
      .def("log", &FitState::log, "name"_a, "value"_a,
           "Set a column of this epoch's row: as it is at the end of the epoch, or what the last batch said.")
      .def(
          "stop", [](FitState& fit, const std::string& reason, bool for_good) { fit.stop(reason, for_good); },
          "reason"_a, py::kw_only(), "for_good"_a = false,
          "End training after this call; history.stopped gives the reason. The first one stands. Resumed from a "
          "checkpoint, the fit goes\non, or with for_good, as after EarlyStopping, stays ended.")
      .def("__repr__", [](const FitState& fit) {
        return "FitState(epoch " + std::to_string(fit.epoch) + " of " + std::to_string(fit.epochs) + ", batch " +
               std::to_string(fit.batch) + " of " + std::to_string(fit.batches) + ")";
      });
}

void bind_early_stopping(py::module_& m) {
  using callbacks::EarlyStopping;
  using Options = callbacks::EarlyStoppingOptions;
  const Options d;
  const auto arguments = [](const EarlyStopping& e) {
    const Options& o = e.options();
    return py::make_tuple(o.monitor, o.patience, o.min_delta, o.mode, o.restore_best);
  };
  const auto make = [](const std::string& monitor, std::int64_t patience, double min_delta, const std::string& mode,
                       bool restore_best) {
    return std::make_shared<EarlyStopping>(Options{monitor, patience, min_delta, mode, restore_best});
  };
  py::class_<EarlyStopping, Callback, std::shared_ptr<EarlyStopping>>(
      m, "EarlyStopping", py::is_final(),
      "Ends training when a column of the history has not improved by more than min_delta for `patience` epochs.\n"
      "mode: \"min\", \"max\", or \"auto\", which tells by the column's name. restore_best: when fit ends, however it "
      "ends, the model\n"
      "gets the parameters and buffers of its best epoch. Prechelt, Early stopping - but when? (1998).\n\n"
      ">>> X, y = np.eye(8, dtype=\"f4\"), np.arange(8) % 2\n"
      ">>> trainer = cr.Trainer(nn.MLP([8, 8, 2], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=0.1))\n"
      ">>> stop = cr.callbacks.EarlyStopping(monitor=\"loss\", patience=2, min_delta=0.01)\n"
      ">>> history = trainer.fit(X, y, epochs=100, callbacks=[stop])\n"
      ">>> history.epochs < 100 and stop.best_epoch == history.epochs - 2\nTrue")
      .def(py::init(make), py::kw_only(), "monitor"_a = d.monitor, "patience"_a = d.patience,
           "min_delta"_a = d.min_delta, "mode"_a = d.mode, "restore_best"_a = d.restore_best,
           "patience: epochs without an improvement. Raises ValueError for unknown modes, and at the start of a fit "
           "whose "
           "history\n"
           "has no such column.")
      .def_property_readonly("best", &EarlyStopping::best, "The best value in the last fit; NaN before one.")
      .def_property_readonly("best_epoch", &EarlyStopping::best_epoch, "Its epoch, from 1; 0 before one.")
      .def(py::pickle(arguments,
                      [make](const py::tuple& t) {
                        return make(t[0].cast<std::string>(), t[1].cast<std::int64_t>(), t[2].cast<double>(),
                                    t[3].cast<std::string>(), t[4].cast<bool>());
                      }))
      .def("__repr__", [](const EarlyStopping& e) {
        const Options& o = e.options();
        return "EarlyStopping(monitor=\"" + o.monitor + "\", patience=" + std::to_string(o.patience) + ")";
      });
}

std::shared_ptr<callbacks::Checkpoint> make_checkpoint(
    const py::object& folder, std::optional<std::int64_t> every_epochs, std::optional<double> every_minutes,
    std::optional<std::int64_t> every_batches, std::int64_t keep_last, bool keep_best,
    const std::optional<std::string>& monitor, const std::string& mode, const py::object& schema,
    const std::string& training) {
  callbacks::CheckpointOptions o;
  o.folder = path_of(folder);
  o.every_epochs = every_epochs.value_or(0);
  o.every_minutes = every_minutes.value_or(0);
  o.every_batches = every_batches.value_or(0);
  o.keep_last = keep_last;
  o.keep_best = keep_best;
  o.monitor = monitor.value_or("");
  o.mode = mode;
  if (!schema.is_none()) o.schema = std::make_shared<const data::Schema>(schema.cast<const data::Schema&>());
  o.training_json = training;
  return std::make_shared<callbacks::Checkpoint>(o);
}

void bind_checkpoint(py::module_& m) {
  using callbacks::Checkpoint;
  const callbacks::CheckpointOptions d;
  py::class_<Checkpoint, Callback, std::shared_ptr<Checkpoint>>(
      m, "Checkpoint", py::is_final(),
      "Writes checkpoints of a fit into a folder, from which fit(resume_from=...) goes on to the same bits: every so "
      "many epochs,\n"
      "minutes (also within an epoch) or batches, and when the fit ends or is interrupted. The last keep_last stay, "
      "and with\n"
      "keep_best `best.safetensors`, of the epoch with the best value of the column `monitor` (None: \"val_loss\" "
      "where "
      "there is\n"
      "one, else \"loss\"; mode as in EarlyStopping). A checkpoint is a model file, too: load(path) gives the model of "
      "that moment,\n"
      "fit.model: with EMA or SWA the averages, which `val_` columns are about; the weights that are trained are "
      "beside "
      "it. schema and\n"
      "training: what the files tell about the model, as in save.\n\n"
      "Files are written aside, synced and renamed, and older ones are removed after that, so that the process may be "
      "killed at\n"
      "any moment. Where a write fails, as on a full disk, training goes on with a RuntimeWarning as long as an older "
      "checkpoint\n"
      "is there; else the FileError ends fit. A folder that holds checkpoints of another fit raises StateError; two "
      "Checkpoints of a\n"
      "fit with one folder raise ValueError.\n\n"
      ">>> import tempfile\n"
      ">>> folder = tempfile.mkdtemp()\n"
      ">>> def trained(epochs):\n"
      "...     trainer = cr.Trainer(nn.Linear(2, 1, seed=0), nn.MSELoss(), optim.Adam(lr=0.1))\n"
      "...     keep = cr.callbacks.Checkpoint(folder, keep_last=1)\n"
      "...     data = np.eye(2, dtype=\"f4\"), np.ones((2, 1), \"f4\")\n"
      "...     return trainer.fit(*data, epochs=epochs, callbacks=[keep], resume_from=\"auto\")\n"
      ">>> trained(3).epochs, trained(5).epochs  # the second one trained for 2 epochs\n(3, 5)\n"
      ">>> import os\n"
      ">>> sorted(os.listdir(folder))\n"
      "['best.safetensors', 'checkpoint-00005-0000000.safetensors']")
      .def(py::init(&make_checkpoint), "folder"_a, py::kw_only(), "every_epochs"_a = d.every_epochs,
           "every_minutes"_a = py::none(), "every_batches"_a = py::none(), "keep_last"_a = d.keep_last,
           "keep_best"_a = d.keep_best, "monitor"_a = py::none(), "mode"_a = d.mode, "schema"_a = py::none(),
           "training"_a = d.training_json, "folder: made if need be. Raises ValueError where it would never be due.")
      .def_property_readonly(
          "folder", [](const Checkpoint& c) { return c.options().folder; }, "Where it writes.")
      .def_property_readonly("newest", &Checkpoint::newest, "The path of the last one written; \"\" before.")
      .def_property_readonly("best", &Checkpoint::best, "The best value in the last fit; NaN before one.")
      .def_property_readonly("best_epoch", &Checkpoint::best_epoch, "Its epoch, from 1; 0 before one.")
      .def_property_readonly("failures", &Checkpoint::failures, "How many writes have failed in the last fit.")
      .def_property_readonly("error", &Checkpoint::error, "Why the last write failed; \"\" where it did not.")
      .def("__repr__", [](const Checkpoint& c) { return "Checkpoint(\"" + c.options().folder + "\")"; });
}

}  // namespace

std::vector<std::shared_ptr<Callback>> to_callbacks(const py::object& callbacks, const std::string& who) {
  if (!py::isinstance<py::list>(callbacks) && !py::isinstance<py::tuple>(callbacks))
    throw DTypeError(who + ": callbacks must be a list, got " + type_name(callbacks));
  std::vector<std::shared_ptr<Callback>> all;
  for (py::handle callback : callbacks) all.push_back(to_callback(py::reinterpret_borrow<py::object>(callback), who));
  return all;
}

void bind_callbacks(py::module_& m) {
  bind_fit_state(m);
  py::class_<Callback, std::shared_ptr<Callback>>(m, "BuiltinCallback", "A callback written in C++.");
  bind_early_stopping(m);
  bind_checkpoint(m);
  bind_ema(m);
  bind_swa(m);
}

}  // namespace chainrule::python
