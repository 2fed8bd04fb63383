// Adagrad (Duchi, Hazan, Singer, 2011): g += weight_decay p; sum += g^2;
// p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps).
#include "optim/rules.hpp"

namespace chainrule::optim {
namespace {

class AdagradRule final : public OpRule {
 public:
  explicit AdagradRule(const AdagradOptions& options) : options_(options) {
    check_lr("Adagrad", options.lr);
    check_at_least_zero("Adagrad", "lr_decay", options.lr_decay);
    check_at_least_zero("Adagrad", "weight_decay", options.weight_decay);
    check_at_least_zero("Adagrad", "initial_accumulator_value", options.initial_accumulator_value);
    check_at_least_zero("Adagrad", "eps", options.eps);
    lr = options.lr;
    set_op("adagrad_update", {options.eps}, options.maximize);
  }
  std::shared_ptr<UpdateRule> clone() const override { return std::make_shared<AdagradRule>(*this); }
  std::string name() const override { return "Adagrad"; }
  nn::Arguments arguments() const override {
    return {{"lr", lr},
            {"lr_decay", options_.lr_decay},
            {"weight_decay", options_.weight_decay},
            {"initial_accumulator_value", options_.initial_accumulator_value},
            {"eps", options_.eps},
            {"maximize", options_.maximize}};
  }
  std::vector<std::string> state_names() const override { return {"sum"}; }
  double initial(const std::string&) const override { return options_.initial_accumulator_value; }
  StepScalars scalars(double rate, std::int64_t step) const override {
    return {rate / (1.0 + static_cast<double>(step - 1) * options_.lr_decay), options_.weight_decay};
  }

 private:
  AdagradOptions options_;
};

}  // namespace

std::shared_ptr<UpdateRule> read::adagrad(nn::ArgumentReader& arguments) {
  AdagradOptions options;
  options.lr = read_rate(arguments, "lr", options.lr);
  options.lr_decay = arguments.real("lr_decay", options.lr_decay);
  options.weight_decay = arguments.real("weight_decay", options.weight_decay);
  options.initial_accumulator_value = arguments.real("initial_accumulator_value", options.initial_accumulator_value);
  options.eps = arguments.real("eps", options.eps);
  options.maximize = arguments.flag("maximize", options.maximize);
  return std::make_shared<AdagradRule>(options);
}

CHAINRULE_OPTIMIZER_CONSTRUCTORS(Adagrad, std::make_shared<AdagradRule>(options))

}  // namespace chainrule::optim
