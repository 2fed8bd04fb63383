// How an operand of a product in bfloat16 lies in memory: tiles of 1 KB, which are what the processor's tile registers
// hold. Constants and plans only: this header is compiled at every ISA level.
#pragma once

#include <cstdint>

namespace chainrule::kernels {

// A tile spans 16 rows of A (or columns of B) and 32 steps of the summed axis. Tiles of one group of 16 lie one behind
// the other, in ascending k; outside the operand a tile holds zeros.
inline constexpr std::int64_t bf16_group = 16, bf16_depth = 32, bf16_tile = bf16_group * bf16_depth;
constexpr std::int64_t bf16_groups(std::int64_t extent) { return (extent + bf16_group - 1) / bf16_group; }
constexpr std::int64_t bf16_steps(std::int64_t depth) { return (depth + bf16_depth - 1) / bf16_depth; }
constexpr std::int64_t bf16_packed(std::int64_t extent, std::int64_t depth) {
  return bf16_groups(extent) * bf16_steps(depth) * bf16_tile;
}

// Rounds `items` float32 matrices to bfloat16 tiles. Element (i, k) of one is at i * depth + k if rows_are_sums, else
// at k * extent + i. A tile of A is [i][k]; one of B is [k / 2][j][k % 2]. units = items * groups.
struct PackBf16Plan {
  std::int64_t items, extent, depth;
  std::int32_t rows_are_sums, for_b;
};

}  // namespace chainrule::kernels
