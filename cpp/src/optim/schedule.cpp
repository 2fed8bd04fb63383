// Schedule and Rate: what is the same for all schedules, and their one list. The formulas are in schedules.cpp, those
// made of other schedules in joined_schedules.cpp.
#include "chainrule/schedules.hpp"

#include <cmath>

#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "optim/schedule_kinds.hpp"

namespace chainrule::optim {
namespace {

struct ScheduleKind {
  const char* name;
  Schedule (*make)(nn::ArgumentReader&);
};
constexpr ScheduleKind schedule_kinds[] = {
    {"Constant", schedules::read::constant},
    {"Step", schedules::read::step},
    {"MultiStep", schedules::read::multi_step},
    {"Exponential", schedules::read::exponential},
    {"Linear", schedules::read::linear},
    {"Polynomial", schedules::read::polynomial},
    {"Cosine", schedules::read::cosine},
    {"CosineRestarts", schedules::read::cosine_restarts},
    {"OneCycle", schedules::read::one_cycle},
    {"InverseSqrt", schedules::read::inverse_sqrt},
    {"Warmup", schedules::read::warmup},
    {"Chain", schedules::read::chain},
    {"ReduceOnPlateau", schedules::read::reduce_on_plateau},
};

class Formula final : public ScheduleImpl {
 public:
  Formula(std::string name, nn::Arguments arguments, std::function<double(std::int64_t)> rate)
      : name_(std::move(name)), arguments_(std::move(arguments)), rate_(std::move(rate)) {}
  double rate(std::int64_t t, const ScheduleMemory&) const override { return function() ? rate_(t) : computed(t); }
  std::string name() const override { return name_; }
  nn::Arguments arguments() const override { return arguments_; }
  const Function* function() const override { return name_ == "function" ? &rate_ : nullptr; }

 private:
  // Out of line, so that no arithmetic leaves the floating-point environment. A user's function keeps the program's.
  [[gnu::noinline]] double computed(std::int64_t t) const {
    const FloatEnvironment environment;
    return rate_(t);
  }

  std::string name_;
  nn::Arguments arguments_;
  std::function<double(std::int64_t)> rate_;
};

bool is_per_epoch(const std::string& schedule, const std::string& per) {
  if (per != "step" && per != "epoch") fail<ValueError>(schedule, "per must be \"step\" or \"epoch\"", "'" + per + "'");
  return per == "epoch";
}

}  // namespace

ScheduleImpl::~ScheduleImpl() = default;
void ScheduleImpl::observe(double, ScheduleMemory&) const {}

Schedule::Schedule(std::shared_ptr<const ScheduleImpl> impl, const std::string& per) : impl_(std::move(impl)) {
  if (!impl_) fail<StateError>("Schedule", "is empty");
  per_epoch_ = is_per_epoch(impl_->name(), per);
}
Schedule::Schedule(std::function<double(std::int64_t)> function, const std::string& per) {
  if (!function) fail<StateError>("Schedule", "the function is empty");
  per_epoch_ = is_per_epoch("Schedule", per);
  nn::Arguments arguments;
  if (per_epoch_) arguments.emplace_back("per", per);
  impl_ = std::make_shared<Formula>("function", std::move(arguments), std::move(function));
}
double Schedule::operator()(std::int64_t t, const ScheduleMemory& memory) const {
  if (!impl_) fail<StateError>("Schedule", "is empty", "", "make one of Cosine, Linear, ...");
  if (t < 0) fail<ValueError>(impl_->name(), "steps are counted from 0", std::to_string(t));
  const double rate = impl_->rate(t, memory);
  if (!(rate >= 0.0) || std::isinf(rate))
    fail<ValueError>(impl_->name(), "gave a learning rate that is negative or not finite",
                     nn::text_of(rate) + " for " + (per_epoch_ ? "epoch " : "step ") + std::to_string(t),
                     "rates must be finite and >= 0");
  return rate;
}

nn::Called Schedule::called() const {
  if (!impl_) return {};
  return {impl_->name(), impl_->arguments(), impl_->function() ? impl_ : nullptr};
}
std::string Schedule::str() const { return impl_ ? nn::text_of(called()) : "Schedule()"; }

Rate::Rate(Schedule schedule) : schedule_(std::move(schedule)) {
  if (!schedule_.defined()) fail<StateError>("lr", "the schedule is empty", "", "make one of Cosine, Linear, ...");
}
Rate::operator nn::ArgumentValue() const {
  if (!schedule_.defined()) return value_;
  return std::vector<nn::Called>{schedule_.called()};
}
std::string Rate::str() const { return nn::text_of(nn::ArgumentValue(*this)); }

Schedule make_schedule(const nn::Called& called) {
  if (called.made)
    return Schedule(std::static_pointer_cast<const ScheduleImpl>(called.made),
                    nn::ArgumentReader(called.name, called.arguments).text("per", "step"));
  std::string known;
  for (const ScheduleKind& entry : schedule_kinds) {
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
    if (called.name != entry.name) continue;
    nn::ArgumentReader reader(called.name, called.arguments);
    Schedule schedule = entry.make(reader);
    reader.finish();
    return schedule;
  }
  fail<IndexError>("make_schedule", "no schedule of this name is built in", called.name, "known are " + known);
}

Rate read_rate(nn::ArgumentReader& arguments, const char* name, const Rate& otherwise) {
  if (!arguments.has(name)) return otherwise;
  if (const std::vector<nn::Called>* calls = arguments.called(name)) {
    if (calls->size() != 1)
      fail<ValueError>(name, "must be a number or one schedule", std::to_string(calls->size()) + " schedules");
    return make_schedule((*calls)[0]);
  }
  return arguments.real(name, 0.0);
}

}  // namespace chainrule::optim

namespace chainrule::schedules {

Schedule formula(const char* name, nn::Arguments arguments, const std::string& per,
                 std::function<double(std::int64_t)> rate) {
  if (per != "step") arguments.emplace_back("per", per);
  return Schedule(std::make_shared<optim::Formula>(name, std::move(arguments), std::move(rate)), per);
}

void check_rate(const char* schedule, const char* name, double value) {
  if (!(value >= 0.0) || std::isinf(value))
    fail<ValueError>(schedule, std::string(name) + " must be finite and >= 0",
                     std::string(name) + " is " + nn::text_of(value));
}
void check_positive(const char* schedule, const char* name, double value) {
  if (!(value > 0.0) || std::isinf(value))
    fail<ValueError>(schedule, std::string(name) + " must be finite and above 0",
                     std::string(name) + " is " + nn::text_of(value));
}
void check_count(const char* schedule, const char* name, std::int64_t value) {
  if (value < 1)
    fail<ValueError>(schedule, std::string(name) + " must be at least 1",
                     std::string(name) + " is " + std::to_string(value));
}

}  // namespace chainrule::schedules
