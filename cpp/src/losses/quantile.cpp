// QuantileLoss (Koenker and Bassett, 1978): the pinball loss of several quantiles at once.
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class Pinball final : public LossImpl {
 public:
  explicit Pinball(std::vector<double> quantiles) : quantiles_(std::move(quantiles)) {
    if (quantiles_.empty()) fail<ValueError>(name(), "quantiles is empty", "", "give some, e.g. [0.1, 0.5, 0.9]");
    std::vector<double> below;
    for (const double q : quantiles_) {
      if (!(q > 0.0 && q < 1.0))
        fail<ValueError>(name(), "a quantile must lie between 0 and 1", nn::text_of(q) + " was given");
      below.push_back(1.0 - q);
    }
    above_ = LossWeights(name(), "quantiles", Tensor::from(quantiles_, {quantiles_.size()}), false);
    below_ = LossWeights(name(), "quantiles", Tensor::from(below, {below.size()}), false);
  }
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& output = only_output(name(), outputs);
    if (output.rank() == 0 || output.shape().back() != above_.size())
      fail<ShapeError>(
          name(), "the last axis of the output must hold one value per quantile",
          "output is " + output.shape().str() + ", there are " + std::to_string(above_.size()) + " quantiles",
          "give the last layer " + std::to_string(above_.size()) + " outputs");
    const Tensor d = match_target(name(), slice_of(output), target) - output;
    return {maximum(above_.in(output.dtype()) * d, negative(below_.in(output.dtype()) * d))};
  }
  std::string name() const override { return "QuantileLoss"; }
  nn::Arguments arguments() const override { return {{"quantiles", quantiles_}}; }

 private:
  // What a target has to fit: the output with one value in place of the quantiles.
  static Tensor slice_of(const Tensor& output) {
    std::vector<Slice> slices(static_cast<std::size_t>(output.rank()));
    slices.back() = Slice{.start = 0, .stop = 1};
    return slice(output, slices);
  }

  std::vector<double> quantiles_;
  LossWeights above_, below_;
};

}  // namespace

Loss nn::QuantileLoss(const QuantileOptions& options) {
  return Loss(std::make_shared<Pinball>(options.quantiles), options.reduction);
}

Loss read::quantile(nn::ArgumentReader& arguments, const std::string& reduction) {
  return nn::QuantileLoss(
      {.quantiles = arguments.reals("quantiles", nn::QuantileOptions{}.quantiles), .reduction = reduction});
}

}  // namespace chainrule
