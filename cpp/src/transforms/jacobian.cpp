// Jacobians and Hessians: all rows, or all columns, in one sweep over a batch of unit vectors.
#include "core/fail.hpp"
#include "ops/operands.hpp"
#include "transforms/differentiation.hpp"
#include "transforms/fixed_draws.hpp"

namespace chainrule {
namespace {

// The n unit vectors of tensors of this type, one behind the other: (n, shape...).
Tensor unit_vectors(const TensorType& type) {
  const std::int64_t n = type.shape.size();
  Shape shape = type.shape;
  shape.insert(0, n);
  shape.checked_size("jacobian");
  Tensor eye = Tensor::zeros(shape, type.dtype);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i * n + i);
    if (type.dtype == DType::float32)
      reinterpret_cast<float*>(bytes_of(eye))[at] = 1.0f;
    else
      reinterpret_cast<double*>(bytes_of(eye))[at] = 1.0;
  }
  eye.data_handle()->constant = true;
  return eye;
}

Shape joined(const Shape& a, const Shape& b) {
  Shape shape = a;
  for (std::int64_t n : b) shape.push_back(n);
  return shape;
}

bool prefers_reverse(JacobianMode mode, const Tensor& y, std::span<const Tensor> x) {
  if (mode != JacobianMode::automatic) return mode == JacobianMode::reverse;
  std::int64_t columns = 0;
  for (const Tensor& t : x) columns += t.size();
  return y.size() <= columns;
}

}  // namespace

std::pair<Tensor, std::vector<Tensor>> value_and_jacobians(const Function& f, const std::vector<Tensor>& x,
                                                           JacobianMode mode) {
  Differentiation d(x, "jacobian");
  const Tensors outputs = d.call(f);
  if (outputs.size() != 1)
    fail<ValueError>("jacobian", "the function does not return one tensor",
                     std::to_string(outputs.size()) + " were returned",
                     "concat them, or return the one to differentiate");
  const Tensor& y = outputs[0];
  if (!is_floating(y.dtype()))
    fail<DTypeError>("jacobian", "the output has no gradient", "dtype is " + std::string(name_of(y.dtype())),
                     "differentiate a floating result");
  Tensors result;
  if (prefers_reverse(mode, y, x)) {
    const Tensor rows = unit_vectors(type_of(y));
    const Tensors gx = d.pull_many(std::span(&y, 1), std::span(&rows, 1), y.size());
    for (std::size_t i = 0; i < x.size(); ++i) result.push_back(reshape(gx[i], joined(y.shape(), x[i].shape())));
  } else {
    for (std::size_t i = 0; i < x.size(); ++i) {
      Tensors columns(x.size());
      columns[i] = unit_vectors(type_of(x[i]));
      const Tensors ty = d.push_many(std::span(&y, 1), columns, x[i].size());
      const Tensor by_column = reshape(ty[0], {x[i].size(), y.size()});
      result.push_back(reshape(transpose(by_column), joined(y.shape(), x[i].shape())));
    }
  }
  return {d.value(y), std::move(result)};
}

std::vector<std::vector<Tensor>> hessian(const Function& given, const std::vector<Tensor>& x) {
  const Function f = with_fixed_draws(given);
  std::vector<std::vector<Tensor>> blocks;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Function gradient = [&](const std::vector<Tensor>& at) {
      return std::vector<Tensor>{value_and_gradients(f, at).second[i]};
    };
    blocks.push_back(value_and_jacobians(gradient, x, JacobianMode::forward).second);
  }
  return blocks;
}

}  // namespace chainrule
