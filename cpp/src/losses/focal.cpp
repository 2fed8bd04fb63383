// FocalLoss and BinaryFocalLoss (Lin et al., 2017): cross-entropy times (1 - p)^gamma, p being the probability of the
// true class, so that samples which are right already count little.
#include <cmath>
#include <limits>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

void check_gamma(const std::string& loss, double gamma) {
  if (!(gamma >= 0.0) || std::isinf(gamma))
    fail<ValueError>(loss, "gamma must be finite and >= 0", "gamma is " + nn::text_of(gamma));
}

// (1 - p)^gamma is e^(gamma log(1 - p)) with log(1 - p) = logsumexp(the other classes) - logsumexp(all): no digits are
// lost where p is near 1, and no power has an infinite derivative.
class Focal final : public LossImpl {
 public:
  explicit Focal(const nn::FocalOptions& options)
      : gamma_(options.gamma), alpha_("FocalLoss", "alpha", options.alpha, false) {
    check_gamma(name(), gamma_);
  }
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& x = only_output(name(), outputs);
    const Tensor labels = class_labels(name(), x, target, {}, false);
    const std::int64_t classes = x.shape().back();
    if (classes < 2)
      fail<ShapeError>(name(), "needs two classes at least", "output is " + x.shape().str(),
                       "use BinaryFocalLoss for one logit per sample");
    if (alpha_.defined() && alpha_.size() != classes)
      fail<ShapeError>(name(), "alpha must hold one number per class",
                       std::to_string(alpha_.size()) + " numbers for " + std::to_string(classes) + " classes");
    const Tensor index = pickable(labels, {}, classes);
    const Tensor own = one_hot(index, classes, x.dtype());
    const Tensor without = where(greater(own, Tensor(0.0)), Tensor(-std::numeric_limits<double>::infinity()), x);
    const Tensor all = logsumexp(x, {-1});
    const Tensor rest = exp(Tensor(gamma_) * (logsumexp(without, {-1}) - all));
    const Tensor loss = rest * (all - take_along(x, index, -1));
    return {alpha_.defined() ? matmul(own, alpha_.in(x.dtype())) * loss : loss};
  }
  void check_target(const Tensor& target, const Shape& output) const override {
    if (output.rank() == 0) return check_whole("FocalLoss", target);
    check_labels("FocalLoss", target, output.back(), {});
  }
  bool takes_labels() const override { return true; }
  std::string name() const override { return "FocalLoss"; }
  std::string link() const override { return "softmax"; }
  nn::Arguments arguments() const override {
    nn::Arguments all;
    if (gamma_ != nn::FocalOptions{}.gamma) all.emplace_back("gamma", gamma_);
    if (alpha_.defined()) all.emplace_back("alpha", alpha_.values());
    return all;
  }

 private:
  double gamma_;
  LossWeights alpha_;
};

// With z = x for class 1 and -x for class 0: log p = -softplus(-z) and log(1 - p) = -softplus(z).
class BinaryFocal final : public LossImpl {
 public:
  explicit BinaryFocal(const nn::BinaryFocalOptions& options) : gamma_(options.gamma), alpha_(options.alpha) {
    check_gamma(name(), gamma_);
    if (alpha_ != -1.0 && !(alpha_ >= 0.0 && alpha_ <= 1.0))
      fail<ValueError>(name(), "alpha must lie in [0, 1]", "alpha is " + nn::text_of(alpha_),
                       "it is the weight of class 1, 1 - alpha that of class 0; -1 weights neither");
  }
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& x = only_output(name(), outputs);
    const auto positive = greater(match_target(name(), x, target), Tensor(0.5));
    const Tensor z = where(positive, x, negative(x));
    const Tensor loss = exp(Tensor(-gamma_) * softplus(z)) * softplus(negative(z));
    if (alpha_ == -1.0) return {loss};
    return {where(positive, Tensor(alpha_) * loss, Tensor(1.0 - alpha_) * loss)};
  }
  void check_target(const Tensor& target, const Shape&) const override {
    check_each(
        "BinaryFocalLoss", target, [](double y) { return y == 0 || y == 1; }, "a target is neither 0 nor 1",
        "use FocalLoss for more classes, BCEWithLogitsLoss for probabilities");
  }
  std::string name() const override { return "BinaryFocalLoss"; }
  std::string link() const override { return "sigmoid"; }
  nn::Arguments arguments() const override {
    const nn::BinaryFocalOptions usual;
    nn::Arguments all;
    if (gamma_ != usual.gamma) all.emplace_back("gamma", gamma_);
    if (alpha_ != usual.alpha) all.emplace_back("alpha", alpha_);
    return all;
  }

 private:
  double gamma_, alpha_;
};

}  // namespace

Loss nn::FocalLoss(const FocalOptions& options) { return Loss(std::make_shared<Focal>(options), options.reduction); }
Loss nn::BinaryFocalLoss(const BinaryFocalOptions& options) {
  return Loss(std::make_shared<BinaryFocal>(options), options.reduction);
}

Loss read::focal(nn::ArgumentReader& arguments, const std::string& reduction) {
  return nn::FocalLoss({.gamma = arguments.real("gamma", nn::FocalOptions{}.gamma),
                        .alpha = read::weights(arguments, "alpha"),
                        .reduction = reduction});
}
Loss read::binary_focal(nn::ArgumentReader& arguments, const std::string& reduction) {
  const nn::BinaryFocalOptions usual;
  return nn::BinaryFocalLoss({.gamma = arguments.real("gamma", usual.gamma),
                              .alpha = arguments.real("alpha", usual.alpha),
                              .reduction = reduction});
}

}  // namespace chainrule
