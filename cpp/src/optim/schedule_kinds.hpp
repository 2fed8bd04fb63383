// The one list of schedules, and what their constructors share.
#pragma once

#include <limits>

#include "chainrule/schedules.hpp"
#include "core/arguments.hpp"

namespace chainrule::optim {

// A saved or printed rate: a number or a call of a schedule.
Rate read_rate(nn::ArgumentReader& arguments, const char* name, const Rate& otherwise);

}  // namespace chainrule::optim

namespace chainrule::schedules {

// Refuse arguments by name. Rates that run away all the same are refused when they are asked for.
void check_rate(const char* schedule, const char* name, double value);
void check_positive(const char* schedule, const char* name, double value);
void check_count(const char* schedule, const char* name, std::int64_t value);  // at least 1

// A schedule that is a function of t alone.
Schedule formula(const char* name, nn::Arguments arguments, const std::string& per,
                 std::function<double(std::int64_t)> rate);

inline constexpr double missing = std::numeric_limits<double>::quiet_NaN();  // an argument; refused by the checks

namespace read {
Schedule constant(nn::ArgumentReader& arguments);
Schedule step(nn::ArgumentReader& arguments);
Schedule multi_step(nn::ArgumentReader& arguments);
Schedule exponential(nn::ArgumentReader& arguments);
Schedule linear(nn::ArgumentReader& arguments);
Schedule polynomial(nn::ArgumentReader& arguments);
Schedule cosine(nn::ArgumentReader& arguments);
Schedule cosine_restarts(nn::ArgumentReader& arguments);
Schedule one_cycle(nn::ArgumentReader& arguments);
Schedule inverse_sqrt(nn::ArgumentReader& arguments);
Schedule warmup(nn::ArgumentReader& arguments);
Schedule chain(nn::ArgumentReader& arguments);
Schedule reduce_on_plateau(nn::ArgumentReader& arguments);
}  // namespace read

}  // namespace chainrule::schedules
