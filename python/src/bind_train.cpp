// Trainer and History. Whole epochs run in C++ without the GIL; between slices Python gets its turn for
// Ctrl-C and for showing progress.
#include <algorithm>

#include "bind_diagnostics.hpp"
#include "callbacks.hpp"
#include "path.hpp"
#include "sampling.hpp"
#include "sources.hpp"
#include "watcher.hpp"

namespace chainrule::python {
namespace {

// A metric written in Python, found again when its Trainer is pickled.
struct PythonMetric {
  std::shared_ptr<PyObject> function;
  std::string name;
  double operator()(const Tensor& output, const Tensor& target) const {
    return with_gil([&] {
      const py::object result = call_python(held(function), to_numpy(output), to_numpy(target));
      const py::object number =
          py::reinterpret_steal<py::object>(outlives_python([&] { return PyNumber_Float(result.ptr()); }));
      if (!number) {
        PyErr_Clear();
        throw ValueError("metric " + name + ": must return a number, got " + type_name(result));
      }
      return number.cast<double>();
    });
  }
};

}  // namespace

Metric to_metric(py::handle value) {
  if (py::isinstance<py::str>(value)) return {value.cast<std::string>()};
  if (PyCallable_Check(value.ptr()) == 0)
    throw DTypeError("metrics: expected names or functions m(output, target), got " + type_name(value));
  const auto function = py::reinterpret_borrow<py::object>(value);
  const std::string name =
      py::hasattr(function, "__name__") ? function.attr("__name__").cast<std::string>() : type_name(value);
  // chainrule.metrics.f1 itself is its name, so that it learns what the loss's outputs mean.
  if (py::getattr(py::module_::import("chainrule.metrics"), name.c_str(), py::none()).is(function)) return {name};
  return {name, PythonMetric{hold(function), name}};
}

namespace {

py::object from_metric(const Metric& metric) {
  const auto* own = metric.call.target<PythonMetric>();
  if (metric.call && own == nullptr)
    throw StateError("pickle: the metric " + metric.name + " is a C++ function; only Python can pickle its own");
  return own == nullptr ? py::object(py::str(metric.name)) : held(own->function);
}

ValidationData validation_pair(const py::object& data) {
  if (data.is_none()) return {};
  if (is_source(data)) return {to_source(data, "validation_data")};
  if (!py::isinstance<py::sequence>(data) || py::len(data) != 2)
    throw ValueError("fit: validation_data must be a pair (X, y) or a source, got " + type_name(data));
  return {borrow_inputs(data[py::int_(0)], "validation_data"), borrow_target(data[py::int_(1)], "validation_data")};
}

History fit(Trainer& trainer, const py::object& x, const py::object& y, std::int64_t epochs, std::int64_t batch_size,
            bool shuffle, const py::object& validation_data, double validation_split, const py::object& sample_weight,
            const std::optional<std::variant<std::string, std::map<std::int64_t, double>>>& class_weight,
            const py::object& sampler, const py::object& callbacks, const py::object& seed, const py::object& progress,
            const py::object& resume_from) {
  const bool alone = is_source_alone(x, y, "fit");
  const std::shared_ptr<data::Source> source = alone ? to_source(x, "fit") : nullptr;
  const std::vector<Tensor> inputs = alone ? std::vector<Tensor>() : borrow_inputs(x, "fit");
  const Tensor target = alone ? Tensor() : borrow_target(y, "fit");
  FitOptions options;
  options.epochs = epochs, options.batch_size = batch_size, options.shuffle = shuffle;
  options.validation_data = validation_pair(validation_data);
  options.validation_split = validation_split;
  if (!sample_weight.is_none()) options.sample_weight = borrow(sample_weight, "sample_weight");
  if (class_weight) options.class_weight = std::visit([](const auto& w) { return ClassWeight(w); }, *class_weight);
  options.sampler = to_sampler(sampler, "fit");
  if (!seed.is_none()) options.seed = to_seed(seed, "fit");
  options.callbacks = to_callbacks(callbacks, "fit");
  if (!resume_from.is_none()) {
    options.resume_from = path_of(resume_from);
    if (options.resume_from.empty()) throw ValueError("fit: resume_from is an empty name; None begins anew");
  }
  options.on_warning = [](const std::string& text) {
    with_gil([&] {
      if (outlives_python([&] { return PyErr_WarnEx(PyExc_RuntimeWarning, text.c_str(), 1); }) != 0)
        throw py::error_already_set();
    });
  };

  return watched(progress, "bar", [&](Watcher& watcher) {
    options.on_progress = [&watcher](const FitState& fit) {
      return watcher([&] { return py::cast(std::const_pointer_cast<FitState>(fit.shared_from_this())); });
    };
    options.on_wait = [&watcher] { return watcher.hears_nothing(); };
    return source ? trainer.fit(source, options) : trainer.fit(inputs, target, options);
  });
}

Trainer make_trainer(const py::object& model, const py::object& loss, const py::object& optimizer,
                     const py::object& metrics, std::optional<double> clip_norm, std::optional<double> clip_value,
                     std::int64_t accumulate, double l1, std::optional<double> max_norm, double mixup,
                     const py::object& seed, const std::string& precision) {
  if (PyType_Check(optimizer.ptr()))
    throw DTypeError("Trainer: optimizer is a class; write " + std::string(py::str(optimizer.attr("__name__"))) + "()");
  if (!py::isinstance<optim::Optimizer>(optimizer))
    throw DTypeError("Trainer: optimizer must be one, e.g. optim.Adam(lr=1e-3), got " + type_name(optimizer));
  TrainerOptions options;
  if (py::isinstance<py::str>(metrics))
    throw DTypeError("Trainer: metrics must be a list; write metrics=[" + std::string(py::repr(metrics)) + "]");
  for (py::handle metric : metrics) options.metrics.push_back(to_metric(metric));
  options.clip_norm = clip_norm;
  options.clip_value = clip_value;
  options.accumulate = accumulate;
  options.l1 = l1, options.max_norm = max_norm, options.mixup = mixup;
  options.seed = to_seed(seed, "Trainer");
  options.precision = precision;
  return {unwrap_module(model, "Trainer"), to_loss(loss), optimizer.cast<const optim::Optimizer&>(), options};
}

// A Trainer is its arguments, the recipe of its optimizer, and its state_dict; the model goes with it. Which parameters
// the optimizer moves is told by their names in the model.
py::tuple pickle_trainer(const Trainer& t) {
  py::list metrics, moved;
  for (const Metric& metric : t.options().metrics) metrics.append(from_metric(metric));
  const auto named = t.model().named_parameters();
  for (const Tensor& p : const_cast<Trainer&>(t).optimizer().parameters()) {
    const auto same = [&](const nn::NamedTensor& own) { return own.tensor.data_handle() == p.data_handle(); };
    const auto found = std::find_if(named.begin(), named.end(), same);
    if (found == named.end())
      throw StateError(
          "pickle: the Trainer's optimizer moves a parameter of shape " + p.shape().str() +
          ", which its model does not have; pickle the models, opt.state_dict() and trainer.state_dict() instead");
    moved.append(found->name);
  }
  return py::make_tuple(
      wrap_module(t.model()), py::cast(t.loss()), py::cast(const_cast<Trainer&>(t).optimizer().recipe(named)), metrics,
      t.options().clip_norm, t.options().seed, moved, to_dict(t.state_dict()), t.history(), t.options().precision,
      t.options().clip_value, t.options().accumulate, t.options().l1, t.options().max_norm, t.options().mixup);
}

Trainer unpickle_trainer(const py::tuple& state) {
  const nn::Module model = unwrap_module(state[0], "Trainer");
  const auto named = model.named_parameters();
  std::vector<nn::NamedTensor> moved;
  std::vector<char> trained;  // of the model as it was, whatever a group of the recipe freezes
  for (const auto& name : state[6].cast<std::vector<std::string>>())
    for (const nn::NamedTensor& own : named) {
      if (own.name != name) continue;
      moved.push_back(own);
      trained.push_back(own.tensor.requires_grad());
    }
  const optim::Optimizer recipe = state[2].cast<const optim::Optimizer&>();
  TrainerOptions options;
  for (py::handle metric : state[3]) options.metrics.push_back(to_metric(metric));
  options.clip_norm = state[4].cast<std::optional<double>>();
  options.seed = state[5].cast<std::uint64_t>();
  options.precision = state[9].cast<std::string>();
  options.clip_value = state[10].cast<std::optional<double>>();
  options.accumulate = state[11].cast<std::int64_t>();
  options.l1 = state[12].cast<double>();
  options.max_norm = state[13].cast<std::optional<double>>();
  options.mixup = state[14].cast<double>();
  Trainer trainer(model, to_loss(state[1]), recipe.with(moved), options);
  for (std::size_t i = 0; i < moved.size(); ++i) moved[i].tensor.requires_grad_(trained[i] != 0);
  trainer.load_state_dict(from_dict(state[7].cast<py::dict>(), "pickle"));
  trainer.set_history(state[8].cast<const History&>());
  return trainer;
}

void bind_trainer(py::module_& m) {
  const FitOptions d;
  py::class_<Trainer> trainer(
      m, "Trainer",
      "Fits a model to data through one compiled step.\n\n"
      ">>> model = nn.MLP([2, 16, 1], seed=0)\n"
      ">>> precision = \"bf16\" if cr.has_bf16() else \"float32\"\n"
      ">>> trainer = cr.Trainer(model, nn.MSELoss(), optim.Adam(lr=0.02), precision=precision)\n"
      ">>> history = trainer.fit([[0.0, 1.0], [1.0, 2.0]], [[1.0], [3.0]], epochs=100)\n"
      ">>> history[\"loss\"][-1] < 0.01\nTrue");
  trainer
      .def(
          py::init(&make_trainer), "model"_a, "loss"_a, "optimizer"_a, py::kw_only(), "metrics"_a = py::tuple(),
          "clip_norm"_a = py::none(), "clip_value"_a = py::none(), "accumulate"_a = TrainerOptions{}.accumulate,
          "l1"_a = TrainerOptions{}.l1, "max_norm"_a = py::none(), "mixup"_a = TrainerOptions{}.mixup,
          "seed"_a = TrainerOptions{}.seed, "precision"_a = TrainerOptions{}.precision,
          "metrics: names as in chainrule.metrics (\"accuracy\", \"f1_macro\", \"top_5_accuracy\", \"r2\", ...) or "
          "functions\n"
          "m(output, target) on whole-set NumPy arrays.\n"
          "clip_norm: largest norm of all gradients together. clip_value: largest element of each, in its place.\n"
          "accumulate: batches per update, which is that of one batch of all their samples; the last of an epoch may "
          "have fewer.\n"
          "seed: keys shuffling and dropout.\n"
          "l1: times the sum of |w| over all parameters of two or more axes, it joins the objective (not the loss that "
          "is "
          "reported).\n"
          "max_norm: after each update, the incoming weights of a unit (a column of a matrix) are scaled down to this "
          "norm "
          "where theirs is\n"
          "above it (Srivastava et al., 2014, Dropout). mixup: above 0, each sample of a batch is mixed with the one "
          "at "
          "the mirrored place,\n"
          "m x + (1 - m) x', and so is its loss, with one m for each step from Beta(mixup, mixup) (Zhang et al., 2018, "
          "mixup).\n"
          "precision: \"float32\", or \"bf16\" on processors with AMX: training steps round the operands of matrix "
          "products to\n"
          "bfloat16 and sum in float32; parameters, gradients, optimizer, evaluation and prediction stay float32. "
          "Raises\n"
          "StateError where has_bf16() is False, DTypeError for a model that is not float32.")
      .def(
          "fit", &fit, "X"_a, "y"_a = py::none(), py::kw_only(), "epochs"_a = d.epochs, "batch_size"_a = d.batch_size,
          "shuffle"_a = d.shuffle, "validation_data"_a = py::none(), "validation_split"_a = d.validation_split,
          "sample_weight"_a = py::none(), "class_weight"_a = py::none(), "sampler"_a = py::none(),
          "callbacks"_a = py::tuple(), "seed"_a = py::none(), "progress"_a = "auto", "resume_from"_a = py::none(),
          "Train on X and y, or on a source of chainrule.data alone, for some epochs and return their History. A "
          "second call goes on where the first ended; Ctrl-C ends "
          "training\n"
          "at the next batch and leaves a usable model. sampler: which rows an epoch takes, a data.WeightedSampler, a\n"
          "data.StratifiedSampler or an object with a method order(seed, epoch) that gives row numbers. class_weight: "
          "weights by label, "
          "{0: 1.0, 1: 5.0}, or \"balanced\": n / (classes * count of the class), of the rows trained on, as in "
          "scikit-learn.\n"
          "callbacks: of "
          "chainrule.callbacks, or functions of the "
          "FitState "
          "that are\n"
          "called at the end of every epoch. progress: \"auto\" (a bar on a terminal), True, False, \"log\" (a line "
          "per\n"
          "epoch), or a function of the reports. resume_from: a checkpoint of callbacks.Checkpoint, or a folder of "
          "them, whose\n"
          "newest whole one is taken: the fit goes on from there, up to `epochs` in all, and ends with the bits of one "
          "that was\n"
          "never interrupted. \"auto\": from the folder of the Checkpoint among the callbacks if there is one in it, "
          "else from the\n"
          "beginning. Model, Trainer, data and arguments must be as they were; ValueError lists what is not.")
      .def(
          "evaluate",
          [](const Trainer& t, const py::object& x, const py::object& y, std::int64_t batch_size) {
            if (is_source_alone(x, y, "evaluate")) {
              const std::shared_ptr<data::Source> source = to_source(x, "evaluate");
              return interruptible(
                  [&](const std::function<bool()>& on_wait) { return t.evaluate(source, batch_size, on_wait); });
            }
            const std::vector<Tensor> inputs = borrow_inputs(x, "evaluate");
            const Tensor target = borrow_target(y, "evaluate");
            const Unlocked unlocked;
            return t.evaluate(inputs, target, batch_size);
          },
          "X"_a, "y"_a = py::none(), "batch_size"_a = 1024,
          "Loss and metrics on a whole set, (X, y) or a source alone, in eval mode, as a dict of floats.")
      .def(
          "predict",
          [](const Trainer& t, const py::object& x, std::int64_t batch_size, const std::string& output) {
            return predict_arrays(t.model(), x, batch_size, output);
          },
          "X"_a, "batch_size"_a = 1024, "output"_a = "raw", "As model.predict.")
      .def(
          "step",
          [](Trainer& t, const py::object& x, const py::object& y, const py::object& weight) {
            const std::vector<Tensor> inputs = borrow_inputs(x, "step");
            const Tensor target = borrow_target(y, "step");
            const Tensor w = weight.is_none() ? Tensor() : borrow(weight, "sample_weight");
            const Unlocked unlocked;
            return t.step(inputs, target, w);
          },
          "xb"_a, "yb"_a, "sample_weight"_a = py::none(),
          "One step on one batch; the loss before the update. With accumulate=k every k-th call updates.")
      .def(
          "profile",
          [](Trainer& t, const py::object& x, const py::object& y, std::int64_t batch_size, int runs) {
            const std::vector<Tensor> inputs = borrow_inputs(x, "profile");
            const Tensor target = borrow_target(y, "profile");
            const Unlocked unlocked;
            return t.profile(inputs, target, batch_size, runs);
          },
          "X"_a, "y"_a, py::kw_only(), "batch_size"_a = d.batch_size, "runs"_a = 100,
          "Where the time of a training step goes: a Profile, which prints as a table. Trains `runs` steps on the "
          "first\n"
          "batches of X and y, and then puts parameters, states and counters back.")
      .def("reset", &Trainer::reset, "Forget optimizer state, counters and the position in the stream; weights stay.")
      .def_property_readonly(
          "optimizer", [](Trainer& t) { return t.optimizer(); }, "Its own optimizer.")
      .def_property_readonly(
          "model", [](const Trainer& t) { return wrap_module(t.model()); }, "The model.")
      .def_property_readonly(
          "loss", [](const Trainer& t) { return t.loss(); }, "The loss.")
      .def_property_readonly("global_step", &Trainer::global_step, "Steps taken.")
      .def_property_readonly("history", &Trainer::history,
                             "The History of the last fit, also of one that an error or Ctrl-C has ended.")
      .def(
          "state_dict", [](const Trainer& t) { return to_dict(t.state_dict()); },
          "Copies of the optimizer's state and of the position in the stream of samples, by name. With the model's "
          "own\n"
          "state_dict, training goes on where it was.")
      .def(
          "load_state_dict",
          [](Trainer& t, const py::dict& state) { t.load_state_dict(from_dict(state, "load_state_dict")); }, "state"_a,
          "Put back what state_dict() gave.")
      .def(py::pickle(&pickle_trainer, &unpickle_trainer))
      .def("__copy__",
           [](const Trainer&) -> Trainer {
             throw StateError(
                 "copy: a Trainer is a handle; use it itself to share it, or copy.deepcopy for one with a model of its "
                 "own");
           })
      .def("__repr__", &Trainer::str);
  bind_diagnostics(m, trainer);
}

}  // namespace

void bind_train(py::module_& m) {
  bind_history(m);
  bind_trainer(m);
}

}  // namespace chainrule::python
