// BCELoss on probabilities and BCEWithLogitsLoss on logits: -(t log p + (1 - t) log(1 - p)).
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

// max(log p, -100). At p = 0 the derivative is 0: that of log would be infinite, and infinity times 0 is NaN.
Tensor limited_log(const Tensor& p) {
  const Tensor zero = equal(p, Tensor(0.0));
  return maximum(where(zero, Tensor(-100.0), log(where(zero, Tensor(1.0), p))), Tensor(-100.0));
}

// Targets are the probabilities of class 1.
void check_probabilities(const char* loss, const Tensor& target) {
  check_each(
      loss, target, [](double t) { return t >= 0 && t <= 1; }, "a target is not between 0 and 1",
      "use 0 and 1, or CrossEntropyLoss for more classes");
}

class BinaryOfProbability final : public LossImpl {
 public:
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& p = only_output(name(), outputs);
    const Tensor t = match_target(name(), p, target);
    return {negative(t * limited_log(p) + (Tensor(1.0) - t) * limited_log(Tensor(1.0) - p))};
  }
  void check_target(const Tensor& target, const Shape& output) const override {
    if (output.rank() > 0) check_probabilities("BCELoss", target);
  }
  std::string name() const override { return "BCELoss"; }
  std::string link() const override { return "probability"; }
};

// -log sigmoid(x) = softplus(-x) and -log(1 - sigmoid(x)) = softplus(x): neither overflows, both are exact where they
// are small, and the derivative is sigmoid(x) - t.
class BinaryOfLogit final : public LossImpl {
 public:
  explicit BinaryOfLogit(const Tensor& pos_weight) : pos_weight_("BCEWithLogitsLoss", "pos_weight", pos_weight, true) {}
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& x = only_output(name(), outputs);
    const Tensor t = match_target(name(), x, target);
    Tensor positive = t * softplus(negative(x));
    if (pos_weight_.defined()) {
      const std::int64_t columns = x.rank() > 1 ? x.shape().back() : 1;
      if (pos_weight_.size() != 1 && pos_weight_.size() != columns)
        fail<ShapeError>(name(), "pos_weight must be one number, or one per column of the output",
                         std::to_string(pos_weight_.size()) + " numbers for an output of " + x.shape().str());
      positive = positive * pos_weight_.in(x.dtype());
    }
    return {positive + (Tensor(1.0) - t) * softplus(x)};
  }
  void check_target(const Tensor& target, const Shape& output) const override {
    if (output.rank() > 0) check_probabilities("BCEWithLogitsLoss", target);
  }
  std::string name() const override { return "BCEWithLogitsLoss"; }
  std::string link() const override { return "sigmoid"; }
  nn::Arguments arguments() const override {
    return pos_weight_.defined() ? nn::Arguments{{"pos_weight", pos_weight_.values()}} : nn::Arguments{};
  }

 private:
  LossWeights pos_weight_;
};

}  // namespace

Loss nn::BCELoss(const LossOptions& options) {
  return Loss(std::make_shared<BinaryOfProbability>(), options.reduction);
}
Loss nn::BCEWithLogitsLoss(const BCEOptions& options) {
  return Loss(std::make_shared<BinaryOfLogit>(options.pos_weight), options.reduction);
}

Loss read::bce(nn::ArgumentReader&, const std::string& reduction) { return nn::BCELoss({.reduction = reduction}); }
Loss read::bce_with_logits(nn::ArgumentReader& arguments, const std::string& reduction) {
  return nn::BCEWithLogitsLoss({.pos_weight = read::weights(arguments, "pos_weight"), .reduction = reduction});
}

}  // namespace chainrule
