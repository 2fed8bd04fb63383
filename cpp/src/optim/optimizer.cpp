// Optimizer: parameters, their states and step counts, and the rule that moves them one step at a time.
#include <cmath>
#include <unordered_map>

#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "graph/tensor_data.hpp"
#include "optim/driver_kinds.hpp"
#include "optim/optimizer_state.hpp"
#include "optim/rules.hpp"

namespace chainrule::optim {

namespace {

void check_parameter(const std::string& optimizer, const std::vector<Tensor>& all, std::size_t i) {
  const Tensor& p = all[i];
  const std::string which = "parameter " + std::to_string(i);
  if (!p.defined()) fail<StateError>(optimizer, "a parameter is undefined", which);
  const TensorData& data = *p.data_handle();
  if (p.symbolic() || data.node)
    fail<ValueError>(optimizer, "a parameter must be a leaf", which + " is the result of an op",
                     "pass model.parameters()");
  if (p.dtype() != DType::float32 && p.dtype() != DType::float64)
    fail<DTypeError>(optimizer, "a parameter must be float32 or float64",
                     which + " is " + std::string(name_of(p.dtype())));
  if (data.storage->borrowed)
    fail<ValueError>(optimizer, "a parameter must not be a view of the caller's memory", which,
                     "copy it with Tensor::from");
}

void check_parameters(const std::string& optimizer, const std::vector<Tensor>& parameters) {
  std::unordered_map<const TensorData*, std::size_t> seen;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    check_parameter(optimizer, parameters, i);
    const auto [first, fresh] = seen.emplace(parameters[i].data_handle().get(), i);
    if (!fresh)
      fail<ValueError>(optimizer, "a parameter is given twice",
                       "parameter " + std::to_string(i) + " is parameter " + std::to_string(first->second));
  }
}

// Writes the rule's numbers into rank-0 tensors that are made once. Out of line: it runs in a floating-point
// environment of ours, and no arithmetic may be moved out of it.
[[gnu::noinline]] const std::vector<Tensor>& filled(std::vector<Tensor>& tensors, const UpdateRule& rule, double lr,
                                                    std::int64_t step, DType dtype) {
  const StepScalars values = rule.scalars(lr, step);
  while (tensors.size() < values.size()) tensors.push_back(make_tensor({dtype, {}}));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::float64)
      *reinterpret_cast<double*>(bytes_of(tensors[i])) = values[i];
    else
      *reinterpret_cast<float*>(bytes_of(tensors[i])) = static_cast<float>(values[i]);
  }
  return tensors;
}

}  // namespace

Optimizer::Optimizer(std::shared_ptr<UpdateRule> rule, std::vector<Tensor> parameters, const GroupOptions& groups)
    : state_(std::make_shared<State>()) {
  if (!rule) fail<StateError>("Optimizer", "the update rule is undefined");
  check_parameters(rule->name(), parameters);
  state_->method = rule;
  state_->rule = std::move(rule);
  state_->states.resize(parameters.size());
  state_->counts.resize(parameters.size());
  state_->parameters = std::move(parameters);
  split_alike(groups);
}

Optimizer::Optimizer(std::shared_ptr<Driver> driver, std::vector<Tensor> parameters)
    : state_(std::make_shared<State>()) {
  if (!driver) fail<StateError>("Optimizer", "the driver is undefined");
  check_parameters(driver->name(), parameters);
  driver->check_size(trained_size(parameters));
  state_->method = driver;
  state_->driver = std::move(driver);
  state_->parameters = std::move(parameters);
}

Optimizer::State& Optimizer::state() const {
  if (!state_) fail<StateError>("Optimizer", "there is no update rule in it", "", "make one of Adam, SGD, ...");
  return *state_;
}

void Optimizer::zero_grad() {
  for (Tensor& parameter : state().parameters) parameter.zero_grad();
}

const std::vector<Tensor>& Optimizer::states(std::size_t i) {
  State& s = state();
  if (i >= s.parameters.size())
    fail<IndexError>(s.rule->name(), "no such parameter",
                     std::to_string(i) + " of " + std::to_string(s.parameters.size()));
  const Tensor& p = s.parameters[i];
  static const std::vector<Tensor> none;
  if (s.driver) return none;
  std::vector<Tensor>& own = s.states[i];
  if (own.empty())
    for (const UpdateRule& rule = rule_of(s.group_of[i]); const std::string& name : rule.state_names())
      own.push_back(Tensor::full(p.shape(), rule.initial(name), p.dtype()));
  if (!own.empty() && own[0].dtype() != p.dtype())
    fail<StateError>(s.rule->name(), "a parameter was converted after its first step",
                     "parameter " + std::to_string(i) + " is " + std::string(name_of(p.dtype())) + ", its state is " +
                         std::string(name_of(own[0].dtype())),
                     "make a new optimizer, or reset() this one");
  return own;
}

void Optimizer::step() {
  State& s = state();
  check_steppable();
  if (s.driver)
    fail<StateError>(
        s.method->name(), "step() needs a closure", "it looks at the loss more than once",
        s.driver->least_squares()
            ? "write step(closure) with a function that returns the residuals"
            : "write step(closure) with a function that computes the loss, calls backward() on it and returns it");
  for (std::size_t g = 0; g < s.groups.size(); ++g) s.groups[g].rate = s.rate_at(g, s.steps);
  for (State::Group& group : s.groups) group.filled_for[0] = group.filled_for[1] = 0;
  ++s.steps;
  const FloatEnvironment environment;
  for (std::size_t i = 0; i < s.parameters.size(); ++i) {
    const Tensor& p = s.parameters[i];
    const Tensor g = p.grad();
    if (!g.defined()) continue;
    State::Group& group = s.groups[s.group_of[i]];
    const std::vector<Tensor>& own = states(i);
    const std::int64_t count = ++s.counts[i];
    const std::size_t wide = p.dtype() == DType::float64 ? 1 : 0;
    if (group.filled_for[wide] != count) filled(group.scalars[wide], *group.rule, group.rate, count, p.dtype());
    group.filled_for[wide] = count;
    group.rule->update_in_place(p, g, own, group.scalars[wide]);
  }
}

