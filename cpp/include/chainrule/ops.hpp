// The op functions. Elementwise ones broadcast as NumPy does; axes may be negative; "no axes" means all of them.
// On values they run at once; on symbolic tensors they record a Graph. Those that move elements are in structure.hpp.
#pragma once

#include <optional>
#include <vector>

#include "chainrule/elementwise_list.hpp"
#include "chainrule/structure.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule {

#define CHAINRULE_DECLARE_UNARY(name, Struct, doc) CHAINRULE_API Tensor name(const Tensor& x);
#define CHAINRULE_DECLARE_BINARY(name, Struct, doc) CHAINRULE_API Tensor name(const Tensor& a, const Tensor& b);
CHAINRULE_UNARY_OPS(CHAINRULE_DECLARE_UNARY)
CHAINRULE_BINARY_OPS(CHAINRULE_DECLARE_BINARY)
CHAINRULE_COMPARISON_OPS(CHAINRULE_DECLARE_BINARY)
#undef CHAINRULE_DECLARE_UNARY
#undef CHAINRULE_DECLARE_BINARY

inline Tensor operator-(const Tensor& x) { return negative(x); }
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return subtract(a, b); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return multiply(a, b); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return divide(a, b); }

// --- elementwise, with attributes or three operands ----------------------------------------------------------------
CHAINRULE_API Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);
CHAINRULE_API Tensor elu(const Tensor& x, double alpha = 1.0);
// Values limited to [low, high], minimum(maximum(x, low), high); {} leaves a side open. Bounds that are tensors
// broadcast and have gradients.
CHAINRULE_API Tensor clip(const Tensor& x, const Tensor& low, const Tensor& high);
CHAINRULE_API Tensor round(const Tensor& x, int decimals);  // to so many decimals, as NumPy's; below 0: to tens
CHAINRULE_API Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);  // condition is bool
CHAINRULE_API Tensor fma(const Tensor& a, const Tensor& b, const Tensor& c);            // a * b + c, rounded once
CHAINRULE_API Tensor cast(const Tensor& x, DType dtype);
CHAINRULE_API Tensor stop_gradient(const Tensor& x);  // the same values; no gradient flows through

// --- along an axis -------------------------------------------------------------------------------------------------
// Running sums and products; without an axis of all elements in a row. reverse: from the end.
CHAINRULE_API Tensor cumsum(const Tensor& x, std::optional<int> axis = {}, bool reverse = false);
CHAINRULE_API Tensor cumprod(const Tensor& x, std::optional<int> axis = {}, bool reverse = false);
// Ascending order (or descending), stable, NaN last in both; without an axis of all elements in a row.
CHAINRULE_API Tensor sort(const Tensor& x, std::optional<int> axis = -1, bool descending = false);
CHAINRULE_API Tensor argsort(const Tensor& x, std::optional<int> axis = -1, bool descending = false);  // int64
// The k largest entries along the axis, or smallest, in their order, and where they are (int64); NaN counts last.
struct TopK {
  Tensor values, indices;
};
CHAINRULE_API TopK topk(const Tensor& x, std::int64_t k, int axis = -1, bool largest = true);

// --- matrix product ------------------------------------------------------------------------------------------------
// (..., m, k) x (..., k, n) -> (..., m, n), leading sizes broadcast; rank-1 operands as in NumPy. The flags read an
// operand with its last two axes exchanged.
CHAINRULE_API Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);
CHAINRULE_API Tensor outer(const Tensor& a, const Tensor& b);  // a[i] b[j] of the flattened operands

// --- reductions ----------------------------------------------------------------------------------------------------
CHAINRULE_API Tensor sum(const Tensor& x, const Dims& axes = {}, bool keepdims = false);
CHAINRULE_API Tensor mean(const Tensor& x, const Dims& axes = {}, bool keepdims = false);
CHAINRULE_API Tensor prod(const Tensor& x, const Dims& axes = {}, bool keepdims = false);
CHAINRULE_API Tensor max(const Tensor& x, const Dims& axes = {}, bool keepdims = false);
CHAINRULE_API Tensor min(const Tensor& x, const Dims& axes = {}, bool keepdims = false);
CHAINRULE_API Tensor var(const Tensor& x, const Dims& axes = {}, bool keepdims = false, int ddof = 0);
CHAINRULE_API Tensor std(const Tensor& x, const Dims& axes = {}, bool keepdims = false, int ddof = 0);
// No order: the root of the sum of squares. Along one axis any number p, the p-th root of sum |x|^p (0 counts
// what is not 0; inf and -inf are the largest and smallest |x|); of matrices (two axes, rows first) 1, inf or -inf.
// The derivative at 0 is 0.
CHAINRULE_API Tensor norm(const Tensor& x, std::optional<double> ord = {}, const Dims& axes = {},
                          bool keepdims = false);
CHAINRULE_API Tensor logsumexp(const Tensor& x, const Dims& axes = {}, bool keepdims = false);
CHAINRULE_API Tensor argmax(const Tensor& x, std::optional<int> axis = {}, bool keepdims = false);  // int64
CHAINRULE_API Tensor argmin(const Tensor& x, std::optional<int> axis = {}, bool keepdims = false);  // int64

// --- softmax and friends -------------------------------------------------------------------------------------------
CHAINRULE_API Tensor softmax(const Tensor& x, int axis = -1);
CHAINRULE_API Tensor log_softmax(const Tensor& x, int axis = -1);
// Per-sample loss of logits (..., C) and labels (...): log(sum e^x) - x[label]. Ignored labels give 0.
CHAINRULE_API Tensor softmax_cross_entropy(const Tensor& logits, const Tensor& labels, double label_smoothing = 0.0,
                                           std::optional<std::int64_t> ignore_index = {});

// --- random --------------------------------------------------------------------------------------------------------
// Zeroes each element with probability p, divides the rest by 1 - p. A new mask in every call; inside a module's call
// in train mode the mask is keyed by that call (see random.hpp).
CHAINRULE_API Tensor dropout(const Tensor& x, double p);

}  // namespace chainrule
