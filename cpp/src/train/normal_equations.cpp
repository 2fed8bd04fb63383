// The Jacobian of the residuals: of one sample by reverse or forward mode, whichever takes fewer sweeps, batched over
// the samples of a block; its products are summed over the blocks in order.
#include "train/normal_equations.hpp"

#include <algorithm>
#include <cmath>

#include "chainrule/functional_call.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/transforms.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "graph/tensor_data.hpp"
#include "nn/mode_override.hpp"
#include "train/batched_run.hpp"

namespace chainrule {
namespace {

constexpr std::int64_t block_bytes = 32 << 20;      // of the Jacobian of a block, about
constexpr std::int64_t most_row_bytes = 512 << 20;  // of one sample

TensorType block_type(TensorType type, std::int64_t rows) {
  type.shape[0] = rows;
  return type;
}
Tensor as_batch(const Tensor& sample) {
  Dims dims{1};
  for (const std::int64_t size : sample.shape()) dims.push_back(size);
  return reshape(sample, dims);
}

}  // namespace

NormalEquations::NormalEquations(const CompiledStep& step, const std::vector<Tensor>& parameters,
                                 const std::string& optimizer)
    : parameters_(parameters), optimizer_(optimizer) {
  const Shape& output = step.output_type().shape;
  rows_ = step.inputs().target.shape[0];
  if (output.rank() == 0 || output[0] != rows_)
    fail<ShapeError>(optimizer_, "the model's output must have one row per sample", "it is " + output.str(),
                     "keep the batch as the first axis");
  elements_ = output.size() / std::max<std::int64_t>(rows_, 1);
  std::int64_t columns = 0;
  for (const Tensor& p : parameters_) columns += p.size();
  const std::int64_t row_bytes = elements_ * columns * 8;
  if (row_bytes > most_row_bytes)
    fail<ValueError>(optimizer_, "the Jacobian of one sample is too large",
                     std::to_string(elements_) + " outputs by " + std::to_string(columns) + " parameters, " +
                         std::to_string(row_bytes >> 20) + " MiB of at most " + std::to_string(most_row_bytes >> 20),
                     "use LBFGS or Adam");
  block_ = std::clamp<std::int64_t>(block_bytes / std::max<std::int64_t>(row_bytes, 1), 1, rows_);
  const auto compiled = [&](std::int64_t rows) {
    return std::make_unique<Workspace>(compile_program(trace(step, rows)), available_threads());
  };
  whole_ = compiled(block_);
  if (rows_ % block_ != 0) last_ = compiled(rows_ % block_);
}

bool NormalEquations::stale() const { return whole_->stale() || (last_ && last_->stale()); }

// x..., target, weight? of a block -> J'J, J'r, r'r, each residual times the root of its sample's weight.
GraphData NormalEquations::trace(const CompiledStep& step, std::int64_t rows) const {
  const nn::ModeOverride mode(true);
  const auto tracer = Tracer::create();
  const TraceScope recording(*tracer);
  const StepInputs& types = step.inputs();
  std::vector<Tensor> block;
  for (const TensorType& type : types.x) block.push_back(tracer->input(block_type(type, rows)));
  block.push_back(tracer->input(block_type(types.target, rows)));
  const Tensor weight = types.weight ? tracer->input(block_type(*types.weight, rows)) : Tensor();

  const LossImpl::Function residuals = step.loss().impl()->residuals();
  const Function of_sample = [&](const std::vector<Tensor>& sample) {
    const auto of_parameters = [&](const std::vector<Tensor>& stand_ins) {
      const nn::ParameterScope scope(parameters_, stand_ins);
      std::vector<Tensor> x;
      for (std::size_t i = 0; i + 1 < sample.size(); ++i) x.push_back(as_batch(sample[i]));
      return std::vector<Tensor>{reshape(residuals(step.model()(x), as_batch(sample.back())), {elements_})};
    };
    const auto [r, jacobians] = value_and_jacobians(of_parameters, parameters_);
    std::vector<Tensor> parts;
    for (const Tensor& j : jacobians) parts.push_back(reshape(j, {elements_, j.size() / elements_}));
    return std::vector<Tensor>{r, concat(parts, 1)};
  };
  const std::vector<std::optional<int>> axes(block.size(), 0);
  const std::vector<Tensor> all =
      vmap_call(of_sample, block, axes, [](std::size_t n) { return std::vector<int>(n, 0); });
  Tensor r = reshape(cast(all[0], DType::float64), {rows, elements_});
  Tensor j = cast(all[1], DType::float64);
  if (weight.defined()) {
    const Tensor root = reshape(sqrt(cast(weight, DType::float64)), {rows, 1});
    r = r * root;
    j = j * reshape(root, {rows, 1, 1});
  }
  const std::int64_t residual_count = rows * elements_;
  r = reshape(r, {residual_count});
  j = reshape(j, {residual_count, j.size() / residual_count});
  const Tensor jt = transpose(j);
  const Tensor results[] = {matmul(jt, j), matmul(jt, r), sum(square(r))};
  tracer->set_outputs(results);
  return tracer->take();
}

bool NormalEquations::run(const CompiledStep& step, double loss, std::span<double> jtj, std::span<double> jtr) {
  std::fill(jtj.begin(), jtj.end(), 0.0);
  std::fill(jtr.begin(), jtr.end(), 0.0);
  double squares = 0, weights = 0;
  std::vector<Tensor> bound = step.batch_inputs();
  bound.push_back(step.batch_target());
  if (step.batch_weight().defined()) bound.push_back(step.batch_weight());
  for (std::int64_t first = 0; first < rows_; first += block_) {
    Workspace& workspace = rows_ - first < block_ ? *last_ : *whole_;
    for (std::size_t i = 0; i < bound.size(); ++i)
      workspace.bind_input(i, bytes_of(bound[i]) + static_cast<std::size_t>(first) * row_bytes(bound[i]));
    workspace.refresh();
    workspace.run();
    const FloatEnvironment environment;
    const auto* a = static_cast<const double*>(workspace.output(0));
    const auto* b = static_cast<const double*>(workspace.output(1));
    for (std::size_t i = 0; i < jtj.size(); ++i) jtj[i] += a[i];
    for (std::size_t i = 0; i < jtr.size(); ++i) jtr[i] += b[i];
    squares += *static_cast<const double*>(workspace.output(2));
  }
  if (step.batch_weight().defined()) {
    const Tensor wide = cast(step.batch_weight(), DType::float64);
    for (const double w : wide.span<double>()) weights += w;
  } else {
    weights = static_cast<double>(rows_);
  }
  // The loss is the sum of squares divided by what its reduction divides by.
  const std::string& reduction = step.loss().reduction();
  const double elements = static_cast<double>(elements_);
  const double divisor = reduction == "sum"    ? 1.0
                         : reduction == "none" ? elements * static_cast<double>(rows_)
                         : weights == 0        ? 1.0
                                               : elements * weights;
  for (double& value : jtj) value /= divisor;
  for (double& value : jtr) value /= divisor;
  const auto finite = [](double value) { return std::isfinite(value); };
  if (!std::ranges::all_of(jtj, finite) || !std::ranges::all_of(jtr, finite)) return false;

  const bool single = parameters_[0].dtype() == DType::float32;
  const double given = squares / divisor, tolerance = single ? 1e-3 : 1e-8;
  if (!(std::abs(given - loss) <= tolerance * std::max(std::abs(loss), std::abs(given)) + 1e-30))
    fail<ValueError>(optimizer_, "the samples of a batch depend on each other",
                     "one by one their loss is " + std::to_string(given) + ", together " + std::to_string(loss),
                     "use a model without batch statistics, or LBFGS");
  return true;
}

}  // namespace chainrule
