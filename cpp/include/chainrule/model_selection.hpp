// Model selection: cross-validation, and the search for hyperparameters by it. Models train in threads of their own,
// each with one thread for its ops; results have the same bits for any number of workers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "chainrule/arguments.hpp"
#include "chainrule/callbacks.hpp"
#include "chainrule/data_splits.hpp"
#include "chainrule/trainer.hpp"

namespace chainrule {

// How a model is made and trained.
struct Recipe {
  // Called on the calling thread, once per model, right behind manual_seed(seed): a model built without seeds of its
  // own starts from `seed`. recipe_of_model makes one from a model.
  std::function<nn::Module()> model;
  Loss loss{};
  optim::Optimizer optimizer{};  // without parameters; every model gets its own
  TrainerOptions trainer{};      // its seed is not used
  FitOptions fit{};              // neither validation data nor seed; callbacks are cloned for each model
};
// Copies of the model, drawn anew by init(seed).
CHAINRULE_API std::function<nn::Module()> copies_of(const nn::Module& model);

// Told on the calling thread, about every 50 ms and after every model.
struct SelectionProgress {
  std::size_t done = 0, total = 0;  // models trained, of how many
  double best = 0.0;                // mean score of the best candidate so far; NaN before there is one
};

struct CrossValidationOptions {
  std::int64_t k = 5;
  std::optional<Tensor> stratify{};  // labels; unset: y where it holds labels; an undefined tensor: no
  Tensor groups{};                   // rows of one group are held out together
  std::int64_t repeats = 1;          // the r-th time with seed + r, and other folds
  std::vector<data::Fold> folds{};   // in place of the four above
  std::string score{};               // what is averaged: "loss" or a metric; empty: the first metric, else the loss
  bool retrain = true;               // at the end on all data
  std::uint64_t seed = 0;            // of folds, weights, order of samples and dropout
  int workers = 0;                   // models trained at a time; 0: as many as threads may be used
  // Returning false ends all training; the result then holds the folds that were finished.
  std::function<bool(const SelectionProgress&)> on_progress{};
};

struct FoldResult {
  std::vector<std::pair<std::string, double>> values;  // of the rows held out: loss and metrics
  History history;                                     // of the rows trained on, and "val_..."
  std::int64_t train_rows = 0, validation_rows = 0;
  std::int64_t epochs = 0;  // trained; with EarlyStopping up to the best one
  nn::Module model;
};
struct CHAINRULE_API CrossValidation {
  std::string score;  // the name of
  std::vector<double> scores;
  double mean = 0.0, std = 0.0;  // over folds, divided by their number
  std::vector<FoldResult> folds;
  nn::Module model;         // trained on all data; empty without retrain
  History history;          // of that training
  std::string stopped;      // why not all folds were trained, or empty
  std::string str() const;  // a table
};
// Trains a model per fold and measures it on the rows held out: what Trainer(model, ..., seed).fit on the fold's rows
// with its validation_data gives. With EarlyStopping, retrain takes the mean (rounded) of the folds' best epochs and
// leaves it out. Sample weights count in training only. Stone (1974), Cross-validatory choice and assessment of
// statistical predictions.
CHAINRULE_API CrossValidation cross_validate(const Recipe& recipe, const Tensor& x, const Tensor& y,
                                             const CrossValidationOptions& options = {});
CHAINRULE_API CrossValidation cross_validate(const Recipe& recipe, const std::vector<Tensor>& x, const Tensor& y,
                                             const CrossValidationOptions& options = {});

// --- search ---------------------------------------------------------------------------------------------------------

struct SearchOptions : CrossValidationOptions {
  std::optional<bool> maximize{};  // unset: told by the name of the score
};
struct Candidate {
  nn::Arguments parameters;
  std::vector<double> scores;
  double mean = 0.0, std = 0.0;
  std::int64_t epochs = 0;  // mean of the folds, rounded
};
struct CHAINRULE_API Search {
  std::string score;
  bool maximize = false;
  std::vector<Candidate> candidates;  // the best first; of equals the one that came first; NaN last
  std::vector<std::size_t> order;     // candidates[i] was the order[i]-th given
  nn::Module best_model;              // trained on all data; empty without retrain
  History history;
  std::string stopped;
  std::string str() const;  // a table
};
// Cross-validates every candidate on the same folds. make(i) gives the recipe of candidate i.
CHAINRULE_API Search search(const std::vector<nn::Arguments>& candidates,
                            const std::function<Recipe(std::size_t)>& make, const std::vector<Tensor>& x,
                            const Tensor& y, const SearchOptions& options = {});

using RecipeOf = std::function<Recipe(const nn::Arguments&)>;
using ParameterGrid = std::vector<std::pair<std::string, std::vector<nn::ArgumentValue>>>;
// Every combination; the last name varies fastest.
CHAINRULE_API std::vector<nn::Arguments> grid_points(const ParameterGrid& grid);
CHAINRULE_API Search grid_search(const RecipeOf& make, const ParameterGrid& grid, const Tensor& x, const Tensor& y,
                                 const SearchOptions& options = {});

namespace distributions {
struct Uniform {
  double low, high;
};
struct LogUniform {  // uniform in the logarithm
  double low, high;
};
struct Integer {  // low ... high, both included; log: small numbers as often, relative to their size, as large ones
  std::int64_t low, high;
  bool log = false;
};
using Choice = std::vector<nn::ArgumentValue>;  // each as often
}  // namespace distributions
using Distribution =
    std::variant<distributions::Uniform, distributions::LogUniform, distributions::Integer, distributions::Choice>;
using Distributions = std::vector<std::pair<std::string, Distribution>>;
// Candidates drawn by seed; a longer list begins with the shorter one.
CHAINRULE_API std::vector<nn::Arguments> random_points(const Distributions& distributions, std::int64_t n,
                                                       std::uint64_t seed);
// Bergstra and Bengio (2012), Random search for hyper-parameter optimization.
CHAINRULE_API Search random_search(const RecipeOf& make, const Distributions& distributions, std::int64_t n_iter,
                                   const Tensor& x, const Tensor& y, const SearchOptions& options = {});

// The value of a parameter in a candidate; IndexError lists the names.
template <class T> T parameter(const nn::Arguments& candidate, const std::string& name);
CHAINRULE_API const nn::ArgumentValue& parameter_value(const nn::Arguments& candidate, const std::string& name);
template <class T> T parameter(const nn::Arguments& candidate, const std::string& name) {
  const nn::ArgumentValue& value = parameter_value(candidate, name);
  if constexpr (std::is_same_v<T, double>)
    if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
  return std::get<T>(value);
}

}  // namespace chainrule
