// Logic on bools: functions made of comparisons, where and sum. Other dtypes hold where they are not 0, as in NumPy.
#include "ops/operands.hpp"

namespace chainrule {
namespace {

Tensor bools(const Tensor& x, const char* op) { return cast(settle(x, op), DType::boolean); }
Tensor constant(bool value) { return make_constant(value ? 1 : 0, DType::boolean); }

// How many elements hold; exact, and 0 for none.
Tensor count(const Tensor& x, const Dims& axes, bool keepdims) { return sum(cast(x, DType::int64), axes, keepdims); }

}  // namespace

Tensor logical_and(const Tensor& a, const Tensor& b) {
  (void)broadcast_shapes(a.shape(), b.shape(), "logical_and");
  return where(bools(a, "logical_and"), bools(b, "logical_and"), constant(false));
}
Tensor logical_or(const Tensor& a, const Tensor& b) {
  (void)broadcast_shapes(a.shape(), b.shape(), "logical_or");
  return where(bools(a, "logical_or"), constant(true), bools(b, "logical_or"));
}
Tensor logical_xor(const Tensor& a, const Tensor& b) {
  (void)broadcast_shapes(a.shape(), b.shape(), "logical_xor");
  return not_equal(bools(a, "logical_xor"), bools(b, "logical_xor"));
}
Tensor logical_not(const Tensor& x) { return equal(bools(x, "logical_not"), constant(false)); }

Tensor any(const Tensor& x, const Dims& axes, bool keepdims) {
  const Tensor holds = bools(x, "any");
  return greater(count(holds, normal_axes(axes, holds.rank(), "any"), keepdims), 0);
}
Tensor all(const Tensor& x, const Dims& axes, bool keepdims) {
  const Tensor holds = bools(x, "all");
  return equal(count(logical_not(holds), normal_axes(axes, holds.rank(), "all"), keepdims), 0);
}

}  // namespace chainrule
