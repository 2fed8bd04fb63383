// Schedules that are a formula of the step. Sources: cosine and its restarts Loshchilov and Hutter, SGDR (ICLR 2017);
// one cycle Smith and Topin, Super-convergence (arXiv:1708.07120); inverse square root Vaswani et al. (NeurIPS 2017).
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/fail.hpp"
#include "optim/schedule_kinds.hpp"

namespace chainrule::schedules {
namespace {

constexpr const char* per_step = "step";

// From `from` at part = 0 to `to` at part = 1.
double along_cosine(double from, double to, double part) {
  return to + (from - to) * (1.0 + std::cos(std::numbers::pi * part)) / 2.0;
}
double along_line(double from, double to, double part) { return from + (to - from) * part; }

// t / steps, and 1 from there on.
double part_of(std::int64_t t, std::int64_t steps) {
  return t >= steps ? 1.0 : static_cast<double>(t) / static_cast<double>(steps);
}

}  // namespace

Schedule Constant(double lr) {
  check_rate("Constant", "lr", lr);
  return formula("Constant", {{"lr", lr}}, per_step, [=](std::int64_t) { return lr; });
}

Schedule Step(double lr, std::int64_t step_size, const StepOptions& options) {
  check_rate("Step", "lr", lr);
  check_count("Step", "step_size", step_size);
  check_rate("Step", "gamma", options.gamma);
  return formula("Step", {{"lr", lr}, {"step_size", step_size}, {"gamma", options.gamma}}, options.per,
                 [=, gamma = options.gamma](std::int64_t t) {
                   const std::int64_t drops = t / step_size;
                   return lr * std::pow(gamma, static_cast<double>(drops));
                 });
}

Schedule MultiStep(double lr, std::vector<std::int64_t> milestones, const StepOptions& options) {
  check_rate("MultiStep", "lr", lr);
  check_rate("MultiStep", "gamma", options.gamma);
  if (!std::is_sorted(milestones.begin(), milestones.end()) || (!milestones.empty() && milestones.front() < 0))
    fail<ValueError>("MultiStep", "milestones must ascend from 0 or later", nn::text_of(milestones));
  return formula("MultiStep", {{"lr", lr}, {"milestones", milestones}, {"gamma", options.gamma}}, options.per,
                 [=, gamma = options.gamma](std::int64_t t) {
                   const auto passed = std::upper_bound(milestones.begin(), milestones.end(), t) - milestones.begin();
                   return lr * std::pow(gamma, static_cast<double>(passed));
                 });
}

Schedule Exponential(double lr, double gamma, const std::string& per) {
  check_rate("Exponential", "lr", lr);
  check_rate("Exponential", "gamma", gamma);
  return formula("Exponential", {{"lr", lr}, {"gamma", gamma}}, per,
                 [=](std::int64_t t) { return lr * std::pow(gamma, static_cast<double>(t)); });
}

Schedule Linear(double lr, double end, std::int64_t steps, const std::string& per) {
  check_rate("Linear", "lr", lr);
  check_rate("Linear", "end", end);
  check_count("Linear", "steps", steps);
  return formula("Linear", {{"lr", lr}, {"end", end}, {"steps", steps}}, per,
                 [=](std::int64_t t) { return along_line(lr, end, part_of(t, steps)); });
}

Schedule Polynomial(double lr, std::int64_t steps, const PolynomialOptions& options) {
  check_rate("Polynomial", "lr", lr);
  check_count("Polynomial", "steps", steps);
  check_positive("Polynomial", "power", options.power);
  check_rate("Polynomial", "end", options.end);
  return formula("Polynomial", {{"lr", lr}, {"steps", steps}, {"power", options.power}, {"end", options.end}},
                 options.per, [=, power = options.power, end = options.end](std::int64_t t) {
                   return end + (lr - end) * std::pow(1.0 - part_of(t, steps), power);
                 });
}

Schedule Cosine(double lr, std::int64_t steps, const CosineOptions& options) {
  check_rate("Cosine", "lr", lr);
  check_count("Cosine", "steps", steps);
  check_rate("Cosine", "end", options.end);
  return formula("Cosine", {{"lr", lr}, {"steps", steps}, {"end", options.end}}, options.per,
                 [=, end = options.end](std::int64_t t) { return along_cosine(lr, end, part_of(t, steps)); });
}

Schedule CosineRestarts(double lr, std::int64_t steps, const RestartOptions& options) {
  check_rate("CosineRestarts", "lr", lr);
  check_count("CosineRestarts", "steps", steps);
  check_count("CosineRestarts", "factor", options.factor);
  check_rate("CosineRestarts", "end", options.end);
  return formula("CosineRestarts", {{"lr", lr}, {"steps", steps}, {"factor", options.factor}, {"end", options.end}},
                 options.per, [=, factor = options.factor, end = options.end](std::int64_t t) {
                   std::int64_t length = steps;
                   if (factor == 1) {
                     t %= length;
                   } else {
                     constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
                     for (; t >= length; length = length > most / factor ? most : length * factor) t -= length;
                   }
                   return along_cosine(lr, end, part_of(t, length));
                 });
}

Schedule OneCycle(double max_lr, std::int64_t steps, const OneCycleOptions& options) {
  check_rate("OneCycle", "max_lr", max_lr);
  check_count("OneCycle", "steps", steps);
  check_positive("OneCycle", "div_factor", options.div_factor);
  check_positive("OneCycle", "final_div_factor", options.final_div_factor);
  if (!(options.pct_start >= 0.0 && options.pct_start <= 1.0))
    fail<ValueError>("OneCycle", "pct_start must lie in [0, 1]", "pct_start is " + nn::text_of(options.pct_start));
  if (options.anneal != "cos" && options.anneal != "linear")
    fail<ValueError>("OneCycle", "anneal must be \"cos\" or \"linear\"", "'" + options.anneal + "'");
  const double first = max_lr / options.div_factor, last = first / options.final_div_factor;
  const double top = options.pct_start * static_cast<double>(steps) - 1.0, end = static_cast<double>(steps) - 1.0;
  const auto along = options.anneal == "cos" ? along_cosine : along_line;
  return formula("OneCycle",
                 {{"max_lr", max_lr},
                  {"steps", steps},
                  {"pct_start", options.pct_start},
                  {"div_factor", options.div_factor},
                  {"final_div_factor", options.final_div_factor},
                  {"anneal", options.anneal}},
                 options.per, [=](std::int64_t step) {
                   const double t = std::min(static_cast<double>(step), end);
                   if (t < top) return along(first, max_lr, t / top);
                   const double down = end - std::max(top, 0.0);
                   return down > 0.0 ? along(max_lr, last, (t - std::max(top, 0.0)) / down) : max_lr;
                 });
}

Schedule InverseSqrt(double lr, std::int64_t warmup, const std::string& per) {
  check_rate("InverseSqrt", "lr", lr);
  check_count("InverseSqrt", "warmup", warmup);
  return formula("InverseSqrt", {{"lr", lr}, {"warmup", warmup}}, per, [=](std::int64_t t) {
    const double ratio = static_cast<double>(t + 1) / static_cast<double>(warmup);
    return lr * std::min(ratio, 1.0 / std::sqrt(ratio));
  });
}

// --- saved ones, read back -------------------------------------------------------------------------------------------

namespace {
std::string per_of(nn::ArgumentReader& arguments) { return arguments.text("per", per_step); }
}  // namespace

Schedule read::constant(nn::ArgumentReader& a) { return Constant(a.real("lr", missing)); }
Schedule read::step(nn::ArgumentReader& a) {
  return Step(a.real("lr", missing), a.integer("step_size"), {a.real("gamma", 0.1), per_of(a)});
}
Schedule read::multi_step(nn::ArgumentReader& a) {
  return MultiStep(a.real("lr", missing), a.integers("milestones"), {a.real("gamma", 0.1), per_of(a)});
}
Schedule read::exponential(nn::ArgumentReader& a) {
  return Exponential(a.real("lr", missing), a.real("gamma", missing), per_of(a));
}
Schedule read::linear(nn::ArgumentReader& a) {
  return Linear(a.real("lr", missing), a.real("end", missing), a.integer("steps"), per_of(a));
}
Schedule read::polynomial(nn::ArgumentReader& a) {
  return Polynomial(a.real("lr", missing), a.integer("steps"), {a.real("power", 1.0), a.real("end", 0.0), per_of(a)});
}
Schedule read::cosine(nn::ArgumentReader& a) {
  return Cosine(a.real("lr", missing), a.integer("steps"), {a.real("end", 0.0), per_of(a)});
}
Schedule read::cosine_restarts(nn::ArgumentReader& a) {
  return CosineRestarts(a.real("lr", missing), a.integer("steps"),
                        {a.integer("factor", 1), a.real("end", 0.0), per_of(a)});
}
Schedule read::one_cycle(nn::ArgumentReader& a) {
  const OneCycleOptions usual;
  return OneCycle(a.real("max_lr", missing), a.integer("steps"),
                  {a.real("pct_start", usual.pct_start), a.real("div_factor", usual.div_factor),
                   a.real("final_div_factor", usual.final_div_factor), a.text("anneal", usual.anneal), per_of(a)});
}
Schedule read::inverse_sqrt(nn::ArgumentReader& a) {
  return InverseSqrt(a.real("lr", missing), a.integer("warmup"), per_of(a));
}

}  // namespace chainrule::schedules
