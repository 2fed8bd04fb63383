// What the layers of preprocessing.hpp share: a buffer "fitted" that counts the rows they were fitted on, their fit,
// and the forward that refuses to run before it.
#pragma once

#include <span>
#include <vector>

#include "chainrule/preprocessing.hpp"

namespace chainrule::nn {

// A table of doubles by rows.
struct Rows {
  std::span<const double> values;
  std::int64_t features = 0;
  std::int64_t count() const { return static_cast<std::int64_t>(values.size()) / features; }
  double at(std::int64_t row, std::int64_t column) const {
    return values[static_cast<std::size_t>(row * features + column)];
  }
};

class FittedImpl : public Layer {
 public:
  FittedImpl(const char* kind, std::int64_t features);
  using Layer::forward;
  Tensor forward(const Tensor& x) final;
  void fit(const Tensor& x);
  bool fitted() const;
  void unfit();                                            // back to what it was made with
  void init_own(std::uint64_t, std::uint32_t) override {}  // statistics are not drawn: they stay
  std::string kind() const override { return kind_; }
  std::optional<std::int64_t> in_features() const override { return features_; }

 protected:
  // The new values of the buffers, in float64, "fitted" aside. Runs in our floating-point environment.
  virtual std::vector<Tensor> statistics(const Rows& rows) const = 0;
  virtual Tensor apply(const Tensor& x) const = 0;  // x floating, its last axis as it should be
  // Called last by constructors: start is 0, or -1 where nothing is left to fit.
  void add_fitted(std::int64_t start) { add_buffer("fitted", Tensor::from(std::vector{start}, {})); }
  Tensor buffer(std::size_t i, const Tensor& x) const;  // number i in x's dtype
  std::int64_t features() const { return features_; }
  // Refuses NaN and infinities, naming the first column that holds one.
  void check_finite(const Rows& rows, const char* todo) const;

 private:
  const char* kind_;
  std::int64_t features_;
};

// While one lives, layers that are not fitted fit themselves on what reaches them on this thread. Once `layers` have,
// forward throws, since nobody needs its result.
class FittingScope {
 public:
  explicit FittingScope(std::size_t layers);
  ~FittingScope();
  FittingScope(const FittingScope&) = delete;
  FittingScope& operator=(const FittingScope&) = delete;
  static FittingScope* current();
  bool done() const { return fitted.size() >= layers_; }

  std::vector<std::shared_ptr<FittedImpl>> fitted;

 private:
  std::size_t layers_;
  FittingScope* outer_;
};

// Fits all of the model's layers that are not fitted on x; returns them. On an error all are as before.
std::vector<std::shared_ptr<FittedImpl>> fit_layers(const Module& model, const std::vector<Tensor>& x);
void check_fitted(const Module& model);  // refuses a model with layers that fit would have to fit first
void unfit_layers(ModuleImpl& model);
bool fills_missing(ModuleImpl& model);  // whether NaN in the data is what the model expects

}  // namespace chainrule::nn
