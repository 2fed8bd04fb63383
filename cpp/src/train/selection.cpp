// The parts of model selection: checks, folds, one training.
#include "train/selection.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>
#include <thread>

#include "chainrule/data.hpp"
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "nn/fitted_layer.hpp"
#include "ops/random_scope.hpp"
#include "ops/seed_scope.hpp"
#include "train/batched_run.hpp"
#include "train/evaluate.hpp"
#include "train/regularizers.hpp"
#include "train/row_labels.hpp"
#include "train/samplers.hpp"

namespace chainrule {
namespace {

std::string fold_name(std::size_t fold) { return "fold " + std::to_string(fold + 1); }

void check_given_folds(const char* who, const std::vector<data::Fold>& folds, std::int64_t rows) {
  for (std::size_t f = 0; f < folds.size(); ++f) {
    if (folds[f].train.empty() || folds[f].validation.empty())
      fail<ValueError>(who, fold_name(f) + " is empty",
                       std::to_string(folds[f].train.size()) + " rows to train on, " +
                           std::to_string(folds[f].validation.size()) + " held out");
    std::set<std::int64_t> seen;
    for (const auto* part : {&folds[f].train, &folds[f].validation})
      for (const std::int64_t row : *part) {
        if (row < 0 || row >= rows)
          fail<IndexError>(who, fold_name(f) + " names a row that is not there",
                           std::to_string(row) + " of " + std::to_string(rows));
        if (!seen.insert(row).second)
          fail<ValueError>(who, fold_name(f) + " names a row twice", std::to_string(row),
                           "a row trains or is held out, and once");
      }
  }
}

std::vector<data::Fold> make_folds(const char* who, const Tensor& y, std::int64_t rows,
                                   const CrossValidationOptions& options) {
  const data::KFoldOptions usual;
  if (!options.folds.empty()) {
    if (options.groups.defined() || options.repeats != usual.repeats ||
        (options.stratify && options.stratify->defined()))
      fail<ValueError>(who, "folds were given, and what else would make them", "stratify, groups or repeats",
                       "give one or the other");
    check_given_folds(who, options.folds, rows);
    return options.folds;
  }
  Tensor labels;
  if (options.stratify)
    labels = *options.stratify;
  else
    labels = data::labels_to_stratify(y, options.k);
  return data::k_fold(
      rows,
      {.k = options.k, .stratify = labels, .groups = options.groups, .repeats = options.repeats, .seed = options.seed});
}

bool is_early_stopping(const std::shared_ptr<Callback>& callback) {
  return dynamic_cast<const callbacks::EarlyStopping*>(callback.get()) != nullptr;
}

// How long it paid to train.
std::int64_t best_epoch(const FitOptions& fit, const History& history) {
  for (const auto& callback : fit.callbacks)
    if (is_early_stopping(callback)) {
      const std::int64_t best = static_cast<const callbacks::EarlyStopping&>(*callback).best_epoch();
      if (best > 0) return best;
    }
  return static_cast<std::int64_t>(history.epochs());
}

// Out of line, so that its arithmetic stays inside the floating-point environment around the call.
[[gnu::noinline]] std::pair<double, double> moments(const std::vector<double>& values) {
  const auto n = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double v : values) sum += v;
  for (const double v : values) squares += (v - sum / n) * (v - sum / n);
  return {sum / n, std::sqrt(squares / n)};
}

}  // namespace

nn::Module ModelMaker::make(const Recipe& recipe, std::uint64_t seed) {
  nn::Module model;
  {
    const SeedScope seeded(seed);
    model = recipe.model();
  }
  if (!model.impl()) fail<StateError>(who_, "the function that makes models returned none", "", "return a model");
  std::erase_if(in_use_, [](const auto& known) { return known.expired(); });
  for (const Tensor& p : model.parameters())
    for (const auto& known : in_use_)
      if (known.lock() == p.data_handle())
        fail<ValueError>(who_, "two models share a parameter", "of shape " + p.shape().str(),
                         "the function must make a new model in each call");
  for (const Tensor& p : model.parameters()) in_use_.push_back(p.data_handle());
  return model;
}

void check_recipe(const char* who, const Recipe& recipe) {
  if (!recipe.model)
    fail<StateError>(who, "the recipe has no model", "", "give a function that makes one, or copies_of(model)");
  if (!recipe.loss.impl()) fail<StateError>(who, "the loss is empty", "", "give one, for instance CrossEntropyLoss()");
  if (!recipe.optimizer.is_recipe())
    fail<StateError>(who, "the optimizer already moves the parameters of a model", recipe.optimizer.str(),
                     "give one without parameters: every model gets its own");
  if (recipe.fit.validation_data.y.defined() || recipe.fit.validation_split > 0)
    fail<ValueError>(who, "validation data were given", "", "every fold is validated on the rows that it holds out");
}

