// What an Optimizer holds. optimizer.cpp steps it, groups.cpp says which parameters move by which arguments,
// optimizer_state.cpp saves it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chainrule/drivers.hpp"
#include "chainrule/optim.hpp"

namespace chainrule::optim {

// How many numbers the parameters that want gradients hold.
inline std::size_t trained_size(const std::vector<Tensor>& parameters) {
  std::int64_t n = 0;
  for (const Tensor& p : parameters)
    if (p.requires_grad()) n += p.size();
  return static_cast<std::size_t>(n);
}

struct Optimizer::State {
  struct Group {
    std::string name;
    std::shared_ptr<UpdateRule> rule;             // the optimizer's own where no argument is another
    bool own_rate = false;                        // that of its rule; else the optimizer's
    double rate_scale = 1.0;                      // multiplies either
    bool frozen = false;                          // when it was made
    std::vector<std::vector<Tensor>> scalars{2};  // rank 0, float32 and float64; written anew in each step
    double rate = 0.0;                            // of the step at hand, and the counts that scalars hold it for
    std::int64_t filled_for[2] = {0, 0};
  };

  std::shared_ptr<Method> method;
  std::shared_ptr<UpdateRule> rule;  // null: a driver
  std::shared_ptr<Driver> driver;    // null: an update rule
  std::vector<Tensor> parameters;
  std::vector<std::string> names{};         // of the parameters, where they are known
  std::vector<std::vector<Tensor>> states;  // of each parameter, once it needs them
  std::vector<std::int64_t> counts;         // steps each parameter has made
  std::int64_t steps = 0, epoch = 0;
  std::vector<ScheduleMemory> memory{1};  // of what the schedule was shown, and each group's own
  GroupOptions options{};
  bool by_hand = false;         // groups of parameters were given
  bool rates_changed = false;   // of groups, since they were made
  std::vector<Group> groups{};  // at least one; none of a driver
  std::vector<std::size_t> group_of{};

  nn::Arguments own_arguments(std::size_t group) const;  // where they are not the optimizer's
  double rate_at(std::size_t group, std::int64_t step) const {
    const Group& g = groups[group];
    const double rate =
        g.own_rate ? g.rule->lr.at(step, epoch, memory[group + 1]) : method->lr.at(step, epoch, memory[0]);
    return rate * g.rate_scale;
  }
};

}  // namespace chainrule::optim
