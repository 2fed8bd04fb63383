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

bool prefers_reverse(JacobianMode mode, const Tensors& y, std::span<const Tensor> x) {
  if (mode != JacobianMode::automatic) return mode == JacobianMode::reverse;
  std::int64_t rows = 0, columns = 0;
  for (const Tensor& t : y) rows += t.size();
  for (const Tensor& t : x) columns += t.size();
  return rows <= columns;
}

}  // namespace

std::pair<std::vector<Tensor>, Jacobians> values_and_jacobians(const Function& f, const std::vector<Tensor>& x,
                                                               JacobianMode mode, const char* who) {
  Differentiation d(x, who);
  const Tensors y = d.call(f);
  for (const Tensor& t : y)
    if (!is_floating(t.dtype()))
      fail<DTypeError>(who, "the output has no gradient", "dtype is " + std::string(name_of(t.dtype())),
                       "differentiate a floating result");
  Jacobians result(y.size());
  if (prefers_reverse(mode, y, x)) {
    for (std::size_t k = 0; k < y.size(); ++k) {
      const Tensor rows = unit_vectors(type_of(y[k]));
      const Tensors gx = d.pull_many(std::span(&y[k], 1), std::span(&rows, 1), y[k].size());
      for (std::size_t i = 0; i < x.size(); ++i)
        result[k].push_back(reshape(gx[i], joined(y[k].shape(), x[i].shape())));
    }
  } else {
    for (std::size_t i = 0; i < x.size(); ++i) {
      Tensors columns(x.size());
      columns[i] = unit_vectors(type_of(x[i]));
      const Tensors ty = d.push_many(y, columns, x[i].size());
      for (std::size_t k = 0; k < y.size(); ++k) {
        const Tensor by_column = reshape(ty[k], {x[i].size(), y[k].size()});
        result[k].push_back(reshape(transpose(by_column), joined(y[k].shape(), x[i].shape())));
      }
    }
  }
  Tensors values;
  for (const Tensor& t : y) values.push_back(d.value(t));
  return {std::move(values), std::move(result)};
}

std::pair<Tensor, std::vector<Tensor>> value_and_jacobians(const Function& f, const std::vector<Tensor>& x,
                                                           JacobianMode mode) {
  auto [values, jacobians] = values_and_jacobians(f, x, mode);
  if (values.size() != 1)
    fail<ValueError>("jacobian", "the function does not return one tensor",
                     std::to_string(values.size()) + " were returned", "return one, or call values_and_jacobians");
  return {values[0], std::move(jacobians[0])};
}

std::vector<std::vector<std::vector<Tensor>>> hessians(const Function& given, const std::vector<Tensor>& x) {
  const Function f = with_fixed_draws(given);
  const Function gradients = [&](const std::vector<Tensor>& at) {  // of every output, one behind the other
    Differentiation d(at, "hessian");
    const Tensors y = d.call(f);
    Tensors all;
    for (const Tensor& t : y) {
      const Tensor start = start_cotangent(t, {}, "hessian");
      for (Tensor& g : d.pull(std::span(&t, 1), std::span(&start, 1), y.size() > 1)) all.push_back(std::move(g));
    }
    return all;
  };
  Jacobians rows = values_and_jacobians(gradients, x, JacobianMode::forward, "hessian").second;
  std::vector<std::vector<std::vector<Tensor>>> blocks(x.empty() ? 0 : rows.size() / x.size());
  for (std::size_t r = 0; r < rows.size(); ++r) blocks[r / x.size()].push_back(std::move(rows[r]));
  return blocks;
}

std::vector<std::vector<Tensor>> hessian(const Function& f, const std::vector<Tensor>& x) {
  auto blocks = hessians(f, x);
  if (blocks.size() != 1)
    fail<ValueError>("hessian", "the function does not return one tensor",
                     std::to_string(blocks.size()) + " were returned", "return one, or call hessians");
  return std::move(blocks[0]);
}

}  // namespace chainrule
