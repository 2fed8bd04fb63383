// Learning rates that change: a schedule gives the rate of every step, or of every epoch, counted from 0. Wherever an
// optimizer's options take lr, a number or a schedule can stand.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "chainrule/arguments.hpp"
#include "chainrule/export.hpp"

namespace chainrule::optim {

// What has come of the values that a schedule was shown; it belongs to the optimizer, since schedules may be shared.
struct ScheduleMemory {
  double scale = 1.0;
  double best = std::numeric_limits<double>::quiet_NaN();
  std::int64_t bad_epochs = 0, cooldown = 0;
};

class CHAINRULE_API ScheduleImpl {
 public:
  virtual ~ScheduleImpl();
  virtual double rate(std::int64_t t, const ScheduleMemory& memory) const = 0;
  virtual std::string name() const = 0;
  virtual nn::Arguments arguments() const = 0;
  // The name of the value it wants to see at the end of each epoch ("val_loss"); empty: none.
  virtual std::string monitor() const { return {}; }
  virtual void observe(double value, ScheduleMemory& memory) const;
  // The function behind a schedule of one's own; null for the others.
  using Function = std::function<double(std::int64_t)>;
  virtual const Function* function() const { return nullptr; }
};

class CHAINRULE_API Schedule {
 public:
  Schedule() = default;
  explicit Schedule(std::shared_ptr<const ScheduleImpl> impl, const std::string& per = "step");
  // Any function of the step or epoch.
  explicit Schedule(std::function<double(std::int64_t)> function, const std::string& per = "step");
  double operator()(std::int64_t t, const ScheduleMemory& memory = {}) const;  // ValueError: no rate >= 0
  bool defined() const noexcept { return impl_ != nullptr; }
  bool per_epoch() const noexcept { return per_epoch_; }
  std::string str() const;
  const std::shared_ptr<const ScheduleImpl>& impl() const noexcept { return impl_; }
  nn::Called called() const;  // its name and arguments, to print, save and make it again

 private:
  std::shared_ptr<const ScheduleImpl> impl_;
  bool per_epoch_ = false;
};
CHAINRULE_API Schedule make_schedule(const nn::Called& called);  // IndexError: no schedule of this name

// A number or a schedule.
class CHAINRULE_API Rate {
 public:
  Rate() = default;
  template <class T>
    requires std::is_arithmetic_v<T>
  Rate(T value) : value_(static_cast<double>(value)) {}
  Rate(Schedule schedule);
  double at(std::int64_t step, std::int64_t epoch, const ScheduleMemory& memory = {}) const {
    return schedule_.defined() ? schedule_(schedule_.per_epoch() ? epoch : step, memory) : value_;
  }
  const Schedule& schedule() const noexcept { return schedule_; }  // undefined: a number
  operator nn::ArgumentValue() const;
  std::string str() const;

 private:
  double value_ = 0.0;
  Schedule schedule_;
};

// --- the schedules; t is the step or epoch, from 0; per is "step" or "epoch" -----------------------------------------
}  // namespace chainrule::optim

namespace chainrule::schedules {

using optim::Rate;
using optim::Schedule;

CHAINRULE_API Schedule Constant(double lr);
// lr gamma^floor(t / step_size)
struct StepOptions {
  double gamma = 0.1;
  std::string per = "step";
};
CHAINRULE_API Schedule Step(double lr, std::int64_t step_size, const StepOptions& options = {});
// lr gamma^(number of milestones <= t)
CHAINRULE_API Schedule MultiStep(double lr, std::vector<std::int64_t> milestones, const StepOptions& options = {});
// lr gamma^t
CHAINRULE_API Schedule Exponential(double lr, double gamma, const std::string& per = "step");
// From lr along a line to `end` at t = steps, where it stays.
CHAINRULE_API Schedule Linear(double lr, double end, std::int64_t steps, const std::string& per = "step");
// end + (lr - end) (1 - t / steps)^power, then end.
struct PolynomialOptions {
  double power = 1.0;
  double end = 0.0;
  std::string per = "step";
};
CHAINRULE_API Schedule Polynomial(double lr, std::int64_t steps, const PolynomialOptions& options = {});
// end + (lr - end) (1 + cos(pi t / steps)) / 2, then end. Loshchilov and Hutter (2017).
struct CosineOptions {
  double end = 0.0;
  std::string per = "step";
};
CHAINRULE_API Schedule Cosine(double lr, std::int64_t steps, const CosineOptions& options = {});
// The same again and again, each time `factor` times as long.
struct RestartOptions {
  std::int64_t factor = 1;
  double end = 0.0;
  std::string per = "step";
};
CHAINRULE_API Schedule CosineRestarts(double lr, std::int64_t steps, const RestartOptions& options = {});
// From max_lr / div_factor up to max_lr at pct_start (steps) - 1, then down to that start / final_div_factor at
// steps - 1, along cosines or lines ("cos", "linear"). Smith and Topin (2018).
struct OneCycleOptions {
  double pct_start = 0.3;
  double div_factor = 25.0;
  double final_div_factor = 1e4;
  std::string anneal = "cos";
  std::string per = "step";
};
CHAINRULE_API Schedule OneCycle(double max_lr, std::int64_t steps, const OneCycleOptions& options = {});
// `start` times the first rate of `then`, along a line up to that rate at t = steps, from where `then` begins. It
// counts as `then` does; per is for numbers.
CHAINRULE_API Schedule Warmup(const Rate& then, std::int64_t steps, double start = 0.0, const std::string& per = "");
// lr min((t + 1) / warmup, sqrt(warmup / (t + 1))). Vaswani et al. (2017).
CHAINRULE_API Schedule InverseSqrt(double lr, std::int64_t warmup, const std::string& per = "step");
// parts[i] from milestones[i - 1] on, where it begins at 0.
CHAINRULE_API Schedule Chain(std::vector<Rate> parts, std::vector<std::int64_t> milestones,
                             const std::string& per = "step");
// lr times `factor` for each time in which `monitor`, looked at after every epoch, has not got better for more than
// `patience` epochs. Better: below best (1 - threshold) with mode "min", above best (1 + threshold) with "max";
// threshold_mode "abs": by more than threshold.
struct PlateauOptions {
  std::string monitor = "val_loss";
  std::string mode = "min";
  double factor = 0.1;
  std::int64_t patience = 10;
  double threshold = 1e-4;
  std::string threshold_mode = "rel";
  std::int64_t cooldown = 0;  // epochs after a reduction in which nothing counts as bad
  double min_lr = 0.0;
};
CHAINRULE_API Schedule ReduceOnPlateau(const Rate& lr, const PlateauOptions& options = {});

}  // namespace chainrule::schedules
