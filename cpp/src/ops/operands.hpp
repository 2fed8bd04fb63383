// What op functions share: dtype promotion of operands, axis normalization, and building Op entries.
#pragma once

#include <cstring>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {

Tensor number_as(const Tensor& x, DType dtype,
                 const char* op);                  // a weak scalar with a value; throws if it does not fit
Tensor strong(const Tensor& x);                    // the same tensor, its dtype its own
Tensor settle(const Tensor& x, const char* op);    // a weak scalar on its own: float32, int64 or bool
Tensor floating(const Tensor& x, const char* op);  // integers and bools become float64, as in NumPy
Tensor counting(const Tensor& x, const char* op);  // small integers and bools become int64, as sums are
// Both operands in their common dtype; scalars take the other operand's. floats: integers become float64.
void promote_operands(Tensor& a, Tensor& b, const char* op, bool floats);
std::vector<Tensor> promoted(const std::vector<Tensor>& parts, const char* op);  // the same for any number of them
Tensor as_index(const Tensor& index, const char* op);                            // int64; throws DTypeError

int normal_axis(int axis, int rank, const char* op);           // throws IndexError
Dims normal_axes(const Dims& axes, int rank, const char* op);  // sorted, unique; none given: all
std::int64_t product(const Shape& shape, int begin, int end) noexcept;
Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op);  // throws ShapeError
Tensor zeros_like_type(const TensorType& type);                          // frozen when traced
Tensor sum_to(const Tensor& g, const Shape& shape);                      // undoes broadcasting

// Typed access to the part of a Plan that belongs to one kernel family.
template <class P> P& plan_body(kernels::Plan& plan) {
  static_assert(std::is_trivially_copyable_v<P> && sizeof(P) <= sizeof(plan.body));
  return *std::launder(reinterpret_cast<P*>(plan.body));
}
template <class P> P& new_plan_body(kernels::Plan& plan) {
  static_assert(std::is_trivially_copyable_v<P> && sizeof(P) <= sizeof(plan.body));
  return *new (static_cast<void*>(plan.body)) P{};
}

void attach_kernels(Op& op, std::string_view kernel_name);  // looks the name up for every dtype

// The ops of each file, collected by registry.cpp.
void add_elementwise_ops(std::vector<Op>& ops);
void add_shape_ops(std::vector<Op>& ops);
void add_slice_ops(std::vector<Op>& ops);
void add_matmul_ops(std::vector<Op>& ops);
void add_reduction_ops(std::vector<Op>& ops);
void add_scan_ops(std::vector<Op>& ops);
void add_softmax_ops(std::vector<Op>& ops);
void add_sort_ops(std::vector<Op>& ops);
void add_picking_ops(std::vector<Op>& ops);
void add_take_ops(std::vector<Op>& ops);
void add_random_ops(std::vector<Op>& ops);
void add_call_op(std::vector<Op>& ops);

}  // namespace chainrule
