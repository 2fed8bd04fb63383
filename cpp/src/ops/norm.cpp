// Norms: roots of sums of squares, sums and maxima of absolute values. A function made of other ops.
#include "ops/norm.hpp"

#include <cmath>

#include "ops/operands.hpp"

namespace chainrule {
Tensor root_of_squares(const Tensor& sum) {
  const Tensor at_zero = equal(sum, Tensor(0.0));
  return where(at_zero, Tensor(0.0), sqrt(where(at_zero, Tensor(1.0), sum)));
}

namespace {

// (sum |x|^p)^(1/p), NumPy's at every p: 0 counts the entries that are not 0, and below 0 an entry that is makes it 0.
// Powers are never taken of 0, where they or their derivatives may have no value.
Tensor norm_of_order(const Tensor& a, double p, const Dims& axes, bool keepdims) {
  const Tensor none = equal(a, Tensor(0.0));
  if (p == 0.0) return sum(cast(logical_not(none), a.dtype()), axes, keepdims);
  const Tensor powers = power(where(none, Tensor(1.0), a), Tensor(p));
  const Tensor total = sum(where(none, Tensor(0.0), powers), axes, keepdims);
  const Tensor zero = p > 0 ? equal(total, Tensor(0.0)) : any(none, axes, keepdims);
  return where(zero, Tensor(0.0), power(where(zero, Tensor(1.0), total), Tensor(1.0 / p)));
}

}  // namespace

Tensor norm(const Tensor& x, std::optional<double> ord, const Dims& axes, bool keepdims) {
  const Tensor in = floating(x, "norm");
  const Dims chosen = normal_axes(axes, in.rank(), "norm");
  if (!ord || (*ord == 2.0 && chosen.rank() == 1)) return root_of_squares(sum(square(in), axes, keepdims));
  if (chosen.rank() != 1 && chosen.rank() != 2)
    fail<ValueError>("norm", "an order needs one axis or two", std::to_string(chosen.rank()) + " were given",
                     "use ord=None for the root of the sum of squares");
  if (std::isnan(*ord) || (chosen.rank() == 2 && *ord != 1.0 && !std::isinf(*ord)))
    fail<ValueError>(
        "norm", chosen.rank() == 2 ? "not an order of matrices" : "not an order of vectors", std::to_string(*ord),
        chosen.rank() == 2 ? "use None or 'fro' (root of the sum of squares), 1, inf or -inf" : "use None or a number");
  const Tensor a = abs(in);
  const auto extreme = [&](const Tensor& t, const Dims& over) {
    return *ord == -std::numeric_limits<double>::infinity() ? min(t, over, keepdims) : max(t, over, keepdims);
  };
  if (chosen.rank() == 1) {
    if (std::isinf(*ord)) return extreme(a, chosen);
    return *ord == 1.0 ? sum(a, chosen, keepdims) : norm_of_order(a, *ord, chosen, keepdims);
  }
  // Of matrices: the largest sum of a column (1) or of a row (inf).
  const int row = axes.empty() ? 0 : normal_axis(static_cast<int>(axes[0]), in.rank(), "norm");
  const int column = static_cast<int>(chosen[0] + chosen[1]) - row;
  const int summed = *ord == 1.0 ? row : column, other = *ord == 1.0 ? column : row;
  const Tensor y = extreme(sum(a, {summed}, true), {other});
  return keepdims ? y : squeeze(y, {summed > other ? summed - 1 : summed});
}

}  // namespace chainrule
