// PoissonNLLLoss: minus the log-likelihood of counts whose rate, or its logarithm, is the output.
#include <cmath>
#include <numbers>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class PoissonLikelihood final : public LossImpl {
 public:
  explicit PoissonLikelihood(const nn::PoissonNLLOptions& options)
      : log_input_(options.log_input), full_(options.full), eps_(options.eps) {
    if (!(eps_ > 0.0) || std::isinf(eps_))
      fail<ValueError>(name(), "eps must be finite and > 0", "eps is " + nn::text_of(eps_));
  }
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& output = only_output(name(), outputs);
    const Tensor y = match_target(name(), output, target);
    const Tensor loss = log_input_ ? exp(output) - y * output : output - y * log(output + Tensor(eps_));
    return {full_ ? loss + stirling(y) : loss};
  }
  void check_target(const Tensor& target, const Shape&) const override {
    check_each(
        "PoissonNLLLoss", target, [](double y) { return y >= 0; }, "a target is no count",
        "counts are 0 or more; use MSELoss for numbers of either sign");
  }
  std::string name() const override { return "PoissonNLLLoss"; }
  nn::Arguments arguments() const override {
    nn::Arguments all;
    if (!log_input_) all.emplace_back("log_input", false);
    if (full_) all.emplace_back("full", true);
    if (eps_ != nn::PoissonNLLOptions{}.eps) all.emplace_back("eps", eps_);
    return all;
  }

 private:
  // Stirling's formula for log y!, where y > 1.
  static Tensor stirling(const Tensor& y) {
    const auto large = greater(y, Tensor(1.0));
    const Tensor v = where(large, y, Tensor(1.0));
    const Tensor value = v * log(v) - v + Tensor(0.5) * log(Tensor(2 * std::numbers::pi) * v);
    return where(large, value, Tensor(0.0));
  }

  bool log_input_, full_;
  double eps_;
};

}  // namespace

Loss nn::PoissonNLLLoss(const PoissonNLLOptions& options) {
  return Loss(std::make_shared<PoissonLikelihood>(options), options.reduction);
}

Loss read::poisson_nll(nn::ArgumentReader& arguments, const std::string& reduction) {
  nn::PoissonNLLOptions options{.reduction = reduction};
  options.log_input = arguments.flag("log_input", options.log_input);
  options.full = arguments.flag("full", options.full);
  options.eps = arguments.real("eps", options.eps);
  return nn::PoissonNLLLoss(options);
}

}  // namespace chainrule
