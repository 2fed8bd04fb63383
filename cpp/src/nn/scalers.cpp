// Standardizer and MinMaxScaler: columns on a common scale. Statistics are doubles; the arithmetic is the input's.
#include <algorithm>
#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "nn/fitted_layer.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

constexpr const char* clean_first = "put nn.Imputer before it, or clean the data";

struct Range {
  double low, high;
};

[[gnu::noinline]] Range range_of(const Rows& rows, std::int64_t column) {
  Range range{rows.at(0, column), rows.at(0, column)};
  for (std::int64_t row = 1; row < rows.count(); ++row) {
    range.low = std::min(range.low, rows.at(row, column));
    range.high = std::max(range.high, rows.at(row, column));
  }
  return range;
}

// The mean, corrected by the mean of what is left, and the root of the mean square around it.
[[gnu::noinline]] void moments(const Rows& rows, std::int64_t column, double& mean, double& deviation) {
  const auto n = static_cast<double>(rows.count());
  double total = 0, left = 0, squares = 0;
  for (std::int64_t row = 0; row < rows.count(); ++row) total += rows.at(row, column);
  mean = total / n;
  for (std::int64_t row = 0; row < rows.count(); ++row) left += rows.at(row, column) - mean;
  mean += left / n;
  for (std::int64_t row = 0; row < rows.count(); ++row) {
    const double d = rows.at(row, column) - mean;
    squares += d * d;
  }
  deviation = std::sqrt(squares / n);
}

class StandardizerImpl final : public FittedImpl {
 public:
  explicit StandardizerImpl(std::int64_t features) : FittedImpl("Standardizer", features) {
    add_buffer("mean", Tensor::zeros({features}, DType::float64));
    add_buffer("scale", Tensor::ones({features}, DType::float64));
    add_fitted(0);
  }
  Arguments arguments() const override { return {{"features", features()}}; }
  std::string repr_arguments() const override { return text_of(arguments(), 1, {}); }
  std::optional<std::int64_t> out_features() const override { return features(); }

 private:
  std::vector<Tensor> statistics(const Rows& rows) const override {
    check_finite(rows, clean_first);
    const auto width = static_cast<std::size_t>(features());
    std::vector<double> mean(width), scale(width);
    for (std::size_t k = 0; k < width; ++k) {
      const auto column = static_cast<std::int64_t>(k);
      moments(rows, column, mean[k], scale[k]);
      const Range range = range_of(rows, column);
      if (range.low == range.high) mean[k] = range.low, scale[k] = 1.0;
      if (!std::isfinite(scale[k]) || !(scale[k] > 0))
        fail<ValueError>(repr(), "the spread of a column is no double", "column " + std::to_string(k), "scale it down");
    }
    return {Tensor::from(mean, {width}), Tensor::from(scale, {width})};
  }
  Tensor apply(const Tensor& x) const override { return (x - buffer(0, x)) / buffer(1, x); }
};

class MinMaxImpl final : public FittedImpl {
 public:
  MinMaxImpl(std::int64_t features, double low, double high)
      : FittedImpl("MinMaxScaler", features), low_(low), high_(high) {
    if (!(low < high) || std::isinf(low) || std::isinf(high))
      fail<ValueError>("MinMaxScaler", "the range must be finite and ascending",
                       "it is (" + text_of(low) + ", " + text_of(high) + ")");
    add_buffer("min", Tensor::zeros({features}, DType::float64));
    add_buffer("range", Tensor::ones({features}, DType::float64));
    add_fitted(0);
  }
  Arguments arguments() const override {
    return {{"features", features()}, {"feature_range", std::vector<double>{low_, high_}}};
  }
  std::string repr_arguments() const override {
    return text_of(arguments(), 1, {{"feature_range", std::vector<double>{0.0, 1.0}}});
  }
  std::optional<std::int64_t> out_features() const override { return features(); }

 private:
  std::vector<Tensor> statistics(const Rows& rows) const override {
    check_finite(rows, clean_first);
    const auto width = static_cast<std::size_t>(features());
    std::vector<double> low(width), spread(width);
    for (std::size_t k = 0; k < width; ++k) {
      const Range range = range_of(rows, static_cast<std::int64_t>(k));
      low[k] = range.low;
      spread[k] = range.low == range.high ? 1.0 : range.high - range.low;
      if (!std::isfinite(spread[k]))
        fail<ValueError>(repr(), "the spread of a column is no double", "column " + std::to_string(k), "scale it down");
    }
    return {Tensor::from(low, {width}), Tensor::from(spread, {width})};
  }
  Tensor apply(const Tensor& x) const override {
    const Tensor unit = (x - buffer(0, x)) / buffer(1, x);
    return low_ == 0.0 && high_ == 1.0 ? unit : unit * Tensor(high_ - low_) + Tensor(low_);
  }

  double low_, high_;
};

}  // namespace

std::shared_ptr<ModuleImpl> read::standardizer(ArgumentReader& arguments) {
  return std::make_shared<StandardizerImpl>(arguments.integer("features"));
}
std::shared_ptr<ModuleImpl> read::min_max_scaler(ArgumentReader& arguments) {
  const std::int64_t features = arguments.integer("features");
  const std::vector<double> range = arguments.reals("feature_range", {0.0, 1.0});
  if (range.size() != 2)
    fail<ValueError>("MinMaxScaler", "feature_range must be a pair", std::to_string(range.size()) + " numbers");
  return std::make_shared<MinMaxImpl>(features, range[0], range[1]);
}

Standardizer::Standardizer(std::int64_t features) : FittedLayer(std::make_shared<StandardizerImpl>(features)) {}
MinMaxScaler::MinMaxScaler(std::int64_t features, double low, double high)
    : FittedLayer(std::make_shared<MinMaxImpl>(features, low, high)) {}

}  // namespace chainrule::nn
