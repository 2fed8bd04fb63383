// A checkpoint as a file: a model file with the state of a fit beside the model. Writes and reads it, and finds the one
// to go on from; knows nothing of running fits.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/trainer.hpp"
#include "io/model_file.hpp"

namespace chainrule {

// What tells one fit from another: names of arguments and what was given.
using FitArguments = std::vector<std::pair<std::string, std::string>>;

struct CheckpointFacts {
  std::int64_t epoch = 0, batch = 0;  // finished epochs of the fit, and batches of the next one
  std::int64_t first_rate = 0;        // the optimizer's epoch when the fit began
  FitArguments arguments{};
  std::string schedule{};                      // of the learning rate; empty: a number
  std::vector<std::string> group_schedules{};  // the same of each group; empty: all have the optimizer's rate
  std::string rate{};                          // the learning rate now, as a text
  // What those are that keep a state: all others, those that only look on, and the Checkpoints.
  std::vector<std::string> callbacks{}, observers{}, writers{};
  std::vector<std::string> averaged{};  // with all batches of the epoch done: states of averages that are up to date
  std::vector<std::string> columns{}, logged{};  // of the history, and of the present epoch's row
  std::optional<std::string> stopped{};          // by a callback, for good and for this reason
};

struct SavedFit {
  std::string path;
  CheckpointFacts facts;
  std::map<std::string, Tensor> model, state;  // by path: what is trained; by name
  std::map<std::string, Tensor> average{};     // by path: what the file shows as its model in place of that, if it does

  std::uint64_t number(const std::string& name) const;  // of the trainer: seed, global_step or epochs
  // One of the state with this type; FileError where there is none.
  const Tensor& at(const std::string& name, DType dtype, const Shape& shape) const;
  // Those whose names begin so, without that beginning.
  std::vector<nn::NamedTensor> below(const std::string& begin) const;
};

class CheckpointWriter {
 public:
  CheckpointWriter(nn::Module model, std::vector<Shape> samples);
  // Throws what save throws for a model that cannot be saved.
  void describe(SaveOptions options);
  // shown: the model that the file is, which may be a copy with other values.
  void write(const std::string& path, const CheckpointFacts& facts, const nn::Module& shown,
             const std::vector<nn::NamedTensor>& state, const SaveOptions& options);

 private:
  nn::Module model_;
  std::vector<Shape> samples_;
  std::vector<bool> trained_;  // of its parameters, when it was described
  std::string training_;       // and what was told of it then
  const data::Schema* schema_ = nullptr;
  io::ModelDescription described_;
};

// ValueError where the checkpoint is of another model.
void check_same_model(const SavedFit& saved, const nn::Module& model);

SavedFit read_checkpoint(const std::string& path);  // FileError: there is none, or it is damaged

// Names of checkpoints in a folder, by their place in the fit; the last is the newest.
std::string checkpoint_name(std::int64_t epoch, std::int64_t batch);
inline constexpr const char* checkpoint_begin = "checkpoint-";
inline constexpr const char* best_checkpoint = "best.safetensors";
std::vector<std::string> checkpoints_in(const std::string& folder);
using CheckpointPlace = std::pair<std::int64_t, std::int64_t>;  // epoch and batch, as in CheckpointFacts
std::optional<CheckpointPlace> place_in(const std::string& name);

// The newest one of a folder that can be read, which may be the best one; null where there is none at all. FileError
// where none can be read; warn, which may be empty, hears of those passed over.
std::unique_ptr<SavedFit> newest_in(const std::string& folder, const std::function<void(const std::string&)>& warn);

// What resume_from names; null where a fit begins anew.
std::unique_ptr<SavedFit> checkpoint_to_resume(const FitOptions& options);

namespace callbacks {
void check_folders(const std::vector<std::shared_ptr<Callback>>& all);  // ValueError: one for two Checkpoints
}

}  // namespace chainrule
