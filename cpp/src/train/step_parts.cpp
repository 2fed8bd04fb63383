// Guards, clipping and the optimizer's scalars in a traced step.
#include "train/step_parts.hpp"

#include "autodiff/rules.hpp"
#include "chainrule/ops.hpp"
#include "core/arguments.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {

void guard(const Tensor& value) {
  static const Op& op = find_op("check_finite");
  apply(op, std::span(&value, 1));
}

Clipping clipping_of(const char* who, const std::optional<double>& norm, const std::optional<double>& value) {
  const auto check = [&](const char* name, const std::optional<double>& limit) {
    if (limit && !(*limit > 0)) fail<ValueError>(who, std::string(name) + " must be above 0", std::to_string(*limit));
  };
  check("clip_norm", norm);
  check("clip_value", value);
  if (norm && value)
    fail<ValueError>(who, "gradients are clipped by norm or by value",
                     "clip_norm is " + nn::text_of(*norm) + ", clip_value is " + nn::text_of(*value),
                     "leave one of them away");
  if (norm) return {Clip::norm, *norm};
  return value ? Clipping{Clip::value, *value} : Clipping{};
}

void clip_gradients(Tensors& gradients, const Tensor& limit, Clip by) {
  if (by != Clip::norm) {
    for (Tensor& g : gradients) {
      if (!g.defined()) continue;
      guard(g);
      if (by == Clip::none) continue;
      const Tensor most = cast(limit, g.dtype());
      g = clip(g, negative(most), most);
    }
    return;
  }
  Tensor squares;
  for (const Tensor& g : gradients)
    if (g.defined()) accumulate(squares, sum(square(g)));
  if (!squares.defined()) return;
  const Tensor norm = sqrt(squares);
  guard(norm);
  const Tensor factor = minimum(cast(limit, norm.dtype()) / (norm + Tensor(1e-6)), Tensor(1.0));
  for (Tensor& g : gradients)
    if (g.defined()) g = g * factor;
}

DType scalar_dtype(const optim::Optimizer& optimizer) {
  return optimizer.parameters().empty() ? DType::float32 : optimizer.parameters()[0].dtype();
}

std::vector<Tensors> scalar_inputs(Tracer& tracer, const optim::Optimizer& optimizer) {
  std::vector<Tensors> scalars(optimizer.group_count());
  if (!optimizer.rule()) return scalars;
  for (std::size_t g = 0; g < scalars.size(); ++g)
    for (std::size_t i = optimizer.rule_of(g).scalars(0.0, 1).size(); i-- > 0;)
      scalars[g].push_back(tracer.input({scalar_dtype(optimizer), {}}));
  return scalars;
}

std::size_t write_scalars(const optim::Optimizer& optimizer, std::span<const double> rates, std::int64_t step,
                          double* values, float* single) {
  if (!optimizer.rule()) return 0;
  std::size_t k = 0;
  for (std::size_t g = 0; g < rates.size(); ++g) {
    const optim::StepScalars of_group = optimizer.rule_of(g).scalars(rates[g], step);
    for (std::size_t n = 0; n < of_group.size(); ++n, ++k) {
      values[k] = of_group[n];
      single[k] = static_cast<float>(of_group[n]);
    }
  }
  return k;
}

std::size_t scalar_count(const optim::Optimizer& optimizer) {
  std::size_t count = 0;
  for (std::size_t g = 0; optimizer.rule() && g < optimizer.group_count(); ++g)
    count += optimizer.rule_of(g).scalars(0.0, 1).size();
  return count;
}

std::vector<std::size_t> in_order_of_groups(const optim::Optimizer& optimizer, const Tensors& gradients) {
  std::vector<std::size_t> order;
  for (std::size_t g = 0; g < optimizer.group_count(); ++g)
    for (std::size_t i = 0; i < gradients.size(); ++i)
      if (gradients[i].defined() && optimizer.group_of(i) == g) order.push_back(i);
  return order;
}

}  // namespace chainrule
