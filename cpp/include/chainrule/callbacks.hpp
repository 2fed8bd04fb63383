// Callbacks: what runs between the batches and epochs of a fit, and what it sees and may do there.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/nn.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule {

class FitRun;
class History;
class Trainer;
struct SavedFit;
struct SaveOptions;
namespace callbacks {
class Checkpoint;
class WeightAverage;
}  // namespace callbacks
namespace data {
struct Schema;
}

// A running fit. Kept beyond its end, its numbers stay and its calls are refused.
class CHAINRULE_API FitState : public std::enable_shared_from_this<FitState> {
 public:
  std::int64_t epoch = 0, epochs = 0;   // epoch counts from 1; 0 before the first
  std::int64_t batch = 0, batches = 0;  // finished batches of this epoch, of how many
  double loss = 0.0;                    // running mean of this epoch
  double lr = 0.0;                      // the learning rate that this epoch began with
  double samples_per_second = 0.0;
  bool epoch_end = false;
  bool ending = false;               // no batch will follow
  std::string resumed_from;          // the checkpoint that this fit goes on from, or empty
  const History* history = nullptr;  // at the end of an epoch with its row
  Trainer& trainer() const;
  // What is validated, and what the trained model becomes when fit ends: the averages of EMA or SWA where there are
  // any, else the trainer's model.
  nn::Module model() const;
  // The columns that every row of the history has; a callback that watches another can refuse at on_fit_begin.
  const std::vector<std::string>& columns() const { return columns_; }
  void require_column(const std::string& who, const std::string& monitor) const;
  double value(const std::string& column) const;  // of this epoch's row; IndexError lists what there is
  // A column of this epoch's row: as it is at the end of the epoch, or what the last batch said.
  void log(const std::string& name, double value);
  // Ends training after this call. The reason is what history.stopped says; the first one stands. for_good: the fit has
  // come to its end, and stays ended when it is resumed; else it then goes on.
  void stop(const std::string& reason, bool for_good = false);
  // Writes a checkpoint, atomically: only in on_settled, where nothing is half done. FileError; older files stay.
  void save(const std::string& path, const SaveOptions& options);
  void check_save(const SaveOptions& options);  // throws what save would, where the model or the options are the reason
  void warn(const std::string& text) const;     // to FitOptions::on_warning; RuntimeWarning in Python

 private:
  friend class FitRun;
  friend class callbacks::Checkpoint;
  Trainer* trainer_ = nullptr;
  FitRun* run_ = nullptr;
  const SavedFit* resumed_ = nullptr;  // what resumed_from names, until the first epoch goes on
  std::function<void(const std::string&)> warn_;
  const callbacks::WeightAverage* average_ = nullptr;
  std::vector<std::string> columns_;
  std::vector<std::pair<std::string, double>> logged_;
  std::optional<std::string> stop_, ended_;  // ended_: for good
};

// Override what you need. Calls come from the thread that called fit, between batches, in the order of the list. A
// callback may change parameters, the learning rate or any other state; an exception ends fit and reaches its caller.
// EMA, SWA, EarlyStopping and Checkpoint are in one fit at a time: StateError while another one has them.
class CHAINRULE_API Callback {
 public:
  virtual ~Callback();
  virtual void on_fit_begin(FitState& fit);
  // After every so many batches of a fit on_batch_end is called; 0: never.
  virtual std::int64_t every() const;
  virtual void on_batch_end(FitState& fit);
  virtual void on_slice(FitState& fit);  // at most every 50 ms, for whatever goes by the clock
  virtual void on_epoch_end(FitState& fit);
  // When all callbacks and progress have had their turn, after a slice or an epoch: the fit is as the next batch finds
  // it. For what keeps it; it should change nothing.
  virtual void on_settled(FitState& fit);
  virtual void on_fit_end(FitState& fit);  // also when an exception ends the fit
  // What a checkpoint keeps of it. A fit that is resumed gives it back after on_fit_begin; by default there is nothing.
  virtual std::vector<nn::NamedTensor> state_dict() const;
  virtual void load_state_dict(const std::vector<nn::NamedTensor>& state);
  // What it is and what it was made with: the state is given back to the one that says the same, and a fit is not
  // resumed where there is none. By default its type.
  virtual std::string str() const;
  // Whether it only looks on, as what writes a log does: then a resumed fit may leave it away, with its state.
  virtual bool observer() const;
  // A fresh one with the same settings, for each fold of a cross-validation; null: it cannot be had.
  virtual std::shared_ptr<Callback> clone() const;
};

