// GaussianNLLLoss (Nix and Weigend, 1994): the output is a mean and a variance, or its logarithm, for every target.
#include <cmath>
#include <numbers>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class GaussianLikelihood final : public LossImpl {
 public:
  explicit GaussianLikelihood(const nn::GaussianNLLOptions& options)
      : log_variance_(options.log_variance), full_(options.full), eps_(options.eps) {
    if (!(eps_ > 0.0) || std::isinf(eps_))
      fail<ValueError>(name(), "eps must be finite and > 0", "eps is " + nn::text_of(eps_));
  }
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const std::vector<Tensor> halves = mean_and_variance(outputs);
    const Tensor d = halves[0] - match_target(name(), halves[0], target);
    const Tensor half(0.5);
    Tensor loss;
    if (log_variance_) {
      const Tensor s = at_least(halves[1], std::log(eps_));
      loss = half * (s + square(d) * exp(negative(s)));
    } else {
      const Tensor v = at_least(halves[1], eps_);
      loss = half * (log(v) + square(d) / v);
    }
    return {full_ ? loss + Tensor(0.5 * std::log(2 * std::numbers::pi)) : loss};
  }
  std::string name() const override { return "GaussianNLLLoss"; }
  nn::Arguments arguments() const override {
    const nn::GaussianNLLOptions usual;
    nn::Arguments all;
    if (log_variance_ != usual.log_variance) all.emplace_back("log_variance", log_variance_);
    if (full_) all.emplace_back("full", true);
    if (eps_ != usual.eps) all.emplace_back("eps", eps_);
    return all;
  }

 private:
  std::vector<Tensor> mean_and_variance(const std::vector<Tensor>& outputs) const {
    if (outputs.size() == 1) {
      const Tensor& output = only_output(name(), outputs);
      if (output.rank() == 0 || output.shape().back() % 2 != 0)
        fail<ShapeError>(name(), "the output must hold a mean and a variance for each target",
                         "output is " + output.shape().str(),
                         "give the last layer two outputs per target: all means, then all variances");
      return split(output, 2, -1);
    }
    if (outputs.size() != 2)
      fail<ValueError>(name(), "takes one output, or two: mean and variance",
                       "the model gave " + std::to_string(outputs.size()));
    for (const Tensor& each : outputs) only_output(name(), {each});
    if (outputs[0].shape() != outputs[1].shape())
      fail<ShapeError>(name(), "mean and variance differ in shape",
                       "mean is " + outputs[0].shape().str() + ", variance is " + outputs[1].shape().str());
    return outputs;
  }
  // The value is held to the limit, its gradient is not: a variance that fell below it finds its way back.
  static Tensor at_least(const Tensor& x, double limit) {
    return where(less(x, Tensor(limit)), Tensor(limit) + (x - stop_gradient(x)), x);
  }

  bool log_variance_, full_;
  double eps_;
};

}  // namespace

Loss nn::GaussianNLLLoss(const GaussianNLLOptions& options) {
  return Loss(std::make_shared<GaussianLikelihood>(options), options.reduction);
}

Loss read::gaussian_nll(nn::ArgumentReader& arguments, const std::string& reduction) {
  nn::GaussianNLLOptions options{.reduction = reduction};
  options.log_variance = arguments.flag("log_variance", options.log_variance);
  options.full = arguments.flag("full", options.full);
  options.eps = arguments.real("eps", options.eps);
  return nn::GaussianNLLLoss(options);
}

}  // namespace chainrule
