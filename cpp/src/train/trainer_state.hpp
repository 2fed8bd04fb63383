// What a Trainer holds between calls.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chainrule/trainer.hpp"
#include "train/compiled_step.hpp"
#include "train/rollback.hpp"

namespace chainrule {

struct Trainer::State {
  nn::Module model;
  Loss loss;
  optim::Optimizer optimizer;
  TrainerOptions options;
  Clipping clipping;
  GradientSums sums;              // where options.accumulate is more than 1
  std::uint64_t seed = 0;         // of the stream: shuffling and dropout
  std::uint64_t global_step = 0;  // steps since the stream began
  std::uint64_t epochs = 0;       // passes since the stream began
  std::vector<std::unique_ptr<CompiledStep>> steps;
  std::vector<std::int64_t> identity;  // 0, 1, 2, ...: step's rows
  std::vector<Tensor> single;          // step's one input, kept as a list so that a step allocates nothing
  std::vector<double> rates;           // of the optimizer's groups in that step
  StepInputs asked;
  Rollback::Blocks saved;  // of the last fit: memory for the next
  History history;         // of the last fit
  bool fitting = false;    // in the middle of one

  void load(const std::vector<nn::NamedTensor>& state);  // what state_dict gave
  // updates: whether the optimizer steps behind this batch, as it always does unless options.accumulate is more than 1.
  CompiledStep& step_for(const StepInputs& inputs, bool updates = true);
  void count_batches(std::int64_t batches, bool updates);  // that were run
  // After a kernel refused an index: throws with the label that is to blame, if one is.
  void explain_label(CompiledStep& step, const std::string& where) const;
  [[noreturn]] void explain_step(CompiledStep& step, const std::vector<Tensor>& xb, const Tensor& yb) const;
};

}  // namespace chainrule
