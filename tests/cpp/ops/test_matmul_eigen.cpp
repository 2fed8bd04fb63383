// Matrix products against Eigen's, which sums in another order: equal up to the rounding of a sum of k terms.
#include <doctest/doctest.h>

#include <Eigen/Core>
#include <limits>

#include "chainrule/chainrule.hpp"

using namespace chainrule;

TEST_CASE_TEMPLATE("matmul: against Eigen's product", T, float, double) {
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Map = Eigen::Map<const Matrix>;
  const std::int64_t sizes[][3] = {{1, 1, 1},       {1, 64, 64},      {1, 300, 1100}, {7, 5, 3},
                                   {33, 1, 70},     {32, 32, 4},      {128, 10, 64},  {65, 130, 257},
                                   {128, 256, 784}, {200, 300, 2100}, {12, 1000, 9}};
  for (const auto& size_of : sizes)
    for (int transposes = 0; transposes < 4; ++transposes) {
      const std::int64_t m = size_of[0], n = size_of[1], k = size_of[2];
      const bool ta = (transposes & 1) != 0, tb = (transposes & 2) != 0;
      const Tensor a = random::normal(ta ? Shape{k, m} : Shape{m, k}).astype(dtype_of<T>);
      const Tensor b = random::normal(tb ? Shape{n, k} : Shape{k, n}).astype(dtype_of<T>);
      const Tensor c = matmul(a, b, ta, tb);
      const Map ea(a.data<T>(), a.shape(0), a.shape(1)), eb(b.data<T>(), b.shape(0), b.shape(1));
      const Matrix left = ta ? Matrix(ea.transpose()) : Matrix(ea), right = tb ? Matrix(eb.transpose()) : Matrix(eb);
      const Matrix want = left * right, size = left.cwiseAbs() * right.cwiseAbs();
      const Matrix off = (Map(c.data<T>(), c.shape(0), c.shape(1)) - want).cwiseAbs();
      const T allowed = static_cast<T>(k) * std::numeric_limits<T>::epsilon();
      CHECK_MESSAGE((off.array() <= allowed * size.array()).all(), "m ", m, " n ", n, " k ", k, " transposes ", ta, tb);
    }
}
