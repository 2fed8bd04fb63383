// MSELoss: (output - target)^2, or half of it.
#include "chainrule/ops.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class SquaredError final : public LossImpl {
 public:
  explicit SquaredError(bool half) : half_(half) {}
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& output = only_output(name(), outputs);
    const Tensor loss = square(output - match_target(name(), output, target));
    return {half_ ? loss * Tensor(0.5) : loss};
  }
  std::string name() const override { return "MSELoss"; }
  nn::Arguments arguments() const override { return half_ ? nn::Arguments{{"half", true}} : nn::Arguments{}; }

 private:
  bool half_;
};

}  // namespace

Loss nn::MSELoss(const MSEOptions& options) {
  return Loss(std::make_shared<SquaredError>(options.half), options.reduction);
}

Loss read::mse(nn::ArgumentReader& arguments, const std::string& reduction) {
  return nn::MSELoss({.half = arguments.flag("half", false), .reduction = reduction});
}

}  // namespace chainrule
