// Op functions that move elements: shapes, joining and splitting, indexing, contractions written with letters. They
// take NumPy's words and order of arguments; axes may be negative. All are differentiable and can be traced.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "chainrule/tensor.hpp"

namespace chainrule {

// --- shapes --------------------------------------------------------------------------------------------------------
CHAINRULE_API Tensor reshape(const Tensor& x, const Dims& shape);        // one size may be -1
CHAINRULE_API Tensor transpose(const Tensor& x, const Dims& axes = {});  // no axes: reversed
CHAINRULE_API Tensor moveaxis(const Tensor& x, const Dims& source, const Dims& destination);
CHAINRULE_API Tensor swapaxes(const Tensor& x, int axis1, int axis2);
CHAINRULE_API Tensor squeeze(const Tensor& x, const Dims& axes = {});  // no axes: all of size 1
CHAINRULE_API Tensor expand_dims(const Tensor& x, int axis);
CHAINRULE_API Tensor expand_dims(const Tensor& x, const Dims& axes);  // places in the result
CHAINRULE_API Tensor broadcast_to(const Tensor& x, const Shape& shape);
CHAINRULE_API Tensor flip(const Tensor& x, const Dims& axes = {});  // no axes: all
// Each element `repeats` times in a row, or as often as its entry says; no axis: of x flattened.
CHAINRULE_API Tensor repeat(const Tensor& x, std::int64_t repeats, std::optional<int> axis = {});
CHAINRULE_API Tensor repeat(const Tensor& x, const std::vector<std::int64_t>& repeats, std::optional<int> axis = {});
CHAINRULE_API Tensor tile(const Tensor& x, const Dims& repeats);  // x side by side, so often along each axis

struct PadOptions {
  std::string mode = "constant";  // or "edge", "reflect", "symmetric", "wrap"
  Tensor value = 0.0;             // of "constant": a number, or a tensor of one element, which may have a gradient
};
// How much goes before and behind each axis; one pair serves all axes.
CHAINRULE_API Tensor pad(const Tensor& x, const std::vector<std::pair<std::int64_t, std::int64_t>>& widths,
                         const PadOptions& options = {});

// --- joining and splitting -----------------------------------------------------------------------------------------
CHAINRULE_API Tensor concat(const std::vector<Tensor>& parts, std::optional<int> axis = 0);  // no axis: flattened
CHAINRULE_API Tensor stack(const std::vector<Tensor>& parts, int axis = 0);                  // along a new axis
CHAINRULE_API Tensor vstack(const std::vector<Tensor>& parts);                               // rows below each other
CHAINRULE_API Tensor hstack(const std::vector<Tensor>& parts);  // side by side along axis 1, vectors along axis 0
CHAINRULE_API std::vector<Tensor> split(const Tensor& x, std::int64_t sections, int axis = 0);  // equal parts
// x[:i0], x[i0:i1], ..., x[in:]
CHAINRULE_API std::vector<Tensor> split_at(const Tensor& x, const std::vector<std::int64_t>& indices, int axis = 0);

// --- picking by index ----------------------------------------------------------------------------------------------
// Entries of x at index along the axis (of x flattened, without one). Gradients of entries taken twice add up.
CHAINRULE_API Tensor take(const Tensor& x, const Tensor& index, std::optional<int> axis = {});
// out[i, j] = x[i, index[i, j]]: index has x's rank, other sizes broadcast.
CHAINRULE_API Tensor take_along_axis(const Tensor& x, const Tensor& index, int axis = -1);
// index has x's shape without `axis`; picks one entry along it. Negative entries count from the end.
CHAINRULE_API Tensor take_along(const Tensor& x, const Tensor& index, int axis = -1);
CHAINRULE_API Tensor one_hot(const Tensor& index, std::int64_t classes, DType dtype = DType::float32);
CHAINRULE_API Tensor diagonal(const Tensor& x, int offset = 0, int axis1 = 0, int axis2 = 1);  // along a new last axis

// x[start:stop:step] along every axis given; Python's rules for negative and missing bounds.
struct Slice {
  std::optional<std::int64_t> start{}, stop{};
  std::int64_t step = 1;
};
CHAINRULE_API Tensor slice(const Tensor& x, const std::vector<Slice>& slices);

// One item of NumPy's indexing: an integer, a Slice, newaxis, ellipsis, or a tensor of integers or bools.
struct NewAxis {};
struct Ellipsis {};
inline constexpr NewAxis newaxis{};
inline constexpr Ellipsis ellipsis{};
class IndexItem {
 public:
  template <std::integral I>
    requires(!std::same_as<I, bool>)
  IndexItem(I value) : item_(static_cast<std::int64_t>(value)) {}
  IndexItem(const Slice& value) : item_(value) {}
  IndexItem(NewAxis value) : item_(value) {}
  IndexItem(Ellipsis value) : item_(value) {}
  IndexItem(const Tensor& value) : item_(value) {}
  const std::variant<std::int64_t, Slice, NewAxis, Ellipsis, Tensor>& item() const noexcept { return item_; }

 private:
  std::variant<std::int64_t, Slice, NewAxis, Ellipsis, Tensor> item_;
};
// x[items] by NumPy's rules: index(x, {1, Slice{}, newaxis, rows}). Tensors of integers broadcast together; bools must
// have values (eager, or a constant of a traced function). Gradients of entries taken twice add up.
CHAINRULE_API Tensor index(const Tensor& x, const std::vector<IndexItem>& items);
// One int64 vector per axis: where x is not 0. Needs values.
CHAINRULE_API std::vector<Tensor> nonzero(const Tensor& x);

// --- contractions --------------------------------------------------------------------------------------------------
// NumPy's: "ij,jk->ik"; letters that are not in the result are summed over, a letter twice in one operand is its
// diagonal, ... stands for the axes that have no letter. Runs as transpositions and matrix products.
CHAINRULE_API Tensor einsum(const std::string& subscripts, const std::vector<Tensor>& operands);
CHAINRULE_API Tensor tensordot(const Tensor& a, const Tensor& b, int axes = 2);  // the last of a with the first of b
CHAINRULE_API Tensor tensordot(const Tensor& a, const Tensor& b, const Dims& axes_a, const Dims& axes_b);
CHAINRULE_API Tensor dot(const Tensor& a, const Tensor& b);    // the last axis of a with the last but one of b
CHAINRULE_API Tensor inner(const Tensor& a, const Tensor& b);  // the last axes of both

// --- bools ---------------------------------------------------------------------------------------------------------
CHAINRULE_API Tensor logical_and(const Tensor& a, const Tensor& b);
CHAINRULE_API Tensor logical_or(const Tensor& a, const Tensor& b);
CHAINRULE_API Tensor logical_xor(const Tensor& a, const Tensor& b);
CHAINRULE_API Tensor logical_not(const Tensor& x);
CHAINRULE_API Tensor any(const Tensor& x, const Dims& axes = {}, bool keepdims = false);  // no axes: all
CHAINRULE_API Tensor all(const Tensor& x, const Dims& axes = {}, bool keepdims = false);

}  // namespace chainrule
