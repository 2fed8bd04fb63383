// Trainer: fits a model to data, whole epochs at a time, through one compiled step.
#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/callbacks.hpp"
#include "chainrule/data_samplers.hpp"
#include "chainrule/data_sources.hpp"
#include "chainrule/losses.hpp"
#include "chainrule/metrics.hpp"
#include "chainrule/nn.hpp"
#include "chainrule/optim.hpp"
#include "chainrule/profile.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule {

// One column per quantity, one row per epoch.
class CHAINRULE_API History {
 public:
  const std::vector<double>& operator[](const std::string& name) const;  // throws IndexError listing the names
  const std::vector<std::pair<std::string, std::vector<double>>>& columns() const { return columns_; }
  std::size_t epochs() const;
  std::string str() const;  // a table
  std::string json() const;
  void append(const std::string& name, double value);
  // Further values of the last row. Where a column has no value in a row, it is NaN.
  void log(const std::vector<std::pair<std::string, double>>& values);
  std::string stopped;    // why training ended early, or empty
  bool diverged = false;  // it ended since the loss or a gradient was not finite

 private:
  std::vector<std::pair<std::string, std::vector<double>>> columns_;
};

struct TrainerOptions {
  std::vector<Metric> metrics{};
  std::optional<double> clip_norm{};   // all gradients together are scaled down to this norm,
  std::optional<double> clip_value{};  // or each of their elements is held to [-clip_value, clip_value]
  // One update per so many batches, by the mean of their gradients: that of one batch of all their samples (by a sum,
  // where the loss is one). An epoch that ends before has an update of its own for the rest. Schedules and the
  // optimizer count updates.
  std::int64_t accumulate = 1;
  // l1 * sum |w| over the parameters of two or more axes joins the objective, not the loss that is reported.
  double l1 = 0.0;
  // After each update, the weights of a unit (a column of a matrix; not those of an Embedding) are scaled down to this
  // norm where theirs is above it. Srivastava et al. (2014), Dropout, section 5.1.
  std::optional<double> max_norm{};
  // Above 0: a batch and its mirror image are mixed, x' = m x + (1 - m) flip(x), the loss is m l(y) + (1 - m)
  // l(flip(y)), with m of a step from Beta(mixup, mixup). Zhang et al. (2018), mixup: beyond empirical risk
  // minimization.
  double mixup = 0.0;
  std::uint64_t seed = 0;
  // "bf16": steps compute matrix products of operands rounded to bfloat16, with sums, parameters, gradients, optimizer
  // and all other ops in float32. Needs a processor with AMX (has_bf16) and a float32 model. Evaluation and prediction
  // are in float32 either way.
  std::string precision = "float32";
};

// Inputs and targets to validate on. Several inputs: {{X1, X2}, y}; or a source of both.
struct ValidationData {
  ValidationData() = default;
  ValidationData(Tensor input, Tensor target) : x{std::move(input)}, y(std::move(target)) {}
  ValidationData(std::vector<Tensor> inputs, Tensor target) : x(std::move(inputs)), y(std::move(target)) {}
  ValidationData(std::shared_ptr<data::Source> rows) : source(std::move(rows)) {}
  std::vector<Tensor> x{};
  Tensor y{};
  std::shared_ptr<data::Source> source{};
};

// The weight of each class's samples: given (a class that is not named has 1), or "balanced": n / (classes * count of
// the class), of the rows trained on, so that all classes that occur there weigh the same in sum. King and Zeng (2001),
// Logistic regression in rare events data; scikit-learn's compute_class_weight.
class CHAINRULE_API ClassWeight {
 public:
  ClassWeight() = default;
  ClassWeight(std::map<std::int64_t, double> weights) : weights_(std::move(weights)) {}
  ClassWeight(std::initializer_list<std::pair<const std::int64_t, double>> weights) : weights_(weights) {}
  ClassWeight(const char* name) : ClassWeight(std::string(name)) {}
  ClassWeight(const std::string& name);  // "balanced"
  bool empty() const { return weights_.empty() && !balanced_; }
  bool balanced() const { return balanced_; }
  const std::map<std::int64_t, double>& weights() const { return weights_; }

 private:
  std::map<std::int64_t, double> weights_{};
  bool balanced_ = false;
};

