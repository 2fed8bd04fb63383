// Slabs: neighbouring nodes that compute row by row take some rows of the batch through all of them before the next
// rows, so that what they hand on stays in the cache, and needs the memory of a slab only.
#pragma once

#include <vector>

#include "program/program.hpp"

namespace chainrule {

inline constexpr std::int64_t rows_in_block = 1024;  // sums add blocks of so many rows: slabs hold whole ones

// What 1024 of the batch's rows have of a whole: of units or bytes. Masks have a bit per element and are rounded up.
constexpr std::int64_t in_block(std::int64_t whole, std::int64_t batch) { return whole * rows_in_block / batch; }

struct Stretch {
  std::int64_t batch = 0, rows = 0;  // of all slabs, of one
};

struct SlabPlan {
  std::vector<Stretch> stretches;
  std::vector<char> local;      // by value: only in the slab in which it was made
  std::vector<char> whole;      // by value: it must outlast the slab in which it is read
  std::vector<int> stretch_of;  // by node: which of them it is in, or -1
  std::vector<char> sums;       // by node: adds up rows slab by slab
};

// Finds them, putting the nodes in another order where there are any: what depends on no slab comes before them, what
// needs all of them comes behind.
SlabPlan plan_slabs(GraphData& graph, const SlabLimits& limits);

// Writes the groups of every stretch (rows of all the batch) once per slab. steps: by operand, bytes to go for every
// 1024 rows that come before a slab; sums: by node.
void unroll_slabs(Program& program, const std::vector<SlabGroups>& stretches, const std::vector<std::int64_t>& steps,
                  const std::vector<char>& sums);

}  // namespace chainrule
