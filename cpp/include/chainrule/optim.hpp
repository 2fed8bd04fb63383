// Optimizers, with PyTorch's argument names, defaults and formulas. Without parameters one is a recipe, which a Trainer
// copies; with parameters it steps them by hand.
#pragma once

#include <array>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "chainrule/nn.hpp"
#include "chainrule/schedules.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule::optim {

// The run-time scalars of one step, at most eight: held inline, since they are made anew in every step.
class StepScalars {
 public:
  StepScalars() = default;
  StepScalars(std::initializer_list<double> values) {
    for (double v : values) values_[count_++] = v;
  }
  std::size_t size() const noexcept { return count_; }
  double operator[](std::size_t i) const noexcept { return values_[i]; }

 private:
  std::array<double, 8> values_{};
  std::size_t count_ = 0;
};

// What every optimizer is: an UpdateRule, or a Driver (drivers.hpp).
class CHAINRULE_API Method {
 public:
  virtual ~Method();
  virtual std::string name() const = 0;         // "Adam"
  virtual nn::Arguments arguments() const = 0;  // lr first
  Rate lr = 0.0;
};

// How one parameter moves. The same update runs in a compiled step and in Optimizer::step.
class CHAINRULE_API UpdateRule : public Method {
 public:
  virtual std::shared_ptr<UpdateRule> clone() const = 0;
  virtual std::vector<std::string> state_names() const = 0;  // per parameter, same shape, start at 0 (or initial())
  virtual double initial(const std::string& state) const;
  // Run-time scalars of step t = 1, 2, ... at learning rate lr; a change of them never recompiles.
  virtual StepScalars scalars(double lr, std::int64_t step) const = 0;
  // (new p, new states...) from p, its gradient, the states and the scalars (rank 0, p's dtype); op functions only.
  virtual std::vector<Tensor> update(const Tensor& p, const Tensor& g, const std::vector<Tensor>& states,
                                     const std::vector<Tensor>& scalars) const = 0;
  // The same on values, written into p and the states. By default it copies what update gives; the built-in rules run
  // the one op behind update in place.
  virtual void update_in_place(const Tensor& p, const Tensor& g, const std::vector<Tensor>& states,
                               const std::vector<Tensor>& scalars) const;
};

// Parameters for which some arguments of the optimizer are others: {a.parameters(), {{"lr", 1e-4}}}. Beside the
// optimizer's own arguments "lr_scale", a factor of the rate, and "freeze", which is requires_grad_(false).
struct Group {
  std::vector<Tensor> parameters;
  nn::Arguments arguments{};
};
// The same for all parameters of a model whose name one of the patterns fits: * stands for any text, ? for any letter,
// [abc], [a-c] and [!abc] for one letter of these or of the others.
struct NamedGroup {
  std::vector<std::string> patterns;
  nn::Arguments arguments{};
};
struct GroupOptions {
  // Where several fit, all of them count, and the last one that says an argument. They need names: those of a Trainer's
  // model, or with(model.named_parameters()). ValueError there: a pattern fits none.
  std::vector<NamedGroup> groups{};
  bool decay_bias_and_norm =
      true;  // false: weight_decay is 0 for parameters of fewer than two axes, whatever else says
};
// A list of groups that no braces turn into by mistake.
class ParameterGroups {
 public:
  ParameterGroups(const std::vector<Group>& list) : list_(list) {}
  operator const std::vector<Group>&() const noexcept { return list_; }

 private:
  const std::vector<Group>& list_;
};

class Driver;
class ParameterGroup;

