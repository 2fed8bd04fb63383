// Callbacks: what runs between the batches and epochs of a fit, and what it sees and may do there.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/nn.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule {

class History;
class Trainer;

// A running fit. Kept beyond its end, its numbers stay and its calls are refused.
class CHAINRULE_API FitState : public std::enable_shared_from_this<FitState> {
 public:
  std::int64_t epoch = 0, epochs = 0;   // epoch counts from 1; 0 before the first
  std::int64_t batch = 0, batches = 0;  // finished batches of this epoch, of how many
  double loss = 0.0;                    // running mean of this epoch
  double samples_per_second = 0.0;
  bool epoch_end = false;
  const History* history = nullptr;  // at the end of an epoch with its row
  Trainer& trainer() const;
  // The columns that every row of the history has; a callback that watches another can refuse at on_fit_begin.
  const std::vector<std::string>& columns() const { return columns_; }
  void require_column(const std::string& who, const std::string& monitor) const;
  double value(const std::string& column) const;  // of this epoch's row; IndexError lists what there is
  // A column of this epoch's row: as it is at the end of the epoch, or what the last batch said.
  void log(const std::string& name, double value);
  // Ends training after this call. The reason is what history.stopped says; the first one stands.
  void stop(const std::string& reason);

 private:
  friend class FitRun;
  Trainer* trainer_ = nullptr;
  std::vector<std::string> columns_;
  std::vector<std::pair<std::string, double>> logged_;
  std::optional<std::string> stop_;
};

// Override what you need. Calls come from the thread that called fit, between batches, in the order of the list. A
// callback may change parameters, the learning rate or any other state; an exception ends fit and reaches its caller.
class CHAINRULE_API Callback {
 public:
  virtual ~Callback();
  virtual void on_fit_begin(FitState& fit);
  // After every so many batches of a fit on_batch_end is called; 0: never.
  virtual std::int64_t every() const;
  virtual void on_batch_end(FitState& fit);
  virtual void on_slice(FitState& fit);  // at most every 50 ms, for whatever goes by the clock
  virtual void on_epoch_end(FitState& fit);
  virtual void on_fit_end(FitState& fit);  // also when an exception ends the fit
  // What a checkpoint keeps of it. A fit that is resumed gives it back after on_fit_begin; by default there is nothing.
  virtual std::vector<nn::NamedTensor> state_dict() const;
  virtual void load_state_dict(const std::vector<nn::NamedTensor>& state);
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
  const EarlyStoppingOptions& options() const { return options_; }
  double best() const { return best_; }                    // of the last fit; NaN before
  std::int64_t best_epoch() const { return best_epoch_; }  // from 1; 0 before

 private:
  EarlyStoppingOptions options_;
  bool greater_ = false;
  double best_;
  std::int64_t best_epoch_ = 0;
  std::vector<nn::NamedTensor> best_state_;
};

}  // namespace callbacks

// Whether greater values of a column are better ("auto" above): ValueError where the name does not tell.
CHAINRULE_API bool greater_is_better(const std::string& column);

}  // namespace chainrule
