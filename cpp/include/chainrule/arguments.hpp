// Arguments of layers, losses and optimizers as they are printed and saved.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace chainrule::nn {

struct Called;

// An argument of a layer, loss or optimizer as it is printed and saved: (name, value). Called: what was made by a call
// itself, such as a schedule; usually one, several where the argument is a list.
using ArgumentValue = std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>,
                                   std::vector<double>, std::vector<Called>>;
using Arguments = std::vector<std::pair<std::string, ArgumentValue>>;

struct Called {
  std::string name;
  Arguments arguments;
  std::shared_ptr<const void>
      made{};  // itself, where no name and arguments make it again: a function of the user's own
  bool operator==(const Called&) const = default;
};

}  // namespace chainrule::nn
