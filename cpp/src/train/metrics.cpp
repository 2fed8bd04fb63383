// Metrics by name.
#include "chainrule/metrics.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "core/nearest.hpp"
#include "train/metric_functions.hpp"

namespace chainrule {
namespace {

// What a name asks for.
struct Request {
  const struct Entry* entry = nullptr;
  std::string average = "auto";
  std::int64_t k = 0;
};

// What a metric is computed from, for check_metric.
enum class Reads { classes, one_class, class_scores, probabilities, values };

struct Entry {
  const char* name;
  double (*compute)(const MetricInput& in, const Request& asked);
  Reads reads;
  bool higher_is_better;
  bool averages = false, binary = false;  // takes _macro ..., and _binary
};

constexpr const char* ways[] = {"macro", "micro", "weighted", "samples", "binary"};

template <double (*compute)(const MetricInput&)> double plain(const MetricInput& in, const Request&) {
  return compute(in);
}
template <double (*compute)(const MetricInput&, const std::string&)>
double mean(const MetricInput& in, const Request& asked) {
  return compute(in, asked.average);
}
double top_k(const MetricInput& in, const Request& asked) { return top_k_of(in, asked.k); }

constexpr Entry top_k_entry{"top_5_accuracy", top_k, Reads::class_scores, true};
constexpr std::array entries{
    Entry{"accuracy", plain<accuracy_of>, Reads::classes, true},
    Entry{"balanced_accuracy", plain<balanced_accuracy_of>, Reads::one_class, true},
    Entry{"precision", mean<precision_of>, Reads::classes, true, true, true},
    Entry{"recall", mean<recall_of>, Reads::classes, true, true, true},
    Entry{"f1", mean<f1_of>, Reads::classes, true, true, true},
    Entry{"roc_auc", mean<roc_auc_of>, Reads::classes, true, true},
    Entry{"average_precision", mean<average_precision_of>, Reads::classes, true, true},
    Entry{"log_loss", plain<log_loss_of>, Reads::probabilities, false},
    Entry{"mae", plain<mae_of>, Reads::values, false},
    Entry{"mse", plain<mse_of>, Reads::values, false},
    Entry{"rmse", plain<rmse_of>, Reads::values, false},
    Entry{"r2", plain<r2_of>, Reads::values, true},
};

std::vector<std::string> all_names() {
  std::vector<std::string> all{top_k_entry.name};
  for (const Entry& entry : entries) {
    all.emplace_back(entry.name);
    if (entry.averages)
      for (const char* way : ways)
        if (entry.binary || way != std::string("binary")) all.push_back(std::string(entry.name) + "_" + way);
  }
  return all;
}

// top_5_accuracy -> 5; 0: another name
std::int64_t k_of(const std::string& name) {
  const std::string begin = "top_", end = "_accuracy";
  if (name.size() <= begin.size() + end.size() || !name.starts_with(begin) || !name.ends_with(end)) return 0;
  std::int64_t k = 0;
  const char *first = name.data() + begin.size(), *last = name.data() + name.size() - end.size();
  const auto [stop, error] = std::from_chars(first, last, k);
  return error == std::errc() && stop == last && *first != '0' && k > 0 ? k : 0;
}

// An entry of null: there is no such metric.
Request request_of(const std::string& name) {
  if (const std::int64_t k = k_of(name); k > 0) return {&top_k_entry, "auto", k};
  for (const Entry& entry : entries) {
    if (name == entry.name) return {&entry, "auto", 0};
    if (!entry.averages) continue;
    for (const char* way : ways)
      if (name == std::string(entry.name) + "_" + way && (entry.binary || way != std::string("binary")))
        return {&entry, way, 0};
  }
  return {};
}

Request known(const std::string& name) {
  const Request asked = request_of(name);
  if (asked.entry != nullptr) return asked;
  std::vector<std::string> all = all_names();
  std::string names;
  for (const Entry& entry : entries) names += std::string(entry.name) + ", ";
  const std::string others = "use " + names + "top_5_accuracy (any number), or a function of (output, target)";
  std::string near = did_you_mean(name, all);
  if (name.starts_with("top")) near = "did you mean top_5_accuracy?";
  fail<IndexError>("metric", "no metric of this name", "'" + name + "'",
                   near.empty() ? others : near + " There are " + others.substr(4));
}

// Out of line, so that its arithmetic stays inside the floating-point environment around the call.
[[gnu::noinline]] double computed(const MetricInput& in, const Request& asked) {
  // Scores that are no numbers are of no class.
  const bool decides = asked.entry->reads == Reads::classes || asked.entry->reads == Reads::one_class;
  if (decides && in.link != "identity" && holds_nan(in.output)) return std::nan("");
  return asked.entry->compute(in, asked);
}

double compute(const char* name, const Tensor& output, const Tensor& target, const metrics::Options& options,
               std::int64_t k = 0) {
  Request asked = k > 0 ? Request{&top_k_entry, "auto", k} : known(name);
  if (options.average != "auto") {
    if (!asked.entry->averages)
      fail<ValueError>(name, "has no average to choose", "average is '" + options.average + "'", "leave it away");
    asked = request_of(name + ("_" + options.average));
    if (asked.entry == nullptr)
      fail<ValueError>(name, "unknown average", "'" + options.average + "'",
                       std::string("use auto, ") + (known(name).entry->binary ? "binary, " : "") +
                           "macro, micro, weighted or samples");
  }
  const NoGrad nothing;
  const FloatEnvironment environment;
  return computed({name, output, target, options.link, options.sample_weight, options.ignore_index}, asked);
}

}  // namespace

Metric::Metric(const char* metric) : Metric(std::string(metric)) {}
Metric::Metric(std::string metric) : name(std::move(metric)) { known(name); }

double compute_metric(const std::string& name, const Tensor& output, const Tensor& target, const std::string& link,
                      const Tensor& sample_weight, std::optional<std::int64_t> ignore_index) {
  const Request asked = known(name);
  const NoGrad nothing;
  const FloatEnvironment environment;
  return computed({name, output, target, link, sample_weight, ignore_index}, asked);
}

void check_metric(const std::string& name, const Shape& output, const Shape& target, const std::string& link) {
  const Request asked = known(name);
  if (asked.entry->reads == Reads::values) return check_same_shape(name, output, target);
  const MetricLayout layout = metric_layout(name, output, target, link);
  if (asked.entry->reads == Reads::probabilities) refuse_no_probabilities(name, link);
  if (asked.entry->reads == Reads::one_class) refuse_labels(name, layout, output);
  if (asked.entry->reads == Reads::class_scores && layout.form != MetricLayout::Form::scores)
    fail<ShapeError>(name, "needs a score for each class", "output is " + output.str() + ", target is " + target.str(),
                     "use accuracy");
}

std::optional<bool> higher_is_better(const std::string& column) {
  const std::string name = column.starts_with("val_") ? column.substr(4) : column;
  if (name == "loss") return false;
  const Request asked = request_of(name);
  if (asked.entry == nullptr) return {};
  return asked.entry->higher_is_better;
}

namespace metrics {

double accuracy(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("accuracy", output, target, options);
}
double top_k_accuracy(const Tensor& output, const Tensor& target, std::int64_t k, const Options& options) {
  if (k < 1) fail<ValueError>("top_k_accuracy", "k must be at least 1", "k is " + std::to_string(k));
  return compute("top_k_accuracy", output, target, options, k);
}
double balanced_accuracy(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("balanced_accuracy", output, target, options);
}
double precision(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("precision", output, target, options);
}
double recall(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("recall", output, target, options);
}
double f1(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("f1", output, target, options);
}
double roc_auc(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("roc_auc", output, target, options);
}
double average_precision(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("average_precision", output, target, options);
}
double log_loss(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("log_loss", output, target, options);
}
double mae(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("mae", output, target, options);
}
double mse(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("mse", output, target, options);
}
double rmse(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("rmse", output, target, options);
}
double r2(const Tensor& output, const Tensor& target, const Options& options) {
  return compute("r2", output, target, options);
}

}  // namespace metrics
}  // namespace chainrule
