// MSELoss: (output - target)^2, or half of it.
#include <numbers>

#include "chainrule/ops.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class SquaredError final : public LossImpl {
 public:
  explicit SquaredError(bool half) : half_(half) {}
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor loss = square(difference(outputs, target));
    return {half_ ? loss * Tensor(0.5) : loss};
  }
  Function residuals() const override {
    return [half = half_](const std::vector<Tensor>& outputs, const Tensor& target) {
      const Tensor d = difference(outputs, target);
      return half ? d * Tensor(std::numbers::sqrt2 / 2) : d;
    };
  }
  std::string name() const override { return own_name; }
  nn::Arguments arguments() const override { return half_ ? nn::Arguments{{"half", true}} : nn::Arguments{}; }

 private:
  static constexpr const char* own_name = "MSELoss";
  static Tensor difference(const std::vector<Tensor>& outputs, const Tensor& target) {
    const Tensor& output = only_output(own_name, outputs);
    return output - match_target(own_name, output, target);
  }
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
