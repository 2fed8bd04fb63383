// Matrix products of bfloat16 operands with sums in float32, over a unit that multiplies tiles: AMX (amx_tiles.hpp), or
// the one written out in plain C++ that the tests compare with. A unit has eight tile registers.
//
// Each element of C is one ascending sum over steps of 32 along k; what one step adds to it is one operation of the
// unit. Blocking only chooses when an element goes on from memory, which changes no bit.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/abi.hpp"
#include "kernels/bf16_tiles.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace bf16 {

using kernels::Args;
using kernels::bf16_depth;
using kernels::bf16_group;
using kernels::bf16_groups;
using kernels::bf16_steps;
using kernels::bf16_tile;
using kernels::Range;
using kernels::Status;
using Index = std::ptrdiff_t;
using Bits = std::uint16_t;  // of a bfloat16

// Operands in cache: rows of A at once (its block of 512 KB stays in a second-level cache while B passes), and steps
// along k (a pair of B's panels is 64 KB).
inline constexpr Index row_groups_at_once = 16, steps_at_once = 32;

// By value: std::min would give the constants addresses, and the linker symbols to merge.
constexpr Index least(Index x, Index y) { return x < y ? x : y; }

// --- rounding to tiles
template <class Unit> void pack_tile(const kernels::PackBf16Plan& plan, Bits* to, const float* from, Index group,
                                     Index step) {
  const Index i = group * bf16_group, k = step * bf16_depth;
  const int extent = static_cast<int>(least(bf16_group, plan.extent - i));
  const int depth = static_cast<int>(least(bf16_depth, plan.depth - k));
  alignas(64) Bits turned[bf16_tile];
  Bits* const first = (plan.rows_are_sums != 0) == (plan.for_b != 0) ? turned : to;
  if (plan.rows_are_sums != 0)
    Unit::round_rows(first, from + i * plan.depth + k, plan.depth, extent, depth);
  else
    Unit::round_pairs(first, from + k * plan.extent + i, plan.extent, extent, depth);
  if (first == turned) Unit::transpose_pairs(to, turned);
}

template <class Unit> Status pack(const Args& args, Range range, void*) {
  const auto& plan = *reinterpret_cast<const kernels::PackBf16Plan*>(args.plan->body);
  const Index groups = bf16_groups(plan.extent), steps = bf16_steps(plan.depth);
  for (Index unit = range.begin; unit < range.end;) {
    const Index item = unit / groups, first = unit - item * groups, last = least(groups, first + range.end - unit);
    const float* from = static_cast<const float*>(args.in[0]) + item * plan.extent * plan.depth;
    Bits* to = static_cast<Bits*>(args.out[0]) + item * groups * steps * bf16_tile;
    // Along the rows of the matrix as it lies in memory.
    const Index outer = plan.rows_are_sums != 0 ? last - first : steps, inner = steps + (last - first) - outer;
    for (Index x = 0; x < outer; ++x)
      for (Index y = 0; y < inner; ++y) {
        const Index group = first + (plan.rows_are_sums != 0 ? x : y), step = plan.rows_are_sums != 0 ? y : x;
        pack_tile<Unit>(plan, to + (group * steps + step) * bf16_tile, from, group, step);
      }
    unit += last - first;
  }
  return Status::ok;
}

// --- products
// The part of a tile of C that is wanted: rows first ... last - 1, and so many columns.
struct Target {
  float* at;  // of the tile's corner
  Index stride;
  int first, last, columns;
  bool whole() const { return first == 0 && last == bf16_group && columns == bf16_group; }
};

template <class Unit> [[gnu::noinline]] void copy_in(float* copy, const Target& c) {
  for (int i = c.first; i < c.last; ++i)
    for (int j = 0; j < c.columns; ++j) copy[i * bf16_group + j] = c.at[i * c.stride + j];
}
template <class Unit> [[gnu::noinline]] void copy_out(const Target& c, const float* copy) {
  for (int i = c.first; i < c.last; ++i)
    for (int j = 0; j < c.columns; ++j) c.at[i * c.stride + j] = copy[i * bf16_group + j];
}
template <class Unit, int t> void begin_sum(const Target& c, bool resume) {
  if (!resume) return Unit::template zero<t>();
  if (c.whole()) return Unit::template load<t>(c.at, c.stride * 4);
  alignas(64) float copy[bf16_group * bf16_group] = {};
  copy_in<Unit>(copy, c);
  Unit::template load<t>(copy, bf16_group * 4);
}
template <class Unit, int t> void end_sum(const Target& c) {
  if (c.whole()) return Unit::template store<t>(c.at, c.stride * 4);
  alignas(64) float copy[bf16_group * bf16_group];
  Unit::template store<t>(copy, bf16_group * 4);
  copy_out<Unit>(c, copy);
}

