// One compiled training step for one batch shape: the Program, its Workspace, and the buffers a batch is gathered into.
#pragma once

#include <span>
#include <vector>

#include "chainrule/optim.hpp"
#include "program/workspace.hpp"
#include "train/step_program.hpp"

namespace chainrule {

class CompiledStep {
 public:
  CompiledStep(const nn::Module& model, const Loss& loss, optim::Optimizer& optimizer, const StepInputs& inputs,
               bool clip, Precision precision = Precision::float32);

  bool fits(const StepInputs& inputs, const optim::Optimizer& optimizer) const;
  Workspace& workspace() { return workspace_; }
  // Copies rows of whole-set arrays into the batch buffers (weight may be undefined) and sets the counter and scalars
  // of global step `step` (from 0).
  void load(const std::vector<Tensor>& x, const Tensor& y, const Tensor& weight, std::span<const std::int64_t> rows,
            const optim::Optimizer& optimizer, double lr, std::uint64_t seed, std::uint64_t step,
            std::int64_t optimizer_step, double clip_limit);
  // The same in two steps: one of several parts of the rows, by each thread of a team; and the rest.
  void load_rows(const std::vector<Tensor>& x, const Tensor& y, const Tensor& weight,
                 std::span<const std::int64_t> rows, int part, int parts);
  void load_scalars(const optim::Optimizer& optimizer, double lr, std::uint64_t seed, std::uint64_t step,
                    std::int64_t optimizer_step, double clip_limit);
  double scalar(StepOutput output) const;
  TensorType output_type() const;
  const void* output_data() const { return workspace_.output(step_model_output); }
  const std::vector<Tensor>& batch_inputs() const { return x_; }
  const Tensor& batch_target() const { return y_; }

 private:
  void set_scalars(const optim::Optimizer& optimizer, double lr, std::int64_t step);

  StepInputs inputs_;
  std::vector<char> trained_;
  Workspace workspace_;
  std::vector<Tensor> x_;
  Tensor y_, weight_;
  std::int64_t counter_[2] = {0, 0};
  double clip_limit_ = 0;
  bool double_scalars_ = false;
  std::vector<double> scalars_;
  std::vector<float> scalars_single_;
};

}  // namespace chainrule
