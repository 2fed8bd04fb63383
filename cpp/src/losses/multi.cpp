// MultiLoss: several outputs, each with a loss of its own and its own columns of the target, added with weights.
#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

std::string part_name(std::size_t i, const Loss& loss) { return "loss " + std::to_string(i) + " is " + loss.str(); }

class SeveralLosses final : public LossImpl {
 public:
  SeveralLosses(std::vector<Loss> losses, const nn::MultiLossOptions& options)
      : losses_(std::move(losses)), weights_(options.weights), columns_(options.columns) {
    if (losses_.size() < 2)
      fail<ValueError>(name(), "needs two losses at least", std::to_string(losses_.size()) + " were given",
                       "one output takes its loss as it is");
    for (std::size_t i = 0; i < losses_.size(); ++i) {
      if (!losses_[i].impl()) fail<StateError>(name(), "a loss is empty", "number " + std::to_string(i));
      if (losses_[i].reduction() != "mean")
        fail<ValueError>(name(), "a loss has a reduction of its own", part_name(i, losses_[i]),
                         "give reduction= to MultiLoss");
      if (!losses_[i].impl()->parts().empty())
        fail<ValueError>(name(), "a MultiLoss cannot hold another", part_name(i, losses_[i]), "make it one list");
    }
    if (weights_.empty()) weights_.assign(losses_.size(), 1.0);
    if (columns_.empty()) columns_.assign(losses_.size(), 1);
    check_count("weights", weights_.size());
    check_count("columns", columns_.size());
    for (const double w : weights_)
      if (!(w >= 0.0) || std::isinf(w))
        fail<ValueError>(name(), "weights must be finite and >= 0", nn::text_of(w) + " was given");
    for (const std::int64_t c : columns_) {
      if (c < 1) fail<ValueError>(name(), "columns must be 1 or more", std::to_string(c) + " was given");
      width_ += c;
    }
  }