// One or two groups of rows times one or two of columns, over `steps` tiles along k. Tiles 0 ... 3 hold sums, 4 and 5
// rows of A, 6 and 7 columns of B.
template <class Unit, bool two_rows, bool two_columns>
void multiply_tiles(const Bits* a, const Bits* b, Index group_step, Index steps, const Target (&c)[2][2], bool resume) {
  constexpr Index line = bf16_depth * 2;
  begin_sum<Unit, 0>(c[0][0], resume);
  if constexpr (two_columns) begin_sum<Unit, 1>(c[0][1], resume);
  if constexpr (two_rows) begin_sum<Unit, 2>(c[1][0], resume);
  if constexpr (two_rows && two_columns) begin_sum<Unit, 3>(c[1][1], resume);
  for (Index s = 0; s < steps; ++s, a += bf16_tile, b += bf16_tile) {
    Unit::template load<6>(b, line);
    Unit::template load<4>(a, line);
    Unit::template add_product<0, 4, 6>();
    if constexpr (two_rows) {
      Unit::template load<5>(a + group_step, line);
      Unit::template add_product<2, 5, 6>();
    }
    if constexpr (two_columns) {
      Unit::template load<7>(b + group_step, line);
      Unit::template add_product<1, 4, 7>();
      if constexpr (two_rows) Unit::template add_product<3, 5, 7>();
    }
  }
  end_sum<Unit, 0>(c[0][0]);
  if constexpr (two_columns) end_sum<Unit, 1>(c[0][1]);
  if constexpr (two_rows) end_sum<Unit, 2>(c[1][0]);
  if constexpr (two_rows && two_columns) end_sum<Unit, 3>(c[1][1]);
}

// Rows `first` ... `last` - 1 of one product.
template <class Unit>
void multiply_rows(const kernels::MatmulPlan& plan, const Bits* a, const Bits* b, float* c, Index first, Index last) {
  const Index all_steps = bf16_steps(plan.k), group_step = all_steps * bf16_tile, columns = bf16_groups(plan.n);
  const Index end = bf16_groups(last);
  for (Index block = first / bf16_group; block < end; block += row_groups_at_once)
    for (Index k = 0; k < all_steps; k += steps_at_once) {
      const Index steps = least(steps_at_once, all_steps - k);
      const bool resume = plan.accumulate != 0 || k != 0;
      for (Index j = 0; j < columns; j += 2)
        for (Index g = block; g < least(end, block + row_groups_at_once); g += 2) {
          Target target[2][2];
          for (Index r = 0; r < 2; ++r)
            for (Index s = 0; s < 2; ++s) {
              const Index row = (g + r) * bf16_group, column = (j + s) * bf16_group;
              target[r][s] = {c + row * plan.n + column, plan.n, static_cast<int>(first > row ? first - row : 0),
                              static_cast<int>(least(bf16_group, last - row)),
                              static_cast<int>(least(bf16_group, plan.n - column))};
            }
          const Bits *rows = a + g * group_step + k * bf16_tile, *cols = b + j * group_step + k * bf16_tile;
          const bool two_rows = g + 1 < least(end, block + row_groups_at_once), two_columns = j + 1 < columns;
          const auto run = two_rows
                               ? (two_columns ? &multiply_tiles<Unit, true, true> : &multiply_tiles<Unit, true, false>)
                           : two_columns ? &multiply_tiles<Unit, false, true>
                                         : &multiply_tiles<Unit, false, false>;
          run(rows, cols, group_step, steps, target, resume);
        }
    }
}

// in: A and B as tiles; out: C (batch, m, n). Reads of MatmulPlan batch, m, n, k, accumulate and the strides, which
// count bfloat16 elements; `accumulate` goes on from C, with the same bits as at once if earlier k were whole steps.
template <class Unit> Status multiply(const Args& args, Range range, void*) {
  const auto& plan = *reinterpret_cast<const kernels::MatmulPlan*>(args.plan->body);
  const typename Unit::Session session;
  for (Index row = range.begin; row < range.end;) {
    const Index item = row / plan.m, first = row - item * plan.m, last = least(plan.m, first + range.end - row);
    multiply_rows<Unit>(plan, static_cast<const Bits*>(args.in[0]) + item * plan.stride_a,
                        static_cast<const Bits*>(args.in[1]) + item * plan.stride_b,
                        static_cast<float*>(args.out[0]) + item * plan.m * plan.n, first, last);
    row += last - first;
  }
  return Status::ok;
}

}  // namespace bf16
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
