// Derivatives of functions run on values.
#include "autodiff/rules.hpp"
#include "autodiff/tape.hpp"
#include "chainrule/transforms.hpp"
#include "core/fail.hpp"

namespace chainrule {
namespace {

// Fresh leaves with the values of x, so that f's gradient never reaches x itself.
Tensors leaves_of(const std::vector<Tensor>& x, const char* who) {
  Tensors leaves;
  for (const Tensor& t : x) {
    if (!is_floating(t.dtype()))
      fail<DTypeError>(who, "an argument has no gradient", "dtype is " + std::string(name_of(t.dtype())), "use astype(\"float32\")");
    leaves.push_back(t.detach());
    leaves.back().requires_grad_();
  }
  return leaves;
}

Tensors collect(std::span<const Tensor> roots, std::span<const Tensor> cotangents, const Tensors& leaves, bool retain) {
  Tensors gradients(leaves.size());
  run_tape(roots, cotangents, {.retain = retain}, [&](const std::shared_ptr<TensorData>& leaf, const Tensor& g) {
    for (std::size_t i = 0; i < leaves.size(); ++i)
      if (leaves[i].data_handle() == leaf) gradients[i] = g;
  });
  for (std::size_t i = 0; i < leaves.size(); ++i)
    if (!gradients[i].defined()) gradients[i] = Tensor::zeros(leaves[i].shape(), leaves[i].dtype());
  return gradients;
}

}  // namespace

std::pair<Tensor, std::vector<Tensor>> value_and_gradients(const Function& f, const std::vector<Tensor>& x) {
  const Tensors leaves = leaves_of(x, "grad");
  const Tensors y = f(leaves);
  if (y.size() != 1) fail<ValueError>("grad", "the function does not return one value", std::to_string(y.size()) + " were returned");
  const Tensor start = start_cotangent(y[0], {}, "grad");
  return {y[0].detach(), collect(std::span(y).first(1), std::span(&start, 1), leaves, false)};
}

std::pair<std::vector<Tensor>, Pullback> vjp(const Function& f, const std::vector<Tensor>& x) {
  const Tensors leaves = leaves_of(x, "vjp");
  const Tensors y = f(leaves);
  Tensors values;
  for (const Tensor& t : y) values.push_back(t.detach());
  return {values, [leaves, y](const std::vector<Tensor>& gy) {
            if (gy.size() != y.size())
              fail<ValueError>("vjp", "wrong number of cotangents", std::to_string(gy.size()) + " for " + std::to_string(y.size()) + " outputs");
            Tensors starts;
            for (std::size_t i = 0; i < y.size(); ++i) starts.push_back(start_cotangent(y[i], gy[i], "vjp"));
            return collect(y, starts, leaves, true);
          }};
}

std::pair<std::vector<Tensor>, std::vector<Tensor>> jvp(const Function& f, const std::vector<Tensor>& x, const std::vector<Tensor>& tangents) {
  if (x.size() != tangents.size())
    fail<ValueError>("jvp", "wrong number of tangents", std::to_string(tangents.size()) + " for " + std::to_string(x.size()) + " arguments");
  Tensors moves;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!(x[i].shape() == tangents[i].shape()))
      fail<ShapeError>("jvp", "a tangent does not fit its argument", tangents[i].shape().str() + " for " + x[i].shape().str(), "give one value per element");
    moves.push_back(tangents[i].astype(x[i].dtype()));
  }
  const Tensors leaves = leaves_of(x, "jvp");
  const Tensors y = f(leaves);
  Tensors ty = push_tape(y, leaves, moves), values;
  for (std::size_t i = 0; i < y.size(); ++i) {
    values.push_back(y[i].detach());
    if (!ty[i].defined()) ty[i] = Tensor::zeros(y[i].shape(), y[i].dtype());
  }
  return {values, ty};
}

}  // namespace chainrule
