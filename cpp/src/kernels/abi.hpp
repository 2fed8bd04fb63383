// What crosses the border between the kernels (compiled once per ISA level) and the rest: plain data, no functions.
// The only header of ours that kernel files share without an ISA namespace: with no function and no template in it,
// there is nothing the linker could merge across levels.
#pragma once

#include <cstddef>
#include <cstdint>

namespace chainrule::kernels {

// Non-zero ends the run as a normal error.
enum class Status : std::int32_t { ok = 0, bad_label = 1, bad_index = 2, not_finite = 3, negative_exponent = 4 };

// A half-open range of the plan's units: elements for elementwise kernels, rows for row-wise ones and matmul.
struct Range {
  std::int64_t begin, end;
};

inline constexpr int max_rank = 8;
inline constexpr int max_elementwise_inputs = 10;

// What shapes and attributes mean to a kernel: filled once by the op's plan(), constant during a run.
struct Plan {
  std::int64_t units;              // extent of Range
  std::int64_t scratch_bytes = 0;  // scratch per calling thread, 64-byte aligned
  std::int64_t least_units = 1;    // per call, so that what a call prepares pays; 1 where it prepares nothing
  double cost = 0;                 // estimated nanoseconds on one core for all units; decides about threads
  // Where a unit is a row of so many columns and a call may be told to do some of them only; 0 elsewhere. Threads part
  // them at multiples of the grain. A call for some rows and columns costs its share of `cost`, and so many nanoseconds
  // for each of its rows and for each of its columns: what it reads or copies.
  std::int64_t columns = 0, column_grain = 1;
  double row_cost = 0, column_cost = 0;
  alignas(64) unsigned char body[1024];  // one of the structs below
};

// Operands as the kernel sees them. The arrays belong to the caller and are as long as the op has inputs and outputs.
struct Args {
  const void* const* in;
  void* const* out;
  const Plan* plan;
  Range columns{0, 0};  // of every row in the range, where the plan has columns; {0, 0}: all of them
};

using Kernel = Status (*)(const Args&, Range, void* scratch);

// One line of a kernel file's table; the last line has name == nullptr. dtype: that of the key operand (DType's value).
struct KernelEntry {
  const char* name;
  std::uint8_t dtype;
  Kernel kernel;
};

// Most elements of one broadcast operand that an elementwise kernel lays out in its scratch, 8 bytes for each.
inline constexpr std::int64_t elementwise_tile = 1024;

// Element i of the output, row-major over size[0..rank), reads input k at sum_d index_d * stride[k][d] (in elements;
// 0 where the input is broadcast). Neighbouring axes that can be merged have been merged; rank >= 1. All outputs are
// contiguous and have the full size. An output may be the same memory as an input that has its shape.
struct ElementwisePlan {
  std::int64_t rank;
  std::int64_t size[max_rank];
  std::int64_t stride[max_elementwise_inputs][max_rank];
  double r[6];  // the op's real attributes (slope, alpha, ...)
};

// C (batch, m, n) = op(A) op(B); A is (m, k), or (k, m) when transpose_a; B is (k, n), or (n, k) when transpose_b.
// units = batch * m rows of C. Contract: each element is one ascending FMA chain per constant block of 1024 along k;
// block sums are added ascending. accumulate: 0 overwrites C; 1 goes on where an earlier call over earlier k stopped
// (k_offset tells how many k came before, so that blocks stay where they are).
struct MatmulPlan {
  std::int64_t batch, m, n, k;
  std::int64_t stride_a, stride_b;  // elements from one batch to the next; 0 where the operand is broadcast
  std::int64_t k_offset;
  std::int32_t transpose_a, transpose_b, accumulate, reserved;
};

// x seen as (outer, n, inner), reduced along n; units = outer * inner outputs when inner > 1, else outer rows.
// accumulate: goes on from what an earlier call left in the outputs, over rows before these; outer = 1, inner > 1 only.
struct ReducePlan {
  std::int64_t outer, n, inner;
  double scale;  // mean: 1 / count; otherwise 1
  std::int64_t accumulate = 0;
};

// Row-wise kernels: x seen as (rows, n); units = rows.
struct RowPlan {
  std::int64_t rows, n;
  std::int64_t i[4];
  double r[4];
};

// take and its transpose put: x seen as (batch, middle, n, inner), index as (batch, count), the entries taken as
// (batch, middle, count, inner).
struct TakePlan {
  std::int64_t batch, middle, n, count, inner;
};

// flat_index: the sizes of the axes that one position each is given for.
struct FlatIndexPlan {
  std::int64_t axes;
  std::int64_t size[max_rank];
};

// A strided copy: output element at sum_d index_d * out_stride[d] + out_offset reads input element at
// sum_d index_d * in_stride[d] + in_offset. units = product of sizes (elements copied).
struct CopyPlan {
  std::int64_t rank;
  std::int64_t size[max_rank];
  std::int64_t in_stride[max_rank], out_stride[max_rank];
  std::int64_t in_offset, out_offset;
};

// concat of `parts` inputs along one axis: output seen as (outer, sum of extent); input p as (outer, extent[p]), in
// bytes. units = outer.
struct ConcatPlan {
  std::int64_t outer, parts, total;
  std::int64_t extent[100];
};

static_assert(sizeof(ElementwisePlan) <= sizeof(Plan::body) && sizeof(ConcatPlan) <= sizeof(Plan::body));

}  // namespace chainrule::kernels

// Defines the one symbol a kernel file exports, e.g. chainrule_kernels_softmax_isa_v3.
#define CHAINRULE_KERNEL_TABLE_NAME_(file, isa) chainrule_kernels_##file##_##isa
#define CHAINRULE_KERNEL_TABLE_NAME(file, isa) CHAINRULE_KERNEL_TABLE_NAME_(file, isa)
#define CHAINRULE_KERNEL_TABLE(file)                                                       \
  extern "C" __attribute__((visibility("hidden"))) const ::chainrule::kernels::KernelEntry \
  CHAINRULE_KERNEL_TABLE_NAME(file, CHAINRULE_ISA)[]
