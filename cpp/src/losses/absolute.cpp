// L1Loss: |output - target|.
#include "chainrule/ops.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class AbsoluteError final : public LossImpl {
 public:
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& output = only_output(name(), outputs);
    return {abs(output - match_target(name(), output, target))};
  }
  std::string name() const override { return "L1Loss"; }
};

}  // namespace

Loss nn::L1Loss(const LossOptions& options) { return Loss(std::make_shared<AbsoluteError>(), options.reduction); }

Loss read::l1(nn::ArgumentReader&, const std::string& reduction) { return nn::L1Loss({.reduction = reduction}); }

}  // namespace chainrule
