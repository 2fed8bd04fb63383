// Adam (Kingma and Ba, 2015) with L2 in the gradient, AdamW (Loshchilov and Hutter, 2019) with decoupled weight decay,
// both with AMSGrad (Reddi, Kale, Kumar, 2018) as an option:
// m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr / (1 - b1^t) m / (sqrt(v) / sqrt(1 - b2^t) + eps).
#include <cmath>

#include "optim/rules.hpp"

namespace chainrule::optim {
namespace {

class AdamRule final : public OpRule {
 public:
  AdamRule(const AdamOptions& options, bool decoupled) : options_(options), decoupled_(decoupled) {
    const char* optimizer = decoupled ? "AdamW" : "Adam";
    check_lr(optimizer, options.lr);
    check_at_least_zero(optimizer, "eps", options.eps);
    check_betas(optimizer, options.betas);
    check_at_least_zero(optimizer, "weight_decay", options.weight_decay);
    lr = options.lr;
    set_op(options.amsgrad ? "amsgrad_update" : "adam_update", {options.betas.first, options.betas.second, options.eps},
           options.maximize);
  }
  std::shared_ptr<UpdateRule> clone() const override { return std::make_shared<AdamRule>(*this); }
  std::string name() const override { return decoupled_ ? "AdamW" : "Adam"; }
  nn::Arguments arguments() const override {
    return {{"lr", lr},
            {"betas", std::vector<double>{options_.betas.first, options_.betas.second}},
            {"eps", options_.eps},
            {"weight_decay", options_.weight_decay},
            {"amsgrad", options_.amsgrad},
            {"maximize", options_.maximize}};
  }
  std::vector<std::string> state_names() const override {
    if (options_.amsgrad) return {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
    return {"exp_avg", "exp_avg_sq"};
  }
  // step_size, sqrt_c2, l2, decay
  StepScalars scalars(double rate, std::int64_t step) const override {
    const double t = static_cast<double>(step), wd = options_.weight_decay;
    return {rate / (1.0 - std::pow(options_.betas.first, t)), std::sqrt(1.0 - std::pow(options_.betas.second, t)),
            decoupled_ ? 0.0 : wd, decoupled_ ? 1.0 - rate * wd : 1.0};
  }

 private:
  AdamOptions options_;
  bool decoupled_;
};

std::shared_ptr<UpdateRule> read_adam(nn::ArgumentReader& arguments, AdamOptions options, bool decoupled) {
  options.lr = read_rate(arguments, "lr", options.lr);
  options.betas = read_betas(decoupled ? "AdamW" : "Adam", arguments, options.betas);
  options.eps = arguments.real("eps", options.eps);
  options.weight_decay = arguments.real("weight_decay", options.weight_decay);
  options.amsgrad = arguments.flag("amsgrad", options.amsgrad);
  options.maximize = arguments.flag("maximize", options.maximize);
  return std::make_shared<AdamRule>(options, decoupled);
}

AdamOptions same_fields(const AdamWOptions& o) { return {o.lr, o.betas, o.eps, o.weight_decay, o.amsgrad, o.maximize}; }

}  // namespace

std::shared_ptr<UpdateRule> read::adam(nn::ArgumentReader& arguments) { return read_adam(arguments, {}, false); }
std::shared_ptr<UpdateRule> read::adamw(nn::ArgumentReader& arguments) {
  return read_adam(arguments, same_fields({}), true);
}

CHAINRULE_OPTIMIZER_CONSTRUCTORS(Adam, std::make_shared<AdamRule>(options, false))
CHAINRULE_OPTIMIZER_CONSTRUCTORS(AdamW, std::make_shared<AdamRule>(same_fields(options), true))

}  // namespace chainrule::optim
