// Metrics of scores: areas under curves, and the logarithmic loss.
//
// Both curves take one step per distinct score, from the highest down: samples of equal score are above a threshold
// together. roc_auc is the area under true over false positives, with straight lines between steps; average_precision
// is the sum of precision times gain of recall (no line between steps: that would be too optimistic).
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/fail.hpp"
#include "train/metric_functions.hpp"

namespace chainrule {
namespace {

using Form = MetricLayout::Form;
using Column = std::vector<double>;

// step(true positives, false positives) after every distinct score; false where a score is NaN.
template <class Step> bool walk(const Column& score, const Column& wanted, const Column& weight, const Step& step) {
  std::vector<std::size_t> order(score.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (std::any_of(score.begin(), score.end(), [](double v) { return std::isnan(v); })) return false;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return score[a] > score[b]; });
  double positives = 0, all = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const double w = weight.empty() ? 1.0 : weight[order[i]];
    positives += w * wanted[order[i]];
    all += w;
    if (i + 1 == order.size() || score[order[i + 1]] != score[order[i]]) step(positives, all - positives);
  }
  return true;
}

double roc_auc(const Column& score, const Column& wanted, const Column& weight) {
  double area = 0, tp = 0, fp = 0;
  const bool ordered = walk(score, wanted, weight, [&](double t, double f) {
    area += (f - fp) * (t + tp) / 2;
    tp = t, fp = f;
  });
  const double all = tp * fp;
  return ordered && all > 0 ? area / all : std::numeric_limits<double>::quiet_NaN();
}

double average_precision(const Column& score, const Column& wanted, const Column& weight) {
  double sum = 0, tp = 0;
  const bool ordered = walk(score, wanted, weight, [&](double t, double f) {
    if (t > tp) sum += (t - tp) * t / (t + f);
    tp = t;
  });
  if (!ordered) return std::numeric_limits<double>::quiet_NaN();
  return tp == 0 ? 0.0 : sum / tp;
}

using OfColumn = double (*)(const Column& score, const Column& wanted, const Column& weight);

double averaged(const MetricInput& in, const std::string& average, OfColumn value) {
  const ScoreSamples s = score_samples(in);
  if (s.columns == 1) {
    if (average == "samples")
      fail<ValueError>(in.name, "the mean over samples is for several classes or labels",
                       "output is " + in.output.shape().str());
    return value(s.score, s.wanted, s.weight);
  }
  const auto rows = static_cast<std::size_t>(s.rows), columns = static_cast<std::size_t>(s.columns);
  const auto weight_of = [&](std::size_t row) { return s.weight.empty() ? 1.0 : s.weight[row]; };
  if (average == "micro") {
    Column weight;
    for (std::size_t i = 0; i < s.score.size() && !s.weight.empty(); ++i) weight.push_back(s.weight[i / columns]);
    return value(s.score, s.wanted, weight);
  }
  Column values, weights;
  if (average == "samples") {
    for (std::size_t row = 0; row < rows; ++row) {
      const auto first = static_cast<std::ptrdiff_t>(row * columns),
                 last = first + static_cast<std::ptrdiff_t>(columns);
      values.push_back(weight_of(row) == 0 ? 0.0
                                           : value({s.score.begin() + first, s.score.begin() + last},
                                                   {s.wanted.begin() + first, s.wanted.begin() + last}, {}));
    }
    return weighted_mean(values, s.weight);
  }
  for (std::size_t c = 0; c < columns; ++c) {
    Column score(rows), wanted(rows);
    double support = 0;
    for (std::size_t row = 0; row < rows; ++row) {
      score[row] = s.score[row * columns + c];
      wanted[row] = s.wanted[row * columns + c];
      support += weight_of(row) * wanted[row];
    }
    weights.push_back(support);
    values.push_back(average == "weighted" && support == 0 ? 0.0 : value(score, wanted, s.weight));
  }
  if (average != "weighted") return weighted_mean(values, {});
  const double mean = weighted_mean(values, weights);
  return std::accumulate(weights.begin(), weights.end(), 0.0) == 0 ? 0.0 : mean;
}

}  // namespace

double roc_auc_of(const MetricInput& in, const std::string& average) { return averaged(in, average, roc_auc); }
double average_precision_of(const MetricInput& in, const std::string& average) {
  return averaged(in, average, average_precision);
}

// - sum of share times log probability; of several labels the mean over them.
double log_loss_of(const MetricInput& in) {
  const ScoreSamples s = log_probability_samples(in);
  const auto columns = static_cast<std::size_t>(s.columns);
  const std::size_t labels = s.form == Form::labels ? columns / 2 : 1;
  Column losses(static_cast<std::size_t>(s.rows));
  for (std::size_t i = 0; i < s.score.size(); ++i)
    if (s.wanted[i] != 0) losses[i / columns] -= s.wanted[i] * s.score[i] / static_cast<double>(labels);
  return weighted_mean(losses, s.weight);
}

}  // namespace chainrule
