// Trainer::profile, and what it has in common with that of a training step.
#include "train/profile.hpp"

#include "core/fail.hpp"
#include "program/profile.hpp"
#include "train/batched_run.hpp"
#include "train/fit_data.hpp"
#include "train/rollback.hpp"
#include "train/trainer_state.hpp"

namespace chainrule {

Profile profile_step(Workspace& step, int runs, const std::function<void(int run)>& load) {
  Rollback::Blocks blocks;
  Rollback rollback(step.program(), blocks);
  rollback.save({.batch = 0}, false);
  const auto put_back = [&] { rollback.restore(*rollback.place_before(0)); };
  try {
    Profile result = profile(step, runs, load);
    put_back();
    return result;
  } catch (...) {
    put_back();
    throw;
  }
}

Profile Trainer::profile(const Tensor& x, const Tensor& y, std::int64_t batch_size, int runs) {
  return profile(std::vector<Tensor>{x}, y, batch_size, runs);
}

Profile Trainer::profile(const std::vector<Tensor>& x, const Tensor& y, std::int64_t batch_size, int runs) {
  State& s = *state_;
  const NoGrad nothing;
  FitOptions options;
  options.batch_size = batch_size;
  const FitData data = fit_data(x, y, options, s.seed);
  const std::int64_t size = std::min(batch_size, data.rows), batches = data.rows / size;
  StepInputs inputs;
  for (const Tensor& t : data.x) inputs.x.push_back(batch_type(t, size));
  inputs.target = batch_type(data.y, size);
  CompiledStep& step = s.step_for(inputs);
  s.loss.impl()->check_target(data.given_y, step.output_type().shape);
  std::vector<std::int64_t> order(static_cast<std::size_t>(batches * size));
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int64_t>(i);
  std::vector<double> rates(s.optimizer.group_count());
  s.optimizer.rates_at(s.optimizer.step_count(), rates);
  return profile_step(step.workspace(), runs, [&](int run) {
    const auto first = static_cast<std::size_t>(run % batches * size);
    step.load(data.x, data.y, data.weight, std::span(order).subspan(first, static_cast<std::size_t>(size)), s.optimizer,
              rates, s.seed, s.global_step + static_cast<std::uint64_t>(run), s.optimizer.step_count() + run + 1,
              s.clipping.limit);
  });
}

}  // namespace chainrule
