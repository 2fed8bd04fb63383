// Cross-validation and search. Models are made by Python on the calling thread and train in C++ threads without the
// GIL.
#include <algorithm>

#include "selection.hpp"
#include "sources.hpp"

namespace chainrule::python {
namespace {

struct SelectionArguments {
  std::int64_t k;
  std::string score;
  py::object stratify, groups;
  std::int64_t repeats;
  py::object folds;
  bool retrain;
  py::object seed, workers, progress;
};

std::vector<data::Fold> to_folds(const char* who, const py::object& folds, std::int64_t rows,
                                 const SelectionArguments& given) {
  if (folds.is_none()) return {};
  if (py::isinstance<py::str>(folds)) {
    if (folds.cast<std::string>() != "time_series")
      throw ValueError(std::string(who) +
                       ": folds must be \"time_series\" or pairs (train rows, held-out rows), got \"" +
                       folds.cast<std::string>() + "\"");
    return data::time_series_folds(rows, {.k = given.k});
  }
  std::vector<data::Fold> pairs;
  for (py::handle pair : folds) {
    if (!py::isinstance<py::sequence>(pair) || py::len(pair) != 2)
      throw ValueError(std::string(who) + ": folds must be pairs (train rows, held-out rows), got " + type_name(pair));
    const auto part = [&](int i) {
      const py::object part_rows = pair[py::int_(i)];
      return to_integers(part_rows, who, "folds");
    };
    pairs.push_back({part(0), part(1)});
    for (data::Rows* held : {&pairs.back().train, &pairs.back().validation}) std::sort(held->begin(), held->end());
  }
  if (pairs.empty()) throw ValueError(std::string(who) + ": folds is empty; give pairs (train rows, held-out rows)");
  return pairs;
}

template <class Options>
Options to_options(const char* who, const SelectionArguments& given, const py::object& target, std::int64_t rows) {
  Options options;
  options.k = given.k;
  options.score = given.score;
  options.groups = to_labels(given.groups, who, "groups");
  options.repeats = given.repeats;
  options.folds = to_folds(who, given.folds, rows, given);
  const bool automatic = py::isinstance<py::str>(given.stratify) && given.stratify.cast<std::string>() == "auto";
  if (!automatic) options.stratify = to_stratify(given.stratify, target, given.k, who);
  options.retrain = given.retrain;
  options.seed = to_seed(given.seed, who);
  if (!given.workers.is_none()) {
    options.workers = given.workers.cast<int>();
    if (options.workers == 0) throw ValueError(std::string(who) + ": workers must be at least 1, or None: 0");
  }
  return options;
}

// What a call trains on, and everything in a form that needs no GIL.
struct Data {
  std::vector<Tensor> x;
  Tensor y;
  Data(const char* who, const py::object& X, const py::object& target) {
    check_arrays(X, target, who);
    x = borrow_inputs(X, who), y = borrow(target, who);
  }
  std::int64_t rows() const { return y.rank() > 0 ? y.shape(0) : 0; }
};

CrossValidation validate(const py::object& make_model, const py::object& X, const py::object& y,
                         const TrainingArguments& training, const SelectionArguments& given) {
  const char* who = "cross_validate";
  const Recipe recipe = to_recipe(who, make_model, training);
  const Data data(who, X, y);
  auto options = to_options<CrossValidationOptions>(who, given, y, data.rows());
  return watched(given.progress, "models_bar", [&](Watcher& watcher) {
    options.on_progress = [&](const SelectionProgress& p) { return watcher([&] { return py::cast(p); }); };
    return cross_validate(recipe, data.x, data.y, options);
  });
}

nn::ArgumentValue shown(py::handle value) {
  if (PyBool_Check(value.ptr()) != 0) return value.cast<bool>();
  if (PyLong_Check(value.ptr()) != 0) return value.cast<std::int64_t>();
  if (PyFloat_Check(value.ptr()) != 0) return value.cast<double>();
  if (py::isinstance<py::str>(value)) return value.cast<std::string>();
  if (PyCallable_Check(value.ptr()) != 0 && py::hasattr(value, "__name__"))
    return value.attr("__name__").cast<std::string>();
  return std::string(py::repr(value));
}

PythonSearch run_search(const py::object& make_model, const py::list& candidates, const py::object& X,
                        const py::object& y, const py::object& maximize, const TrainingArguments& training,
                        const SelectionArguments& given) {
  const char* who = "search";
  const Data data(who, X, y);
  auto options = to_options<SearchOptions>(who, given, y, data.rows());
  if (!maximize.is_none()) options.maximize = maximize.cast<bool>();
  std::vector<nn::Arguments> named;
  for (py::handle candidate : candidates) {
    to_recipe(who, make_model, training, candidate.cast<py::dict>());  // every name is checked before anything trains
    nn::Arguments arguments;
    for (const auto& [name, value] : candidate.cast<py::dict>())
      arguments.emplace_back(name.cast<std::string>(), shown(value));
    named.push_back(std::move(arguments));
  }
  Search found = watched(given.progress, "models_bar", [&](Watcher& watcher) {
    options.on_progress = [&](const SelectionProgress& p) { return watcher([&] { return py::cast(p); }); };
    const auto make = [&](std::size_t i) {
      return with_gil([&] { return to_recipe(who, make_model, training, candidates[i].cast<py::dict>()); });
    };
    return search(named, make, data.x, data.y, options);
  });
  py::list parameters;
  for (const std::size_t i : found.order) parameters.append(candidates[i]);
  return {std::move(found), parameters};
}

// Lists in the values' places: points hold indices into them.
py::list from_points(const std::vector<nn::Arguments>& points, const py::dict& values) {
  py::list candidates;
  for (const nn::Arguments& point : points) {
    py::dict candidate = to_kwargs(point);
    for (const auto& [name, list] : values) candidate[name] = list[candidate[name]];
    candidates.append(candidate);
  }
  return candidates;
}

bool is_list(py::handle value) {
  return !py::isinstance<py::str>(value) && !py::isinstance<py::dict>(value) && py::hasattr(value, "__len__") &&
         py::hasattr(value, "__getitem__");
}

std::vector<nn::ArgumentValue> indices(py::handle values) {
  std::vector<nn::ArgumentValue> all;
  for (std::size_t i = 0; i < py::len(values); ++i) all.emplace_back(static_cast<std::int64_t>(i));
  return all;
}

// NumPy's numbers become Python's.
py::object plain(py::handle values) {
  return py::hasattr(values, "tolist") ? values.attr("tolist")() : py::reinterpret_borrow<py::object>(values);
}

PythonSearch on_grid(const py::object& make_model, const py::dict& grid, const py::object& X, const py::object& y,
                     const py::object& maximize, const TrainingArguments& training, const SelectionArguments& given) {
  ParameterGrid places;
  py::dict values;
  for (const auto& [name, list] : grid) {
    const std::string text = py::str(name);
    if (!is_list(list))
      throw DTypeError("grid_search: " + text + " must be a list of values, got " + type_name(list) + "; write [" +
                       std::string(py::repr(list)) + "]");
    places.emplace_back(text, indices(list));
    values[name] = plain(list);
  }
  return run_search(make_model, from_points(grid_points(places), values), X, y, maximize, training, given);
}

PythonSearch at_random(const py::object& make_model, const py::dict& distributions, const py::object& X,
                       const py::object& y, std::int64_t n_iter, const py::object& maximize,
                       const TrainingArguments& training, const SelectionArguments& given) {
  Distributions places;
  py::dict values;
  for (const auto& [name, from] : distributions) {
    const std::string text = py::str(name);
    if (py::isinstance<distributions::Uniform>(from)) {
      places.emplace_back(text, from.cast<distributions::Uniform>());
    } else if (py::isinstance<distributions::LogUniform>(from)) {
      places.emplace_back(text, from.cast<distributions::LogUniform>());
    } else if (py::isinstance<distributions::Integer>(from)) {
      places.emplace_back(text, from.cast<distributions::Integer>());
    } else if (is_list(from)) {
      places.emplace_back(text, indices(from));
      values[name] = plain(from);
    } else {
      throw DTypeError("random_search: " + text +
                       " must be a list, or Uniform, LogUniform or Integer of chainrule.distributions, got " +
                       type_name(from));
    }
  }
  const auto points = random_points(places, n_iter, to_seed(given.seed, "random_search"));
  return run_search(make_model, from_points(points, values), X, y, maximize, training, given);
}

// Defines a function of these leading arguments and of all those that say how models are trained and validated.
template <class... Lead, class F, class... Names>
void define(py::module_& m, const char* name, const std::string& doc, F f, const Names&... leading) {
  const FitOptions fit;
  const CrossValidationOptions d;
  m.def(
      name,
      [f](Lead... lead, const py::object& loss, const py::object& optimizer, std::int64_t k, std::int64_t epochs,
          std::int64_t batch_size, const py::object& metrics, const std::string& score, bool retrain,
          const py::object& seed, const py::object& workers, const py::object& stratify, const py::object& groups,
          std::int64_t repeats, const py::object& folds, const py::object& callbacks, const py::object& sample_weight,
          const py::object& class_weight, const py::object& sampler, bool shuffle, const py::object& clip_norm,
          const py::object& clip_value, std::int64_t accumulate, double l1, const py::object& max_norm, double mixup,
          const std::string& precision, const py::object& progress) {
        return f(
            lead...,
            TrainingArguments{loss, optimizer, epochs, batch_size, metrics, shuffle, sample_weight, class_weight,
                              sampler, clip_norm, clip_value, accumulate, l1, max_norm, mixup, callbacks, precision},
            SelectionArguments{k, score, stratify, groups, repeats, folds, retrain, seed, workers, progress});
      },
      leading..., "loss"_a, "optimizer"_a, "k"_a = d.k, "epochs"_a = fit.epochs, "batch_size"_a = fit.batch_size,
      "metrics"_a = py::tuple(), "score"_a = d.score, "retrain"_a = d.retrain, "seed"_a = d.seed,
      "workers"_a = py::none(), "stratify"_a = "auto", "groups"_a = py::none(), "repeats"_a = d.repeats,
      "folds"_a = py::none(), "callbacks"_a = py::tuple(), "sample_weight"_a = py::none(),
      "class_weight"_a = py::none(), "sampler"_a = py::none(), "shuffle"_a = fit.shuffle, "clip_norm"_a = py::none(),
      "clip_value"_a = py::none(), "accumulate"_a = TrainerOptions{}.accumulate, "l1"_a = TrainerOptions{}.l1,
      "max_norm"_a = py::none(), "mixup"_a = TrainerOptions{}.mixup, "precision"_a = TrainerOptions{}.precision,
      "progress"_a = "auto", doc.c_str());
}

void bind_distributions(py::module_& m) {
  using namespace distributions;
  const auto both = [](const auto& d) {
    return "low=" + std::string(py::repr(py::cast(d.low))) + ", high=" + std::string(py::repr(py::cast(d.high)));
  };
  py::class_<Uniform>(m, "Uniform", "Numbers from low to high, each as likely.")
      .def(py::init([](double low, double high) { return Uniform{low, high}; }), "low"_a, "high"_a)
      .def("__repr__", [both](const Uniform& d) { return "Uniform(" + both(d) + ")"; });
  py::class_<LogUniform>(m, "LogUniform", "Numbers from low to high, uniform in their logarithm: for rates and decays.")
      .def(py::init([](double low, double high) { return LogUniform{low, high}; }), "low"_a, "high"_a)
      .def("__repr__", [both](const LogUniform& d) { return "LogUniform(" + both(d) + ")"; });
  py::class_<Integer>(m, "Integer",
                      "Whole numbers from low to high, both included; log=True: uniform in their logarithm.")
      .def(py::init([](std::int64_t low, std::int64_t high, bool log) { return Integer{low, high, log}; }), "low"_a,
           "high"_a, py::kw_only(), "log"_a = false)
      .def("__repr__", [both](const Integer& d) { return "Integer(" + both(d) + (d.log ? ", log=True)" : ")"); });
}

const char* const common_doc =
    "loss, optimizer, metrics, epochs, batch_size, shuffle, sample_weight, class_weight, sampler, clip_norm, "
    "clip_value, "
    "accumulate,\nl1, max_norm, mixup and precision are those of Trainer and fit. k, stratify, groups, repeats and "
    "seed "
    "make the folds as data.k_fold does; \"auto\" stratifies "
    "where y holds\n"
    "labels; folds=\"time_series\", or pairs (train rows, held-out rows) take their place. score: \"loss\" or a "
    "metric's "
    "name; empty:\n"
    "the first metric, else the loss. sampler: its of_rows gives every fold one of its training rows. callbacks: each "
    "model gets copies. workers: models trained at a time, None: as "
    "many as\n"
    "there are threads; one worker gives each model all threads. The bits do not depend on it. seed: every fold starts "
    "as after\n"
    "cr.manual_seed(seed), and trains as Trainer(..., seed=seed) does; the r-th repeat has seed + r. progress: "
    "\"auto\" "
    "(a bar on a\n"
    "terminal), True, False, or a function of the reports.\n";

}  // namespace

void bind_selection(py::module_& m) {
  bind_selection_results(m);
  bind_distributions(m);
  define<const py::object&, const py::object&, const py::object&>(
      m, "cross_validate",
      std::string("Split the data into k folds, train a model on all but one of them, k times, and measure it on the "
                  "one held out; then\n"
                  "train one on all data (retrain). Stone (1974), Cross-validatory choice and assessment of "
                  "statistical predictions.\n\n"
                  "make_model: a function () -> model, called for each fold, or a model, of which each fold gets a "
                  "copy with weights\n"
                  "drawn anew by init(seed). ") +
          common_doc +
          "With callbacks.EarlyStopping, retraining takes the mean of the folds' best epochs, rounded, and leaves it "
          "out.\n"
          "Returns a CrossValidation: scores, mean, std, metrics, histories, models, model. Raises ValueError for "
          "folds "
          "that would be\n"
          "empty or train on one class, IndexError for an unknown score.\n\n"
          ">>> X, y = cr.datasets.load_digits(split=\"train\")\n"
          ">>> make = lambda: nn.MLP([64, 32, 10])\n"
          ">>> r = cr.cross_validate(make, X, y, k=3, loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(lr=0.01), "
          "epochs=3,\n"
          "...                       metrics=[\"accuracy\"])\n"
          ">>> bool(r.mean > 0.8), len(r.scores)\n(True, 3)",
      &validate, "make_model"_a, "X"_a, "y"_a = py::none(), py::kw_only());
  define<const py::object&, const py::dict&, const py::object&, const py::object&, const py::object&>(
      m, "grid_search",
      std::string("Cross-validate every combination of the values in grid, a dict of lists, on the same folds, and "
                  "train the best on all data.\n\n"
                  "A name in the grid is an argument of make_model, an option of fit (epochs, batch_size, shuffle, "
                  "class_weight, sampler,\nclip_norm, clip_value, accumulate, l1, max_norm, mixup), or an "
                  "argument of the optimizer or of the loss, whichever has it; \"model.width\", \"optimizer.lr\", "
                  "\"loss.weight\" or\n"
                  "\"fit.epochs\" say which where several do. \"optimizer\" and \"loss\" are replaced as a whole. ") +
          common_doc +
          "maximize: whether more of the score is better (None: told by its name). Returns a Search, the best first: "
          "best_params,\n"
          "best_score, best_model, parameters, scores, means, stds.\n\n"
          ">>> X, y = cr.datasets.load_digits(split=\"train\")\n"
          ">>> make = lambda width: nn.MLP([64, width, 10])\n"
          ">>> r = cr.grid_search(make, {\"width\": [4, 32], \"lr\": [1e-3, 1e-2]}, X, y, k=3, epochs=2,\n"
          "...                    loss=nn.CrossEntropyLoss(), optimizer=optim.Adam(), metrics=[\"accuracy\"])\n"
          ">>> r.best_params\n{'width': 32, 'lr': 0.01}",
      &on_grid, "make_model"_a, "grid"_a, "X"_a, "y"_a = py::none(), py::kw_only(), "maximize"_a = py::none());
  define<const py::object&, const py::dict&, const py::object&, const py::object&, std::int64_t, const py::object&>(
      m, "random_search",
      std::string("grid_search for n_iter candidates drawn by seed: each parameter from a list, or from Uniform, "
                  "LogUniform or Integer of\n"
                  "chainrule.distributions. Bergstra and Bengio (2012), Random search for hyper-parameter "
                  "optimization.\n\n") +
          common_doc +
          "More candidates with the same seed begin with the same ones.\n\n"
          ">>> X, y = cr.datasets.load_digits(split=\"train\")\n"
          ">>> make = lambda width: nn.MLP([64, width, 10])\n"
          ">>> from chainrule.distributions import Integer, LogUniform\n"
          ">>> space = {\"width\": Integer(8, 32), \"lr\": LogUniform(1e-3, 1e-1), \"batch_size\": [32, 64]}\n"
          ">>> r = cr.random_search(make, space, X, y, n_iter=3, k=2, loss=nn.CrossEntropyLoss(),\n"
          "...                      optimizer=optim.Adam(), metrics=[\"accuracy\"])\n"
          ">>> len(r), sorted(r.best_params)\n(3, ['batch_size', 'lr', 'width'])",
      &at_random, "make_model"_a, "distributions"_a, "X"_a, "y"_a = py::none(), py::kw_only(), "n_iter"_a = 10,
      "maximize"_a = py::none());
}

}  // namespace chainrule::python