Selection::Selection(const char* who, const std::vector<Tensor>& x, const Tensor& y,
                     const CrossValidationOptions& options)
    : who_(who), x_(x), y_(y), options_(options), maker_(who) {
  if (!y.defined()) fail<StateError>(who, "y is undefined", "", "give one target per sample");
  const std::int64_t rows = common_rows(who, x, y);
  folds_ = make_folds(who, y, rows, options);
}

// Training rows of one class teach a classifier nothing.
void Selection::check_classes(const Loss& loss) const {
  const std::string& link = loss.impl()->link();
  if (link == "identity") return;
  const Tensor labels = data::labels_to_stratify(y_, 1);
  if (!labels.defined()) return;
  const auto label = data::row_labels(labels, labels.size(), who_, "y");
  for (std::size_t f = 0; f < folds_.size(); ++f) {
    const std::vector<std::int64_t>& rows = folds_[f].train;
    const std::int64_t first = label[static_cast<std::size_t>(rows.front())];
    if (std::all_of(rows.begin(), rows.end(), [&](auto row) { return label[static_cast<std::size_t>(row)] == first; }))
      fail<ValueError>(who_, fold_name(f) + " would be trained on one class only",
                       "all " + std::to_string(rows.size()) + " rows are of class " + std::to_string(first),
                       "stratify, give more data, or other folds or groups");
  }
}

void Selection::check_weight(const Recipe& recipe) const {
  const Tensor& weight = recipe.fit.sample_weight;
  const std::int64_t rows = y_.shape(0);
  if (weight.defined() && !(weight.shape() == Shape{rows}) && !(weight.shape() == Shape{rows, 1}))
    fail<ShapeError>(who_, "sample_weight must hold one number per sample",
                     "it is " + weight.shape().str() + " for " + std::to_string(rows) + " samples");
}

std::string Selection::check(const Recipe& recipe) const {
  check_recipe(who_, recipe);
  check_numbers(recipe.trainer);
  check_weight(recipe);
  data::check_sampler(who_, recipe.fit.sampler.get(), y_.shape(0), recipe.fit.shuffle);
  check_classes(recipe.loss);
  const auto& metrics = recipe.trainer.metrics;
  std::string known = "loss";
  bool found = options_.score.empty() || options_.score == "loss";
  for (const Metric& metric : metrics) {
    known += ", " + metric.name;
    found = found || metric.name == options_.score;
  }
  if (!found)
    fail<IndexError>(who_, "the score is none of the metrics", "score=\"" + options_.score + "\"",
                     "there are " + known);
  for (const optim::Schedule& schedule : recipe.optimizer.schedules())
    if (const std::string watched = schedule.impl()->monitor(); options_.retrain && watched.starts_with("val_"))
      fail<ValueError>(who_, "the schedule watches a value that training on all data does not give",
                       "monitor=\"" + watched + "\"", "watch \"loss\", or write retrain=False");
  return !options_.score.empty() ? options_.score : metrics.empty() ? "loss" : metrics.front().name;
}

std::function<void()> Selection::train_fold(const Recipe& recipe, std::size_t fold, FoldResult& result,
                                            std::function<bool()> on_slice) {
  const std::uint64_t repeat = options_.folds.empty() ? fold / static_cast<std::size_t>(options_.k) : 0;
  const std::uint64_t seed = options_.seed + repeat;
  result.model = maker_.make(recipe, seed);
  TrainerOptions trainer_options = recipe.trainer;
  trainer_options.seed = seed;
  return [this, &result, loss = recipe.loss, optimizer = recipe.optimizer, trainer_options = std::move(trainer_options),
          fit = fit_of(who_, recipe, std::move(on_slice)), fold]() mutable {
    const data::Fold& rows = folds_[fold];
    Trainer trainer(result.model, loss, optimizer, trainer_options);
    const std::vector<Tensor> held_out = take_rows(x_, rows.validation);
    const Tensor target = data::take_rows(y_, rows.validation);
    fit.validation_data = {held_out, target};
    if (fit.sample_weight.defined()) fit.sample_weight = data::take_rows(fit.sample_weight, rows.train);
    if (fit.sampler) fit.sampler = fit.sampler->of_rows(rows.train);
    result.history = trainer.fit(take_rows(x_, rows.train), data::take_rows(y_, rows.train), fit);
    result.train_rows = static_cast<std::int64_t>(rows.train.size());
    result.validation_rows = static_cast<std::int64_t>(rows.validation.size());
    result.epochs = best_epoch(fit, result.history);
    const Evaluation e = evaluate_all(result.model, loss, trainer_options.metrics, held_out, target, {},
                                      std::max<std::int64_t>(fit.batch_size, 1024));
    result.values = {{"loss", e.loss}};
    result.values.insert(result.values.end(), e.metrics.begin(), e.metrics.end());
    if (result.history.diverged)  // the weights before it are no result
      for (auto& [name, value] : result.values) value = std::nan("");
  };
}

