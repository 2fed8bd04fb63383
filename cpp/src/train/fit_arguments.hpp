// What tells one fit from another, as text that a checkpoint keeps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chainrule/optim.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule {

std::string type_text(const Tensor& t);  // "float32 (3, 4)"; none: undefined

// Whether some parameters have a rate of their own, or a factor of the optimizer's.
bool has_group_rates(const optim::Optimizer& optimizer);
std::vector<double> group_rates(const optim::Optimizer& optimizer);           // NaN: a schedule
std::vector<std::string> group_schedules(const optim::Optimizer& optimizer);  // empty texts: numbers
// What functions among the schedules say of a step: they have no text to tell them by.
std::vector<double> function_rates(const optim::Optimizer& optimizer, std::int64_t step, std::int64_t epoch);

}  // namespace chainrule
