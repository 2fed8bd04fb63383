// Opt-in: a Tensor seen as the host's own Eigen matrix, without a copy. Include it after choosing your Eigen.
#pragma once

#include <Eigen/Core>

#include "chainrule/tensor.hpp"

namespace chainrule {

// (rows, cols) of a rank-2 tensor, or one column of a rank-1 tensor. The tensor must outlive the map.
template <class T>
Eigen::Map<const Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>> as_eigen(const Tensor& t) {
  if (t.rank() > 2) throw ShapeError("as_eigen: rank is above 2: shape is " + t.shape().str() + "; reshape it first");
  const Eigen::Index rows = t.rank() == 0 ? 1 : static_cast<Eigen::Index>(t.shape(0));
  const Eigen::Index cols = t.rank() == 2 ? static_cast<Eigen::Index>(t.shape(1)) : 1;
  return {t.data<T>(), rows, cols};
}

}  // namespace chainrule