void Optimizer::check_steppable() const {
  if (state().parameters.empty())
    fail<StateError>(state().method->name(), "has no parameters to step", str() + " is a recipe",
                     "pass model.parameters() as the first argument, or hand it to a Trainer");
}

double Optimizer::step(const Closure& closure) {
  State& s = state();
  check_steppable();
  if (!closure) fail<StateError>(s.method->name(), "the closure is empty", "", "give a function");
  if (s.driver) {
    const double rate = lr();
    const FloatEnvironment environment;
    const double loss = s.driver->step(*closure_objective(s.method->name(), s.parameters, closure, environment), rate);
    if (!std::isfinite(loss))
      fail<ValueError>(s.method->name(), "the loss or a gradient is not finite", "", "no update was made");
    ++s.steps;
    return loss;
  }
  Tensor loss;
  {
    const GradMode on(true);
    loss = closure();
  }
  if (!loss.defined() || loss.size() != 1)
    fail<ShapeError>(s.method->name(), "the closure must return one number, the loss",
                     loss.defined() ? "it returned shape " + loss.shape().str() : "it returned nothing");
  const double value = loss.item();
  step();
  return value;
}

double Optimizer::lr() const { return lr_at(state().steps); }
double Optimizer::lr_at(std::int64_t step) const {
  const State& s = state();
  return s.method->lr.at(step, s.epoch, s.memory[0]);
}
void Optimizer::set_lr(const Rate& lr) {
  const std::string name = state().method->name();
  if (state().driver && !state().driver->has_rate())
    fail<StateError>(name, "has no learning rate", "", "set its damping when it is made");
  check_lr(name.c_str(), lr);
  state().method->lr = lr;
  state().memory[0] = {};
}
const Schedule& Optimizer::schedule() const { return state().method->lr.schedule(); }
std::int64_t Optimizer::epoch() const { return state().epoch; }
void Optimizer::set_epoch(std::int64_t epoch) {
  if (epoch < 0) fail<ValueError>(state().method->name(), "the epoch must be >= 0", std::to_string(epoch));
  state().epoch = epoch;
}
const std::vector<ScheduleMemory>& Optimizer::schedule_memory() const { return state().memory; }
void Optimizer::set_schedule_memory(const std::vector<ScheduleMemory>& memory) {
  if (memory.size() != state().memory.size())
    fail<ValueError>(state().method->name(), "the memory of schedules is another optimizer's",
                     std::to_string(memory.size()) + " for " + std::to_string(state().memory.size()));
  state().memory = memory;
}
void Optimizer::observe(double value) {
  observe([value](const std::string&) { return value; });
}
void Optimizer::observe(const std::function<double(const std::string&)>& value_of) {
  State& s = state();
  const auto show = [&](const Rate& rate, ScheduleMemory& memory) {
    if (!rate.schedule().defined()) return;
    const ScheduleImpl& schedule = *rate.schedule().impl();
    if (const std::string watched = schedule.monitor(); !watched.empty()) schedule.observe(value_of(watched), memory);
  };
  show(s.method->lr, s.memory[0]);
  for (std::size_t g = 0; g < s.groups.size(); ++g)
    if (s.groups[g].own_rate) show(s.groups[g].rule->lr, s.memory[g + 1]);
}

std::int64_t Optimizer::step_count() const { return state().steps; }
void Optimizer::set_step_count(std::int64_t steps) {
  State& s = state();
  if (steps < 0) fail<ValueError>(s.method->name(), "the step count must be >= 0", std::to_string(steps));
  s.steps = steps;
  s.counts.assign(s.parameters.size(), steps);
}

void Optimizer::reset() {
  State& s = state();
  s.steps = s.epoch = 0;
  s.memory.assign(s.memory.size(), {});
  if (s.driver) return s.driver->forget();
  s.counts.assign(s.parameters.size(), 0);
  for (std::size_t i = 0; i < s.parameters.size(); ++i) {
    if (s.states[i].empty()) continue;
    const UpdateRule& rule = rule_of(s.group_of[i]);
    const std::vector<std::string> names = rule.state_names();
    if (s.states[i][0].dtype() != s.parameters[i].dtype()) {
      s.states[i].clear();
      continue;
    }
    for (std::size_t k = 0; k < names.size(); ++k)  // in place: a compiled step may be bound to them
      write_values(s.states[i][k],
                   Tensor::full(s.parameters[i].shape(), rule.initial(names[k]), s.parameters[i].dtype()));
  }
}

bool Optimizer::is_recipe() const { return state().parameters.empty(); }
const std::vector<Tensor>& Optimizer::parameters() const { return state().parameters; }
const Method& Optimizer::method() const { return *state().method; }
const std::shared_ptr<UpdateRule>& Optimizer::rule() const { return state().rule; }
const std::shared_ptr<Driver>& Optimizer::driver() const { return state().driver; }

}  // namespace chainrule::optim
