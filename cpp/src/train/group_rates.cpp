// Groups of parameters with learning rates of their own, by their arguments.
#include "train/group_rates.hpp"

#include <algorithm>

namespace chainrule {
namespace {

nn::Arguments rate_in(nn::Arguments arguments) {
  std::erase_if(arguments, [](const auto& argument) { return argument.first != "lr"; });
  return arguments;
}

}  // namespace

bool has_own_rates(const optim::Optimizer& optimizer) {
  const auto given = [](const optim::NamedGroup& group) { return !rate_in(group.arguments).empty(); };
  const std::vector<optim::NamedGroup>& named = optimizer.group_options().groups;
  if (std::any_of(named.begin(), named.end(), given)) return true;
  const nn::Arguments rate = rate_in(optimizer.method().arguments());
  for (const optim::ParameterGroup& group : optimizer.groups())
    if (rate_in(group.arguments()) != rate) return true;
  return false;
}

}  // namespace chainrule
