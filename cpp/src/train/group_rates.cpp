// Groups of parameters with learning rates of their own, by their arguments.
#include "train/group_rates.hpp"

#include "core/arguments.hpp"

namespace chainrule {
namespace {

nn::Arguments rate_in(nn::Arguments arguments) {
  std::erase_if(arguments, [](const auto& argument) { return argument.first != "lr"; });
  return arguments;
}

}  // namespace

std::string own_rate_text(const optim::Optimizer& optimizer) {
  const nn::Arguments usual = rate_in(optimizer.method().arguments());
  const std::vector<optim::ParameterGroup> groups = optimizer.groups();
  for (std::size_t g = 0; g < groups.size(); ++g)
    if (const nn::Arguments rate = rate_in(groups[g].arguments()); rate != usual) {
      const std::string name = groups[g].name();
      return "group " + std::to_string(g) + (name.empty() ? "" : " ('" + name + "')") + " has " +
             nn::text_of(rate, 0, {});
    }
  for (const optim::NamedGroup& group : optimizer.group_options().groups)  // an lr that is the optimizer's by chance
    if (const nn::Arguments rate = rate_in(group.arguments); !rate.empty())
      return "'" + group.patterns[0] + "' has " + nn::text_of(rate, 0, {});
  return "";
}

}  // namespace chainrule