class CHAINRULE_API Optimizer {
 public:
  Optimizer() = default;
  Optimizer(std::shared_ptr<UpdateRule> rule, std::vector<Tensor> parameters, const GroupOptions& groups = {});
  Optimizer(std::shared_ptr<UpdateRule> rule, const ParameterGroups& parameters, const GroupOptions& groups = {});
  Optimizer(std::shared_ptr<Driver> driver, std::vector<Tensor> parameters);
  void zero_grad();
  void step();  // parameters without a gradient are skipped; a driver needs a closure
  // Computes the loss, calls backward() on it and returns it; for LevenbergMarquardt it returns the residuals instead.
  using Closure = std::function<Tensor()>;
  // Drivers call the closure as often as they like, others once. The loss before the update; for LevenbergMarquardt
  // the sum of the squared residuals. ValueError, and nothing is changed, where it is not finite.
  double step(const Closure& closure);
  // The learning rate of the next step: a number, or what the schedule says of step_count() or epoch().
  double lr() const;
  double lr_at(std::int64_t step) const;  // the same of another step, from 0
  // Also a schedule; what the one before had observed is forgotten. Groups with a rate of their own keep it.
  void set_lr(const Rate& lr);
  std::int64_t step_count() const;
  std::int64_t epoch() const;
  void set_epoch(std::int64_t epoch);  // for schedules with per = "epoch"; a Trainer counts by itself
  const Schedule& schedule() const;    // undefined where lr is a number
  // The parameters by the arguments they move by; one group where nothing was said about any.
  std::vector<ParameterGroup> groups() const;
  // Shows schedules the value they watch (Schedule::impl()->monitor()), at the end of an epoch.
  void observe(double value);
  void observe(const std::function<double(const std::string& monitor)>& value_of);
  std::vector<Schedule> schedules() const;                     // that of lr and those of groups with their own
  const std::vector<ScheduleMemory>& schedule_memory() const;  // of lr, and of each group
  void set_schedule_memory(const std::vector<ScheduleMemory>& memory);
  std::string str() const;
  bool is_recipe() const;
  const std::vector<Tensor>& parameters() const;
  // Copies: "0.exp_avg", ..., "step"; a parameter that missed steps for want of a gradient also has its own "0.step".
  std::vector<nn::NamedTensor> state_dict() const;
  // The error lists every difference, and nothing is changed when there is one.
  void load_state_dict(const std::vector<nn::NamedTensor>& state);
  // For compiled steps: the live states of parameter i in the rule's order, and the counts they belong to.
  const std::vector<Tensor>& states(std::size_t i);
  void set_step_count(std::int64_t steps);          // of all parameters
  void reset();                                     // states and counts return to their start; lr stays
  const Method& method() const;                     // the one of these two that it has:
  const std::shared_ptr<UpdateRule>& rule() const;  // null: a driver
  const std::shared_ptr<Driver>& driver() const;    // null: an update rule
  // The same arguments for other parameters, no state. Groups by name need names; groups of parameters have no recipe,
  // but one by the names that the parameters have in a model.
  Optimizer with(std::vector<Tensor> parameters) const;
  Optimizer with(const std::vector<nn::NamedTensor>& parameters) const;
  Optimizer recipe() const;  // the same without parameters
  Optimizer recipe(const std::vector<nn::NamedTensor>& names) const;
  const GroupOptions& group_options() const;
  // For compiled steps: the groups' update rules and rates (of a driver, its one), and the group of each parameter.
  std::size_t group_count() const;
  std::size_t group_of(std::size_t parameter) const;
  const UpdateRule& rule_of(std::size_t group) const;
  void rates_at(std::int64_t step, std::span<double> rates) const;

 private:
  friend class ParameterGroup;
  struct State;
  State& state() const;
  void split(const std::vector<std::size_t>& entry_of, const std::vector<nn::Arguments>& arguments,
             const std::vector<std::string>& names);
  void split_alike(const GroupOptions& options);
  void check_no_lists() const;
  void check_steppable() const;
  std::shared_ptr<State> state_;
};

// One group of an optimizer: a handle on it.
class CHAINRULE_API ParameterGroup {
 public:
  ParameterGroup(Optimizer optimizer, std::size_t group) : optimizer_(std::move(optimizer)), group_(group) {}
  std::string name() const;  // the patterns that its parameters fit, or the place in the list of groups; may be empty
  nn::Arguments arguments() const;  // all of them, and lr_scale where it is not 1
  std::vector<Tensor> parameters() const;
  double lr() const;            // of the next step
  void set_lr(const Rate& lr);  // a rate of its own, as it is: no lr_scale multiplies it
  std::string str() const;

 private:
  Optimizer optimizer_;
  std::size_t group_;
};

// In all of them g is the gradient (negated by maximize) plus weight_decay p, t the number of the step from 1.

