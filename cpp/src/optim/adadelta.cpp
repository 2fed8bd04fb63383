// Adadelta (Zeiler, 2012): g += weight_decay p; square_avg = rho square_avg + (1 - rho) g^2;
// d = sqrt(acc_delta + eps) / sqrt(square_avg + eps) g; acc_delta = rho acc_delta + (1 - rho) d^2; p -= lr d.
#include "optim/rules.hpp"

namespace chainrule::optim {
namespace {

class AdadeltaRule final : public OpRule {
 public:
  explicit AdadeltaRule(const AdadeltaOptions& options) : options_(options) {
    check_lr("Adadelta", options.lr);
    check_fraction("Adadelta", "rho", options.rho);
    check_at_least_zero("Adadelta", "eps", options.eps);
    check_at_least_zero("Adadelta", "weight_decay", options.weight_decay);
    lr = options.lr;
    set_op("adadelta_update", {options.rho, options.eps}, options.maximize);
  }
  std::shared_ptr<UpdateRule> clone() const override { return std::make_shared<AdadeltaRule>(*this); }
  std::string name() const override { return "Adadelta"; }
  nn::Arguments arguments() const override {
    return {{"lr", lr},
            {"rho", options_.rho},
            {"eps", options_.eps},
            {"weight_decay", options_.weight_decay},
            {"maximize", options_.maximize}};
  }
  std::vector<std::string> state_names() const override { return {"square_avg", "acc_delta"}; }
  StepScalars scalars(double rate, std::int64_t) const override { return {rate, options_.weight_decay}; }

 private:
  AdadeltaOptions options_;
};

}  // namespace

std::shared_ptr<UpdateRule> read::adadelta(nn::ArgumentReader& arguments) {
  AdadeltaOptions options;
  options.lr = read_rate(arguments, "lr", options.lr);
  options.rho = arguments.real("rho", options.rho);
  options.eps = arguments.real("eps", options.eps);
  options.weight_decay = arguments.real("weight_decay", options.weight_decay);
  options.maximize = arguments.flag("maximize", options.maximize);
  return std::make_shared<AdadeltaRule>(options);
}

CHAINRULE_OPTIMIZER_CONSTRUCTORS(Adadelta, std::make_shared<AdadeltaRule>(options))

}  // namespace chainrule::optim
