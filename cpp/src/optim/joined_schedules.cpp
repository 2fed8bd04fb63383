// Schedules made of others: a warm-up before one, one behind the other, and one that is lowered while a value that
// training should improve does not.
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "optim/schedule_kinds.hpp"

namespace chainrule::schedules {
using optim::make_schedule;
using optim::read_rate;
using optim::ScheduleImpl;
using optim::ScheduleMemory;

namespace {

Schedule as_schedule(const Rate& rate) { return rate.schedule().defined() ? rate.schedule() : Constant(rate.at(0, 0)); }
std::string per_of(const Schedule& schedule) { return schedule.per_epoch() ? "epoch" : "step"; }

class WarmupSchedule final : public ScheduleImpl {
 public:
  WarmupSchedule(Schedule then, std::int64_t steps, double start, bool says_epoch)
      : then_(std::move(then)), steps_(steps), start_(start), says_epoch_(says_epoch) {}
  double rate(std::int64_t t, const ScheduleMemory& memory) const override {
    return t >= steps_ ? then_(t - steps_, memory) : risen(then_(0, memory), t);
  }
  std::string name() const override { return "Warmup"; }
  nn::Arguments arguments() const override {
    nn::Arguments all{{"then", std::vector<nn::Called>{then_.called()}}, {"steps", steps_}, {"start", start_}};
    if (says_epoch_) all.emplace_back("per", std::string("epoch"));
    return all;
  }
  std::string monitor() const override { return then_.impl()->monitor(); }
  void observe(double value, ScheduleMemory& memory) const override { then_.impl()->observe(value, memory); }

 private:
  [[gnu::noinline]] double risen(double first, std::int64_t t) const {
    const FloatEnvironment environment;
    const double part = static_cast<double>(t) / static_cast<double>(steps_);
    return first * (start_ + (1.0 - start_) * part);
  }

  Schedule then_;
  std::int64_t steps_;
  double start_;
  bool says_epoch_;
};

class ChainSchedule final : public ScheduleImpl {
 public:
  ChainSchedule(std::vector<Schedule> parts, std::vector<std::int64_t> milestones, std::string per)
      : parts_(std::move(parts)), milestones_(std::move(milestones)), per_(std::move(per)) {}
  double rate(std::int64_t t, const ScheduleMemory& memory) const override {
    const auto passed =
        static_cast<std::size_t>(std::upper_bound(milestones_.begin(), milestones_.end(), t) - milestones_.begin());
    return parts_[passed](passed == 0 ? t : t - milestones_[passed - 1], memory);
  }
  std::string name() const override { return "Chain"; }
  nn::Arguments arguments() const override {
    std::vector<nn::Called> parts;
    for (const Schedule& part : parts_) parts.push_back(part.called());
    nn::Arguments all{{"parts", parts}, {"milestones", milestones_}};
    if (per_ != "step") all.emplace_back("per", per_);
    return all;
  }

 private:
  std::vector<Schedule> parts_;
  std::vector<std::int64_t> milestones_;
  std::string per_;
};

class PlateauSchedule final : public ScheduleImpl {
 public:
  PlateauSchedule(Rate lr, PlateauOptions options) : lr_(std::move(lr)), options_(std::move(options)) {}
  double rate(std::int64_t t, const ScheduleMemory& memory) const override { return lowered(lr_.at(t, t), memory); }
  std::string name() const override { return "ReduceOnPlateau"; }
  nn::Arguments arguments() const override {
    return {{"lr", lr_},
            {"monitor", options_.monitor},
            {"mode", options_.mode},
            {"factor", options_.factor},
            {"patience", options_.patience},
            {"threshold", options_.threshold},
            {"threshold_mode", options_.threshold_mode},
            {"cooldown", options_.cooldown},
            {"min_lr", options_.min_lr}};
  }
  std::string monitor() const override { return options_.monitor; }
  [[gnu::noinline]] void observe(double value, ScheduleMemory& memory) const override {
    const FloatEnvironment environment;
    if (better(value, memory.best)) {
      memory.best = value;
      memory.bad_epochs = 0;
    } else {
      ++memory.bad_epochs;
    }
    if (memory.cooldown > 0) {
      --memory.cooldown;
      memory.bad_epochs = 0;
    }
    if (memory.bad_epochs <= options_.patience) return;
    memory.scale *= options_.factor;
    memory.cooldown = options_.cooldown;
    memory.bad_epochs = 0;
  }

 private:
  [[gnu::noinline]] double lowered(double full, const ScheduleMemory& memory) const {
    const FloatEnvironment environment;
    return std::max(full * memory.scale, std::min(full, options_.min_lr));
  }
  bool better(double value, double best) const {
    if (std::isnan(best)) return !std::isnan(value);
    const bool relative = options_.threshold_mode == "rel", least = options_.mode == "min";
    if (std::isinf(best)) return least ? value < best : value > best;
    const double step = relative ? options_.threshold * best : options_.threshold;
    return least ? value < best - step : value > best + step;
  }

