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

class Loss;

class CHAINRULE_API LossImpl {
 public:
  virtual ~LossImpl();
  virtual LossTerms terms(const std::vector<Tensor>& output, const Tensor& target) const = 0;
  // Refuses target values the loss has no meaning for; called on values, before a run. output: the shape of a batch of
  // the model's first output, of which only the first axis may be another; () before that is known.
  virtual void check_target(const Tensor& target, const Shape& output) const;
  virtual std::string name() const = 0;
  virtual nn::Arguments arguments() const { return {}; }
  virtual bool takes_labels() const { return false; }  // the target is one integer class per sample
  virtual std::vector<Loss> parts() const;             // of a MultiLoss, else none
  // How outputs become probabilities: softmax, sigmoid, exp (they are log-probabilities), probability (they are the
  // probabilities of class 1), or not at all: argmax and sign (they are scores with classes), identity.
  virtual std::string link() const { return "identity"; }
  // The function behind a loss of one's own; null for the others.
  using Function = std::function<Tensor(const std::vector<Tensor>& outputs, const Tensor& target)>;
  virtual const Function* function() const { return nullptr; }
  // Of a sum of squares: what terms() gives the squares of, one value per element. Empty for the others.
  virtual Function residuals() const { return {}; }
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
struct PoissonNLLOptions {
  bool log_input = true;  // the output is the logarithm of the rate
  bool full = false;      // adds Stirling's formula for log y!
  double eps = 1e-8;      // added to a rate before its logarithm is taken
  std::string reduction = "mean";
};
struct GaussianNLLOptions {
  bool log_variance = true;  // the second half of the output is the logarithm of the variance
  bool full = false;         // adds log(2 pi) / 2
  double eps = 1e-6;         // variances are at least this
  std::string reduction = "mean";
};
struct QuantileOptions {
  std::vector<double> quantiles{0.1, 0.5, 0.9};
  std::string reduction = "mean";
};
struct CosineOptions {
  double eps = 1e-8;  // lengths are at least this
  std::string reduction = "mean";
};
struct HingeOptions {
  bool squared = false;
  std::string reduction = "mean";
};
struct MultiMarginOptions {
  std::int64_t p = 1;  // or 2
  double margin = 1.0;
  Tensor weight{};  // one per class
  std::string reduction = "mean";
};
struct FocalOptions {
  double gamma = 2.0;
  Tensor alpha{};  // one per class
  std::string reduction = "mean";
};
struct BinaryFocalOptions {
  double gamma = 2.0;
  double alpha = 0.25;  // weight of class 1, 1 - alpha that of class 0; -1: none
  std::string reduction = "mean";
};
struct KLDivOptions {
  bool log_target = false;
  std::string reduction = "mean";
};
struct MultiLossOptions {
  std::vector<double> weights{};        // one per loss; none: 1
  std::vector<std::int64_t> columns{};  // of the target, for each loss; none: 1
  std::string reduction = "mean";
};
// The elementwise ones, d = output - target:
//   MSELoss d^2, or d^2 / 2; L1Loss |d|; HuberLoss d^2 / 2 up to |d| = delta, then delta (|d| - delta / 2)
//   BCELoss -(t log p + (1 - t) log(1 - p)), each log at least -100
//   BCEWithLogitsLoss the same of p = sigmoid(output), stable for any logit; pos_weight (K,) or one number multiplies
//   t's term
//   PoissonNLLLoss exp(f) - t f of a log rate f, or f - t log(f + eps) of a rate; t >= 0
//   GaussianNLLLoss (log v + d^2 / v) / 2: the output is (..., 2 K), the means of K targets and then log v of each, or
//   two outputs (..., K). The gradient passes where v is held to eps.
//   HingeLoss max(0, 1 - s f), or its square, s = 1 for a target of 1 and -1 for one of 0 or -1
//   BinaryFocalLoss -alpha (1 - p)^gamma log p, p = sigmoid(f) for a target of 1, else 1 - sigmoid(f) and 1 - alpha
// Of the last axis:
//   QuantileLoss max(q (t - f), (q - 1) (t - f)): the output is (..., quantiles), the target (...) or (..., 1)
//   CosineSimilarityLoss 1 - f.t / (|f| |t|), one value per sample
//   KLDivLoss sum t (log t - f), f being log-probabilities, one value per sample: a mean is PyTorch's "batchmean"
// The others take classes on the last axis of the output (..., C) and integer labels (...) or (..., 1):
//   NLLLoss -w[t] output[t], output being log-probabilities
//   CrossEntropyLoss the same of log_softmax(output); with smoothing e the target is (1 - e) onehot(t) + e / C. The
//   target may also be probabilities (..., C); weights then enter the sum over classes but not the divisor of the mean,
//   as in PyTorch.
//   MultiMarginLoss w[t] sum_(c != t) max(0, margin - f[t] + f[c])^p / C
//   FocalLoss -alpha[t] (1 - p)^gamma log p, p = softmax(f)[t]
// In these two weights do not enter the divisor of the mean.
CHAINRULE_API Loss MSELoss(const MSEOptions& options = {});
CHAINRULE_API Loss L1Loss(const LossOptions& options = {});
CHAINRULE_API Loss HuberLoss(const HuberOptions& options = {});
CHAINRULE_API Loss BCELoss(const LossOptions& options = {});
CHAINRULE_API Loss BCEWithLogitsLoss(const BCEOptions& options = {});
CHAINRULE_API Loss NLLLoss(const NLLOptions& options = {});
CHAINRULE_API Loss CrossEntropyLoss(const CrossEntropyOptions& options = {});
CHAINRULE_API Loss PoissonNLLLoss(const PoissonNLLOptions& options = {});
CHAINRULE_API Loss GaussianNLLLoss(const GaussianNLLOptions& options = {});
CHAINRULE_API Loss QuantileLoss(const QuantileOptions& options = {});
CHAINRULE_API Loss CosineSimilarityLoss(const CosineOptions& options = {});
CHAINRULE_API Loss HingeLoss(const HingeOptions& options = {});
CHAINRULE_API Loss MultiMarginLoss(const MultiMarginOptions& options = {});
CHAINRULE_API Loss FocalLoss(const FocalOptions& options = {});
CHAINRULE_API Loss BinaryFocalLoss(const BinaryFocalOptions& options = {});
CHAINRULE_API Loss KLDivLoss(const KLDivOptions& options = {});
// Of a model with several outputs: the sum of weight times loss, output i with loss i. The target is one array (N, T)
// whose columns belong to the losses in their order; labels may be floats there. join_targets makes it, in float64, of
// one array (N,) or (N, k) per loss.
CHAINRULE_API Loss MultiLoss(const std::vector<Loss>& losses, const MultiLossOptions& options = {});
CHAINRULE_API Tensor join_targets(const std::vector<Tensor>& targets);
}  // namespace nn
}  // namespace chainrule
