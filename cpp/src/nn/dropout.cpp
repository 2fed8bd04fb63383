// Dropout: in train mode each element is zeroed with probability p and the others divided by 1 - p; otherwise x itself.
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

class DropoutImpl final : public Layer {
 public:
  explicit DropoutImpl(double p) : p_(p) {
    if (!(p >= 0.0 && p <= 1.0))
      fail<ValueError>("Dropout", "p must lie in [0, 1]", "p is " + text_of(p), "p is the probability of dropping");
  }
  using Layer::forward;
  Tensor forward(const Tensor& x) override { return training() && p_ > 0.0 ? dropout(x, p_) : x; }
  std::string kind() const override { return "Dropout"; }
  Arguments arguments() const override { return {{"p", p_}}; }
  std::string repr_arguments() const override { return text_of(p_); }
  bool keeps_features() const override { return true; }

 private:
  double p_;
};

}  // namespace

std::shared_ptr<ModuleImpl> read::dropout(ArgumentReader& arguments) {
  return std::make_shared<DropoutImpl>(arguments.real("p", 0.5));
}

Dropout::Dropout(double p) : Module(std::make_shared<DropoutImpl>(p)) {}

}  // namespace chainrule::nn