  Rate lr_;
  PlateauOptions options_;
};

void check_word(const char* name, const std::string& value, const char* a, const char* b) {
  if (value != a && value != b)
    fail<ValueError>("ReduceOnPlateau", std::string(name) + " must be \"" + a + "\" or \"" + b + "\"",
                     "'" + value + "'");
}

}  // namespace

Schedule Warmup(const Rate& then, std::int64_t steps, double start, const std::string& per) {
  check_count("Warmup", "steps", steps);
  check_rate("Warmup", "start", start);
  const Schedule behind = as_schedule(then);
  const bool constant = behind.impl()->name() == "Constant";  // counts nothing
  const std::string counts = constant ? (per.empty() ? "step" : per) : per_of(behind);
  if (!per.empty() && per != counts)
    fail<ValueError>("Warmup", "counts as the schedule behind it does", "per=\"" + per + "\" and " + behind.str(),
                     "give per= to that schedule");
  return Schedule(std::make_shared<WarmupSchedule>(behind, steps, start, constant && counts != "step"), counts);
}

Schedule Chain(std::vector<Rate> parts, std::vector<std::int64_t> milestones, const std::string& per) {
  if (parts.size() < 2 || milestones.size() + 1 != parts.size())
    fail<ValueError>("Chain", "needs two schedules or more, and a milestone between each two",
                     std::to_string(parts.size()) + " schedules, " + std::to_string(milestones.size()) + " milestones");
  std::int64_t before = 0;
  for (const std::int64_t milestone : milestones) {
    if (milestone <= before)
      fail<ValueError>("Chain", "milestones must ascend from 1 or later", nn::text_of(milestones));
    before = milestone;
  }
  std::vector<Schedule> all;
  for (const Rate& part : parts) {
    all.push_back(as_schedule(part));
    const Schedule& schedule = all.back();
    if (schedule.impl()->name() == "Constant") continue;  // counts nothing
    if (per_of(schedule) != per)
      fail<ValueError>("Chain", "counts in " + per + "s, but one of its schedules does not", schedule.str(),
                       "give all of them the same per=");
    if (!schedule.impl()->monitor().empty())
      fail<ValueError>("Chain", "a schedule that watches a value cannot be a part", schedule.str(),
                       "put the chain into it: ReduceOnPlateau(Chain(...))");
  }
  return Schedule(std::make_shared<ChainSchedule>(std::move(all), std::move(milestones), per), per);
}

Schedule ReduceOnPlateau(const Rate& lr, const PlateauOptions& options) {
  if (!lr.schedule().defined()) check_rate("ReduceOnPlateau", "lr", lr.at(0, 0));
  check_word("mode", options.mode, "min", "max");
  check_word("threshold_mode", options.threshold_mode, "rel", "abs");
  check_rate("ReduceOnPlateau", "threshold", options.threshold);
  check_rate("ReduceOnPlateau", "min_lr", options.min_lr);
  if (!(options.factor >= 0.0 && options.factor < 1.0))
    fail<ValueError>("ReduceOnPlateau", "factor must lie in [0, 1)", "factor is " + nn::text_of(options.factor));
  if (options.patience < 0 || options.cooldown < 0)
    fail<ValueError>("ReduceOnPlateau", "patience and cooldown must be >= 0",
                     std::to_string(options.patience) + " and " + std::to_string(options.cooldown));
  if (options.monitor.empty())
    fail<ValueError>("ReduceOnPlateau", "monitor is empty", "", "name a column of the history, for instance val_loss");
  if (lr.schedule().defined() && !lr.schedule().impl()->monitor().empty())
    fail<ValueError>("ReduceOnPlateau", "lr is one itself", lr.str(), "give a number or another schedule");
  const std::string per = lr.schedule().defined() ? per_of(lr.schedule()) : "epoch";
  return Schedule(std::make_shared<PlateauSchedule>(lr, options), per);
}

Schedule read::warmup(nn::ArgumentReader& a) {
  return Warmup(read_rate(a, "then", missing), a.integer("steps"), a.real("start", 0.0), a.text("per", ""));
}
Schedule read::chain(nn::ArgumentReader& a) {
  std::vector<Rate> parts;
  if (const std::vector<nn::Called>* calls = a.called("parts"))
    for (const nn::Called& call : *calls) parts.emplace_back(make_schedule(call));
  return Chain(std::move(parts), a.integers("milestones"), a.text("per", "step"));
}
Schedule read::reduce_on_plateau(nn::ArgumentReader& a) {
  PlateauOptions o;
  o.monitor = a.text("monitor", o.monitor);
  o.mode = a.text("mode", o.mode);
  o.factor = a.real("factor", o.factor);
  o.patience = a.integer("patience", o.patience);
  o.threshold = a.real("threshold", o.threshold);
  o.threshold_mode = a.text("threshold_mode", o.threshold_mode);
  o.cooldown = a.integer("cooldown", o.cooldown);
  o.min_lr = a.real("min_lr", o.min_lr);
  return ReduceOnPlateau(read_rate(a, "lr", missing), o);
}

}  // namespace chainrule::schedules
