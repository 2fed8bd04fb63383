// RMSprop (Tieleman and Hinton, 2012; centered: Graves, 2013): g += weight_decay p;
// square_avg = alpha square_avg + (1 - alpha) g^2; step = g / (sqrt(square_avg [- grad_avg^2]) + eps);
// momentum_buffer = momentum momentum_buffer + step; p -= lr momentum_buffer.
#include "optim/rules.hpp"

namespace chainrule::optim {
namespace {

class RMSpropRule final : public OpRule {
 public:
  explicit RMSpropRule(const RMSpropOptions& options) : options_(options) {
    check_lr("RMSprop", options.lr);
    check_at_least_zero("RMSprop", "eps", options.eps);
    check_at_least_zero("RMSprop", "momentum", options.momentum);
    check_at_least_zero("RMSprop", "weight_decay", options.weight_decay);
    check_at_least_zero("RMSprop", "alpha", options.alpha);
    lr = options.lr;
    if (full())
      set_op("rmsprop_full_update", {options.alpha, options.eps, options.momentum, options.centered ? 1.0 : 0.0},
             options.maximize);
    else
      set_op("rmsprop_update", {options.alpha, options.eps}, options.maximize);
  }
  std::shared_ptr<UpdateRule> clone() const override { return std::make_shared<RMSpropRule>(*this); }
  std::string name() const override { return "RMSprop"; }
  nn::Arguments arguments() const override {
    return {{"lr", lr},
            {"alpha", options_.alpha},
            {"eps", options_.eps},
            {"weight_decay", options_.weight_decay},
            {"momentum", options_.momentum},
            {"centered", options_.centered},
            {"maximize", options_.maximize}};
  }
  std::vector<std::string> state_names() const override {
    return full() ? std::vector<std::string>{"square_avg", "grad_avg", "momentum_buffer"}
                  : std::vector<std::string>{"square_avg"};
  }
  StepScalars scalars(double rate, std::int64_t) const override { return {rate, options_.weight_decay}; }

 private:
  bool full() const { return options_.momentum != 0.0 || options_.centered; }
  RMSpropOptions options_;
};

}  // namespace

std::shared_ptr<UpdateRule> read::rmsprop(nn::ArgumentReader& arguments) {
  RMSpropOptions options;
  options.lr = read_rate(arguments, "lr", options.lr);
  options.alpha = arguments.real("alpha", options.alpha);
  options.eps = arguments.real("eps", options.eps);
  options.weight_decay = arguments.real("weight_decay", options.weight_decay);
  options.momentum = arguments.real("momentum", options.momentum);
  options.centered = arguments.flag("centered", options.centered);
  options.maximize = arguments.flag("maximize", options.maximize);
  return std::make_shared<RMSpropRule>(options);
}

CHAINRULE_OPTIMIZER_CONSTRUCTORS(RMSprop, std::make_shared<RMSpropRule>(options))

}  // namespace chainrule::optim
