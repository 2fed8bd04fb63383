// Metrics as functions of arrays.
#include "common.hpp"

namespace chainrule::python {
namespace {

// Lists of Python's floats as float64, like NumPy: nothing is trained on them.
Tensor values_of(const py::object& given, const char* name) {
  if (is_tensor(given)) return to_tensor(given, name);
  return borrow(py::module_::import("numpy").attr("asarray")(given), name);
}

metrics::Options options_of(const char* name, const std::string& average, const py::object& sample_weight,
                            const std::string& link, std::optional<std::int64_t> ignore_index) {
  if (link != "identity" && link != "softmax" && link != "sigmoid" && link != "exp" && link != "probability" &&
      link != "sign" && link != "argmax")
    throw ValueError(std::string(name) + ": unknown link: '" + link +
                     "'; use identity, softmax, sigmoid, exp, probability, sign or argmax");
  metrics::Options options;
  options.average = average;
  if (!sample_weight.is_none()) options.sample_weight = values_of(sample_weight, "sample_weight");
  options.link = link;
  options.ignore_index = ignore_index;
  return options;
}

using Of = double (*)(const Tensor&, const Tensor&, const metrics::Options&);

void bind_classes(py::module_& m, const char* name, Of metric, const char* doc) {
  m.def(
      name,
      [metric, name](const py::object& output, const py::object& target, const py::object& sample_weight,
                     const std::string& link, std::optional<std::int64_t> ignore_index) {
        return metric(values_of(output, name), values_of(target, name),
                      options_of(name, "auto", sample_weight, link, ignore_index));
      },
      "output"_a, "target"_a, py::kw_only(), "sample_weight"_a = py::none(), "link"_a = "identity",
      "ignore_index"_a = py::none(), doc);
}

void bind_averaged(py::module_& m, const char* name, Of metric, const char* doc) {
  m.def(
      name,
      [metric, name](const py::object& output, const py::object& target, const std::string& average,
                     const py::object& sample_weight, const std::string& link,
                     std::optional<std::int64_t> ignore_index) {
        return metric(values_of(output, name), values_of(target, name),
                      options_of(name, average, sample_weight, link, ignore_index));
      },
      "output"_a, "target"_a, py::kw_only(), "average"_a = "auto", "sample_weight"_a = py::none(),
      "link"_a = "identity", "ignore_index"_a = py::none(), doc);
}

void bind_values(py::module_& m, const char* name, Of metric, const char* doc) {
  m.def(
      name,
      [metric, name](const py::object& output, const py::object& target, const py::object& sample_weight) {
        return metric(values_of(output, name), values_of(target, name),
                      options_of(name, "auto", sample_weight, "identity", {}));
      },
      "output"_a, "target"_a, py::kw_only(), "sample_weight"_a = py::none(), doc);
}

}  // namespace

void bind_metrics(py::module_& m) {
  namespace of = chainrule::metrics;
  bind_classes(m, "accuracy", &of::accuracy,
               "Share of samples whose class is right; of several labels (N, L), share of samples with all of them "
               "right.\n\n"
               ">>> cr.metrics.accuracy([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]], [1, 0, 0]) == 2 / 3\n"
               "True\n"
               ">>> cr.metrics.accuracy([2.5, -1.0], [1, 1], link=\"sigmoid\")\n"
               "0.5");
  bind_classes(m, "balanced_accuracy", &of::balanced_accuracy,
               "Mean over the classes among the targets of the share of their samples that is found.\n\n"
               ">>> cr.metrics.balanced_accuracy([0, 0, 0, 0], [0, 0, 0, 1])\n"
               "0.5");
  m.def(
      "top_k_accuracy",
      [](const py::object& output, const py::object& target, std::int64_t k, const py::object& sample_weight,
         const std::string& link, std::optional<std::int64_t> ignore_index) {
        const char* const name = "top_k_accuracy";
        return of::top_k_accuracy(values_of(output, name), values_of(target, name), k,
                                  options_of(name, "auto", sample_weight, link, ignore_index));
      },
      "output"_a, "target"_a, "k"_a, py::kw_only(), "sample_weight"_a = py::none(), "link"_a = "identity",
      "ignore_index"_a = py::none(),
      "Share of samples whose class is among the k of highest score. Of equal scores the higher class comes first, as "
      "in\n"
      "scikit-learn. In a Trainer: metrics=[\"top_5_accuracy\"], with any number.\n\n"
      ">>> cr.metrics.top_k_accuracy([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]], [1, 0], k=2)\n"
      "0.5");
  bind_averaged(m, "precision", &of::precision,
                "Share of what is taken for a class that belongs to it; 0 where nothing is taken for it.\n\n"
                "average: \"binary\" (of class 1), \"macro\" (mean over the classes that occur), \"weighted\" (by "
                "their targets),\n"
                "\"micro\" (all decisions together), \"samples\" (mean over samples of several labels), or \"auto\": "
                "binary for the\n"
                "two classes 0 and 1, else macro.\n\n"
                ">>> cr.metrics.precision([1, 1, 0, 1], [1, 0, 0, 1]) == 2 / 3\n"
                "True");
  bind_averaged(m, "recall", &of::recall,
                "Share of a class that is found; 0 where none of it is there. average as in precision.\n\n"
                ">>> cr.metrics.recall([2, 0, 1, 1], [2, 0, 1, 0], average=\"macro\")\n"
                "0.8333333333333334");
  bind_averaged(m, "f1", &of::f1,
                "Harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn). average as in precision.\n\n"
                ">>> cr.metrics.f1([1, 1, 0, 1], [1, 0, 0, 1])\n"
                "0.8");
  bind_averaged(m, "roc_auc", &of::roc_auc,
                "Probability that a sample of class 1 has a higher score than one of class 0, ties counting half: the "
                "area under the\n"
                "ROC curve. Of several classes or labels (N, C), the mean over each against the rest. NaN where only "
                "one class occurs.\n\n"
                "average: \"macro\", \"weighted\", \"micro\" or \"samples\", for several classes or labels.\n\n"
                ">>> cr.metrics.roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])\n"
                "0.75");
  bind_averaged(m, "average_precision", &of::average_precision,
                "Area under the precision-recall curve as the sum of (gain of recall) x precision over thresholds; 0 "
                "without positives.\n"
                "average as in roc_auc.\n\n"
                ">>> round(cr.metrics.average_precision([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]), 4)\n"
                "0.8333");
  bind_classes(m, "log_loss", &of::log_loss,
               "Mean of -log of the probability of the right class. Probabilities are kept eps away from 0 and 1, eps "
               "that of\n"
               "their dtype; logits (link=\"softmax\" or \"sigmoid\") need no limit. Of several labels the mean over "
               "them.\n\n"
               ">>> round(cr.metrics.log_loss([0.9, 0.2], [1, 0]), 4)\n"
               "0.1643");
  bind_values(m, "mae", &of::mae, "Mean of |output - target|.\n\n>>> cr.metrics.mae([1.0, 2.5], [1.0, 2.0])\n0.25");
  bind_values(m, "mse", &of::mse, "Mean of (output - target)^2.\n\n>>> cr.metrics.mse([1.0, 2.5], [1.0, 2.0])\n0.125");
  bind_values(m, "rmse", &of::rmse,
              "Square root of the mean of (output - target)^2; of several columns the mean of theirs.\n\n"
              ">>> cr.metrics.rmse([1.0, 2.0], [4.0, 6.0]) == 12.5 ** 0.5\n"
              "True");
  bind_values(m, "r2", &of::r2,
              "1 - sum (output - target)^2 / sum (target - mean)^2; of several columns the mean of theirs. A constant "
              "target gives 1\n"
              "where it is met and 0 otherwise; fewer than two samples give NaN.\n\n"
              ">>> cr.metrics.r2([1.0, 2.0, 4.0], [1.0, 2.0, 3.0])\n"
              "0.5");
  m.def(
      "confusion_matrix",
      [](const py::object& output, const py::object& target, const std::optional<std::string>& normalize,
         const py::object& sample_weight, const std::string& link, std::optional<std::int64_t> ignore_index) {
        const char* const name = "confusion_matrix";
        return to_numpy(of::confusion_matrix(values_of(output, name), values_of(target, name),
                                             options_of(name, "auto", sample_weight, link, ignore_index),
                                             normalize.value_or("")));
      },
      "output"_a, "target"_a, py::kw_only(), "normalize"_a = py::none(), "sample_weight"_a = py::none(),
      "link"_a = "identity", "ignore_index"_a = py::none(),
      "Row i, column j: how many samples of class i are taken for class j; an int64 array. Classes are 0 ... C - 1 "
      "where\n"
      "output has a score for each, otherwise those that occur, in order. normalize: \"true\" (rows add up to 1), "
      "\"pred\"\n"
      "(columns do) or \"all\".\n\n"
      ">>> cr.metrics.confusion_matrix([0, 2, 1, 1], [0, 2, 1, 2])\n"
      "array([[1, 0, 0],\n"
      "       [0, 1, 0],\n"
      "       [0, 1, 1]])");
  m.def(
      "classification_report",
      [](const py::object& output, const py::object& target, const std::vector<std::string>& names,
         const py::object& sample_weight, const std::string& link, std::optional<std::int64_t> ignore_index) {
        const char* const name = "classification_report";
        return of::classification_report(values_of(output, name), values_of(target, name), names,
                                         options_of(name, "auto", sample_weight, link, ignore_index));
      },
      "output"_a, "target"_a, py::kw_only(), "names"_a = std::vector<std::string>(), "sample_weight"_a = py::none(),
      "link"_a = "identity", "ignore_index"_a = py::none(),
      "A table to print: precision, recall, F1 and number of samples of every class, and their means.\n\n"
      ">>> print(cr.metrics.classification_report([0, 2, 1, 1], [0, 2, 1, 2], names=[\"ant\", \"bee\", \"cat\"]))\n"
      "          precision     recall         f1    samples\n"
      "     ant     1.0000     1.0000     1.0000          1\n"
      "     bee     0.5000     1.0000     0.6667          1\n"
      "     cat     1.0000     0.5000     0.6667          2\n"
      "<BLANKLINE>\n"
      "   macro     0.8333     0.8333     0.7778          4\n"
      "weighted     0.8750     0.7500     0.7500          4\n"
      "accuracy                           0.7500          4\n"
      "<BLANKLINE>");
  m.def("higher_is_better", &higher_is_better, "column"_a,
        "Whether more of it is better, of a metric's or a History column's name; None for names of one's own.\n\n"
        ">>> cr.metrics.higher_is_better(\"val_accuracy\"), cr.metrics.higher_is_better(\"loss\")\n"
        "(True, False)");
}

}  // namespace chainrule::python
