// NLLLoss: minus the log-probability of the label.
#include "chainrule/ops.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class NegativeLogLikelihood final : public LossImpl {
 public:
  explicit NegativeLogLikelihood(const nn::NLLOptions& options)
      : weight_("NLLLoss", "weight", options.weight, false), ignore_index_(options.ignore_index) {}

  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& logp = only_output(name(), outputs);
    const Tensor labels = class_labels(name(), logp, target, ignore_index_, false);
    check_class_weights(name(), weight_, logp);
    const std::int64_t classes = logp.shape().back();
    const Tensor index = pickable(labels, ignore_index_, classes);
    const Tensor picked = negative(take_along(logp, index, -1));
    Tensor weight;
    if (weight_.defined()) weight = matmul(one_hot(index, classes, logp.dtype()), weight_.in(logp.dtype()));
    if (!ignore_index_) return {weight.defined() ? weight * picked : picked, weight};
    const Tensor keep = kept(labels, *ignore_index_, logp.dtype());
    weight = weight.defined() ? weight * keep : keep;
    // where, not a product: an ignored sample may hold log 0.
    return {where(greater(keep, Tensor(0.0)), weight * picked, Tensor(0.0)), weight};
  }
  void check_target(const Tensor& target, const Shape& output) const override {
    if (output.rank() == 0) return check_whole("NLLLoss", target);
    check_labels("NLLLoss", target, output.back(), ignore_index_);
  }
  std::string name() const override { return "NLLLoss"; }
  bool takes_labels() const override { return true; }
  std::string link() const override { return "exp"; }
  nn::Arguments arguments() const override {
    nn::Arguments all;
    if (weight_.defined()) all.emplace_back("weight", weight_.values());
    if (ignore_index_) all.emplace_back("ignore_index", *ignore_index_);
    return all;
  }

 private:
  LossWeights weight_;
  std::optional<std::int64_t> ignore_index_;
};

}  // namespace

Loss nn::NLLLoss(const NLLOptions& options) {
  return Loss(std::make_shared<NegativeLogLikelihood>(options), options.reduction);
}

Loss read::nll(nn::ArgumentReader& arguments, const std::string& reduction) {
  nn::NLLOptions options{.weight = read::weights(arguments, "weight"), .reduction = reduction};
  if (arguments.has("ignore_index")) options.ignore_index = arguments.integer("ignore_index");
  return nn::NLLLoss(options);
}

}  // namespace chainrule
