// What cross-validation, search and ensembles share: data checked, folds made, one model built, trained and measured.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "chainrule/model_selection.hpp"
#include "train/workers.hpp"

namespace chainrule {

// Builds models, under manual_seed(seed), and refuses those that share parameters with one that is still in use.
class ModelMaker {
 public:
  explicit ModelMaker(const char* who) : who_(who) {}
  nn::Module make(const Recipe& recipe, std::uint64_t seed);

 private:
  const char* who_;
  std::vector<std::weak_ptr<TensorData>> in_use_;
};

// Refuses recipes without a model, loss or optimizer, or with what a fold decides itself.
void check_recipe(const char* who, const Recipe& recipe);

// The recipe's fit for one model: callbacks of its own, and an end when on_slice says so.
FitOptions fit_of(const char* who, const Recipe& recipe, std::function<bool()> on_slice);

// Trains models on workers. make: on the calling thread, what it returns trains. go_on: asked on the calling thread, at
// least every 50 ms. False: it ended them.
bool run_models(std::size_t count, int workers,
                const std::function<std::function<void()>(std::size_t, std::function<bool()>)>& make,
                std::function<void(std::size_t)> done, std::function<bool()> go_on);

class Selection {
 public:
  Selection(const char* who, const std::vector<Tensor>& x, const Tensor& y, const CrossValidationOptions& options);

  std::size_t folds() const { return folds_.size(); }
  // Checks the recipe against the data, and gives the name of the score.
  std::string check(const Recipe& recipe) const;
  // Makes the model of a fold; the function returned trains it. on_slice false ends that.
  std::function<void()> train_fold(const Recipe& recipe, std::size_t fold, FoldResult& result,
                                   std::function<bool()> on_slice);
  // On all data.
  std::pair<nn::Module, History> train_all(const Recipe& recipe, std::int64_t epochs,
                                           const std::function<bool()>& on_slice);

 private:
  void check_weight(const Recipe& recipe) const;
  void check_classes(const Loss& loss) const;

  const char* who_;
  const std::vector<Tensor>& x_;
  const Tensor& y_;
  const CrossValidationOptions& options_;
  std::vector<data::Fold> folds_;
  ModelMaker maker_;
};

// Mean, and root of the mean squared distance from it.
std::pair<double, double> mean_and_std(const std::vector<double>& values);
double value_of(const FoldResult& fold, const std::string& name);
std::int64_t mean_epochs(const std::vector<FoldResult>& folds);  // rounded
std::string shown(double value);

}  // namespace chainrule
