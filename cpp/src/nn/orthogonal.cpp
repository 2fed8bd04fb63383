// orthogonal_: the Q of a QR decomposition of normal draws. Eigen's decomposition runs on one thread and under a name
// of its own, so that the bits do not depend on threads or on another copy of Eigen in the program.
#define EIGEN_DONT_PARALLELIZE
#define Eigen Eigen_nn
#include <Eigen/QR>

#include <cmath>
#include <vector>

#include "chainrule/nn.hpp"
#include "chainrule/random.hpp"
#include "core/arguments.hpp"
#include "core/fail.hpp"

namespace chainrule::nn::init {

void orthogonal_(const Tensor& w, Key key, double gain) {
  if (!w.defined()) fail<StateError>("orthogonal_", "the parameter is undefined");
  const Shape& shape = w.shape();
  if (!is_floating(w.dtype()))
    fail<DTypeError>("orthogonal_", "the parameter must be floating", "dtype is " + std::string(name_of(w.dtype())));
  if (shape.rank() < 1)
    fail<ShapeError>("orthogonal_", "the parameter needs at least one axis", "shape is " + shape.str());
  if (!std::isfinite(gain)) fail<ValueError>("orthogonal_", "gain must be finite", "gain is " + text_of(gain));
  if (shape.size() == 0) return;

  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Eigen::Index rows = shape[0], columns = shape.size() / shape[0];
  const Eigen::Index tall = std::max(rows, columns), wide = std::min(rows, columns);
  const Tensor draws = random::normal({tall, wide}, key.key, key.stream, 0.0, 1.0, DType::float64);
  const Eigen::HouseholderQR<Matrix> qr(Eigen::Map<const Matrix>(draws.data<double>(), tall, wide));
  Matrix q = qr.householderQ() * Matrix::Identity(tall, wide);
  // With the diagonal of R made positive, Q is uniform over the orthogonal matrices (Mezzadri, 2007).
  for (Eigen::Index j = 0; j < wide; ++j) q.col(j) *= qr.matrixQR()(j, j) < 0 ? -gain : gain;

  std::vector<double> values(static_cast<std::size_t>(shape.size()));
  for (Eigen::Index i = 0; i < rows; ++i)
    for (Eigen::Index j = 0; j < columns; ++j)
      values[static_cast<std::size_t>(i * columns + j)] = rows >= columns ? q(i, j) : q(j, i);
  Tensor(w).copy_(Tensor::from(values, shape));
}

}  // namespace chainrule::nn::init
