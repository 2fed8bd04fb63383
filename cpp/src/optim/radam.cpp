// RAdam (Liu et al., 2020): Adam whose adaptive rate waits until enough gradients were seen. With
// rho_inf = 2 / (1 - b2) - 1 and rho = rho_inf - 2 t b2^t / (1 - b2^t): p -= lr m' where rho <= 5, else
// p -= lr m' r sqrt(1 - b2^t) / (sqrt(v) + eps), r^2 = (rho - 4)(rho - 2) rho_inf / ((rho_inf - 4)(rho_inf - 2) rho).
#include <cmath>

#include "optim/rules.hpp"

namespace chainrule::optim {
namespace {

class RAdamRule final : public OpRule {
 public:
  explicit RAdamRule(const RAdamOptions& options) : options_(options) {
    check_lr("RAdam", options.lr);
    check_betas("RAdam", options.betas);
    check_at_least_zero("RAdam", "eps", options.eps);
    check_at_least_zero("RAdam", "weight_decay", options.weight_decay);
    lr = options.lr;
    set_op("radam_update", {options.betas.first, options.betas.second, options.eps}, options.maximize);
  }
  std::shared_ptr<UpdateRule> clone() const override { return std::make_shared<RAdamRule>(*this); }
  std::string name() const override { return "RAdam"; }
  nn::Arguments arguments() const override {
    return {{"lr", lr},
            {"betas", std::vector<double>{options_.betas.first, options_.betas.second}},
            {"eps", options_.eps},
            {"weight_decay", options_.weight_decay},
            {"decoupled_weight_decay", options_.decoupled_weight_decay},
            {"maximize", options_.maximize}};
  }
  std::vector<std::string> state_names() const override { return {"exp_avg", "exp_avg_sq"}; }
  // plain, adaptive, l2, decay
  StepScalars scalars(double rate, std::int64_t step) const override {
    const double t = static_cast<double>(step), b2 = options_.betas.second, power = std::pow(b2, t);
    const double most = 2.0 / (1.0 - b2) - 1.0, rho = most - 2.0 * t * power / (1.0 - power);
    const double of_mean = rate / (1.0 - std::pow(options_.betas.first, t)), wd = options_.weight_decay;
    const bool rectified = rho > 5.0, decoupled = options_.decoupled_weight_decay;
    const double r = std::sqrt((rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho));
    return {rectified ? 0.0 : of_mean, rectified ? of_mean * r * std::sqrt(1.0 - power) : 0.0, decoupled ? 0.0 : wd,
            decoupled ? 1.0 - rate * wd : 1.0};
  }

 private:
  RAdamOptions options_;
};

}  // namespace

std::shared_ptr<UpdateRule> read::radam(nn::ArgumentReader& arguments) {
  RAdamOptions options;
  options.lr = read_rate(arguments, "lr", options.lr);
  options.betas = read_betas("RAdam", arguments, options.betas);
  options.eps = arguments.real("eps", options.eps);
  options.weight_decay = arguments.real("weight_decay", options.weight_decay);
  options.decoupled_weight_decay = arguments.flag("decoupled_weight_decay", options.decoupled_weight_decay);
  options.maximize = arguments.flag("maximize", options.maximize);
  return std::make_shared<RAdamRule>(options);
}

CHAINRULE_OPTIMIZER_CONSTRUCTORS(RAdam, std::make_shared<RAdamRule>(options))

}  // namespace chainrule::optim
