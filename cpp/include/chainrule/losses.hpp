// Losses. Each gives one value per sample or element and reduces them; none broadcasts: the shapes of output and target
// must be equal up to one trailing axis of size 1. Targets and weights are converted to the output's dtype.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "chainrule/nn.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule {

// One value per sample (N,) or per element (N, ...), class weights and ignored labels already in it; or one scalar,
// from a custom loss that reduces by itself. weight: what each value counts for in a mean; undefined: 1.
struct LossTerms {
  Tensor loss;
  Tensor weight{};
};

class CHAINRULE_API LossImpl {
 public:
  virtual ~LossImpl();
  virtual LossTerms terms(const std::vector<Tensor>& output, const Tensor& target) const = 0;
  // Refuses target values the loss has no meaning for; called on values, before a run. output: the shape of a batch of
  // the model's first output, of which only the first axis may be another; () before that is known.
  virtual void check_target(const Tensor& target, const Shape& output) const;
  virtual std::string name() const = 0;
  virtual nn::Arguments arguments() const { return {}; }
  // How outputs become probabilities: softmax, sigmoid, exp (they are log-probabilities), probability (they are the
  // probabilities of class 1) or identity.
  virtual std::string link() const { return "identity"; }
  // The function behind a loss of one's own; null for the others.
  using Function = std::function<Tensor(const std::vector<Tensor>& outputs, const Tensor& target)>;
  virtual const Function* function() const { return nullptr; }
};

// reduction: "mean" (sum(w l) / sum(w)), "sum" (of w l) or "none" (w l itself), over all elements as in PyTorch; w is
// sample_weight (N,), the same for all elements of a sample, times the weight the loss gives to the target.
class CHAINRULE_API Loss {
 public:
  Loss() = default;
  explicit Loss(std::shared_ptr<const LossImpl> impl, std::string reduction = "mean");
  // A loss of one's own: a function of (output, target) giving a scalar or one value per sample.
  using Function = std::function<Tensor(const Tensor& output, const Tensor& target)>;
  using FunctionOfOutputs = std::function<Tensor(const std::vector<Tensor>& outputs, const Tensor& target)>;
  template <class F>
    requires(std::is_invocable_r_v<Tensor, F&, const Tensor&, const Tensor&> && !std::is_base_of_v<Loss, F>)
  Loss(F function, std::string name = "custom loss")
      : Loss(of_output(Function(std::move(function)), std::move(name))) {}
  static Loss of_output(Function function, std::string name = "custom loss");
  static Loss of_outputs(FunctionOfOutputs function, std::string name = "custom loss");  // of a model with several
  Tensor operator()(const Tensor& output, const Tensor& target, const Tensor& sample_weight = {}) const;
  Tensor operator()(const std::vector<Tensor>& output, const Tensor& target, const Tensor& sample_weight = {}) const;
  // The two sums behind a weighted mean: (sum of w l, sum of w), l being a sample's mean over its elements, both with
  // the reduction left aside. Epoch losses add them over batches.
  std::pair<Tensor, Tensor> sums(const std::vector<Tensor>& output, const Tensor& target, const Tensor& weight) const;
  const std::shared_ptr<const LossImpl>& impl() const { return impl_; }
  const std::string& reduction() const { return reduction_; }
  std::string str() const;

 private:
  std::shared_ptr<const LossImpl> impl_;
  std::string reduction_ = "mean";
};

namespace nn {
struct LossOptions {
  std::string reduction = "mean";
};
struct MSEOptions {
  bool half = false;  // the lecture's 1/2
  std::string reduction = "mean";
};
struct HuberOptions {
  double delta = 1.0;
  std::string reduction = "mean";
};
struct CrossEntropyOptions {
  Tensor weight{};  // one per class
  std::optional<std::int64_t> ignore_index{};
  double label_smoothing = 0.0;
  std::string reduction = "mean";
};
struct NLLOptions {
  Tensor weight{};
  std::optional<std::int64_t> ignore_index{};
  std::string reduction = "mean";
};
struct BCEOptions {
  Tensor pos_weight{};  // BCEWithLogitsLoss only
  std::string reduction = "mean";
};
// The elementwise ones, d = output - target:
//   MSELoss d^2, or d^2 / 2; L1Loss |d|; HuberLoss d^2 / 2 up to |d| = delta, then delta (|d| - delta / 2)
//   BCELoss -(t log p + (1 - t) log(1 - p)), each log at least -100
//   BCEWithLogitsLoss the same of p = sigmoid(output), stable for any logit; pos_weight (K,) or one number multiplies
//   t's term
// The others take classes on the last axis of the output (..., C) and integer labels (...) or (..., 1):
//   NLLLoss -w[t] output[t], output being log-probabilities
//   CrossEntropyLoss the same of log_softmax(output); with smoothing e the target is (1 - e) onehot(t) + e / C. The
//   target may also be probabilities (..., C); weights then enter the sum over classes but not the divisor of the mean,
//   as in PyTorch.
CHAINRULE_API Loss MSELoss(const MSEOptions& options = {});
CHAINRULE_API Loss L1Loss(const LossOptions& options = {});
CHAINRULE_API Loss HuberLoss(const HuberOptions& options = {});
CHAINRULE_API Loss BCELoss(const LossOptions& options = {});
CHAINRULE_API Loss BCEWithLogitsLoss(const BCEOptions& options = {});
CHAINRULE_API Loss NLLLoss(const NLLOptions& options = {});
CHAINRULE_API Loss CrossEntropyLoss(const CrossEntropyOptions& options = {});
}  // namespace nn
}  // namespace chainrule
