// CosineSimilarityLoss: 1 - the cosine of the angle between output and target, for regression of directions.
#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "losses/loss_checks.hpp"
#include "losses/loss_kinds.hpp"

namespace chainrule {
namespace {

class CosineDistance final : public LossImpl {
 public:
  explicit CosineDistance(double eps) : eps_(eps) {
    if (!(eps > 0.0) || std::isinf(eps))
      fail<ValueError>(name(), "eps must be finite and > 0", "eps is " + nn::text_of(eps));
  }
  LossTerms terms(const std::vector<Tensor>& outputs, const Tensor& target) const override {
    const Tensor& x = only_output(name(), outputs);
    if (x.rank() == 0 || x.shape().back() < 2)
      fail<ShapeError>(name(), "a direction has two components at least", "output is " + x.shape().str(),
                       "put the components on the last axis");
    const Tensor y = match_target(name(), x, target);
    return {Tensor(1.0) - sum(x * y, {-1}) / (length(x) * length(y))};
  }
  std::string name() const override { return "CosineSimilarityLoss"; }
  nn::Arguments arguments() const override {
    return eps_ == nn::CosineOptions{}.eps ? nn::Arguments{} : nn::Arguments{{"eps", eps_}};
  }

 private:
  Tensor length(const Tensor& x) const { return maximum(norm(x, {}, {-1}), Tensor(eps_)); }

  double eps_;
};

}  // namespace

Loss nn::CosineSimilarityLoss(const CosineOptions& options) {
  return Loss(std::make_shared<CosineDistance>(options.eps), options.reduction);
}

Loss read::cosine(nn::ArgumentReader& arguments, const std::string& reduction) {
  return nn::CosineSimilarityLoss({.eps = arguments.real("eps", nn::CosineOptions{}.eps), .reduction = reduction});
}

}  // namespace chainrule
