// What an Optimizer saves, and how it is put back.
#include "optim/optimizer_state.hpp"

#include <unordered_map>
#include <unordered_set>

#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "optim/driver_kinds.hpp"
#include "optim/rules.hpp"

namespace chainrule::optim {
namespace {

// The name of what the schedule of lr (k = 0) or of group k - 1 has seen.
std::string schedule_name(std::size_t k) {
  return k == 0 ? "schedule" : "groups." + std::to_string(k - 1) + ".schedule";
}

ScheduleMemory memory_of(const Tensor& saved) {
  const Tensor four = saved.astype(DType::float64);
  const double* m = four.data<double>();
  constexpr double most = 1e15;
  if (!(m[0] >= 0 && m[0] <= 1 && m[2] >= 0 && m[2] < most && m[3] >= 0 && m[3] < most))
    fail<ValueError>("load_state_dict", "what a schedule has seen is not possible", saved.str(), "nothing was changed");
  return {m[0], m[1], static_cast<std::int64_t>(m[2]), static_cast<std::int64_t>(m[3])};
}

}  // namespace

std::vector<nn::NamedTensor> Optimizer::state_dict() const {
  const State& s = state();
  std::vector<nn::NamedTensor> all;
  if (s.driver) all = s.driver->state(trained_size(s.parameters));
  Optimizer self = *this;
  for (std::size_t i = 0; s.rule && i < s.parameters.size(); ++i) {
    const std::string prefix = std::to_string(i) + ".";
    const std::vector<Tensor>& own = self.states(i);
    const std::vector<std::string> names = rule_of(s.group_of[i]).state_names();
    for (std::size_t k = 0; k < names.size(); ++k) all.push_back({prefix + names[k], copy_of(own[k])});
    if (s.counts[i] != s.steps) all.push_back({prefix + "step", Tensor::from(std::vector{s.counts[i]}, {})});
  }
  all.push_back({"step", Tensor::from(std::vector{s.steps}, {})});
  if (!schedules().empty()) all.push_back({"epoch", Tensor::from(std::vector{s.epoch}, {})});
  for (std::size_t k = 0; k < s.memory.size(); ++k) {
    if (k == 0 ? !schedule().defined()
               : s.driver || !s.groups[k - 1].own_rate || !s.groups[k - 1].rule->lr.schedule().defined())
      continue;
    const ScheduleMemory& m = s.memory[k];
    const std::vector<double> seen{m.scale, m.best, static_cast<double>(m.bad_epochs), static_cast<double>(m.cooldown)};
    all.push_back({schedule_name(k), Tensor::from(seen, {seen.size()})});
  }
  return all;
}

void Optimizer::load_state_dict(const std::vector<nn::NamedTensor>& given) {
  State& s = state();
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
    const std::vector<std::string> names = rule_of(s.group_of[i]).state_names();
    for (std::size_t k = 0; k < names.size(); ++k)
      copies.emplace_back(own[k], find(prefix + names[k], own[k].shape(), true));
    counts.push_back(count_of(find(prefix + "step", {}, false), steps));
  }
  const Tensor* epoch = find("epoch", {}, false);  // where a rate was a schedule
  std::vector<const Tensor*> seen;
  for (std::size_t k = 0; k < s.memory.size(); ++k) seen.push_back(find(schedule_name(k), {4}, false));
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
  std::vector<ScheduleMemory> memory;
  for (const Tensor* of_one : seen) memory.push_back(of_one != nullptr ? memory_of(*of_one) : ScheduleMemory{});
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
  s.memory = std::move(memory);
}

}  // namespace chainrule::optim
