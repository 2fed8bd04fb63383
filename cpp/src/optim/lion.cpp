// Lion (Chen et al., 2023): p -= lr (sign(b1 m + (1 - b1) g) + weight_decay p); m = b2 m + (1 - b2) g.
#include "optim/rules.hpp"

namespace chainrule::optim {
namespace {

class LionRule final : public OpRule {
 public:
  explicit LionRule(const LionOptions& options) : options_(options) {
    check_lr("Lion", options.lr);
    check_betas("Lion", options.betas);
    check_at_least_zero("Lion", "weight_decay", options.weight_decay);
    lr = options.lr;
    set_op("lion_update", {options.betas.first, options.betas.second}, options.maximize);
  }
  std::shared_ptr<UpdateRule> clone() const override { return std::make_shared<LionRule>(*this); }
  std::string name() const override { return "Lion"; }
  nn::Arguments arguments() const override {
    return {{"lr", lr},
            {"betas", std::vector<double>{options_.betas.first, options_.betas.second}},
            {"weight_decay", options_.weight_decay},
            {"maximize", options_.maximize}};
  }
  std::vector<std::string> state_names() const override { return {"exp_avg"}; }
  StepScalars scalars(double rate, std::int64_t) const override { return {rate, 1.0 - rate * options_.weight_decay}; }

 private:
  LionOptions options_;
};

}  // namespace

std::shared_ptr<UpdateRule> read::lion(nn::ArgumentReader& arguments) {
  LionOptions options;
  options.lr = read_rate(arguments, "lr", options.lr);
  options.betas = read_betas("Lion", arguments, options.betas);
  options.weight_decay = arguments.real("weight_decay", options.weight_decay);
  options.maximize = arguments.flag("maximize", options.maximize);
  return std::make_shared<LionRule>(options);
}

CHAINRULE_OPTIMIZER_CONSTRUCTORS(Lion, std::make_shared<LionRule>(options))

}  // namespace chainrule::optim
