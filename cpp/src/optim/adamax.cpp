// Adamax (Kingma and Ba, 2015, section 7): g += weight_decay p; m = b1 m + (1 - b1) g; u = max(b2 u, |g| + eps);
// p -= lr / (1 - b1^t) m / u.
#include <cmath>

#include "optim/rules.hpp"

namespace chainrule::optim {
namespace {

class AdamaxRule final : public OpRule {
 public:
  explicit AdamaxRule(const AdamaxOptions& options) : options_(options) {
    check_lr("Adamax", options.lr);
    check_betas("Adamax", options.betas);
    check_at_least_zero("Adamax", "eps", options.eps);
    check_at_least_zero("Adamax", "weight_decay", options.weight_decay);
    lr = options.lr;
    set_op("adamax_update", {options.betas.first, options.betas.second, options.eps}, options.maximize);
  }
  std::shared_ptr<UpdateRule> clone() const override { return std::make_shared<AdamaxRule>(*this); }
  std::string name() const override { return "Adamax"; }
  nn::Arguments arguments() const override {
    return {{"lr", lr},
            {"betas", std::vector<double>{options_.betas.first, options_.betas.second}},
            {"eps", options_.eps},
            {"weight_decay", options_.weight_decay},
            {"maximize", options_.maximize}};
  }
  std::vector<std::string> state_names() const override { return {"exp_avg", "exp_inf"}; }
  StepScalars scalars(double rate, std::int64_t step) const override {
    return {rate / (1.0 - std::pow(options_.betas.first, static_cast<double>(step))), options_.weight_decay};
  }

 private:
  AdamaxOptions options_;
};

}  // namespace

std::shared_ptr<UpdateRule> read::adamax(nn::ArgumentReader& arguments) {
  AdamaxOptions options;
  options.lr = read_rate(arguments, "lr", options.lr);
  options.betas = read_betas("Adamax", arguments, options.betas);
  options.eps = arguments.real("eps", options.eps);
  options.weight_decay = arguments.real("weight_decay", options.weight_decay);
  options.maximize = arguments.flag("maximize", options.maximize);
  return std::make_shared<AdamaxRule>(options);
}

CHAINRULE_OPTIMIZER_CONSTRUCTORS(Adamax, std::make_shared<AdamaxRule>(options))

}  // namespace chainrule::optim
