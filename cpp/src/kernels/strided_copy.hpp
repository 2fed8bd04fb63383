// A strided copy of elements of 1, 2, 4 or 8 bytes: runs, fills, and block-wise transposition. Moves bits, never looks
// at them. Used by movement.cpp only.
#pragma once

#include <cstring>
#include <type_traits>

#include "kernels/abi.hpp"
#include "kernels/packet.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace movement {
namespace {

using kernels::CopyPlan;
using std::int64_t;

// One run along the innermost axis.
template <class U>
CHAINRULE_INLINE void copy_run(const U* from, int64_t from_stride, U* to, int64_t to_stride, int64_t count) {
  if (from_stride == 1 && to_stride == 1 && count >= 16) {  // below, the call costs more than the loop
    std::memcpy(to, from, static_cast<std::size_t>(count) * sizeof(U));
  } else if (from_stride == 0 && to_stride == 1) {
    const U value = *from;
    for (int64_t i = 0; i < count; ++i) to[i] = value;
  } else {
    for (int64_t i = 0; i < count; ++i) to[i * to_stride] = from[i * from_stride];
  }
}

// to[r * to_stride + c] = from[c * from_stride + r] for a square of W x W elements.
template <class T>
CHAINRULE_INLINE void transpose_square(const T* from, int64_t from_stride, T* to, int64_t to_stride) {
  constexpr int W = packet::width<T>;
  if constexpr (W > 1) {
    packet::eigen::PacketBlock<packet::Packet<T>, W> square;
    for (int c = 0; c < W; ++c) square.packet[c] = packet::eigen::ploadu<packet::Packet<T>>(from + c * from_stride);
    packet::eigen::ptranspose(square);
    for (int r = 0; r < W; ++r) packet::eigen::pstoreu(to + r * to_stride, square.packet[r]);
  }
}

// The same for a plane of any size. Sixteen rows at a time: a cache line of the source is used up while it is near.
template <class U>
void transpose_plane(const U* from, int64_t from_stride, U* to, int64_t to_stride, int64_t rows, int64_t columns) {
  constexpr int64_t band = 16;
  for (int64_t r = 0; r < rows; r += band) {
    const int64_t r_end = r + band < rows ? r + band : rows;
    int64_t c = 0;
    if constexpr (sizeof(U) >= 4) {  // floating-point packets stand for any type of their size: shuffles keep all bits
      using T = std::conditional_t<sizeof(U) == 4, float, double>;
      constexpr int64_t W = packet::width<T>;
      if (W > 1 && r_end - r == band) {
        for (; c + W <= columns; c += W) {
          for (int64_t s = r; s < r_end; s += W) {
            transpose_square(reinterpret_cast<const T*>(from + c * from_stride + s), from_stride,
                             reinterpret_cast<T*>(to + s * to_stride + c), to_stride);
          }
        }
      }
    }
    for (; c < columns; c += band) {
      const int64_t c_end = c + band < columns ? c + band : columns;
      for (int64_t i = r; i < r_end; ++i) {
        for (int64_t j = c; j < c_end; ++j) to[i * to_stride + j] = from[j * from_stride + i];
      }
    }
  }
}

// A position in the first `axes` axes of a plan, counted row-major, with the offsets it stands for.
struct Cursor {
  const CopyPlan& plan;
  int first, axes;
  int64_t index[kernels::max_rank];
  int64_t in, out;

