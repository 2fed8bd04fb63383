// SGD: g += weight_decay p; buf = momentum buf + (1 - dampening) g, at the first step buf = g; p -= lr buf, or with
// Nesterov's momentum p -= lr (g + momentum buf). Sutskever et al. (2013), in PyTorch's form.
#include "core/fail.hpp"
#include "optim/rules.hpp"

namespace chainrule::optim {
namespace {

class SGDRule final : public OpRule {
 public:
  explicit SGDRule(const SGDOptions& options) : options_(options) {
    check_lr("SGD", options.lr);
    check_at_least_zero("SGD", "momentum", options.momentum);
    check_at_least_zero("SGD", "weight_decay", options.weight_decay);
    check_at_least_zero("SGD", "dampening", options.dampening);
    if (options.nesterov && (options.momentum == 0.0 || options.dampening != 0.0))
      fail<ValueError>(
          "SGD", "nesterov needs a momentum and no dampening",
          "momentum is " + nn::text_of(options.momentum) + ", dampening is " + nn::text_of(options.dampening));
    lr = options.lr;
    set_op(!has_momentum()    ? "sgd_update"
           : options.nesterov ? "sgd_nesterov_update"
                              : "sgd_momentum_update",
           {}, options.maximize);
  }
  std::shared_ptr<UpdateRule> clone() const override { return std::make_shared<SGDRule>(*this); }
  std::string name() const override { return "SGD"; }
  nn::Arguments arguments() const override {
    return {{"lr", lr},
            {"momentum", options_.momentum},
            {"dampening", options_.dampening},
            {"weight_decay", options_.weight_decay},
            {"nesterov", options_.nesterov},
            {"maximize", options_.maximize}};
  }
  std::vector<std::string> state_names() const override {
    return has_momentum() ? std::vector<std::string>{"momentum_buffer"} : std::vector<std::string>{};
  }
  StepScalars scalars(double rate, std::int64_t step) const override {
    if (!has_momentum()) return {rate, options_.weight_decay};
    return {rate, options_.weight_decay, options_.momentum, step == 1 ? 1.0 : 1.0 - options_.dampening};
  }

 private:
  bool has_momentum() const { return options_.momentum != 0.0; }
  SGDOptions options_;
};

}  // namespace

std::shared_ptr<UpdateRule> read::sgd(nn::ArgumentReader& arguments) {
  SGDOptions options;
  options.lr = read_rate(arguments, "lr", options.lr);
  options.momentum = arguments.real("momentum", options.momentum);
  options.dampening = arguments.real("dampening", options.dampening);
  options.weight_decay = arguments.real("weight_decay", options.weight_decay);
  options.nesterov = arguments.flag("nesterov", options.nesterov);
  options.maximize = arguments.flag("maximize", options.maximize);
  return std::make_shared<SGDRule>(options);
}

CHAINRULE_OPTIMIZER_CONSTRUCTORS(SGD, std::make_shared<SGDRule>(options))

}  // namespace chainrule::optim
