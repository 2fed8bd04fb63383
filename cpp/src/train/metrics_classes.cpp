// Metrics of classes: accuracy, precision, recall, F1, and the counts behind them.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

#include "chainrule/metrics.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "train/metric_functions.hpp"

namespace chainrule {
namespace {

using Form = MetricLayout::Form;

// What one class (or label, or sample) gives to precision, recall and F1.
struct Counts {
  double both = 0, predicted = 0, wanted = 0;  // weights of samples where the two hold, where each does
  Counts& operator+=(const Counts& other) {
    both += other.both;
    predicted += other.predicted;
    wanted += other.wanted;
    return *this;
  }
};
double ratio(double a, double b) { return b == 0 ? 0.0 : a / b; }
double precision_in(const Counts& c) { return ratio(c.both, c.predicted); }
double recall_in(const Counts& c) { return ratio(c.both, c.wanted); }
double f1_in(const Counts& c) { return ratio(2 * c.both, c.wanted + c.predicted); }

struct ClassCounts {
  std::vector<std::int64_t> names;  // in order
  std::vector<Counts> counts;
};

// The classes that occur, or all labels.
ClassCounts count_classes(const ClassSamples& s) {
  ClassCounts all;
  if (s.form == Form::labels) {
    all.counts.resize(static_cast<std::size_t>(s.columns));
    for (std::int64_t c = 0; c < s.columns; ++c) all.names.push_back(c);
    for (std::size_t i = 0; i < s.wanted.size(); ++i) {
      const auto row = static_cast<std::int64_t>(i) / s.columns;
      const double w = s.weight_of(row), p = static_cast<double>(s.predicted[i]), t = static_cast<double>(s.wanted[i]);
      all.counts[i % static_cast<std::size_t>(s.columns)] += {w * p * t, w * p, w * t};
    }
    return all;
  }
  all.names = s.wanted;
  all.names.insert(all.names.end(), s.predicted.begin(), s.predicted.end());
  std::sort(all.names.begin(), all.names.end());
  all.names.erase(std::unique(all.names.begin(), all.names.end()), all.names.end());
  all.counts.resize(all.names.size());
  const auto place = [&](std::int64_t name) {
    return static_cast<std::size_t>(std::lower_bound(all.names.begin(), all.names.end(), name) - all.names.begin());
  };
  for (std::size_t i = 0; i < s.wanted.size(); ++i) {
    const double w = s.weight_of(static_cast<std::int64_t>(i));
    const bool same = s.predicted[i] == s.wanted[i];
    all.counts[place(s.predicted[i])] += {same ? w : 0, w, 0};
    all.counts[place(s.wanted[i])] += {0, 0, w};
  }
  return all;
}

std::vector<Counts> count_rows(const ClassSamples& s) {
  std::vector<Counts> all(static_cast<std::size_t>(s.rows));
  for (std::size_t i = 0; i < s.wanted.size(); ++i) {
    const double p = static_cast<double>(s.predicted[i]), t = static_cast<double>(s.wanted[i]);
    all[i / static_cast<std::size_t>(s.columns)] += {p * t, p, t};
  }
  return all;
}

bool two_classes(const ClassSamples& s, const std::vector<std::int64_t>& names) {
  if (s.form == Form::labels) return false;
  if (s.classes > 0) return s.classes == 2;
  return std::all_of(names.begin(), names.end(), [](std::int64_t name) { return name == 0 || name == 1; });
}

using OfCounts = double (*)(const Counts&);
double mean_of(OfCounts value, const std::vector<Counts>& counts, const std::vector<double>& weight) {
  std::vector<double> values;
  for (const Counts& c : counts) values.push_back(value(c));
  return weighted_mean(values, weight);
}
std::vector<double> supports(const std::vector<Counts>& counts) {
  std::vector<double> all;
  for (const Counts& c : counts) all.push_back(c.wanted);
  return all;
}

double averaged(const MetricInput& in, const std::string& average, OfCounts value) {
  const ClassSamples s = class_samples(in);
  if (average == "samples") {
    if (s.form != Form::labels)
      fail<ValueError>(in.name, "the mean over samples is for several labels that may hold together",
                       "output is " + in.output.shape().str(), "use macro, micro or weighted");
    return mean_of(value, count_rows(s), s.weight);
  }
  const ClassCounts all = count_classes(s);
  const bool two = two_classes(s, all.names);
  if (average == "binary" && !two)
    fail<ValueError>(in.name, "there are more than the classes 0 and 1", "output is " + in.output.shape().str(),
                     "use macro, micro or weighted");
  if (average == "binary" || (average == "auto" && two)) {
    for (std::size_t i = 0; i < all.names.size(); ++i)
      if (all.names[i] == 1) return value(all.counts[i]);
    return 0.0;
  }
  if (average == "micro") {
    Counts sum;
    for (const Counts& c : all.counts) sum += c;
    return value(sum);
  }
  if (average != "weighted") return mean_of(value, all.counts, {});
  const double mean = mean_of(value, all.counts, supports(all.counts));
  return std::isnan(mean) ? 0.0 : mean;  // no targets at all
}

}  // namespace

double accuracy_of(const MetricInput& in) {
  const RowHits hits = row_hits(in);
  return weighted_mean({hits.right.begin(), hits.right.end()}, hits.weight);
}

// The label's place among its sample's scores, the higher class first among equal ones.
double top_k_of(const MetricInput& in, std::int64_t k) {
  const TopSamples s = top_samples(in);
  const auto columns = static_cast<std::size_t>(s.columns);
  std::vector<double> hits;
  for (std::size_t row = 0; row < s.wanted.size(); ++row) {
    const double* scores = s.score.data() + row * columns;
    const auto label = static_cast<std::size_t>(s.wanted[row]);
    std::int64_t before = 0;
    for (std::size_t c = 0; c < columns; ++c)
      before += scores[c] > scores[label] || (c > label && scores[c] == scores[label]);
    hits.push_back(before < k && !std::isnan(scores[label]) ? 1.0 : 0.0);
  }
  return weighted_mean(hits, s.weight);
}

double balanced_accuracy_of(const MetricInput& in) {
  refuse_labels(in.name, metric_layout(in.name, in.output.shape(), in.target.shape(), in.link), in.output.shape());
  std::vector<double> recalls;
  for (const Counts& c : count_classes(class_samples(in)).counts)
    if (c.wanted > 0) recalls.push_back(recall_in(c));
  return weighted_mean(recalls, {});
}

double precision_of(const MetricInput& in, const std::string& average) { return averaged(in, average, precision_in); }
double recall_of(const MetricInput& in, const std::string& average) { return averaged(in, average, recall_in); }
double f1_of(const MetricInput& in, const std::string& average) { return averaged(in, average, f1_in); }

namespace metrics {
namespace {

// Out of line, so that its arithmetic stays inside the floating-point environment around the call.
[[gnu::noinline]] Tensor matrix_of(const ClassSamples& s, const std::string& normalize) {
  std::vector<std::int64_t> names;
  if (s.classes > 0)
    for (std::int64_t c = 0; c < s.classes; ++c) names.push_back(c);
  else
    names = count_classes(s).names;
  const std::size_t n = names.size();
  std::vector<double> m(n * n);
  const auto place = [&](std::int64_t name) {
    return static_cast<std::size_t>(std::lower_bound(names.begin(), names.end(), name) - names.begin());
  };
  for (std::size_t i = 0; i < s.wanted.size(); ++i)
    m[place(s.wanted[i]) * n + place(s.predicted[i])] += s.weight_of(static_cast<std::int64_t>(i));
  const auto size = static_cast<std::int64_t>(n);
  if (normalize.empty() && s.weight.empty())
    return Tensor::from(std::vector<std::int64_t>(m.begin(), m.end()), {size, size});
  if (normalize.empty()) return Tensor::from(m, {size, size});
  std::vector<double> rows(n), columns(n);
  double total = 0;
  for (std::size_t i = 0; i < n * n; ++i) rows[i / n] += m[i], columns[i % n] += m[i], total += m[i];
  for (std::size_t i = 0; i < n * n; ++i)
    m[i] = ratio(m[i], normalize == "true" ? rows[i / n] : normalize == "pred" ? columns[i % n] : total);
  return Tensor::from(m, {size, size});
}

std::string line(const std::string& name, std::size_t width, double p, double r, double f, double n) {
  char numbers[80];
  std::snprintf(numbers, sizeof numbers, "  %9.4f  %9.4f  %9.4f  %9.10g\n", p, r, f, n);
  return std::string(width > name.size() ? width - name.size() : 0, ' ') + name + numbers;
}

[[gnu::noinline]] std::string report_of(const ClassSamples& s, const std::vector<std::string>& names) {
  ClassCounts all = count_classes(s);
  if (s.form != Form::labels && s.classes > 0) {  // also those that do not occur
    ClassCounts every;
    for (std::int64_t c = 0; c < s.classes; ++c) {
      const auto found = std::find(all.names.begin(), all.names.end(), c);
      every.names.push_back(c);
      every.counts.push_back(
          found == all.names.end() ? Counts{} : all.counts[static_cast<std::size_t>(found - all.names.begin())]);
    }
    all = every;
  }
  if (!names.empty() && names.size() != all.names.size())
    fail<ValueError>("classification_report", "there must be a name for every class",
                     std::to_string(names.size()) + " names, " + std::to_string(all.names.size()) + " classes");
  std::vector<std::string> head = names;
  if (head.empty())
    for (const std::int64_t name : all.names) head.push_back(std::to_string(name));
  std::size_t width = 8;
  for (const std::string& name : head) width = std::max(width, name.size());
  std::string text = std::string(width, ' ') + "  precision     recall         f1    samples\n";
  Counts sum;
  for (std::size_t i = 0; i < head.size(); ++i) {
    const Counts& c = all.counts[i];
    text += line(head[i], width, precision_in(c), recall_in(c), f1_in(c), c.wanted);
    sum += c;
  }
  text += "\n";
  std::vector<Counts> present;  // the mean is over classes that occur, as precision_macro's
  for (const Counts& c : all.counts)
    if (s.form == Form::labels || c.wanted > 0 || c.predicted > 0) present.push_back(c);
  if (s.form == Form::labels) text += line("micro", width, precision_in(sum), recall_in(sum), f1_in(sum), sum.wanted);
  for (const bool weighted : {false, true}) {
    const std::vector<double> weight = weighted ? supports(present) : std::vector<double>();
    text += line(weighted ? "weighted" : "macro", width, mean_of(precision_in, present, weight),
                 mean_of(recall_in, present, weight), mean_of(f1_in, present, weight), sum.wanted);
  }
  if (s.form == Form::labels) return text;
  char accuracy[80];
  std::snprintf(accuracy, sizeof accuracy, "  %31.4f  %9.10g\n", ratio(sum.both, sum.wanted), sum.wanted);
  return text + std::string(width - 8, ' ') + "accuracy" + accuracy;
}

}  // namespace

Tensor confusion_matrix(const Tensor& output, const Tensor& target, const Options& options,
                        const std::string& normalize) {
  const char* const name = "confusion_matrix";
  if (!normalize.empty() && normalize != "true" && normalize != "pred" && normalize != "all")
    fail<ValueError>(name, "unknown way to normalize", "'" + normalize + "'", "use \"true\", \"pred\" or \"all\"");
  const NoGrad nothing;
  const FloatEnvironment environment;
  refuse_labels(name, metric_layout(name, output.shape(), target.shape(), options.link), output.shape());
  const MetricInput in{name, output, target, options.link, options.sample_weight, options.ignore_index};
  return matrix_of(class_samples(in), normalize);
}

std::string classification_report(const Tensor& output, const Tensor& target, const std::vector<std::string>& names,
                                  const Options& options) {
  const NoGrad nothing;
  const FloatEnvironment environment;
  const MetricInput in{"classification_report", output, target, options.link, options.sample_weight,
                       options.ignore_index};
  return report_of(class_samples(in), names);
}

}  // namespace metrics
}  // namespace chainrule
