// NAdam (Dozat, 2016): Adam whose momentum looks one step ahead. mu_t = b1 (1 - 0.96^(t momentum_decay) / 2);
// p -= lr ((1 - mu_t) / (1 - mu_1 ... mu_t) g + mu_{t+1} / (1 - mu_1 ... mu_{t+1}) m) / (sqrt(v / (1 - b2^t)) + eps).
#include <cmath>

#include "optim/rules.hpp"

namespace chainrule::optim {
namespace {

class NAdamRule final : public OpRule {
 public:
  explicit NAdamRule(const NAdamOptions& options) : options_(options) {
    check_lr("NAdam", options.lr);
    check_betas("NAdam", options.betas);
    check_at_least_zero("NAdam", "eps", options.eps);
    check_at_least_zero("NAdam", "weight_decay", options.weight_decay);
    check_at_least_zero("NAdam", "momentum_decay", options.momentum_decay);
    lr = options.lr;
    set_op("nadam_update", {options.betas.first, options.betas.second, options.eps}, options.maximize);
  }
  std::shared_ptr<UpdateRule> clone() const override { return std::make_shared<NAdamRule>(*this); }
  std::string name() const override { return "NAdam"; }
  nn::Arguments arguments() const override {
    return {{"lr", lr},
            {"betas", std::vector<double>{options_.betas.first, options_.betas.second}},
            {"eps", options_.eps},
            {"weight_decay", options_.weight_decay},
            {"momentum_decay", options_.momentum_decay},
            {"decoupled_weight_decay", options_.decoupled_weight_decay},
            {"maximize", options_.maximize}};
  }
  std::vector<std::string> state_names() const override { return {"exp_avg", "exp_avg_sq"}; }
  // of_gradient, of_mean, sqrt_c2, l2, decay
  StepScalars scalars(double rate, std::int64_t step) const override {
    const double mu = momentum(step), next = momentum(step + 1), product = momenta(step), wd = options_.weight_decay;
    const bool decoupled = options_.decoupled_weight_decay;
    return {rate * (1.0 - mu) / (1.0 - product), rate * next / (1.0 - product * next),
            std::sqrt(1.0 - std::pow(options_.betas.second, static_cast<double>(step))), decoupled ? 0.0 : wd,
            decoupled ? 1.0 - rate * wd : 1.0};
  }

 private:
  double momentum(std::int64_t step) const {
    return options_.betas.first * (1.0 - 0.5 * std::pow(0.96, static_cast<double>(step) * options_.momentum_decay));
  }
  // mu_1 ... mu_step, going on from what was asked for before: two places, since parameters that missed a gradient are
  // behind the others.
  double momenta(std::int64_t step) const {
    Known& later = known_[known_[0].step < known_[1].step];
    Known& earlier = known_[&later == known_];
    Known from = later.step <= step ? later : earlier.step <= step ? earlier : Known{};
    while (from.step < step) from.product *= momentum(++from.step);
    (later.step <= step ? later : earlier) = from;
    return from.product;
  }
  struct Known {
    std::int64_t step = 0;
    double product = 1.0;
  };
  mutable Known known_[2];
  NAdamOptions options_;
};

}  // namespace

std::shared_ptr<UpdateRule> read::nadam(nn::ArgumentReader& arguments) {
  NAdamOptions options;
  options.lr = read_rate(arguments, "lr", options.lr);
  options.betas = read_betas("NAdam", arguments, options.betas);
  options.eps = arguments.real("eps", options.eps);
  options.weight_decay = arguments.real("weight_decay", options.weight_decay);
  options.momentum_decay = arguments.real("momentum_decay", options.momentum_decay);
  options.decoupled_weight_decay = arguments.flag("decoupled_weight_decay", options.decoupled_weight_decay);
  options.maximize = arguments.flag("maximize", options.maximize);
  return std::make_shared<NAdamRule>(options);
}

CHAINRULE_OPTIMIZER_CONSTRUCTORS(NAdam, std::make_shared<NAdamRule>(options))

}  // namespace chainrule::optim
