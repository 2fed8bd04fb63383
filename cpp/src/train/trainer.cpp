// Trainer: state, single steps, evaluation. fit is in fit.cpp.
#include "chainrule/trainer.hpp"

#include <cmath>

#include "chainrule/ops.hpp"
#include "chainrule/predictor.hpp"
#include "core/fail.hpp"
#include "nn/fitted_layer.hpp"
#include "train/batched_run.hpp"
#include "train/driver_step.hpp"
#include "train/evaluate.hpp"
#include "train/fit_data.hpp"
#include "train/parameter_arena.hpp"
#include "train/precision.hpp"
#include "train/trainer_state.hpp"

namespace chainrule {
Trainer::Trainer(nn::Module model, Loss loss, const optim::Optimizer& optimizer, const TrainerOptions& options)
    : state_(std::make_shared<State>()) {
  if (!model.impl()) fail<StateError>("Trainer", "the model is empty", "", "build one first");
  if (!loss.impl()) fail<StateError>("Trainer", "the loss is empty", "", "give one, for instance CrossEntropyLoss()");
  check_numbers(options);
  if (model.parameters().empty())
    fail<ValueError>("Trainer", "the model has no parameters to train", model.str(), "add a layer with weights");
  if (!loss.impl()->parts().empty())
    for (const Metric& metric : options.metrics)
      if (!metric.call)
        fail<ValueError>("Trainer", "a built-in metric takes one output and one target",
                         metric.name + " with " + loss.str(),
                         "give a function of (first output, columns of all targets)");
  check_regularizers(options, model);
  precision_named(options.precision, model.named_parameters(), "Trainer");
  if (optimizer.driver()) check_driver(optimizer, loss, options);
  state_->model = model;
  state_->loss = std::move(loss);
  state_->optimizer = optimizer.is_recipe() ? optimizer.with(model.named_parameters()) : optimizer;
  state_->options = options;
  state_->clipping = clipping_of("Trainer", options.clip_norm, options.clip_value);
  state_->seed = options.seed;
  adopt_parameters(model.parameters());
  state_->model.set_link(state_->loss.impl()->link());
}

CompiledStep& Trainer::State::step_for(const StepInputs& inputs, bool updates) {
  const StepKind kind = options.accumulate == 1 ? StepKind::whole : updates ? StepKind::apply : StepKind::collect;
  for (const auto& step : steps)
    if (step->fits(inputs, optimizer, kind)) return *step;
  if (kind != StepKind::whole) sums.fit_to(optimizer.parameters());
  const StepPlan plan{clipping.by, kind, &sums, regularizers_of(options)};
  const Precision precision = precision_named(options.precision, model.named_parameters(), "Trainer");
  if (steps.empty())
    check_same_trace(trace_step(model, loss, optimizer, inputs, plan), trace_step(model, loss, optimizer, inputs, plan),
                     "Trainer");
  if (steps.size() >= 16) steps.erase(steps.begin());
  steps.push_back(std::make_unique<CompiledStep>(model, loss, optimizer, inputs, plan, precision));
  std::vector<Shape> samples;
  for (TensorType type : inputs.x) samples.push_back((type.shape.erase(0), type.shape));
  model.set_sample_shapes(std::move(samples));
  return *steps.back();
}

void Trainer::State::count_batches(std::int64_t batches, bool updates) {
  global_step += static_cast<std::uint64_t>(batches);
  if (updates) optimizer.set_step_count(optimizer.step_count() + batches);
  if (batches > 0) sums.batches = updates ? 0 : sums.batches + batches;
}

void Trainer::State::explain_label(CompiledStep& step, const std::string& where) const {
  const Tensor& y = step.batch_target();
  const std::int64_t classes = step.output_type().shape.rank() > 0 ? step.output_type().shape.back() : 0;
  if (is_floating(y.dtype())) return;
  const Tensor labels = cast(y, DType::int64);
  for (const std::int64_t label : labels.span<std::int64_t>())
    if (label < 0 || label >= classes)
      fail<IndexError>(
          "fit", "a label is outside the classes",
          std::to_string(label) + " in " + where + ", the model has " + std::to_string(classes) + " classes",
          "labels must be 0 ... " + std::to_string(classes - 1) + "; check y, or give the last layer more outputs");
}

void Trainer::State::explain_step(CompiledStep& step, const std::vector<Tensor>& xb, const Tensor& yb) const {
  const bool finite_loss = std::isfinite(step.scalar(step_loss));
  try {
    step.workspace().throw_failure();
  } catch (const IndexError&) {
    explain_label(step, "this batch");
    throw;
  } catch (const ValueError&) {
    const auto check = [&](const std::string& name, const Tensor& values) {
      const std::string found =
          not_finite_in(values, std::span(identity).first(static_cast<std::size_t>(values.shape(0))), {},
                        name[0] == 'x' && nn::fills_missing(*model.impl()));
      if (!found.empty())
        fail<ValueError>("step", "the data holds inf or NaN", name + " has " + found,
                         "clean it first: no update was made");
    };
    for (std::size_t i = 0; i < xb.size(); ++i) check(xb.size() == 1 ? "xb" : "xb[" + std::to_string(i) + "]", xb[i]);
    check("yb", yb);
  }
  fail<ValueError>("step", std::string(finite_loss ? "a gradient" : "the loss") + " was not finite",
                   "no update was made", "lower the learning rate or clip gradients");
}

double Trainer::step(const Tensor& xb, const Tensor& yb, const Tensor& sample_weight) {
  state_->single.assign(1, xb);
  const double loss = step(state_->single, yb, sample_weight);
  state_->single.assign(1, Tensor());
  return loss;
}

double Trainer::step(const std::vector<Tensor>& xb, const Tensor& yb, const Tensor& sample_weight) {
  State& s = *state_;
  const NoGrad nothing;
  const std::int64_t rows = common_rows("step", xb, yb);
  s.asked.x.clear();
  for (const Tensor& x : xb) s.asked.x.push_back(type_of(x));
  s.asked.target = type_of(yb);
  s.asked.weight.reset();
  if (sample_weight.defined()) {
    common_rows("step", xb, sample_weight);
    s.asked.weight = type_of(sample_weight);
  }
  s.loss.impl()->check_target(yb, {});
  const bool updates = s.sums.batches + 1 >= s.options.accumulate;
  CompiledStep& step = s.step_for(s.asked, updates);
  s.loss.impl()->check_target(yb, step.output_type().shape);
  for (auto i = static_cast<std::int64_t>(s.identity.size()); i < rows; ++i) s.identity.push_back(i);
  s.rates.resize(s.optimizer.group_count());
  s.optimizer.rates_at(s.optimizer.step_count(), s.rates);
  step.load(xb, yb, sample_weight, std::span(s.identity).first(static_cast<std::size_t>(rows)), s.optimizer, s.rates,
            s.seed, s.global_step, s.optimizer.step_count() + 1, s.clipping.limit);
  Workspace& workspace = step.workspace();
  workspace.refresh();
  if (s.optimizer.driver()) {
    drive(s.optimizer, step, s.rates[0]);
  } else {
    run_team(workspace.threads(), [&](int thread, Team& team) { workspace.run_as(thread, team); });
  }
  if (workspace.failed()) s.explain_step(step, xb, yb);
  workspace.count_versions(1);
  s.count_batches(1, updates);
  return step.scalar(step_loss);
}

namespace {

std::map<std::string, double> named(const Evaluation& e) {
  std::map<std::string, double> result{{"loss", e.loss}};
  for (const auto& [name, value] : e.metrics) result[name] = value;
  return result;
}

}  // namespace

std::map<std::string, double> Trainer::evaluate(const Tensor& x, const Tensor& y, std::int64_t batch_size) const {
  return evaluate(std::vector<Tensor>{x}, y, batch_size);
}
std::map<std::string, double> Trainer::evaluate(const std::vector<Tensor>& x, const Tensor& y,
                                                std::int64_t batch_size) const {
  return named(evaluate_all(state_->model, state_->loss, state_->options.metrics, x, y, {}, batch_size));
}
std::map<std::string, double> Trainer::evaluate(const std::shared_ptr<data::Source>& source, std::int64_t batch_size,
                                                const std::function<bool()>& on_wait) const {
  WindowReader windows("evaluate", source, batch_size, {.whole_batches = false, .on_wait = on_wait});
  return named(evaluate_windows(state_->model, state_->loss, state_->options.metrics, windows, batch_size));
}
Tensor Trainer::predict(const std::shared_ptr<data::Source>& source, std::int64_t batch_size, const std::string& output,
                        const std::function<bool()>& on_wait) const {
  const std::vector<Tensor> results = chainrule::predict(state_->model, source, batch_size, output, on_wait);
  if (results.size() != 1)
    fail<ValueError>("predict", "the model does not have one output", std::to_string(results.size()) + " outputs",
                     "use the function predict(model, source)");
  return results[0];
}
Tensor Trainer::predict(const Tensor& x, std::int64_t batch_size, const std::string& output) const {
  return state_->model.predict(x, batch_size, output);
}

void Trainer::check_not_fitting(const char* call) const {
  if (state_->fitting)
    fail<StateError>(call, "this Trainer is in the middle of a fit", "", "call it after the fit, not from a callback");
}

void Trainer::reset() {
  check_not_fitting("reset");
  state_->optimizer.reset();
  state_->sums.clear();
  state_->global_step = state_->epochs = 0;
  state_->seed = state_->options.seed;
}
const History& Trainer::history() const { return state_->history; }
void Trainer::set_history(History history) { state_->history = std::move(history); }
const TrainerOptions& Trainer::options() const { return state_->options; }

std::vector<nn::NamedTensor> Trainer::state_dict() const {
  const State& s = *state_;
  std::vector<nn::NamedTensor> all;
  for (const nn::NamedTensor& own : s.optimizer.state_dict()) all.push_back({"optimizer." + own.name, own.tensor});
  const auto add = [&](const char* name, std::uint64_t value) {
    all.push_back({name, Tensor::from(std::vector{static_cast<std::int64_t>(value)}, {})});
  };
  add("seed", s.seed);
  add("global_step", s.global_step);
  add("epochs", s.epochs);
  for (nn::NamedTensor& own : s.sums.state_dict()) all.push_back(std::move(own));
  return all;
}

void Trainer::load_state_dict(const std::vector<nn::NamedTensor>& state) {
  check_not_fitting("load_state_dict");
  state_->load(state);
}

void Trainer::State::load(const std::vector<nn::NamedTensor>& state) {
  const std::string prefix = "optimizer.";
  std::vector<nn::NamedTensor> of_optimizer, of_sums;
  std::map<std::string, std::uint64_t> position;
  for (const nn::NamedTensor& given : state) {
    if (given.name.starts_with(prefix)) {
      of_optimizer.push_back({given.name.substr(prefix.size()), given.tensor});
    } else if (GradientSums::owns(given.name)) {
      of_sums.push_back(given);
    } else {
      if (given.name != "seed" && given.name != "global_step" && given.name != "epochs")
        fail<ValueError>("load_state_dict", "the state is not a Trainer's", given.name + " is unknown",
                         "give what trainer.state_dict() returned");
      if (given.tensor.dtype() != DType::int64 || given.tensor.size() != 1)
        fail<ValueError>("load_state_dict", given.name + " must be one int64", given.tensor.str());
      position[given.name] = static_cast<std::uint64_t>(given.tensor.data<std::int64_t>()[0]);
    }
  }
  if (position.size() != 3)
    fail<ValueError>("load_state_dict", "the state is not a Trainer's", "seed, global_step or epochs is missing",
                     "give what trainer.state_dict() returned");
  if (!of_sums.empty()) {  // refused before anything is changed
    GradientSums found;
    found.fit_to(optimizer.parameters());
    found.load_state_dict(of_sums, options.accumulate);
  }
  optimizer.load_state_dict(of_optimizer);
  if (!of_sums.empty()) sums.fit_to(optimizer.parameters());
  sums.load_state_dict(of_sums, options.accumulate);
  seed = position["seed"];
  global_step = position["global_step"];
  epochs = position["epochs"];
}

optim::Optimizer& Trainer::optimizer() { return state_->optimizer; }
nn::Module Trainer::model() const { return state_->model; }
const Loss& Trainer::loss() const { return state_->loss; }
std::int64_t Trainer::global_step() const { return static_cast<std::int64_t>(state_->global_step); }
std::string Trainer::str() const {
  return "Trainer(" + state_->model.str() + ", loss=" + state_->loss.str() + ", optimizer=" + state_->optimizer.str() +
         (state_->options.precision == "bf16" ? ", precision=\"bf16\")" : ")");
}

}  // namespace chainrule
