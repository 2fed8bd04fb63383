// Optimizer: parameters, their states and step counts, and the rule that moves them one step at a time.
#include <cmath>
#include <unordered_map>
#include <unordered_set>

#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "graph/tensor_data.hpp"
#include "optim/driver_kinds.hpp"
#include "optim/rules.hpp"

namespace chainrule::optim {

struct Optimizer::State {
  std::shared_ptr<Method> method;
  std::shared_ptr<UpdateRule> rule;  // null: a driver
  std::shared_ptr<Driver> driver;    // null: an update rule
  std::vector<Tensor> parameters;
  std::vector<std::vector<Tensor>> states;  // of each parameter, once it needs them
  std::vector<std::int64_t> counts;         // steps each parameter has made
  std::int64_t steps = 0, epoch = 0;
  ScheduleMemory memory;                        // of what the schedule was shown
  std::vector<std::vector<Tensor>> scalars{2};  // rank 0, float32 and float64; written anew in each step
};

namespace {

Tensor copy_of(const Tensor& tensor) {
  const NoGrad no_grad;
  Tensor copy = Tensor::empty(tensor.shape(), tensor.dtype());
  copy.copy_(tensor);
  return copy;
}

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

std::size_t trained_size(const std::vector<Tensor>& parameters) {
  std::int64_t n = 0;
  for (const Tensor& p : parameters)
    if (p.requires_grad()) n += p.size();
  return static_cast<std::size_t>(n);
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

Optimizer::Optimizer(std::shared_ptr<UpdateRule> rule, std::vector<Tensor> parameters)
    : state_(std::make_shared<State>()) {
  if (!rule) fail<StateError>("Optimizer", "the update rule is undefined");
  check_parameters(rule->name(), parameters);
  state_->method = rule;
  state_->rule = std::move(rule);
  state_->states.resize(parameters.size());
  state_->counts.resize(parameters.size());
  state_->parameters = std::move(parameters);
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
    for (const std::string& name : s.rule->state_names())
      own.push_back(Tensor::full(p.shape(), s.rule->initial(name), p.dtype()));
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
  const double rate = lr();
  ++s.steps;
  std::int64_t filled_for[2] = {0, 0};
  const FloatEnvironment environment;
  for (std::size_t i = 0; i < s.parameters.size(); ++i) {
    const Tensor& p = s.parameters[i];
    const Tensor g = p.grad();
    if (!g.defined()) continue;
    const std::vector<Tensor>& own = states(i);
    const std::int64_t count = ++s.counts[i];
    const std::size_t wide = p.dtype() == DType::float64 ? 1 : 0;
    if (filled_for[wide] != count) filled(s.scalars[wide], *s.rule, rate, count, p.dtype());
    filled_for[wide] = count;
    s.rule->update_in_place(p, g, own, s.scalars[wide]);
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
  return s.method->lr.at(step, s.epoch, s.memory);
}
void Optimizer::set_lr(const Rate& lr) {
  const std::string name = state().method->name();
  if (state().driver && !state().driver->has_rate())
    fail<StateError>(name, "has no learning rate", "", "set its damping when it is made");
  check_lr(name.c_str(), lr);
  state().method->lr = lr;
  state().memory = {};
}
const Schedule& Optimizer::schedule() const { return state().method->lr.schedule(); }
std::int64_t Optimizer::epoch() const { return state().epoch; }
void Optimizer::set_epoch(std::int64_t epoch) {
  if (epoch < 0) fail<ValueError>(state().method->name(), "the epoch must be >= 0", std::to_string(epoch));
  state().epoch = epoch;
}
const ScheduleMemory& Optimizer::schedule_memory() const { return state().memory; }
void Optimizer::set_schedule_memory(const ScheduleMemory& memory) { state().memory = memory; }
void Optimizer::observe(double value) {
  if (schedule().defined()) schedule().impl()->observe(value, state().memory);
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
  s.memory = {};
  if (s.driver) return s.driver->forget();
  s.counts.assign(s.parameters.size(), 0);
  const std::vector<std::string> names = s.rule->state_names();
  for (std::size_t i = 0; i < s.parameters.size(); ++i) {
    if (s.states[i].empty()) continue;
    if (s.states[i][0].dtype() != s.parameters[i].dtype()) {
      s.states[i].clear();
      continue;
    }
    for (std::size_t k = 0; k < names.size(); ++k)  // in place: a compiled step may be bound to them
      write_values(s.states[i][k],
                   Tensor::full(s.parameters[i].shape(), s.rule->initial(names[k]), s.parameters[i].dtype()));
  }
}

std::string Optimizer::str() const {
  if (!state_) return "Optimizer()";
  const Method& method = *state_->method;
  const nn::Arguments all = method.arguments();
  nn::Arguments usual = default_arguments(method.name());
  std::erase_if(usual, [](const auto& argument) { return argument.first == "lr"; });  // always shown
  return method.name() + "(" + nn::text_of(all, 0, usual) + ")";
}

bool Optimizer::is_recipe() const { return state().parameters.empty(); }
const std::vector<Tensor>& Optimizer::parameters() const { return state().parameters; }
const Method& Optimizer::method() const { return *state().method; }
const std::shared_ptr<UpdateRule>& Optimizer::rule() const { return state().rule; }
const std::shared_ptr<Driver>& Optimizer::driver() const { return state().driver; }
Optimizer Optimizer::with(std::vector<Tensor> parameters) const {
  const State& s = state();
  return s.driver ? Optimizer(s.driver->clone(), std::move(parameters))
                  : Optimizer(s.rule->clone(), std::move(parameters));
}
Optimizer Optimizer::recipe() const { return with({}); }

std::vector<nn::NamedTensor> Optimizer::state_dict() const {
  const State& s = state();
  std::vector<nn::NamedTensor> all;
  if (s.driver) all = s.driver->state(trained_size(s.parameters));
  const std::vector<std::string> names = s.driver ? std::vector<std::string>{} : s.rule->state_names();
  Optimizer self = *this;
  for (std::size_t i = 0; s.rule && i < s.parameters.size(); ++i) {
    const std::string prefix = std::to_string(i) + ".";
    const std::vector<Tensor>& own = self.states(i);
    for (std::size_t k = 0; k < names.size(); ++k) all.push_back({prefix + names[k], copy_of(own[k])});
    if (s.counts[i] != s.steps) all.push_back({prefix + "step", Tensor::from(std::vector{s.counts[i]}, {})});
  }
  all.push_back({"step", Tensor::from(std::vector{s.steps}, {})});
  if (schedule().defined()) {
    const ScheduleMemory& m = s.memory;
    const std::vector<double> seen{m.scale, m.best, static_cast<double>(m.bad_epochs), static_cast<double>(m.cooldown)};
    all.push_back({"epoch", Tensor::from(std::vector{s.epoch}, {})});
    all.push_back({"schedule", Tensor::from(seen, {seen.size()})});
  }
  return all;
}

void Optimizer::load_state_dict(const std::vector<nn::NamedTensor>& given) {
  State& s = state();
  const std::vector<std::string> names = s.driver ? std::vector<std::string>{} : s.rule->state_names();
  std::unordered_map<std::string, Tensor> sources;
  for (const nn::NamedTensor& source : given) {
    if (!source.tensor.defined()) fail<StateError>("load_state_dict", "a tensor is undefined", source.name);
    if (!sources.emplace(source.name, source.tensor).second)
      fail<ValueError>("load_state_dict", "a name is given twice", source.name);
  }
  std::string differences;
  const auto differs = [&](const std::string& text) { differences += (differences.empty() ? "" : ", ") + text; };
  std::unordered_set<std::string> known;
  const auto find = [&](const std::string& name, const Shape& shape, bool needed) -> const Tensor* {
    known.insert(name);
    const auto at = sources.find(name);
    if (at == sources.end()) {
      if (needed) differs(name + " is missing");
      return nullptr;
    }
    if (at->second.shape() == shape) return &at->second;
    differs(name + " is " + shape.str() + " here, " + at->second.shape().str() + " was given");
    return nullptr;
  };
  const auto count_of = [&](const Tensor* source, std::int64_t otherwise) {
    return source ? static_cast<std::int64_t>(source->item()) : otherwise;
  };

  const std::int64_t steps = count_of(find("step", {}, true), 0);
  std::vector<std::int64_t> counts;
  std::vector<std::pair<Tensor, const Tensor*>> copies;
  for (std::size_t i = 0; s.rule && i < s.parameters.size(); ++i) {
    const std::string prefix = std::to_string(i) + ".";
    const std::vector<Tensor>& own = states(i);
    for (std::size_t k = 0; k < names.size(); ++k)
      copies.emplace_back(own[k], find(prefix + names[k], own[k].shape(), true));
    counts.push_back(count_of(find(prefix + "step", {}, false), steps));
  }
  const Tensor *epoch = find("epoch", {}, false), *seen = find("schedule", {4}, false);  // where lr was a schedule
  std::vector<nn::NamedTensor> of_driver;
  for (const nn::NamedTensor& source : given) {
    if (known.contains(source.name)) continue;
    if (s.driver)
      of_driver.push_back(source);
    else
      differs(source.name + " is unknown");
  }
  const auto refuse_differences = [&] {
    if (!differences.empty())
      fail<ValueError>("load_state_dict", "the state does not fit " + str(), differences, "nothing was changed");
  };
  refuse_differences();
  for (std::int64_t count : counts)
    if (count < 0 || steps < 0) fail<ValueError>("load_state_dict", "a step count is negative", std::to_string(count));
  const std::int64_t epochs = count_of(epoch, s.epoch);
  ScheduleMemory memory;
  if (seen != nullptr) {
    const Tensor four = seen->astype(DType::float64);
    const double* m = four.data<double>();
    constexpr double most = 1e15;
    if (!(m[0] >= 0 && m[0] <= 1 && m[2] >= 0 && m[2] < most && m[3] >= 0 && m[3] < most))
      fail<ValueError>("load_state_dict", "what a schedule has seen is not possible", seen->str(),
                       "nothing was changed");
    memory = {m[0], m[1], static_cast<std::int64_t>(m[2]), static_cast<std::int64_t>(m[3])};
  }
  if (epochs < 0) fail<ValueError>("load_state_dict", "the epoch is negative", std::to_string(epochs));

  const NoGrad no_grad;
  if (s.driver) {
    differences = s.driver->load(of_driver, trained_size(s.parameters));
    refuse_differences();
  }
  for (auto& [target, source] : copies) target.copy_(*source);
  s.steps = steps;
  s.counts = std::move(counts);
  s.epoch = epochs;
  s.memory = memory;
}

}  // namespace chainrule::optim
