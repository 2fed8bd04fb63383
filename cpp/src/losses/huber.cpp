// HuberLoss (Huber, 1964): quadratic for small errors, linear for large ones.
#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class HuberError final : public LossImpl {
 public:
  explicit HuberError(double delta) : delta_(delta) {
    if (!(delta > 0.0) || std::isinf(delta))
      fail<ValueError>("HuberLoss", "delta must be finite and > 0", "delta is " + nn::text_of(delta));
  }
  // With c = clip(d, -delta, delta), c (d - c / 2) is d^2 / 2 inside and delta (|d| - delta / 2) outside, and its
  // derivative is c on both sides, whichever derivative clip has at its ends.
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& output = only_output(name(), outputs);
    const Tensor d = output - match_target(name(), output, target);
    const Tensor c = clip(d, -delta_, delta_);
    return {c * (d - c * Tensor(0.5))};
  }
  std::string name() const override { return "HuberLoss"; }
  nn::Arguments arguments() const override {
    return delta_ == 1.0 ? nn::Arguments{} : nn::Arguments{{"delta", delta_}};
  }

 private:
  double delta_;
};

}  // namespace

Loss nn::HuberLoss(const HuberOptions& options) {
  return Loss(std::make_shared<HuberError>(options.delta), options.reduction);
}

Loss read::huber(nn::ArgumentReader& arguments, const std::string& reduction) {
  return nn::HuberLoss({.delta = arguments.real("delta", 1.0), .reduction = reduction});
}

}  // namespace chainrule
