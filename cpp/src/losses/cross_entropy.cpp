// CrossEntropyLoss of logits and class labels or class probabilities.
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class CrossEntropy final : public LossImpl {
 public:
  explicit CrossEntropy(const nn::CrossEntropyOptions& options)
      : weight_("CrossEntropyLoss", "weight", options.weight, false),
        ignore_index_(options.ignore_index),
        smoothing_(options.label_smoothing) {
    if (!(smoothing_ >= 0.0 && smoothing_ <= 1.0))
      fail<ValueError>(name(), "label_smoothing must lie in [0, 1]", "label_smoothing is " + nn::text_of(smoothing_));
  }

  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& logits = only_output(name(), outputs);
    const bool probabilities =
        target.defined() && is_floating(target.dtype()) && target.shape() == logits.shape() && logits.rank() > 0;
    if (logits.rank() > 0) check_class_weights(name(), weight_, logits);
    return probabilities ? of_probabilities(logits, target) : of_labels(logits, target);
  }
  void check_target(const Tensor& target, const Shape& output) const override {
    if (output.rank() == 0) return check_whole("CrossEntropyLoss", target);
    const std::int64_t classes = output.back();
    if (!is_floating(target.dtype()))
      check_labels("CrossEntropyLoss", target, classes, ignore_index_);
    else if (target.rank() == output.rank() && target.shape().back() == classes)
      check_distributions("CrossEntropyLoss", target, classes);
  }
  std::string name() const override { return "CrossEntropyLoss"; }
  bool takes_labels() const override { return true; }
  std::string link() const override { return "softmax"; }
  nn::Arguments arguments() const override {
    nn::Arguments all;
    if (weight_.defined()) all.emplace_back("weight", weight_.values());
    if (ignore_index_) all.emplace_back("ignore_index", *ignore_index_);
    if (smoothing_ != 0.0) all.emplace_back("label_smoothing", smoothing_);
    return all;
  }

 private:
  // -sum_c w_c q_c log p_c
  LossTerms of_probabilities(const Tensor& logits, const Tensor& target) const {
    if (ignore_index_)
      fail<ValueError>(name(), "ignore_index goes with labels only",
                       "target is " + target.shape().str() + " of " + std::string(name_of(target.dtype())),
                       "give integer labels, or weight the samples with sample_weight");
    const double classes = static_cast<double>(logits.shape().back());
    Tensor q = target.dtype() == logits.dtype() ? target : cast(target, logits.dtype());
    if (smoothing_ != 0.0) q = q * Tensor(1.0 - smoothing_) + Tensor(smoothing_ / classes);
    if (weight_.defined()) q = q * weight_.in(logits.dtype());
    return {negative(sum(q * log_softmax(logits, -1), {-1}))};
  }

  // Without class weights (1 - e) (-log p[t]) + (e / C) sum_c (-log p_c) is one op. With them it is
  // (1 - e) w[t] (-log p[t]) + (e / C) sum_c w_c (-log p_c), counted as w[t] in the mean.
  LossTerms of_labels(const Tensor& logits, const Tensor& target) const {
    const Tensor labels = class_labels(name(), logits, target, ignore_index_, true);
    const DType dtype = logits.dtype();
    const Tensor keep = ignore_index_ ? kept(labels, *ignore_index_, dtype) : Tensor();
    if (!weight_.defined()) return {softmax_cross_entropy(logits, labels, smoothing_, ignore_index_), keep};

    const std::int64_t classes = logits.shape().back();
    const Tensor& w = weight_.in(dtype);
    const Tensor index = pickable(labels, ignore_index_, classes);
    Tensor weight = matmul(one_hot(index, classes, dtype), w);
    if (keep.defined()) weight = weight * keep;
    if (smoothing_ == 0.0) return {weight * softmax_cross_entropy(logits, labels, 0.0, ignore_index_), weight};
    const Tensor logp = log_softmax(logits, -1);
    const Tensor hit = weight * take_along(logp, index, -1);
    Tensor rest = matmul(logp, w);
    if (keep.defined()) rest = rest * keep;
    return {negative(hit * Tensor(1.0 - smoothing_) + rest * Tensor(smoothing_ / static_cast<double>(classes))),
            weight};
  }

  LossWeights weight_;
  std::optional<std::int64_t> ignore_index_;
  double smoothing_;
};

}  // namespace

Loss nn::CrossEntropyLoss(const CrossEntropyOptions& options) {
  return Loss(std::make_shared<CrossEntropy>(options), options.reduction);
}

Loss read::cross_entropy(nn::ArgumentReader& arguments, const std::string& reduction) {
  nn::CrossEntropyOptions options{.weight = read::weights(arguments, "weight"),
                                  .label_smoothing = arguments.real("label_smoothing", 0.0),
                                  .reduction = reduction};
  if (arguments.has("ignore_index")) options.ignore_index = arguments.integer("ignore_index");
  return nn::CrossEntropyLoss(options);
}

}  // namespace chainrule
