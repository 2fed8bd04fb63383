// Ensembles: training by seeds, predictions with mean and spread, a folder of model files.
#include "chainrule/ensemble.hpp"

#include <cmath>
#include <filesystem>

#include "chainrule/model.hpp"
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "train/batched_run.hpp"
#include "train/selection.hpp"
#include "train/step_program.hpp"

namespace chainrule {
namespace {

namespace fs = std::filesystem;

// Mean and spread of equal shapes, element by element in float64, in the models' order.
[[gnu::noinline]] EnsemblePrediction moments(const std::vector<Tensor>& outputs) {
  const DType dtype = outputs[0].dtype();
  const auto n = static_cast<double>(outputs.size());
  Tensor mean = cast(outputs[0], DType::float64);
  for (std::size_t i = 1; i < outputs.size(); ++i) mean = mean + cast(outputs[i], DType::float64);
  mean = mean / n;
  Tensor squares = square(cast(outputs[0], DType::float64) - mean);
  for (std::size_t i = 1; i < outputs.size(); ++i) squares = squares + square(cast(outputs[i], DType::float64) - mean);
  return {cast(mean, dtype), cast(sqrt(squares / n), dtype)};
}

std::string file_name(std::size_t i) { return "model-" + std::to_string(i) + ".safetensors"; }

}  // namespace

Ensemble::Ensemble(std::vector<nn::Module> models) : models_(std::move(models)) {
  if (models_.empty()) fail<ValueError>("Ensemble", "there are no models", "", "give at least one");
  for (const nn::Module& model : models_) {
    if (!model.impl()) fail<StateError>("Ensemble", "a model is empty", "", "build and train it first");
    if (model.link() != models_[0].link())
      fail<ValueError>("Ensemble", "the models' outputs mean different things",
                       models_[0].link() + " and " + model.link(), "train them with one loss");
  }
}

Ensemble Ensemble::train(const Recipe& recipe, const Tensor& x, const Tensor& y, const EnsembleOptions& options) {
  return train(recipe, std::vector<Tensor>{x}, y, options);
}

Ensemble Ensemble::train(const Recipe& recipe, const std::vector<Tensor>& x, const Tensor& y,
                         const EnsembleOptions& options) {
  if (options.seeds < 1) fail<ValueError>("Ensemble", "seeds must be at least 1", std::to_string(options.seeds));
  const auto count = static_cast<std::size_t>(options.seeds);
  ModelMaker maker("Ensemble");
  check_recipe("Ensemble", recipe);
  common_rows("Ensemble", x, y);
  std::vector<nn::Module> models(count);
  SelectionProgress progress{0, count, std::nan("")};
  const bool whole = run_models(
      count, options.workers,
      [&](std::size_t i, std::function<bool()> on_slice) -> std::function<void()> {
        const std::uint64_t seed = options.seed + i;
        models[i] = maker.make(recipe, seed);
        models[i].init(seed);
        TrainerOptions trainer_options = recipe.trainer;
        trainer_options.seed = seed;
        return [&model = models[i], &recipe, &x, &y, trainer_options = std::move(trainer_options),
                fit = fit_of("Ensemble", recipe, std::move(on_slice))] {
          Trainer(model, recipe.loss, recipe.optimizer, trainer_options).fit(x, y, fit);
        };
      },
      [&](std::size_t) { ++progress.done; }, [&] { return !options.on_progress || options.on_progress(progress); });
  if (!whole)
    fail<StateError>("Ensemble", "training was interrupted",
                     std::to_string(progress.done) + " of " + std::to_string(count) + " models were trained");
  return Ensemble(std::move(models));
}

EnsemblePrediction Ensemble::predict(const Tensor& x, std::int64_t batch_size, const std::string& output) const {
  if (output != "raw" && output != "proba" && output != "class")
    fail<ValueError>("predict", "unknown output", "'" + output + "'", "use \"raw\", \"proba\" or \"class\"");
  const NoGrad nothing;
  const FloatEnvironment environment;
  // Scores of a margin have classes, but no probabilities: they are averaged themselves.
  const std::string& link = models_[0].link();
  const bool by_scores = output == "class" && (link == "argmax" || link == "sign");
  std::vector<Tensor> outputs;
  for (const nn::Module& model : models_) {
    outputs.push_back(model.predict(x, batch_size, output == "raw" || by_scores ? "raw" : "proba"));
    if (!(outputs.back().shape() == outputs[0].shape()))
      fail<ShapeError>("predict", "the models' outputs have different shapes",
                       outputs[0].shape().str() + " and " + outputs.back().shape().str());
  }
  EnsemblePrediction result = moments(outputs);
  if (output != "class") return result;
  // Probabilities are classified as they are: the largest, or above one half.
  const std::string of_probabilities = by_scores ? link : link == "softmax" || link == "exp" ? "exp" : "probability";
  const auto classes = [&](const Tensor& probabilities) { return link_classes(probabilities, of_probabilities); };
  result.mean = classes(result.mean);
  Tensor others = Tensor::zeros(result.mean.shape(), DType::float64);
  for (const Tensor& probabilities : outputs)
    others = others + cast(not_equal(classes(probabilities), result.mean), DType::float64);
  result.spread = cast(others / static_cast<double>(models_.size()), DType::float32);
  return result;
}

void Ensemble::save(const std::string& folder) const {
  std::error_code error;
  if (fs::exists(folder, error) && !(fs::is_directory(folder, error) && fs::is_empty(folder, error)))
    fail<FileError>("save", "the folder is not empty", folder, "name another one, or remove it first");
  fs::create_directories(folder, error);
  if (error) fail<FileError>("save", "the folder cannot be made", folder + ", " + error.message());
  for (std::size_t i = 0; i < models_.size(); ++i) models_[i].save((fs::path(folder) / file_name(i)).string());
}

Ensemble Ensemble::load(const std::string& folder) {
  std::vector<nn::Module> models;
  std::error_code error;
  for (std::size_t i = 0; fs::exists(fs::path(folder) / file_name(i), error); ++i)
    models.push_back(chainrule::load((fs::path(folder) / file_name(i)).string()));
  if (models.empty())
    fail<FileError>("load", "no ensemble is here", folder, "a folder with " + file_name(0) + " was expected");
  return Ensemble(std::move(models));
}

std::string Ensemble::str() const {
  return "Ensemble(" + std::to_string(models_.size()) + " models: " + models_[0].str() + ")";
}

}  // namespace chainrule
