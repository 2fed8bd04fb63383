// What cross-validation and search give back.
#include "selection.hpp"

namespace chainrule::python {
namespace {

py::array numbers(const std::vector<double>& values) {
  return py::array_t<double>(static_cast<py::ssize_t>(values.size()), values.data());
}

py::dict metrics_of(const CrossValidation& r) {
  py::dict columns;
  if (r.folds.empty()) return columns;
  for (std::size_t c = 0; c < r.folds[0].values.size(); ++c) {
    std::vector<double> column;
    for (const FoldResult& fold : r.folds) column.push_back(fold.values[c].second);
    columns[py::str(r.folds[0].values[c].first)] = numbers(column);
  }
  return columns;
}

template <class T> py::list each_fold(const CrossValidation& r, const T& value) {
  py::list all;
  for (const FoldResult& fold : r.folds) all.append(value(fold));
  return all;
}

py::object module_or_none(const nn::Module& model) { return model.impl() ? wrap_module(model) : py::none(); }
py::object plotted(const char* function, const py::object& self, const py::object& path) {
  return py::module_::import("chainrule.plots").attr(function)(self, path);
}

void bind_cross_validation(py::module_& m) {
  py::class_<SelectionProgress>(m, "SelectionProgress", "What progress functions of model selection see.")
      .def_readonly("done", &SelectionProgress::done, "Models trained so far.")
      .def_readonly("total", &SelectionProgress::total, "Of how many.")
      .def_readonly("best", &SelectionProgress::best, "Mean score of the best candidate so far; NaN before one.")
      .def("__repr__", [](const SelectionProgress& p) {
        return "SelectionProgress(" + std::to_string(p.done) + " of " + std::to_string(p.total) + " models)";
      });
  py::class_<CrossValidation>(m, "CrossValidation", "What cross_validate found; printed, it is a table of the folds.")
      .def_readonly("score", &CrossValidation::score, "The name of the score.")
      .def_property_readonly(
          "scores", [](const CrossValidation& r) { return numbers(r.scores); }, "Of the rows held out, fold by fold.")
      .def_readonly("mean", &CrossValidation::mean, "Of the scores.")
      .def_readonly("std", &CrossValidation::std, "Standard deviation of the scores, divided by their number.")
      .def_property_readonly("metrics", &metrics_of, "Loss and metrics of the rows held out: a dict of arrays.")
      .def_property_readonly(
          "histories",
          [](const CrossValidation& r) { return each_fold(r, [](const FoldResult& f) { return f.history; }); },
          "The History of each fold.")
      .def_property_readonly(
          "epochs", [](const CrossValidation& r) { return each_fold(r, [](const FoldResult& f) { return f.epochs; }); },
          "Epochs of each fold; with EarlyStopping, up to the best one.")
      .def_property_readonly(
          "models",
          [](const CrossValidation& r) {
            return each_fold(r, [](const FoldResult& f) { return wrap_module(f.model); });
          },
          "The model of each fold.")
      .def_property_readonly(
          "model", [](const CrossValidation& r) { return module_or_none(r.model); },
          "Trained on all data; None with retrain=False.")
      .def_readonly("history", &CrossValidation::history, "Of the training on all data.")
      .def(
          "ensemble",
          [](const CrossValidation& r) {
            std::vector<nn::Module> models;
            for (const FoldResult& fold : r.folds) models.push_back(fold.model);
            return Ensemble(std::move(models));
          },
          "The folds' models, to predict together.")
      .def(
          "to_dict",
          [](const CrossValidation& r) {
            py::dict d;
            d["score"] = r.score, d["scores"] = r.scores, d["mean"] = r.mean, d["std"] = r.std;
            d["epochs"] = each_fold(r, [](const FoldResult& f) { return f.epochs; });
            py::dict columns;
            for (const auto& [name, values] : metrics_of(r)) columns[name] = values.attr("tolist")();
            d["metrics"] = columns;
            return d;
          },
          "Plain numbers and lists, ready for JSON.")
      .def(
          "plot",
          [](const py::object& self, const py::object& path) { return plotted("plot_cross_validation", self, path); },
          "path"_a, "Write a PNG: the score of every fold over the epochs, and where it ended. Needs matplotlib.")
      .def("__str__", &CrossValidation::str)
      .def("__repr__",
           [](const CrossValidation& r) {
             char text[96];
             std::snprintf(text, sizeof text, ": %.4g +- %.2g over %zu folds)", r.mean, r.std, r.scores.size());
             return "CrossValidation(" + r.score + text;
           })
      .def("_repr_html_", [](const CrossValidation& r) { return preformatted(r.str()); });
}

void bind_search_result(py::module_& m) {
  const auto each = [](const PythonSearch& r, const auto& value) {
    py::list all;
    for (const Candidate& candidate : r.search.candidates) all.append(value(candidate));
    return all;
  };
  const auto to_dict = [each](const PythonSearch& r) {
    py::dict d;
    d["score"] = r.search.score, d["parameters"] = py::list(r.parameters);
    d["mean"] = each(r, [](const Candidate& c) { return c.mean; });
    d["std"] = each(r, [](const Candidate& c) { return c.std; });
    d["scores"] = each(r, [](const Candidate& c) { return c.scores; });
    d["epochs"] = each(r, [](const Candidate& c) { return c.epochs; });
    return d;
  };
  const auto need_best = [](const PythonSearch& r) {
    if (r.search.candidates.empty()) throw StateError("search: no candidate was finished");
  };
  py::class_<PythonSearch>(m, "Search",
                           "What grid_search or random_search found; printed, it is a table, the best first.")
      .def_property_readonly(
          "score", [](const PythonSearch& r) { return r.search.score; }, "The name of the score.")
      .def_property_readonly(
          "maximize", [](const PythonSearch& r) { return r.search.maximize; }, "Whether more of it is better.")
      .def_property_readonly(
          "parameters", [](const PythonSearch& r) { return r.parameters; }, "Of every candidate, the best first.")
      .def_property_readonly(
          "scores",
          [each](const PythonSearch& r) { return each(r, [](const Candidate& c) { return numbers(c.scores); }); },
          "Of every candidate: an array of its folds' scores.")
      .def_property_readonly(
          "means",
          [each](const PythonSearch& r) { return py::array(each(r, [](const Candidate& c) { return c.mean; })); },
          "Of every candidate's scores.")
      .def_property_readonly(
          "stds",
          [each](const PythonSearch& r) { return py::array(each(r, [](const Candidate& c) { return c.std; })); },
          "Of every candidate's scores.")
      .def_property_readonly(
          "best_params",
          [need_best](const PythonSearch& r) {
            need_best(r);
            return py::object(r.parameters[0]);
          },
          "Of the candidate with the best mean score.")
      .def_property_readonly(
          "best_score",
          [need_best](const PythonSearch& r) {
            need_best(r);
            return r.search.candidates[0].mean;
          },
          "Its mean score.")
      .def_property_readonly(
          "best_model", [](const PythonSearch& r) { return module_or_none(r.search.best_model); },
          "Trained on all data with the best parameters; None with retrain=False.")
      .def_property_readonly(
          "history", [](const PythonSearch& r) { return r.search.history; }, "Of that training.")
      .def("to_dict", to_dict, "Lists, the best candidate first.")
      .def(
          "to_pandas",
          [to_dict](const PythonSearch& r) {
            py::object pandas;
            try {
              pandas = py::module_::import("pandas");
            } catch (py::error_already_set& error) {
              if (!error.matches(PyExc_ImportError)) throw;
              PyErr_SetString(PyExc_ImportError, "to_pandas: pandas is not installed; pip install pandas");
              throw py::error_already_set();
            }
            const py::dict all = to_dict(r);
            const py::object frame = pandas.attr("DataFrame")(all["parameters"]);
            for (const char* column : {"mean", "std", "epochs"}) {
              const bool taken = py::cast<bool>(frame.attr("__contains__")(column));
              frame[py::str(taken ? std::string("score ") + column : column)] = all[column];
            }
            return frame;
          },
          "A row per candidate: its parameters, mean, std and epochs.")
      .def(
          "plot", [](const py::object& self, const py::object& path) { return plotted("plot_search", self, path); },
          "path"_a, "Write a PNG: every candidate's mean score over each parameter. Needs matplotlib.")
      .def("__len__", [](const PythonSearch& r) { return r.search.candidates.size(); })
      .def("__str__", [](const PythonSearch& r) { return r.search.str(); })
      .def("__repr__",
           [](const PythonSearch& r) {
             if (r.search.candidates.empty()) return std::string("Search(no candidates)");
             char text[48];
             std::snprintf(text, sizeof text, " %.4g with ", r.search.candidates[0].mean);
             return "Search(" + std::to_string(r.search.candidates.size()) + " candidates, best " + r.search.score +
                    text + std::string(py::repr(r.parameters[0])) + ")";
           })
      .def("_repr_html_", [](const PythonSearch& r) { return preformatted(r.search.str()); });
}

}  // namespace

void bind_selection_results(py::module_& m) {
  bind_cross_validation(m);
  bind_search_result(m);
}

}  // namespace chainrule::python
