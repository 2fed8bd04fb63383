// Ensembles: several models of one task that predict together.
#pragma once

#include <string>
#include <vector>

#include "chainrule/model_selection.hpp"

namespace chainrule {

struct EnsemblePrediction {
  Tensor mean, spread;
};
struct EnsembleOptions {
  std::int64_t seeds = 5;  // models
  std::uint64_t seed = 0;  // of the first; the i-th is drawn by init(seed + i), and trained with that seed
  int workers = 0;         // as in cross-validation
  std::function<bool(const SelectionProgress&)> on_progress{};
};

class CHAINRULE_API Ensemble {
 public:
  explicit Ensemble(std::vector<nn::Module> models);
  // Models that differ in their weights at the start, in the order of samples and in dropout only, trained on all of
  // the data. Lakshminarayanan, Pritzel, Blundell (2017), Simple and scalable predictive uncertainty estimation using
  // deep ensembles.
  static Ensemble train(const Recipe& recipe, const Tensor& x, const Tensor& y, const EnsembleOptions& options = {});
  static Ensemble train(const Recipe& recipe, const std::vector<Tensor>& x, const Tensor& y,
                        const EnsembleOptions& options = {});
  // "raw" and "proba": mean and standard deviation (divided by the number of models) of the models' outputs or
  // probabilities, each of one model's shape. "class": the class of the mean probability, and the share of models that
  // name another one, both (n,).
  EnsemblePrediction predict(const Tensor& x, std::int64_t batch_size = 1024, const std::string& output = "raw") const;
  const std::vector<nn::Module>& models() const { return models_; }
  // A folder with a model file for each: model-0.safetensors, ... FileError where it exists and is not empty.
  void save(const std::string& folder) const;
  static Ensemble load(const std::string& folder);
  std::string str() const;

 private:
  std::vector<nn::Module> models_;
};

}  // namespace chainrule