struct FitOptions {
  std::int64_t epochs = 1;
  std::int64_t batch_size = 32;
  bool shuffle = true;
  ValidationData validation_data{};
  double validation_split = 0.0;
  Tensor sample_weight{};
  ClassWeight class_weight{};
  std::shared_ptr<const data::Sampler> sampler{};  // which rows an epoch takes; null: every one once
  std::optional<std::uint64_t> seed{};
  std::vector<std::shared_ptr<Callback>> callbacks{};
  // Called between slices (50 ms) and once at the end of an epoch, after the callbacks; returning false ends training
  // at that batch, leaving a usable model.
  std::function<bool(const FitState&)> on_progress{};
  // Asked every 50 ms while fit waits for a source; false: as from on_progress. Where it is given, a fit that it or
  // on_progress ends leaves a read behind that is not done by then, as data::read_rows does; else fit waits for it.
  std::function<bool()> on_wait{};
  // A checkpoint's file, or a folder of them, whose newest whole one is taken: the fit goes on from there, to the bits
  // that it would have had without the interruption. "auto": from the folder of the Checkpoint among the callbacks
  // where it holds one, else from the beginning. Model, Trainer, data, callbacks and arguments must be those of the
  // interrupted fit; epochs may be more. ValueError lists the differences, and nothing is changed.
  std::string resume_from{};
  std::function<void(const std::string&)> on_warning{};  // hears of what does not end the fit
};

struct FitData;
struct SavedFit;

class CHAINRULE_API Trainer {
 public:
  Trainer(nn::Module model, Loss loss, const optim::Optimizer& optimizer, const TrainerOptions& options = {});
  History fit(const Tensor& x, const Tensor& y, const FitOptions& options = {});
  History fit(const std::vector<Tensor>& x, const Tensor& y, const FitOptions& options = {});
  // Window by window, read ahead by another thread. An error of the source leaves what is trained until then.
  History fit(const std::shared_ptr<data::Source>& source, const FitOptions& options = {});
  std::map<std::string, double> evaluate(const Tensor& x, const Tensor& y, std::int64_t batch_size = 1024) const;
  std::map<std::string, double> evaluate(const std::vector<Tensor>& x, const Tensor& y,
                                         std::int64_t batch_size = 1024) const;
  // Of a source, in batches of at most a window. on_wait: as in FitOptions; false: StateError.
  std::map<std::string, double> evaluate(const std::shared_ptr<data::Source>& source, std::int64_t batch_size = 1024,
                                         const std::function<bool()>& on_wait = {}) const;
  Tensor predict(const Tensor& x, std::int64_t batch_size = 1024, const std::string& output = "raw") const;
  // Inputs of a source, which needs no targets.
  Tensor predict(const std::shared_ptr<data::Source>& source, std::int64_t batch_size = 1024,
                 const std::string& output = "raw", const std::function<bool()>& on_wait = {}) const;
  // The loss before the update, which with accumulate = k every k-th call makes.
  double step(const Tensor& xb, const Tensor& yb, const Tensor& sample_weight = {});
  double step(const std::vector<Tensor>& xb, const Tensor& yb, const Tensor& sample_weight = {});
  // Where the time of a training step goes: runs steps on the first batches of x and y, and then puts everything back.
  Profile profile(const Tensor& x, const Tensor& y, std::int64_t batch_size = 32, int runs = 100);
  Profile profile(const std::vector<Tensor>& x, const Tensor& y, std::int64_t batch_size = 32, int runs = 100);
  void reset();                    // forgets optimizer state, counters and the position in the stream; weights stay
  const History& history() const;  // of the last fit, also of one that an exception ended
  void set_history(History history);
  // Copies of the optimizer's state ("optimizer.0.exp_avg", ...) and the position in the stream of samples and dropout
  // ("seed", "global_step", "epochs"); between the batches of one update the gradients so far ("accumulated.0", ...).
  // With the model's own state_dict, training goes on bit by bit where it was.
  std::vector<nn::NamedTensor> state_dict() const;
  void load_state_dict(const std::vector<nn::NamedTensor>& state);
  const TrainerOptions& options() const;
  optim::Optimizer& optimizer();
  nn::Module model() const;
  const Loss& loss() const;
  std::int64_t global_step() const;
  std::string str() const;

 private:
  friend class FitRun;
  struct State;
  History train(FitData data, const FitOptions& options, std::unique_ptr<SavedFit> saved);
  void check_not_fitting(const char* call) const;
  std::shared_ptr<State> state_;
};

}  // namespace chainrule
