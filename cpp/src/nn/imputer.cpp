// Imputer: NaN, the mark of a missing value, becomes the column's mean, median, most frequent value, or a constant.
#include <algorithm>
#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "nn/fitted_layer.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

// values: not empty, in any order.
[[gnu::noinline]] double mean_of(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double total = 0, left = 0;
  for (const double v : values) total += v;
  const double mean = total / n;
  for (const double v : values) left += v - mean;
  return mean + left / n;
}
[[gnu::noinline]] double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 ? values[half] : values[half - 1] + (values[half] - values[half - 1]) / 2;
}
double most_frequent_of(std::vector<double> values) {  // of several the smallest
  std::sort(values.begin(), values.end());
  double best = values[0];
  std::size_t most = 0;
  for (std::size_t first = 0; first < values.size();) {
    std::size_t end = first;
    while (end < values.size() && values[end] == values[first]) ++end;
    if (end - first > most) most = end - first, best = values[first];
    first = end;
  }
  return best;
}

class ImputerImpl final : public FittedImpl {
 public:
  ImputerImpl(std::int64_t features, const ImputerOptions& options)
      : FittedImpl("Imputer", features), options_(options) {
    const std::string& s = options_.strategy;
    if (s != "mean" && s != "median" && s != "most_frequent" && s != "constant")
      fail<ValueError>("Imputer", "unknown strategy", "'" + s + "'",
                       "use \"mean\", \"median\", \"most_frequent\" or \"constant\"");
    if (!std::isfinite(options_.fill_value))
      fail<ValueError>("Imputer", "fill_value must be finite", text_of(options_.fill_value));
    if (s != "constant" && options_.fill_value != 0.0)
      fail<ValueError>("Imputer", "fill_value goes with strategy \"constant\" only",
                       "strategy is '" + s + "', fill_value is " + text_of(options_.fill_value));
    add_buffer("fill", Tensor::full({features}, options_.fill_value, DType::float64));
    add_fitted(s == "constant" ? -1 : 0);
  }
  Arguments arguments() const override {
    return {{"features", features()},
            {"strategy", options_.strategy},
            {"fill_value", options_.fill_value},
            {"add_indicator", options_.add_indicator}};
  }
  std::string repr_arguments() const override {
    return text_of(arguments(), 1, {{"strategy", std::string("mean")}, {"fill_value", 0.0}, {"add_indicator", false}});
  }
  std::optional<std::int64_t> out_features() const override {
    return options_.add_indicator ? 2 * features() : features();
  }

 private:
  std::vector<Tensor> statistics(const Rows& rows) const override {
    std::vector<double> fill(static_cast<std::size_t>(features()), options_.fill_value);
    if (options_.strategy == "constant") return {Tensor::from(fill, {fill.size()})};
    std::vector<double> present;
    for (std::size_t k = 0; k < fill.size(); ++k) {
      present.clear();
      for (std::int64_t row = 0; row < rows.count(); ++row) {
        const double value = rows.at(row, static_cast<std::int64_t>(k));
        if (std::isnan(value)) continue;
        if (std::isinf(value))
          fail<ValueError>(repr(), "cannot be fitted on inf",
                           text_of(value) + " in row " + std::to_string(row) + ", column " + std::to_string(k),
                           "NaN alone stands for a missing value");
        present.push_back(value);
      }
      if (present.empty())
        fail<ValueError>(repr(), "a column holds no value at all", "column " + std::to_string(k),
                         "leave it out, or use strategy=\"constant\"");
      fill[k] = options_.strategy == "mean"     ? mean_of(present)
                : options_.strategy == "median" ? median_of(present)
                                                : most_frequent_of(present);
    }
    return {Tensor::from(fill, {fill.size()})};
  }
  Tensor apply(const Tensor& x) const override {
    const Tensor missing = isnan(x);
    const Tensor filled = where(missing, buffer(0, x), x);
    return options_.add_indicator ? concat({filled, cast(missing, x.dtype())}, -1) : filled;
  }

  ImputerOptions options_;
};

}  // namespace

std::shared_ptr<ModuleImpl> read::imputer(ArgumentReader& arguments) {
  const std::int64_t features = arguments.integer("features");
  ImputerOptions options;
  options.strategy = arguments.text("strategy", options.strategy);
  options.fill_value = arguments.real("fill_value", options.fill_value);
  options.add_indicator = arguments.flag("add_indicator", options.add_indicator);
  return std::make_shared<ImputerImpl>(features, options);
}

Imputer::Imputer(std::int64_t features, const ImputerOptions& options)
    : FittedLayer(std::make_shared<ImputerImpl>(features, options)) {}

}  // namespace chainrule::nn