  // Axes first .. axes - 1, at element `position` of their product.
  Cursor(const CopyPlan& p, int first_axis, int axis_count, int64_t position, int64_t in_start, int64_t out_start)
      : plan(p), first(first_axis), axes(axis_count), in(in_start), out(out_start) {
    for (int d = axes - 1; d >= first; --d) {
      index[d] = position % plan.size[d];
      position /= plan.size[d];
      in += index[d] * plan.in_stride[d];
      out += index[d] * plan.out_stride[d];
    }
  }
  void next() { advance(axes - 1); }
  void advance(int d) {
    for (; d >= first; --d) {
      in += plan.in_stride[d];
      out += plan.out_stride[d];
      if (++index[d] < plan.size[d]) return;
      in -= plan.size[d] * plan.in_stride[d];
      out -= plan.size[d] * plan.out_stride[d];
      index[d] = 0;
    }
  }
};

// Elements begin .. end - 1, run by run.
template <class U>
void copy_runs(const CopyPlan& plan, const U* in, U* out, int64_t begin, int64_t end) {
  const int last = static_cast<int>(plan.rank) - 1;
  const int64_t in_stride = plan.in_stride[last], out_stride = plan.out_stride[last], size = plan.size[last];
  if (begin >= end) return;
  Cursor row(plan, 0, last, begin / size, plan.in_offset, plan.out_offset);
  for (int64_t start = begin % size; begin < end; start = 0, row.next()) {
    const int64_t count = size - start < end - begin ? size - start : end - begin;
    copy_run(in + row.in + start * in_stride, in_stride, out + row.out + start * out_stride, out_stride, count);
    begin += count;
  }
}

// The same copy with axes of size 1 dropped and neighbours joined where one stride serves both; rank >= 1.
inline CopyPlan merged(const CopyPlan& plan) {
  CopyPlan result;
  result.rank = 0;
  result.in_offset = plan.in_offset;
  result.out_offset = plan.out_offset;
  for (int64_t d = 0; d < plan.rank; ++d) {
    if (plan.size[d] == 1) continue;
    const int64_t before = result.rank - 1;
    const bool joins = before >= 0 && result.in_stride[before] == plan.in_stride[d] * plan.size[d] &&
                       result.out_stride[before] == plan.out_stride[d] * plan.size[d];
    const int64_t place = joins ? before : result.rank++;
    result.size[place] = joins ? result.size[before] * plan.size[d] : plan.size[d];
    result.in_stride[place] = plan.in_stride[d];
    result.out_stride[place] = plan.out_stride[d];
  }
  if (result.rank == 0) {
    result.rank = 1;
    result.size[0] = result.in_stride[0] = result.out_stride[0] = 1;
  }
  return result;
}

// The axis that is contiguous in the source, where that is not the innermost one and squares are worth it; else -1.
inline int transposed_axis(const CopyPlan& plan) {
  const int last = static_cast<int>(plan.rank) - 1;
  if (plan.out_stride[last] != 1 || plan.in_stride[last] == 1 || plan.in_stride[last] == 0) return -1;
  for (int d = last - 1; d >= 0; --d) {
    if (plan.in_stride[d] == 1 && plan.size[d] > 1) return d;
  }
  return -1;
}

template <class U>
void strided_copy(const CopyPlan& as_given, const U* in, U* out, int64_t begin, int64_t end) {
  if (begin >= end) return;
  const CopyPlan plan = merged(as_given);
  const int axis = transposed_axis(plan), last = static_cast<int>(plan.rank) - 1;
  if (axis < 0) return copy_runs(plan, in, out, begin, end);
  int64_t between = 1;  // the axes between the two that change places
  for (int d = axis + 1; d < last; ++d) between *= plan.size[d];
  const int64_t columns = plan.size[last], below = between * columns;
  const int64_t first_row = (begin + below - 1) / below, end_row = end / below;
  if (first_row >= end_row) return copy_runs(plan, in, out, begin, end);
  copy_runs(plan, in, out, begin, first_row * below);
  Cursor outer(plan, 0, axis, first_row / plan.size[axis], plan.in_offset, plan.out_offset);
  int64_t start = first_row % plan.size[axis];
  for (int64_t row = first_row; row < end_row; start = 0, outer.next()) {
    const int64_t rows = plan.size[axis] - start < end_row - row ? plan.size[axis] - start : end_row - row;
    Cursor middle(plan, axis + 1, last, 0, outer.in + start, outer.out + start * plan.out_stride[axis]);
    for (int64_t k = 0; k < between; ++k, middle.next()) {
      transpose_plane(in + middle.in, plan.in_stride[last], out + middle.out, plan.out_stride[axis], rows, columns);
    }
    row += rows;
  }
  copy_runs(plan, in, out, end_row * below, end);
}

}  // namespace
}  // namespace movement
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
