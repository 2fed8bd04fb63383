// Metrics of numbers beside numbers. Of several columns rmse and r2 are means over the columns' own.
#include <cmath>
#include <limits>

#include "train/metric_functions.hpp"

namespace chainrule {
namespace {

// mean over columns of value(column's predictions, targets, weights)
template <class Value> double over_columns(const MetricInput& in, const Value& value) {
  const ValueSamples s = value_samples(in);
  const auto rows = static_cast<std::size_t>(s.rows), columns = static_cast<std::size_t>(s.columns);
  std::vector<double> p(rows), t(rows), values;
  for (std::size_t c = 0; c < columns; ++c) {
    for (std::size_t row = 0; row < rows; ++row) {
      p[row] = s.predicted[row * columns + c];
      t[row] = s.wanted[row * columns + c];
    }
    values.push_back(value(p, t, s.weight));
  }
  return weighted_mean(values, {});
}

template <class Term>
double mean_term(const std::vector<double>& p, const std::vector<double>& t, const std::vector<double>& weight,
                 const Term& term) {
  std::vector<double> terms(p.size());
  for (std::size_t i = 0; i < p.size(); ++i) terms[i] = term(p[i] - t[i]);
  return weighted_mean(terms, weight);
}

double square(double x) { return x * x; }

double r2(const std::vector<double>& p, const std::vector<double>& t, const std::vector<double>& weight) {
  if (t.size() < 2) return std::numeric_limits<double>::quiet_NaN();
  const double mean = weighted_mean(t, weight);
  double missed = 0, spread = 0;
  for (std::size_t i = 0; i < t.size(); ++i) {
    const double w = weight.empty() ? 1.0 : weight[i];
    missed += w * square(p[i] - t[i]);
    spread += w * square(t[i] - mean);
  }
  if (spread == 0) return missed == 0 ? 1.0 : 0.0;
  return 1.0 - missed / spread;
}

}  // namespace

double weighted_mean(const std::vector<double>& values, const std::vector<double>& weight) {
  double sum = 0, total = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double w = weight.empty() ? 1.0 : weight[i];
    sum += w * values[i];
    total += w;
  }
  return total == 0 ? std::numeric_limits<double>::quiet_NaN() : sum / total;
}

double mae_of(const MetricInput& in) {
  return over_columns(in, [](const auto& p, const auto& t, const auto& w) {
    return mean_term(p, t, w, [](double e) { return std::abs(e); });
  });
}
double mse_of(const MetricInput& in) {
  return over_columns(in, [](const auto& p, const auto& t, const auto& w) { return mean_term(p, t, w, square); });
}
double rmse_of(const MetricInput& in) {
  return over_columns(
      in, [](const auto& p, const auto& t, const auto& w) { return std::sqrt(mean_term(p, t, w, square)); });
}
double r2_of(const MetricInput& in) { return over_columns(in, r2); }

}  // namespace chainrule