namespace callbacks {

struct EarlyStoppingOptions {
  std::string monitor = "val_loss";
  std::int64_t patience = 10;  // epochs without an improvement before training ends
  double min_delta = 0.0;      // what counts as an improvement: more than this
  // "min", "max", or "auto": greater is better for accuracy, r2 and the like, smaller for losses and errors.
  std::string mode = "auto";
  bool restore_best = true;  // at the end of fit the model has the parameters and buffers of its best epoch
};
// Ends training when a column of the history has stopped improving. Prechelt, Early stopping - but when? (1998).
class CHAINRULE_API EarlyStopping : public Callback {
 public:
  explicit EarlyStopping(const EarlyStoppingOptions& options = {});
  void on_fit_begin(FitState& fit) override;
  void on_epoch_end(FitState& fit) override;
  void on_fit_end(FitState& fit) override;
  std::shared_ptr<Callback> clone() const override;
  std::string str() const override;
  const EarlyStoppingOptions& options() const { return options_; }
  std::vector<nn::NamedTensor> state_dict() const override;
  void load_state_dict(const std::vector<nn::NamedTensor>& state) override;
  double best() const { return best_; }                    // of the last fit; NaN before
  std::int64_t best_epoch() const { return best_epoch_; }  // from 1; 0 before

 private:
  EarlyStoppingOptions options_;
  bool greater_ = false;
  double best_;
  std::int64_t best_epoch_ = 0;
  std::vector<nn::NamedTensor> best_state_;
};

struct CheckpointOptions {
  std::string folder{};  // made if need be
  std::int64_t every_epochs = 1;
  double every_minutes = 0;  // also within an epoch; of these three, 0: not by it
  std::int64_t every_batches = 0;
  std::int64_t keep_last = 3;
  bool keep_best = true;      // also best.safetensors, of the best epoch so far
  std::string monitor{};      // by which column it is the best; empty: "val_loss" where there is one, else "loss"
  std::string mode = "auto";  // as in EarlyStopping
  // What the files tell about the model, as SaveOptions does for save.
  std::shared_ptr<const data::Schema> schema{};
  std::string training_json = "{}";
};
// Writes all that a fit needs to go on bit by bit (FitOptions::resume_from) into files "checkpoint-00012-0000340
// .safetensors": 12 epochs and 340 batches of the next one are done. Each is a model file as well, which load reads.
// Files are written aside, synced and renamed, and older ones are removed after that: a process may be killed, or a
// disk be full, at any moment. Where a write fails training goes on, with FitState::warn, as long as there is an older
// checkpoint. The last one is written when the fit ends or is interrupted. A folder that holds checkpoints of another
// fit is refused, as is one folder for two. The model in a file is FitState::model(): with EMA or SWA the averages.
class CHAINRULE_API Checkpoint : public Callback {
 public:
  explicit Checkpoint(const CheckpointOptions& options);
  void on_fit_begin(FitState& fit) override;
  std::int64_t every() const override;
  void on_settled(FitState& fit) override;
  std::vector<nn::NamedTensor> state_dict() const override;
  void load_state_dict(const std::vector<nn::NamedTensor>& state) override;
  std::string str() const override;   // by which column and mode best.safetensors is the best; empty: by none
  void resolve(const FitState& fit);  // the column that an empty monitor stands for
  const CheckpointOptions& options() const { return options_; }
  const std::string& newest() const { return written_; }   // path of the last one written, or empty
  double best() const { return best_; }                    // of the last fit; NaN before
  std::int64_t best_epoch() const { return best_epoch_; }  // from 1; 0 before
  std::int64_t failures() const { return failures_; }      // writes that failed in the last fit
  const std::string& error() const { return error_; }      // why the last write failed; empty: it did not

 private:
  std::string path_of(const std::string& name) const;
  void remove_others() const;
  void remove_left(const std::string& kept);
  void bring_best();
  void take_best(const SavedFit& saved);

