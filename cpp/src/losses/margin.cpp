// HingeLoss of one score per sample or label, and MultiMarginLoss of a score per class: what support vector machines
// minimize. Scores are no probabilities.
#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class Hinge final : public LossImpl {
 public:
  explicit Hinge(bool squared) : squared_(squared) {}
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& x = only_output(name(), outputs);
    const Tensor positive = greater(match_target(name(), x, target), Tensor(0.0));
    const Tensor short_of = relu(Tensor(1.0) - where(positive, x, negative(x)));
    return {squared_ ? square(short_of) : short_of};
  }
  void check_target(const Tensor& target, const Shape&) const override {
    const char* todo = "use 0 and 1, or -1 and 1";
    check_each("HingeLoss", target, [](double y) { return y == 0 || y == 1 || y == -1; }, "a target is no side", todo);
    bool zero = false, minus = false;
    each_value(target, [&](double y, std::size_t) {
      zero |= y == 0;
      minus |= y == -1;
    });
    if (zero && minus) fail<ValueError>(name(), "targets hold both 0 and -1", "", todo);
  }
  std::string name() const override { return "HingeLoss"; }
  std::string link() const override { return "sign"; }
  nn::Arguments arguments() const override { return squared_ ? nn::Arguments{{"squared", true}} : nn::Arguments{}; }

 private:
  bool squared_;
};

class MultiMargin final : public LossImpl {
 public:
  explicit MultiMargin(const nn::MultiMarginOptions& options)
      : p_(options.p), margin_(options.margin), weight_("MultiMarginLoss", "weight", options.weight, false) {
    if (p_ != 1 && p_ != 2) fail<ValueError>(name(), "p must be 1 or 2", "p is " + std::to_string(p_));
    if (!(margin_ > 0.0) || std::isinf(margin_))
      fail<ValueError>(name(), "margin must be finite and > 0", "margin is " + nn::text_of(margin_));
  }
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& x = only_output(name(), outputs);
    const Tensor labels = class_labels(name(), x, target, {}, false);
    check_class_weights(name(), weight_, x);
    const std::int64_t classes = x.shape().back();
    const Tensor index = pickable(labels, {}, classes);
    const Tensor own = one_hot(index, classes, x.dtype());
    const Tensor over = relu(x - expand_dims(take_along(x, index, -1), -1) + Tensor(margin_));
    const Tensor others = where(greater(own, Tensor(0.0)), Tensor(0.0), p_ == 2 ? square(over) : over);
    const Tensor loss = mean(others, {-1});
    return {weight_.defined() ? matmul(own, weight_.in(x.dtype())) * loss : loss};
  }
  void check_target(const Tensor& target, const Shape& output) const override {
    if (output.rank() == 0) return check_whole("MultiMarginLoss", target);
    check_labels("MultiMarginLoss", target, output.back(), {});
  }
  bool takes_labels() const override { return true; }
  std::string name() const override { return "MultiMarginLoss"; }
  std::string link() const override { return "argmax"; }
  nn::Arguments arguments() const override {
    nn::Arguments all;
    if (p_ != 1) all.emplace_back("p", p_);
    if (margin_ != 1.0) all.emplace_back("margin", margin_);
    if (weight_.defined()) all.emplace_back("weight", weight_.values());
    return all;
  }

 private:
  std::int64_t p_;
  double margin_;
  LossWeights weight_;
};

}  // namespace

Loss nn::HingeLoss(const HingeOptions& options) {
  return Loss(std::make_shared<Hinge>(options.squared), options.reduction);
}
Loss nn::MultiMarginLoss(const MultiMarginOptions& options) {
  return Loss(std::make_shared<MultiMargin>(options), options.reduction);
}

Loss read::hinge(nn::ArgumentReader& arguments, const std::string& reduction) {
  return nn::HingeLoss({.squared = arguments.flag("squared", false), .reduction = reduction});
}
Loss read::multi_margin(nn::ArgumentReader& arguments, const std::string& reduction) {
  return nn::MultiMarginLoss({.p = arguments.integer("p", 1),
                              .margin = arguments.real("margin", 1.0),
                              .weight = read::weights(arguments, "weight"),
                              .reduction = reduction});
}

}  // namespace chainrule
