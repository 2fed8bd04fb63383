// One fit: its data, its place in the epochs, and what it can go back to. fit.cpp runs it; fit_checks.cpp says before
// it begins what would fail; fit_failures.cpp goes back when a batch has failed.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "train/checkpoint_file.hpp"
#include "train/evaluate.hpp"
#include "train/fit_data.hpp"
#include "train/rollback.hpp"
#include "train/trainer_state.hpp"

namespace chainrule {

class FitRun {
 public:
  FitRun(Trainer& trainer, FitData data, const FitOptions& options);
  FitRun(const FitRun&) = delete;
  FitRun& operator=(const FitRun&) = delete;
  ~FitRun();
  void resume_from(
      std::unique_ptr<SavedFit> from);  // before run; throws what tells it from this fit, and nothing is changed
  void run();

 private:
  friend class FitState;
  using Clock = std::chrono::steady_clock;

  std::int64_t size_of_batch(std::int64_t b) const { return b + 1 < batches_ ? batch_ : data_.samples - b * batch_; }
  std::int64_t position() const { return (epoch_ - 1) * batches_ + done_; }  // in batches since fit began
  std::span<const std::int64_t> rows_of(std::int64_t b, std::int64_t size) const {
    return std::span(order_).subspan(static_cast<std::size_t>((b - first_batch_) * batch_),
                                     static_cast<std::size_t>(size));
  }
  std::int64_t validation_batch() const { return std::max<std::int64_t>(batch_, 1024); }
  std::span<const double> rates_of(std::int64_t i) const {  // of batch i of the slice
    const std::size_t groups = s_.optimizer.group_count();
    return std::span(rates_).subspan(static_cast<std::size_t>(i) * groups, groups);
  }
  // Whether the optimizer steps behind batch b of an epoch.
  bool updates_at(std::int64_t b) const { return (b + 1) % s_.options.accumulate == 0 || b + 1 == batches_; }
  CompiledStep& step_of(std::int64_t size, bool updates = true);

  const Program& check_steps();
  void check_validation();
  std::vector<std::string> columns() const;

  void epochs();
  void begin_epoch(std::int64_t epoch);
  void begin_order();
  void open_window(std::int64_t b);
  void check_epoch_weight();
  Evaluation validate();
  void stop_waiting(const std::string& where);
  void stop_measuring(const std::string& what);
  void slice();
  void report_slice(bool early);
  void end_epoch();
  void find_averages();
  void finish_averages();
  void finish_average(callbacks::WeightAverage& average);
  void install_average();
  std::int64_t run_batches(std::int64_t first, std::int64_t count, bool record);
  std::int64_t run_alike(CompiledStep& step, std::int64_t first, std::int64_t count, bool updates, bool record);
  std::int64_t count_steps(Workspace& workspace, std::int64_t finished, bool updates);
  void settle();
  std::string place() const;
  void keep_results(const CompiledStep& step, std::int64_t b);
  void keep_outputs(const CompiledStep& step, std::int64_t size);
  std::int64_t most_from(std::int64_t first, std::int64_t at) const;
  std::int64_t until_call(std::int64_t at) const;
  template <class Call> void call_back(const Call& call);
  template <class Calls> void notice_changes(const Calls& calls);
  bool report();
  // What a callback may change of all that is trained.
  struct Changes {
    std::uint64_t versions;
    std::vector<double> rates;
    std::int64_t optimizer_steps;
    std::uint64_t global_step;
    std::vector<bool> trained;
    bool operator==(const Changes&) const = default;
  };
  Changes changes() const;
  static std::vector<Tensor> also_written(Trainer::State& state, const FitOptions& options);

  FitArguments arguments() const;
  const FitArguments& given();  // the arguments as they were when this was called first
  std::string rate_text() const;
  std::vector<Tensor> parameters_beside() const;
  std::vector<Tensor> all_parameters() const;
  CheckpointWriter& writer();
  void write_checkpoint(const std::string& path, const SaveOptions& options);
  void compare_rates(const SavedFit& saved, const std::function<void(const std::string&)>& differs) const;
  void compare_callbacks(const SavedFit& saved, const std::function<void(const std::string&)>& differs);
  void take_up();
  void go_on_in_epoch();

  void fail_at(CompiledStep& step);
  void check_data();
  void back_to_start();
  void restore(const Rollback::Place& place);
  void begin_schedule();
  void return_to(std::int64_t target);
  bool can_replay(std::int64_t first, std::int64_t last) const;

  Trainer& trainer_;
  Trainer::State& s_;
  FitData data_;
  const FitOptions& options_;
  const std::int64_t batch_, batches_, per_window_;  // batches of an epoch, and of a window
  std::uint64_t first_epoch_ = 0;                    // of the stream, when this fit began
  std::int64_t first_rate_ = 0;                      // the optimizer's epoch then
  Rollback rollback_;
  std::vector<nn::NamedTensor> driver_start_{};        // what a driver remembered when this fit began
  CompiledStep* ran_ = nullptr;                        // the last one
  std::vector<callbacks::WeightAverage*> averages_{};  // among the callbacks
  std::vector<const Callback*> averaged_{};            // of them: have had their turn after the present epoch
  bool stop_ = false;
  double step_seconds_ = 0;
  Clock::time_point served_{};                                  // when whatever goes by the clock was called last
  std::vector<double> rates_;                                   // of the batches of one slice, of all groups in each
  std::vector<std::vector<optim::ScheduleMemory>> observed_{};  // at the start of each epoch of this fit
  std::int64_t changed_ = -1;  // the last batch before which a callback has changed what is trained

  // Of a fit that goes on: the checkpoint, until its epoch is taken up; epochs finished in it, and batches.
  std::unique_ptr<SavedFit> resumed_{};
  std::int64_t finished_ = 0, begin_at_ = 0;
  std::unique_ptr<CheckpointWriter> writer_{};  // once something is written
  std::string given_rate_{};                    // the optimizer's learning rate when the fit was begun, as a text
  FitArguments given_{};

  // Of the present epoch.
  std::int64_t before_ = 0;  // batches of it that were done before this fit went on
  std::int64_t epoch_ = 0, done_ = 0;
  bool unmeasured_ = false;          // it is trained, and was interrupted before it was validated
  std::vector<std::int64_t> order_;  // of the rows of the epoch, or of the present window
  std::vector<std::int64_t> window_order_{};
  std::int64_t slot_ = -1, first_batch_ = 0;  // the present window's place in it, and its first batch
  Clock::time_point epoch_start_;
  WeightedMean sums_;
  Tensor outputs_, targets_;  // targets_: of a source, in the order of outputs_
  bool per_row_output_ = false;
  const std::shared_ptr<FitState> fit_ = std::make_shared<FitState>();
};

}  // namespace chainrule