// buf = momentum buf + (1 - dampening) g, at the first step g; p -= lr buf, with nesterov lr (g + momentum buf).
struct SGDOptions {
  Rate lr = 1e-3;
  double momentum = 0.0;
  double dampening = 0.0;
  double weight_decay = 0.0;
  bool nesterov = false;
  bool maximize = false;
};
// sum += g^2; p -= lr / (1 + (t - 1) lr_decay) g / (sqrt(sum) + eps). Duchi, Hazan, Singer (2011).
struct AdagradOptions {
  Rate lr = 1e-2;
  double lr_decay = 0.0;
  double weight_decay = 0.0;
  double initial_accumulator_value = 0.0;
  double eps = 1e-10;
  bool maximize = false;
};
// v = alpha v + (1 - alpha) g^2; p -= lr buf, buf = momentum buf + g / (sqrt(v) + eps); centered: v less the squared
// running mean of g. Tieleman and Hinton (2012).
struct RMSpropOptions {
  Rate lr = 1e-2;
  double alpha = 0.99;
  double eps = 1e-8;
  double weight_decay = 0.0;
  double momentum = 0.0;
  bool centered = false;
  bool maximize = false;
};
struct Betas {
  double first = 0.9, second = 0.999;
};
// m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p -= lr m' / (sqrt(v') + eps), m' = m / (1 - b1^t), v' = v / (1 -
// b2^t); amsgrad: the largest v so far. Kingma and Ba (2015).
struct AdamOptions {
  Rate lr = 1e-3;
  Betas betas{};
  double eps = 1e-8;
  double weight_decay = 0.0;  // L2, added to the gradient
  bool amsgrad = false;
  bool maximize = false;
};
// Adam with p *= 1 - lr weight_decay in place of the decay in g. Loshchilov and Hutter (2019).
struct AdamWOptions {
  Rate lr = 1e-3;
  Betas betas{};
  double eps = 1e-8;
  double weight_decay = 1e-2;  // decoupled
  bool amsgrad = false;
  bool maximize = false;
};
// sq = rho sq + (1 - rho) g^2; d = sqrt(acc + eps) / sqrt(sq + eps) g; acc = rho acc + (1 - rho) d^2; p -= lr d.
// Zeiler (2012).
struct AdadeltaOptions {
  Rate lr = 1.0;
  double rho = 0.9;
  double eps = 1e-6;
  double weight_decay = 0.0;
  bool maximize = false;
};
// m = b1 m + (1 - b1) g; u = max(b2 u, |g| + eps); p -= lr / (1 - b1^t) m / u. Kingma and Ba (2015), section 7.
struct AdamaxOptions {
  Rate lr = 2e-3;
  Betas betas{};
  double eps = 1e-8;
  double weight_decay = 0.0;
  bool maximize = false;
};
// Adam with Nesterov's momentum mu_t = b1 (1 - 0.96^(t momentum_decay) / 2): in place of m' stands
// (1 - mu_t) / (1 - mu_1 ... mu_t) g + mu_{t+1} / (1 - mu_1 ... mu_{t+1}) m. Dozat (2016).
struct NAdamOptions {
  Rate lr = 2e-3;
  Betas betas{};
  double eps = 1e-8;
  double weight_decay = 0.0;
  double momentum_decay = 4e-3;
  bool decoupled_weight_decay = false;
  bool maximize = false;
};
// Adam whose division by sqrt(v') begins, by a growing factor, once rho = rho_inf - 2 t b2^t / (1 - b2^t) is above 5,
// rho_inf = 2 / (1 - b2) - 1; until then p -= lr m'. Liu et al. (2020).
struct RAdamOptions {
  Rate lr = 1e-3;
  Betas betas{};
  double eps = 1e-8;
  double weight_decay = 0.0;
  bool decoupled_weight_decay = false;
  bool maximize = false;
};
// p = (1 - lr weight_decay) p - lr sign(b1 m + (1 - b1) g); m = b2 m + (1 - b2) g. Chen et al. (2023).
struct LionOptions {
  Rate lr = 1e-4;
  Betas betas{0.9, 0.99};
  double weight_decay = 0.0;  // decoupled
  bool maximize = false;
};
// A list of parameters that no braces turn into by mistake: Adam({.lr = 1e-3}) must mean the options.
class Parameters {
 public:
  Parameters(const std::vector<Tensor>& list) : list_(list) {}
  operator const std::vector<Tensor>&() const noexcept { return list_; }

 private:
  const std::vector<Tensor>& list_;
};

#define CHAINRULE_OPTIMIZER(Name)                                                                                    \
  class CHAINRULE_API Name : public Optimizer {                                                                      \
   public:                                                                                                           \
    explicit Name(const Name##Options& options = {}, const GroupOptions& groups = {});                               \
    explicit Name(const Parameters& parameters, const Name##Options& options = {}, const GroupOptions& groups = {}); \
    explicit Name(const ParameterGroups& parameters, const Name##Options& options = {},                              \
                  const GroupOptions& groups = {});                                                                  \
  };
CHAINRULE_OPTIMIZER(SGD)
CHAINRULE_OPTIMIZER(Adagrad)
CHAINRULE_OPTIMIZER(RMSprop)
CHAINRULE_OPTIMIZER(Adam)
CHAINRULE_OPTIMIZER(AdamW)
CHAINRULE_OPTIMIZER(Adadelta)
CHAINRULE_OPTIMIZER(Adamax)
CHAINRULE_OPTIMIZER(NAdam)
CHAINRULE_OPTIMIZER(RAdam)
CHAINRULE_OPTIMIZER(Lion)
#undef CHAINRULE_OPTIMIZER

}  // namespace chainrule::optim
