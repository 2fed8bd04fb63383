// Metrics: one number for whole-set outputs and targets, by name in a Trainer or as a function. Computed in float64.
//
// Definitions are scikit-learn's, also where a value is undefined: precision, recall and F1 without anything to divide
// by are 0, roc_auc of one class is NaN, average_precision without positives 0, r2 of fewer than two samples NaN.
//
// A link (Loss::link) tells what outputs mean: softmax, exp and argmax, a logit, log-probability or mere score per
// class; sigmoid, probability and sign, that of class 1, or of each of several labels (N, L) that may hold together;
// identity, what they look like: a score per class beside targets with one axis less, otherwise values or class
// numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "chainrule/tensor.hpp"

namespace chainrule {

// What a Trainer measures. Names: accuracy, top_5_accuracy (any number), balanced_accuracy; precision, recall and f1,
// each also with _binary, _macro, _micro, _weighted or _samples; roc_auc and average_precision, also with _macro,
// _micro, _weighted or _samples; log_loss; mae, mse, rmse, r2. Throws IndexError for another name.
struct CHAINRULE_API Metric {
  using Call = std::function<double(const Tensor& output, const Tensor& target)>;
  Metric(const char* builtin);
  Metric(std::string builtin);
  Metric(std::string own_name, Call own_call) : name(std::move(own_name)), call(std::move(own_call)) {}
  std::string name;
  Call call;  // empty: the built-in one of this name
};

// A built-in metric. ignore_index: a label whose samples are left out, beside a score per class.
CHAINRULE_API double compute_metric(const std::string& name, const Tensor& output, const Tensor& target,
                                    const std::string& link = "identity", const Tensor& sample_weight = {},
                                    std::optional<std::int64_t> ignore_index = {});
// Refuses what compute_metric would refuse outputs and targets of these shapes for, whatever their values.
CHAINRULE_API void check_metric(const std::string& name, const Shape& output, const Shape& target,
                                const std::string& link);
// Whether more of it is better, of a column of a History ("val_accuracy", "loss"); nothing for names of one's own.
CHAINRULE_API std::optional<bool> higher_is_better(const std::string& column);

namespace metrics {

struct Options {
  // precision, recall, f1: "binary" (of class 1), or the mean over classes ("macro"), over classes weighted by their
  // targets ("weighted"), over samples of several labels ("samples"), or all decisions counted together ("micro").
  // roc_auc, average_precision: the same over classes against the rest. "auto": binary for two classes, else macro.
  std::string average = "auto";
  Tensor sample_weight{};  // (N,); undefined: 1
  std::string link = "identity";
  std::optional<std::int64_t> ignore_index{};
};
CHAINRULE_API double accuracy(const Tensor& output, const Tensor& target, const Options& options = {});
CHAINRULE_API double top_k_accuracy(const Tensor& output, const Tensor& target, std::int64_t k,
                                    const Options& options = {});
CHAINRULE_API double balanced_accuracy(const Tensor& output, const Tensor& target, const Options& options = {});
CHAINRULE_API double precision(const Tensor& output, const Tensor& target, const Options& options = {});
CHAINRULE_API double recall(const Tensor& output, const Tensor& target, const Options& options = {});
CHAINRULE_API double f1(const Tensor& output, const Tensor& target, const Options& options = {});
CHAINRULE_API double roc_auc(const Tensor& output, const Tensor& target, const Options& options = {});
CHAINRULE_API double average_precision(const Tensor& output, const Tensor& target, const Options& options = {});
CHAINRULE_API double log_loss(const Tensor& output, const Tensor& target, const Options& options = {});
CHAINRULE_API double mae(const Tensor& output, const Tensor& target, const Options& options = {});
CHAINRULE_API double mse(const Tensor& output, const Tensor& target, const Options& options = {});
CHAINRULE_API double rmse(const Tensor& output, const Tensor& target, const Options& options = {});
CHAINRULE_API double r2(const Tensor& output, const Tensor& target, const Options& options = {});

// Row i, column j: samples of class i taken for class j. int64, or float64 with weights or normalize: "true" (rows sum
// to 1), "pred" (columns do), "all". Classes are 0 ... C - 1 where output has a score for each, otherwise those that
// occur, in order.
CHAINRULE_API Tensor confusion_matrix(const Tensor& output, const Tensor& target, const Options& options = {},
                                      const std::string& normalize = "");
// A table: precision, recall, F1 and number of samples of every class or label, and their means. names: of the classes.
CHAINRULE_API std::string classification_report(const Tensor& output, const Tensor& target,
                                                const std::vector<std::string>& names = {},
                                                const Options& options = {});

}  // namespace metrics
}  // namespace chainrule
