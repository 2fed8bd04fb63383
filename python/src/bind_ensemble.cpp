// Recipes from Python's arguments, and ensembles.
#include "path.hpp"
#include "sampling.hpp"
#include "selection.hpp"

namespace chainrule::python {

namespace {

std::function<nn::Module()> model_function(const char* who, const py::object& make_model, const py::dict& arguments) {
  if (py::isinstance<nn::ModuleImpl>(make_model)) return copies_of(unwrap_module(make_model, who));
  if (PyCallable_Check(make_model.ptr()) == 0)
    throw DTypeError(std::string(who) + ": make_model must be a function that returns a model, or a model, got " +
                     type_name(make_model));
  return [who, function = hold(make_model), arguments = hold(arguments)] {
    return with_gil([&] {
      const py::object model =
          apply_python(held(function), py::tuple(), py::reinterpret_borrow<py::dict>(arguments.get()));
      if (!py::isinstance<nn::ModuleImpl>(model))
        throw DTypeError(std::string(who) + ": make_model must return a model, it returned " + type_name(model));
      return unwrap_module(model, who);
    });
  };
}

// What to_recipe's casts below are called where a value, one of a grid perhaps, cannot be cast.
template <class T> constexpr const char* words = nullptr;
template <> constexpr const char* words<std::int64_t> = "an integer";
template <> constexpr const char* words<bool> = "True or False";
template <> constexpr const char* words<double> = "a number";
template <> constexpr const char* words<std::optional<double>> = "a number or None";
using Weights = std::map<std::int64_t, double>;
template <> constexpr const char* words<Weights> = "\"balanced\" or a dict of labels and weights";

template <class T> T taken(const char* who, const char* name, const py::object& value) {
  if constexpr (std::is_same_v<T, py::object>) {
    return value;
  } else {
    static_assert(words<T> != nullptr);
    try {
      return value.cast<T>();
    } catch (const py::cast_error&) {
      throw DTypeError(std::string(who) + ": " + name + " must be " + words<T> + ", got " +
                       std::string(py::repr(value)));
    }
  }
}

ClassWeight to_class_weight(const char* who, const py::object& value) {
  if (value.is_none()) return {};
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  return taken<Weights>(who, "class_weight", value);
}

}  // namespace

Recipe to_recipe(const char* who, const py::object& make_model, const TrainingArguments& a,
                 const py::dict& parameters) {
  py::dict of_model, of_fit;
  py::object loss = a.loss, optimizer = a.optimizer;
  if (!parameters.empty()) {
    const py::tuple placed = call_function("chainrule._search", "apply", make_model, loss, optimizer, parameters);
    of_model = placed[0], loss = placed[1], optimizer = placed[2], of_fit = placed[3];
  }
  const auto option = [&](const char* name, const auto& otherwise) {
    using T = std::decay_t<decltype(otherwise)>;
    return of_fit.contains(name) ? taken<T>(who, name, of_fit[name]) : otherwise;
  };
  if (PyType_Check(optimizer.ptr()))
    throw DTypeError(std::string(who) + ": optimizer is a class; write " +
                     std::string(py::str(optimizer.attr("__name__"))) + "()");
  if (!py::isinstance<optim::Optimizer>(optimizer))
    throw DTypeError(std::string(who) + ": optimizer must be one, e.g. optim.Adam(lr=1e-3), got " +
                     type_name(optimizer));
  if (py::isinstance<py::str>(a.metrics))
    throw DTypeError(std::string(who) + ": metrics must be a list; write metrics=[" + std::string(py::repr(a.metrics)) +
                     "]");
  Recipe recipe;
  recipe.model = model_function(who, make_model, of_model);
  recipe.loss = to_loss(loss);
  recipe.optimizer = optimizer.cast<const optim::Optimizer&>();
  for (py::handle metric : a.metrics) recipe.trainer.metrics.push_back(to_metric(metric));
  recipe.trainer.clip_norm = option("clip_norm", taken<std::optional<double>>(who, "clip_norm", a.clip_norm));
  recipe.trainer.clip_value = option("clip_value", taken<std::optional<double>>(who, "clip_value", a.clip_value));
  recipe.trainer.accumulate = option("accumulate", a.accumulate);
  recipe.trainer.l1 = option("l1", a.l1);
  recipe.trainer.max_norm = option("max_norm", taken<std::optional<double>>(who, "max_norm", a.max_norm));
  recipe.trainer.mixup = option("mixup", a.mixup);
  recipe.trainer.precision = a.precision;
  recipe.fit.epochs = option("epochs", a.epochs);
  recipe.fit.batch_size = option("batch_size", a.batch_size);
  recipe.fit.shuffle = option("shuffle", a.shuffle);
  if (!a.sample_weight.is_none()) recipe.fit.sample_weight = borrow(a.sample_weight, "sample_weight");
  recipe.fit.class_weight = to_class_weight(who, option("class_weight", a.class_weight));
  recipe.fit.sampler = to_sampler(option("sampler", a.sampler), who);
  recipe.fit.callbacks = to_callbacks(a.callbacks, who);
  return recipe;
}

namespace {

Ensemble train(const py::object& make_model, const py::object& X, const py::object& y, const py::object& loss,
               const py::object& optimizer, std::int64_t seeds, std::int64_t epochs, std::int64_t batch_size,
               const py::object& metrics, const py::object& seed, const py::object& workers,
               const py::object& callbacks, const py::object& sample_weight, const py::object& class_weight,
               const py::object& sampler, bool shuffle, const py::object& clip_norm, const py::object& clip_value,
               std::int64_t accumulate, double l1, const py::object& max_norm, double mixup,
               const std::string& precision, const py::object& progress) {
  const char* who = "Ensemble";
  const Recipe recipe =
      to_recipe(who, make_model,
                {loss, optimizer, epochs, batch_size, metrics, shuffle, sample_weight, class_weight, sampler, clip_norm,
                 clip_value, accumulate, l1, max_norm, mixup, callbacks, precision});
  const std::vector<Tensor> x = borrow_inputs(X, who);
  const Tensor target = borrow(y, who);
  EnsembleOptions options;
  options.seeds = seeds;
  options.seed = to_seed(seed, who);
  if (!workers.is_none()) options.workers = workers.cast<int>();
  std::vector<Ensemble> made;  // empty where a signal ended it, which is then raised
  watched(progress, "models_bar", [&](Watcher& watcher) {
    bool ended = false;
    options.on_progress = [&](const SelectionProgress& p) {
      ended = !watcher([&] { return py::cast(p); });
      return !ended;
    };
    try {
      made.push_back(Ensemble::train(recipe, x, target, options));
    } catch (const StateError&) {
      if (!ended) throw;
    }
    return true;
  });
  return made.front();
}

}  // namespace

void bind_ensemble(py::module_& m) {
  const EnsembleOptions d;
  const FitOptions fit;
  py::class_<Ensemble>(
      m, "Ensemble",
      "Models of one task that predict together: Ensemble([model, ...]), Ensemble.train, or what "
      "CrossValidation.ensemble() gives.\n\n"
      ">>> X, y = cr.datasets.load_digits(split=\"train\")\n"
      ">>> five = cr.Ensemble.train(nn.MLP([64, 16, 10]), X, y, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam())\n"
      ">>> mean, spread = five.predict(X[:4], output=\"proba\")\n"
      ">>> mean.shape, spread.shape\n((4, 10), (4, 10))")
      .def(py::init([](const py::object& models) {
             std::vector<nn::Module> all;
             for (py::handle model : models) all.push_back(unwrap_module(model, "Ensemble"));
             return Ensemble(std::move(all));
           }),
           "models"_a)
      .def_static("train", &train, "make_model"_a, "X"_a, "y"_a, py::kw_only(), "loss"_a, "optimizer"_a,
                  "seeds"_a = d.seeds, "epochs"_a = fit.epochs, "batch_size"_a = fit.batch_size,
                  "metrics"_a = py::tuple(), "seed"_a = d.seed, "workers"_a = py::none(), "callbacks"_a = py::tuple(),
                  "sample_weight"_a = py::none(), "class_weight"_a = py::none(), "sampler"_a = py::none(),
                  "shuffle"_a = fit.shuffle, "clip_norm"_a = py::none(), "clip_value"_a = py::none(),
                  "accumulate"_a = TrainerOptions{}.accumulate, "l1"_a = TrainerOptions{}.l1, "max_norm"_a = py::none(),
                  "mixup"_a = TrainerOptions{}.mixup, "precision"_a = TrainerOptions{}.precision, "progress"_a = "auto",
                  "Train so many models (seeds) on all data, the i-th with weights drawn by init(seed + i) and with "
                  "that seed for the\n"
                  "order of samples and dropout. The other arguments are those of cross_validate. Lakshminarayanan, "
                  "Pritzel, Blundell\n"
                  "(2017), Simple and scalable predictive uncertainty estimation using deep ensembles.")
      .def(
          "predict",
          [](const Ensemble& e, const py::object& x, std::int64_t batch_size, const std::string& output) {
            const Tensor in = borrow(x, "predict");
            EnsemblePrediction result;
            {
              const Unlocked unlocked;
              result = e.predict(in, batch_size, output);
            }
            return py::make_tuple(to_numpy(result.mean), to_numpy(result.spread));
          },
          "X"_a, "batch_size"_a = 1024, "output"_a = "raw",
          "(mean, spread), each of the shape of one model's prediction: mean and standard deviation over the models of "
          "their outputs\n"
          "(\"raw\") or probabilities (\"proba\"). With output=\"class\": the class of the mean probability, and the "
          "share "
          "of the models\n"
          "that name another class.")
      .def_property_readonly(
          "models",
          [](const Ensemble& e) {
            py::list models;
            for (const nn::Module& model : e.models()) models.append(wrap_module(model));
            return models;
          },
          "The models.")
      .def(
          "save", [](const Ensemble& e, const py::object& folder) { e.save(path_of(folder)); }, "folder"_a,
          "Write a model file for each into a new or empty folder: model-0.safetensors, ...")
      .def_static(
          "load", [](const py::object& folder) { return Ensemble::load(path_of(folder)); }, "folder"_a,
          "What save has written; needs no class of the models.")
      .def("__len__", [](const Ensemble& e) { return e.models().size(); })
      .def("__repr__", &Ensemble::str);
}

}  // namespace chainrule::python
