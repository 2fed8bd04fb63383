// Gathering batches and run-time scalars for a compiled step. Nothing here allocates after construction.
#include "train/compiled_step.hpp"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "core/float_environment.hpp"
#include "train/batched_run.hpp"
#include "train/step_parts.hpp"

namespace chainrule {
namespace {

// Rows of a shuffled batch lie anywhere in memory: while one is copied, those this many bytes later are on their way.
// Of 60000 rows of 3 kB, 128 take 21 instead of 28 us.
constexpr std::size_t prefetched_bytes = 4096, cache_line = 64;

template <class Width>
void copy_rows(const std::byte* from, std::span<const std::int64_t> rows, Width width, std::byte* to) {
  const std::size_t ahead = width == 0 ? 1 : std::max<std::size_t>(1, prefetched_bytes / width);
  const auto row = [&](std::size_t i) { return from + static_cast<std::size_t>(rows[i]) * width; };
  for (std::size_t i = 0; i < rows.size(); ++i, to += width) {
    if (i + ahead < rows.size())
      for (std::size_t at = 0; at < width; at += cache_line) __builtin_prefetch(row(i + ahead) + at);
    std::memcpy(to, row(i), width);
  }
}

}  // namespace

bool CompiledStep::fits(const StepInputs& inputs, const optim::Optimizer& optimizer, StepKind kind) const {
  if (kind_ != kind || !(inputs_ == inputs) || workspace_.stale()) return false;
  for (std::size_t i = 0; i < trained_.size(); ++i)
    if ((trained_[i] != 0) != optimizer.parameters()[i].requires_grad()) return false;
  return true;
}

CompiledStep::CompiledStep(const nn::Module& model, const Loss& loss, optim::Optimizer& optimizer,
                           const StepInputs& inputs, const StepPlan& plan, Precision precision)
    : model_(model),
      loss_(loss),
      inputs_(inputs),
      kind_(plan.kind),
      workspace_(compile_program(trace_step(model, loss, optimizer, inputs, plan), precision), available_threads()),
      mixup_(plan.regularizers.mixup) {
  for (const Tensor& p : optimizer.parameters()) trained_.push_back(p.requires_grad());
  std::size_t at = 0;
  for (const TensorType& type : inputs.x) {
    x_.push_back(make_tensor(type));
    workspace_.bind_input(at++, bytes_of(x_.back()));
  }
  y_ = make_tensor(inputs.target);
  workspace_.bind_input(at++, bytes_of(y_));
  if (inputs.weight) {
    weight_ = make_tensor(*inputs.weight);
    workspace_.bind_input(at++, bytes_of(weight_));
  }
  workspace_.bind_input(at++, counter_);
  if (plan.clip != Clip::none && kind_ != StepKind::collect) workspace_.bind_input(at++, &clip_limit_);
  if (mixup_ > 0) workspace_.bind_input(at++, &mixup_share_);
  const std::size_t count = workspace_.program().graph.inputs.size() - at;
  double_scalars_ = !optimizer.parameters().empty() && optimizer.parameters()[0].dtype() == DType::float64;
  scalars_.resize(count);
  scalars_single_.resize(count);
  for (std::size_t k = 0; k < count; ++k)
    workspace_.bind_input(at + k, double_scalars_ ? static_cast<const void*>(&scalars_[k])
                                                  : static_cast<const void*>(&scalars_single_[k]));
}

void CompiledStep::load_rows(const std::vector<Tensor>& x, const Tensor& y, const Tensor& weight,
                             std::span<const std::int64_t> rows, int part, int parts) {
  const auto n = rows.size(), begin = n * static_cast<std::size_t>(part) / static_cast<std::size_t>(parts),
             end = n * static_cast<std::size_t>(part + 1) / static_cast<std::size_t>(parts);
  const auto gather = [&](const Tensor& from, const Tensor& to) {
    const auto* source = static_cast<const std::byte*>(from.raw_data());
    const std::size_t width = row_bytes(to);
    std::byte* const target = bytes_of(to) + begin * width;
    const auto own = rows.subspan(begin, end - begin);
    switch (width) {  // a few numbers per row: copies of a known size are single moves
      case 4:
        return copy_rows(source, own, std::integral_constant<std::size_t, 4>(), target);
      case 8:
        return copy_rows(source, own, std::integral_constant<std::size_t, 8>(), target);
      case 16:
        return copy_rows(source, own, std::integral_constant<std::size_t, 16>(), target);
      default:
        return copy_rows(source, own, width, target);
    }
  };
  for (std::size_t i = 0; i < x_.size(); ++i) gather(x[i], x_[i]);
  gather(y, y_);
  if (weight_.defined()) gather(weight, weight_);
}

void CompiledStep::load_scalars(const optim::Optimizer& optimizer, std::span<const double> rates, std::uint64_t seed,
                                std::uint64_t step, std::int64_t optimizer_step, double clip_limit) {
  counter_[0] = static_cast<std::int64_t>(seed);
  counter_[1] = static_cast<std::int64_t>(step);
  clip_limit_ = clip_limit;
  const FloatEnvironment environment;
  if (mixup_ > 0) mixup_share_ = mixup_share(mixup_, seed, step);
  set_scalars(optimizer, rates, optimizer_step);
}

void CompiledStep::load(const std::vector<Tensor>& x, const Tensor& y, const Tensor& weight,
                        std::span<const std::int64_t> rows, const optim::Optimizer& optimizer,
                        std::span<const double> rates, std::uint64_t seed, std::uint64_t step,
                        std::int64_t optimizer_step, double clip_limit) {
  load_rows(x, y, weight, rows, 0, 1);
  load_scalars(optimizer, rates, seed, step, optimizer_step, clip_limit);
}

// Out of line, so that no compiler moves its arithmetic out of the floating-point environment around the call.
[[gnu::noinline]] void CompiledStep::set_scalars(const optim::Optimizer& optimizer, std::span<const double> rates,
                                                 std::int64_t step) {
  if (!scalars_.empty()) write_scalars(optimizer, rates, step, scalars_.data(), scalars_single_.data());
}

double CompiledStep::scalar(StepOutput output) const {
  const void* at = held_[output].empty() ? workspace_.output(output) : held_[output].data();
  return type_of_output(output).dtype == DType::float64 ? *static_cast<const double*>(at)
                                                        : static_cast<double>(*static_cast<const float*>(at));
}

const void* CompiledStep::output_data() const {
  return held_[step_model_output].empty() ? workspace_.output(step_model_output) : held_[step_model_output].data();
}

void CompiledStep::hold_outputs() {
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const TensorType type = type_of_output(i);
    const auto* from = static_cast<const std::byte*>(workspace_.output(i));
    held_[i].assign(from, from + static_cast<std::size_t>(type.shape.size()) * size_of(type.dtype));
  }
}
void CompiledStep::release_outputs() {
  for (std::vector<std::byte>& bytes : held_) bytes.clear();
}

TensorType CompiledStep::type_of_output(std::size_t output) const {
  const GraphData& graph = workspace_.program().graph;
  return graph.types[static_cast<std::size_t>(graph.outputs[output])];
}

TensorType CompiledStep::output_type() const { return type_of_output(step_model_output); }

}  // namespace chainrule
