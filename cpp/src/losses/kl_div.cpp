// KLDivLoss: the Kullback-Leibler divergence of the target's distribution from the output's, of log-probabilities.
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class Divergence final : public LossImpl {
 public:
  explicit Divergence(bool log_target) : log_target_(log_target) {}
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& logp = only_output(name(), outputs);
    if (logp.rank() == 0)
      fail<ShapeError>(name(), "the output has no class axis", "output is ()", "pass (batch, classes)");
    const Tensor q = match_target(name(), logp, target);
    if (log_target_) return {sum(exp(q) * (q - logp), {-1})};
    const auto some = greater(q, Tensor(0.0));  // 0 log 0 is 0
    const Tensor q_log_q = where(some, q * log(where(some, q, Tensor(1.0))), Tensor(0.0));
    return {sum(q_log_q - q * logp, {-1})};
  }
  void check_target(const Tensor& target, const Shape& output) const override {
    if (output.rank() == 0 || target.rank() != output.rank() || target.shape().back() != output.back()) return;
    if (!log_target_) return check_distributions("KLDivLoss", target, output.back());
    const NoGrad no_grad;
    if (is_floating(target.dtype())) check_distributions("KLDivLoss", exp(target), output.back());
  }
  std::string name() const override { return "KLDivLoss"; }
  std::string link() const override { return "exp"; }
  nn::Arguments arguments() const override {
    return log_target_ ? nn::Arguments{{"log_target", true}} : nn::Arguments{};
  }

 private:
  bool log_target_;
};

}  // namespace

Loss nn::KLDivLoss(const KLDivOptions& options) {
  if (options.reduction == "batchmean")
    fail<ValueError>("KLDivLoss", "unknown reduction", "'batchmean'",
                     "\"mean\" is it: one divergence per sample, then their mean");
  return Loss(std::make_shared<Divergence>(options.log_target), options.reduction);
}

Loss read::kl_div(nn::ArgumentReader& arguments, const std::string& reduction) {
  return nn::KLDivLoss({.log_target = arguments.flag("log_target", false), .reduction = reduction});
}

}  // namespace chainrule
