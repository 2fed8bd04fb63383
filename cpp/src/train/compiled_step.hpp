// One compiled training step for one batch shape: the Program, its Workspace, and the buffers a batch is gathered into.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

#include "chainrule/optim.hpp"
#include "program/workspace.hpp"
#include "train/step_program.hpp"

namespace chainrule {

class NormalEquations;

class CompiledStep {
 public:
  CompiledStep(const nn::Module& model, const Loss& loss, optim::Optimizer& optimizer, const StepInputs& inputs,
               const StepPlan& plan, Precision precision = Precision::float32);

  bool fits(const StepInputs& inputs, const optim::Optimizer& optimizer, StepKind kind) const;
  Workspace& workspace() { return workspace_; }
  // Copies rows of whole-set arrays into the batch buffers (weight may be undefined) and sets the counter and scalars
  // of global step `step` (from 0). rates: of each of the optimizer's groups.
  void load(const std::vector<Tensor>& x, const Tensor& y, const Tensor& weight, std::span<const std::int64_t> rows,
            const optim::Optimizer& optimizer, std::span<const double> rates, std::uint64_t seed, std::uint64_t step,
            std::int64_t optimizer_step, double clip_limit);
  // The same in two steps: one of several parts of the rows, by each thread of a team; and the rest.
  void load_rows(const std::vector<Tensor>& x, const Tensor& y, const Tensor& weight,
                 std::span<const std::int64_t> rows, int part, int parts);
  void load_scalars(const optim::Optimizer& optimizer, std::span<const double> rates, std::uint64_t seed,
                    std::uint64_t step, std::int64_t optimizer_step, double clip_limit);
  double scalar(StepOutput output) const;
  TensorType output_type() const;
  const void* output_data() const;
  // For drivers, which run the step several times: what scalar() and output_data() give, until it is released.
  void hold_outputs();
  void release_outputs();
  const StepInputs& inputs() const { return inputs_; }
  const std::vector<Tensor>& batch_inputs() const { return x_; }
  const Tensor& batch_target() const { return y_; }
  const Tensor& batch_weight() const { return weight_; }  // may be undefined
  // For least-squares drivers: made when they first step.
  std::shared_ptr<NormalEquations>& normal_equations() { return normal_equations_; }
  const nn::Module& model() const { return model_; }
  const Loss& loss() const { return loss_; }

 private:
  TensorType type_of_output(std::size_t output) const;
  void set_scalars(const optim::Optimizer& optimizer, std::span<const double> rates, std::int64_t step);

  nn::Module model_;
  Loss loss_;
  StepInputs inputs_;
  StepKind kind_;
  std::vector<char> trained_;
  Workspace workspace_;
  std::vector<Tensor> x_;
  Tensor y_, weight_;
  std::int64_t counter_[2] = {0, 0};
  double clip_limit_ = 0;
  double mixup_ = 0, mixup_share_ = 1;
  bool double_scalars_ = false;
  std::vector<double> scalars_;
  std::vector<float> scalars_single_;
  std::array<std::vector<std::byte>, 4> held_{};  // empty: not held
  std::shared_ptr<NormalEquations> normal_equations_;
};

}  // namespace chainrule