  CheckpointOptions options_;
  bool greater_ = false;
  std::string monitor_, written_, error_;
  std::string best_from_;  // of a fit that goes on from another folder: the best file there
  std::pair<std::int64_t, std::int64_t> place_;
  // Of a fit that goes on, until something is written in a folder of its own: from where; whether the best file is
  // behind that.
  std::optional<std::pair<std::int64_t, std::int64_t>> back_at_;
  bool best_left_ = false;
  double best_, seconds_ = 0;
  std::int64_t best_epoch_ = 0, failures_ = 0;
};

// What EMA and SWA have in common: a copy of the model whose weights are averages of those that training goes through.
// From the first average on, fit validates the copy in place of the model, FitState::model() is the copy (what
// EarlyStopping keeps as the best), and when fit ends, the model gets its parameters and buffers, before on_fit_end; a
// fit that diverges, or that an exception ends, leaves the trained ones. One callback of a fit may do so; with
// replace = false it only keeps the copy. Training goes on with the trained weights, also from a checkpoint.
class CHAINRULE_API WeightAverage : public Callback {
 public:
  void on_fit_begin(FitState& fit) override;
  virtual void on_taken_up(FitState&) {}  // when a fit that is resumed is as it was, before its next batch
  // After the last batch of an epoch, before it is validated.
  virtual void on_epoch_trained(FitState&) {}
  virtual bool sets_batch_statistics() const { return false; }  // then, by another pass over the training data
  void on_fit_end(FitState& fit) override;
  std::vector<nn::NamedTensor> state_dict() const override;
  void load_state_dict(const std::vector<nn::NamedTensor>& state) override;
  nn::Module model() const;                          // in eval mode; empty before the first average
  std::int64_t updates() const { return updates_; }  // how many weights were averaged in the last fit
  bool replaces() const { return replace_; }

 protected:
  WeightAverage(bool average_buffers, bool replace) : average_buffers_(average_buffers), replace_(replace) {}
  void update(double weight);  // average += weight (trained - average); at the first update it becomes the trained one
  std::shared_ptr<FitState> fit_state() const { return fit_.lock(); }

 private:
  struct Parts {
    std::vector<nn::NamedTensor> averaged, copied;
  };

  bool average_buffers_, replace_;
  nn::Module copy_;
  Parts source_, average_;
  std::int64_t updates_ = 0;
  std::weak_ptr<FitState> fit_;
};

struct EMAOptions {
  double decay = 0.999;
  std::int64_t every = 1;        // batches between updates
  bool average_buffers = false;  // else they are those of the trained model, BatchNorm's statistics among them
  bool replace = true;           // at the end of fit the model gets the averages
};
// Exponential moving average: average = decay average + (1 - decay) weights, the first time the weights themselves.
// Polyak and Juditsky (1992), Acceleration of stochastic approximation by averaging.
class CHAINRULE_API EMA : public WeightAverage {
 public:
  explicit EMA(const EMAOptions& options = {});
  std::int64_t every() const override;
  void on_batch_end(FitState& fit) override;
  std::shared_ptr<Callback> clone() const override;
  std::string str() const override;
  const EMAOptions& options() const { return options_; }

 private:
  EMAOptions options_;
};

struct SWAOptions {
  double start = 0.75;         // the first epoch, from 1, whose weights count; below 1: after this share of the epochs
  std::optional<double> lr{};  // the learning rate from that epoch on, in place of a schedule; also after the fit
  bool replace = true;         // at the end of fit the model gets the averages
};
// Stochastic weight averaging: the mean of the weights at the ends of the epochs from `start` on. BatchNorm1d's running
// statistics are computed for it anew, at the end of each of these epochs, by another pass over its batches in train
// mode. A fit that ends before `start` keeps the trained weights. Izmailov et al. (2018), Averaging weights leads to
// wider optima and better generalization.
class CHAINRULE_API SWA : public WeightAverage {
 public:
  explicit SWA(const SWAOptions& options = {});
  void on_fit_begin(FitState& fit) override;
  void on_taken_up(FitState& fit) override;
  void on_epoch_trained(FitState& fit) override;
  bool sets_batch_statistics() const override { return true; }
  void on_epoch_end(FitState& fit) override;
  std::shared_ptr<Callback> clone() const override;
  std::vector<nn::NamedTensor> state_dict() const override;
  void load_state_dict(const std::vector<nn::NamedTensor>& state) override;
  std::string str() const override;
  const SWAOptions& options() const { return options_; }

 private:
  void begin(FitState& fit);

  SWAOptions options_;
  std::int64_t first_ = 1;  // epoch that counts, of the fit that was begun, whatever the epochs when it is resumed
  bool begun_ = false;      // lr is set
};

}  // namespace callbacks

// Whether greater values of a column are better ("auto" above): ValueError where the name does not tell.
CHAINRULE_API bool greater_is_better(const std::string& column);

}  // namespace chainrule