  // One value per sample: each loss's mean over its elements. Where classes have weights, or labels are ignored, these
  // are divided by the mean weight in the batch, so that the mean of the values is the loss's own.
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    if (outputs.size() != losses_.size())
      fail<ValueError>(name(), "needs one output per loss",
                       "the model gave " + std::to_string(outputs.size()) + ", there are " +
                           std::to_string(losses_.size()) + " losses",
                       "end the model with nn.MultiHead");
    Tensor total;
    for (std::size_t i = 0; i < losses_.size(); ++i) {
      LossTerms part = losses_[i].impl()->terms({outputs[i]}, beside(i, target_of(i, target), outputs[i]));
      if (part.loss.rank() == 0)
        fail<ShapeError>(name(), "a loss must give one value per sample", part_name(i, losses_[i]) + " and gave one",
                         "leave the mean over the batch to MultiLoss");
      Tensor value = sample_means(part.loss);
      if (part.weight.defined()) {
        const Tensor weight = mean(part.weight);
        value = value / where(equal(weight, Tensor(0.0)), Tensor(1.0), weight);
      }
      value = reshape(value, {value.size()}) * Tensor(weights_[i]);
      if (total.defined() && total.shape() != value.shape())
        fail<ShapeError>(name(), "losses differ in their number of samples",
                         part_name(i, losses_[i]) + " and gave " + value.shape().str() + ", those before it gave " +
                             total.shape().str());
      total = total.defined() ? total + value : value;
    }
    return {total};
  }
  void check_target(const Tensor& target, const Shape& output) const override {
    const NoGrad no_grad;
    for (std::size_t i = 0; i < losses_.size(); ++i) {
      const bool first = i == 0;  // whose shape is known
      const bool whole = losses_[i].impl()->takes_labels() && columns_[i] == 1;
      if (whole) losses_[i].impl()->check_target(columns_of(i, target), {});
      losses_[i].impl()->check_target(target_of(i, target), first   ? output
                                                            : whole ? Shape{}
                                                                    : Shape{target.shape(0), columns_[i]});
    }
  }
  std::string name() const override { return "MultiLoss"; }
  std::vector<Loss> parts() const override { return losses_; }
  nn::Arguments arguments() const override {
    std::vector<nn::Called> called;
    for (const Loss& loss : losses_)
      called.push_back({loss.impl()->name(), loss.impl()->arguments(), std::make_shared<const Loss>(loss)});
    nn::Arguments all{{"losses", called}};
    for (const double w : weights_)
      if (w != 1.0) {
        all.emplace_back("weights", weights_);
        break;
      }
    for (const std::int64_t c : columns_)
      if (c != 1) {
        all.emplace_back("columns", columns_);
        break;
      }
    return all;
  }

 private:
  void check_count(const char* what, std::size_t count) const {
    if (count != losses_.size())
      fail<ValueError>(name(), std::string(what) + " must hold one number per loss",
                       std::to_string(count) + " numbers for " + std::to_string(losses_.size()) + " losses");
  }
  static Tensor sample_means(const Tensor& loss) {
    Dims axes;
    for (int axis = 1; axis < loss.rank(); ++axis) axes.push_back(axis);
    return axes.empty() ? loss : mean(loss, axes);
  }
  // (N,) of one column, (N, k) of several.
  Tensor columns_of(std::size_t i, const Tensor& target) const {
    if (!target.defined()) fail<StateError>(name(), "the target is undefined");
    if (target.rank() != 2 || target.shape(1) != width_)
      fail<ShapeError>(
          name(), "the target must be (samples, " + std::to_string(width_) + "), the columns of all losses",
          "target is " + target.shape().str(),
          "give a tuple (y1, y2) with one target per loss, and columns=[...] for those of several columns");
    std::int64_t first = 0;
    for (std::size_t k = 0; k < i; ++k) first += columns_[k];
    const Tensor own = slice(target, {Slice{}, Slice{.start = first, .stop = first + columns_[i]}});
    return columns_[i] == 1 ? reshape(own, {target.shape(0)}) : own;
  }
  // A function of the user's own does arithmetic with it: in the output's dtype, not the float64 of the columns.
  Tensor beside(std::size_t i, const Tensor& target, const Tensor& output) const {
    const bool own = losses_[i].impl()->function() != nullptr && output.defined() && is_floating(target.dtype());
    return own && target.dtype() != output.dtype() ? cast(target, output.dtype()) : target;
  }
  Tensor target_of(std::size_t i, const Tensor& target) const {
    const Tensor own = columns_of(i, target);
    const bool labels = losses_[i].impl()->takes_labels() && columns_[i] == 1 && is_floating(own.dtype());
    return labels ? cast(own, DType::int64) : own;
  }

  std::vector<Loss> losses_;
  std::vector<double> weights_;
  std::vector<std::int64_t> columns_;
  std::int64_t width_ = 0;
};

}  // namespace

Loss nn::MultiLoss(const std::vector<Loss>& losses, const MultiLossOptions& options) {
  return Loss(std::make_shared<SeveralLosses>(losses, options), options.reduction);
}

Tensor nn::join_targets(const std::vector<Tensor>& targets) {
  const NoGrad no_grad;
  std::vector<Tensor> columns;
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const Tensor& y = targets[i];
    const std::string which = "target " + std::to_string(i);
    if (!y.defined()) fail<StateError>("targets", which + " is undefined");
    if (y.rank() < 1 || y.rank() > 2)
      fail<ShapeError>("targets", "each of several targets must be (samples,) or (samples, columns)",
                       which + " is " + y.shape().str());
    if (y.shape(0) != targets[0].shape(0))
      fail<ShapeError>("targets", "numbers of samples differ",
                       which + " is " + y.shape().str() + ", target 0 is " + targets[0].shape().str());
    const Tensor wide = y.dtype() == DType::float64 ? y : cast(y, DType::float64);
    columns.push_back(y.rank() == 2 ? wide : reshape(wide, {y.shape(0), 1}));
  }
  if (columns.empty()) fail<ValueError>("targets", "there are none", "", "give one target per loss");
  return concat(columns, 1);
}

Loss read::multi(nn::ArgumentReader& arguments, const std::string& reduction) {
  nn::MultiLossOptions options{.reduction = reduction};
  std::vector<Loss> losses;
  if (const std::vector<nn::Called>* called = arguments.called("losses"))
    for (const nn::Called& each : *called)
      losses.push_back(each.made ? *static_cast<const Loss*>(each.made.get()) : make_loss(each.name, each.arguments));
  options.weights = arguments.reals("weights", {});
  if (arguments.has("columns")) options.columns = arguments.integers("columns");
  return nn::MultiLoss(losses, options);
}

}  // namespace chainrule
