// Layers that learn from the data's columns instead of from gradients: statistics are their buffers, so they are saved
// with the model and run in its compiled code. Trainer::fit fits those that are not fitted yet on the training rows,
// each on what the layers before it give; fitted ones are left alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chainrule/nn.hpp"

namespace chainrule::nn {

class CHAINRULE_API FittedLayer : public Module {
 public:
  using Module::Module;
  // Takes the statistics of x (..., features) in double; anew where it was fitted before. NaN and infinities are
  // refused, by column, except by Imputer. On an error nothing changes.
  void fit(const Tensor& x) const;
  bool fitted() const;
};

// (x - mean) / scale, scale being the root of the variance (divided by n); 1 for a column of equal values.
class CHAINRULE_API Standardizer : public FittedLayer {
 public:
  explicit Standardizer(std::int64_t features);
};
// (x - min) / (max - min) (high - low) + low; a column of equal values becomes low.
class CHAINRULE_API MinMaxScaler : public FittedLayer {
 public:
  explicit MinMaxScaler(std::int64_t features, double low = 0.0, double high = 1.0);
};
struct ImputerOptions {
  std::string strategy = "mean";  // or "median", "most_frequent" (of several the smallest), "constant"
  double fill_value = 0.0;        // of "constant", which needs no fit
  bool add_indicator = false;     // a further column for each, 1 where a value was missing
};
// Replaces NaN.
class CHAINRULE_API Imputer : public FittedLayer {
 public:
  explicit Imputer(std::int64_t features, const ImputerOptions& options = {});
};
struct OneHotOptions {
  std::string handle_unknown = "error";  // an IndexError; or "ignore": a row of zeros
};
// Every column becomes one column per category, 1 where it is this one.
class CHAINRULE_API OneHot : public FittedLayer {
 public:
  // How many categories each column has at most: fit finds them, in ascending order.
  explicit OneHot(const std::vector<std::int64_t>& counts, const OneHotOptions& options = {});
  // The categories of each column; nothing is left to fit.
  explicit OneHot(const std::vector<std::vector<double>>& categories, const OneHotOptions& options = {});
};
// Some columns of x (..., features), in this order, for branches that treat columns differently.
class CHAINRULE_API Columns : public Module {
 public:
  explicit Columns(const std::vector<std::int64_t>& columns);
};

}  // namespace chainrule::nn
