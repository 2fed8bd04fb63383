// What the update rules share, and the one list of optimizers.
#include "optim/rules.hpp"

#include <algorithm>
#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "optim/driver_kinds.hpp"

namespace chainrule::optim {
namespace {

struct RuleKind {
  const char* name;
  std::shared_ptr<UpdateRule> (*make)(nn::ArgumentReader&);
};
constexpr RuleKind rule_kinds[] = {
    {"SGD", read::sgd},     {"Adagrad", read::adagrad},   {"RMSprop", read::rmsprop}, {"Adam", read::adam},
    {"AdamW", read::adamw}, {"Adadelta", read::adadelta}, {"Adamax", read::adamax},   {"NAdam", read::nadam},
    {"RAdam", read::radam}, {"Lion", read::lion},
};
struct DriverKind {
  const char* name;
  std::shared_ptr<Driver> (*make)(nn::ArgumentReader&);
};
constexpr DriverKind driver_kinds[] = {{"LBFGS", read::lbfgs}, {"LevenbergMarquardt", read::levenberg_marquardt}};

constexpr std::size_t most_operands = 16;

}  // namespace

Method::~Method() = default;
double UpdateRule::initial(const std::string&) const { return 0.0; }

void UpdateRule::update_in_place(const Tensor& p, const Tensor& g, const std::vector<Tensor>& states,
                                 const std::vector<Tensor>& scalars) const {
  const NoGrad no_grad;
  const std::vector<Tensor> fresh = update(p, g, states, scalars);
  if (fresh.size() != states.size() + 1)
    fail<StateError>(name(), "update must give the parameter and every state",
                     std::to_string(fresh.size()) + " tensors for " + std::to_string(states.size()) + " states");
  Tensor(p).copy_(fresh[0]);
  for (std::size_t i = 0; i < states.size(); ++i) Tensor(states[i]).copy_(fresh[i + 1]);
}

void OpRule::set_op(const char* op, std::initializer_list<double> reals, bool maximize) {
  op_ = &find_op(op);
  std::copy(reals.begin(), reals.end(), attrs_.reals.begin());
  maximize_ = maximize;
}

std::vector<Tensor> OpRule::update(const Tensor& p, const Tensor& g, const std::vector<Tensor>& states,
                                   const std::vector<Tensor>& scalars) const {
  std::vector<Tensor> inputs{p, maximize_ ? negative(g) : g};
  inputs.insert(inputs.end(), states.begin(), states.end());
  inputs.insert(inputs.end(), scalars.begin(), scalars.end());
  return apply(*op_, inputs, attrs_);
}

void OpRule::update_in_place(const Tensor& p, const Tensor& g, const std::vector<Tensor>& states,
                             const std::vector<Tensor>& scalars) const {
  const NoGrad no_grad;
  Tensor inputs[most_operands], outputs[most_operands];
  std::size_t n = 0;
  outputs[0] = inputs[n++] = p;
  inputs[n++] = maximize_ ? negative(g) : g;
  for (std::size_t i = 0; i < states.size(); ++i) outputs[i + 1] = inputs[n++] = states[i];
  for (const Tensor& scalar : scalars) inputs[n++] = scalar;
  apply_into(*op_, {inputs, n}, attrs_, {outputs, states.size() + 1});
}

void check_at_least_zero(const char* optimizer, const char* name, double value) {
  if (!(value >= 0.0) || std::isinf(value))
    fail<ValueError>(optimizer, std::string(name) + " must be finite and >= 0",
                     std::string(name) + " is " + nn::text_of(value));
}

void check_lr(const char* optimizer, const Rate& lr) {
  if (!lr.schedule().defined()) check_at_least_zero(optimizer, "lr", lr.at(0, 0));
}

void check_fraction(const char* optimizer, const char* name, double value) {
  if (!(value >= 0.0 && value < 1.0))
    fail<ValueError>(optimizer, std::string(name) + " must lie in [0, 1)",
                     std::string(name) + " is " + nn::text_of(value));
}

void check_betas(const char* optimizer, const Betas& betas) {
  check_fraction(optimizer, "betas[0]", betas.first);
  check_fraction(optimizer, "betas[1]", betas.second);
}

Betas read_betas(const char* optimizer, nn::ArgumentReader& arguments, const Betas& otherwise) {
  const std::vector<double> betas = arguments.reals("betas", {otherwise.first, otherwise.second});
  if (betas.size() != 2)
    fail<ValueError>(optimizer, "betas must be two numbers", std::to_string(betas.size()) + " were given");
  return {betas[0], betas[1]};
}

std::shared_ptr<UpdateRule> make_rule(const std::string& name, const nn::Arguments& arguments) {
  std::string known;
  for (const RuleKind& entry : rule_kinds) {
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
    if (name != entry.name) continue;
    nn::ArgumentReader reader(name, arguments);
    auto rule = entry.make(reader);
    reader.finish();
    return rule;
  }
  fail<IndexError>("make_rule", "no optimizer of this name is built in", name, "known are " + known);
}

nn::Arguments default_arguments(const std::string& name) {
  const nn::Arguments none;
  nn::ArgumentReader reader(name, none);
  for (const RuleKind& entry : rule_kinds)
    if (name == entry.name) return entry.make(reader)->arguments();
  for (const DriverKind& entry : driver_kinds)
    if (name == entry.name) return entry.make(reader)->arguments();
  return {};
}

const std::vector<Tensor>& some_parameters(const char* optimizer, const std::vector<Tensor>& parameters) {
  if (parameters.empty())
    fail<ValueError>(optimizer, "the list of parameters is empty", "",
                     "pass model.parameters(), or nothing for a recipe");
  return parameters;
}

}  // namespace chainrule::optim
