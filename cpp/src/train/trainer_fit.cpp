// Trainer::fit: what is read and refused before a fit runs, and what is put back when it is over.
#include "core/fail.hpp"
#include "train/callback_claims.hpp"
#include "train/fit_run.hpp"
#include "train/fitted_layers.hpp"

namespace chainrule {

History Trainer::fit(const Tensor& x, const Tensor& y, const FitOptions& options) {
  return fit(std::vector<Tensor>{x}, y, options);
}

History Trainer::fit(const std::vector<Tensor>& x, const Tensor& y, const FitOptions& options) {
  check_not_fitting("fit");
  std::unique_ptr<SavedFit> saved = checkpoint_to_resume(options);
  const std::uint64_t seed = saved ? saved->number("seed") : options.seed.value_or(state_->seed);
  return train(fit_data(x, y, options, seed, ignored_label(state_->loss)), options, std::move(saved));
}

History Trainer::fit(const std::shared_ptr<data::Source>& source, const FitOptions& options) {
  check_not_fitting("fit");
  std::unique_ptr<SavedFit> saved = checkpoint_to_resume(options);
  const std::uint64_t seed = saved ? saved->number("seed") : options.seed.value_or(state_->seed);
  const std::uint64_t epoch = saved ? saved->number("epochs") : options.seed ? 0 : state_->epochs;
  return train(fit_data(source, options, seed, epoch), options, std::move(saved));
}

History Trainer::train(FitData data, const FitOptions& options, std::unique_ptr<SavedFit> saved) {
  State& s = *state_;
  for (const auto& callback : options.callbacks)
    if (!callback) fail<StateError>("fit", "a callback is null", "", "make one first");
  const CallbackClaims claims(options.callbacks);
  const NoGrad nothing;
  if (data.windows && data.windows->windows() > 1) nn::check_fitted(s.model);
  FittedLayers fitted = saved ? FittedLayers(s.model, saved->model) : FittedLayers(s.model, data.x);
  if (fitted.incomplete()) check_same_model(*saved, s.model);
  FitRun run(*this, std::move(data), options);
  if (saved) run.resume_from(std::move(saved));
  if (options.seed) {
    s.seed = *options.seed;
    s.global_step = s.epochs = 0;
  }
  s.history = {};
  s.fitting = true;
  const std::shared_ptr<void> at_end(&s, [](void* state) { static_cast<State*>(state)->fitting = false; });
  run.run();
  fitted.keep();
  return s.history;
}

}  // namespace chainrule