std::pair<nn::Module, History> Selection::train_all(const Recipe& recipe, std::int64_t epochs,
                                                    const std::function<bool()>& on_slice) {
  if (epochs == 0 && recipe.fit.epochs > 0)
    fail<ValueError>(who_, "there is nothing to train again on all rows: every fold diverged", "",
                     "lower the learning rate or clip gradients; retrain=False gives the folds");
  nn::Module model = maker_.make(recipe, options_.seed);
  TrainerOptions trainer_options = recipe.trainer;
  trainer_options.seed = options_.seed;
  FitOptions fit = fit_of(who_, recipe, on_slice);
  std::erase_if(fit.callbacks, [](const auto& callback) { return is_early_stopping(callback); });
  fit.epochs = epochs;
  Trainer trainer(model, recipe.loss, recipe.optimizer, trainer_options);
  History history = trainer.fit(x_, y_, fit);
  return {std::move(model), std::move(history)};
}

FitOptions fit_of(const char* who, const Recipe& recipe, std::function<bool()> on_slice) {
  FitOptions fit = recipe.fit;
  fit.seed.reset();
  for (auto& callback : fit.callbacks) {
    if (dynamic_cast<const callbacks::Checkpoint*>(callback.get()) != nullptr)
      fail<ValueError>(who, "a Checkpoint keeps one fit, and here are several", "",
                       "leave it away; Trainer.fit takes it");
    auto own = callback->clone();
    if (!own)
      fail<ValueError>(who, "a callback cannot be copied, and every model needs one of its own", "",
                       "override clone() of the callback");
    callback = std::move(own);
  }
  fit.on_progress = [on_slice = std::move(on_slice)](const FitState&) { return on_slice(); };
  return fit;
}

bool run_models(std::size_t count, int workers,
                const std::function<std::function<void()>(std::size_t, std::function<bool()>)>& make,
                std::function<void(std::size_t)> done, std::function<bool()> go_on) {
  if (workers < 0 || workers > 256)
    fail<ValueError>("workers", "must be 0 (as many as threads may be used) to 256", std::to_string(workers));
  Stop stop{false};
  const auto caller = std::this_thread::get_id();
  const auto on_slice = [&] {  // the calling thread trains where there is one worker
    if (!stop && std::this_thread::get_id() == caller && !go_on()) stop = true;
    return !stop;
  };
  return run_jobs({count, [&](std::size_t job) { return make(job, on_slice); }, std::move(done), go_on}, workers, stop);
}

std::pair<double, double> mean_and_std(const std::vector<double>& values) {
  if (values.empty()) return {std::nan(""), std::nan("")};
  const FloatEnvironment environment;
  return moments(values);
}

double value_of(const FoldResult& fold, const std::string& name) {
  for (const auto& [known, value] : fold.values)
    if (known == name) return value;
  return std::nan("");
}

std::int64_t mean_epochs(const std::vector<FoldResult>& folds) {
  std::int64_t sum = 0;
  std::int64_t n = 0;
  for (const FoldResult& fold : folds)
    if (!fold.history.diverged) sum += fold.epochs, ++n;
  return n == 0 ? 0 : (2 * sum + n) / (2 * n);  // halves up
}

std::string shown(double value) {
  char buffer[48];
  std::snprintf(buffer, sizeof buffer, "%.5g", value);
  return buffer;
}

std::function<nn::Module()> copies_of(const nn::Module& model) {
  if (!model.impl()) fail<StateError>("copies_of", "the model is empty", "", "build one first");
  return [model] {
    nn::Module copy = model.clone();
    nn::unfit_layers(*copy.impl());  // statistics of rows that a fold holds out
    copy.init(global_seed());
    return copy;
  };
}

}  // namespace chainrule
