// Arguments of layers, losses and optimizers as they are printed and saved.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace chainrule::nn {

// An argument of a layer, loss or optimizer as it is printed and saved: (name, value).
using ArgumentValue =
    std::variant<bool, std::int64_t, double, std::string, std::vector<std::int64_t>, std::vector<double>>;
using Arguments = std::vector<std::pair<std::string, ArgumentValue>>;

}  // namespace chainrule::nn
