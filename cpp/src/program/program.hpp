// Program: a compiled Graph. Const and shareable; operands are (segment, offset). A Workspace (workspace.hpp) resolves
// them and holds all that changes while it runs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph/graph.hpp"

namespace chainrule {

enum class Segment : std::uint8_t { arena, input, bound, constant };

// Where a value lives: bytes into the arena, or the number of an input, a bound tensor or a constant; and bytes beyond
// that, which may be negative: where a buffer holds but the rows of a slab, row 0 of the batch would be before it.
struct Location {
  Segment segment = Segment::arena;
  std::int64_t at = -1, offset = 0;
};

struct Instruction {
  kernels::Kernel kernel = nullptr;
  std::int32_t first_operand = 0, inputs = 0, outputs = 0;
  std::int32_t plan = 0;
  std::int32_t node = 0;     // in Program::graph, for messages
  std::int64_t per_row = 1;  // units per row of the group
};

// Instructions that run together. A leader and the elementwise chain behind it go tile of rows by tile of rows.
// Updates by one rule stand beside each other: none reads what another writes, and each has rows of its own.
struct Group {
  std::int32_t first = 0, count = 1;
  std::int64_t first_row = 0;            // beside: 0
  std::int64_t rows = 1, tile_rows = 1;  // beside: of all together
  std::int64_t grain = 1;                // threads part at multiples of it: no two of them write one cache line
  bool parallel = false, beside = false;
};

// Groups that run slab by slab: for every slab of rows they stand in the program once more (slabs.hpp).
struct SlabGroups {
  std::int32_t first = 0, count = 0;  // of one slab
  std::int64_t batch = 0, rows = 0;   // rows: of all slabs, of each but perhaps the last
  std::int32_t slabs() const { return static_cast<std::int32_t>((batch + rows - 1) / rows); }
};

// A value written back when all has run, for updates that could not be made in place.
struct WriteBack {
  Location from, to;
  std::size_t bytes;
};

struct Program {
  GraphData graph;            // after the passes; keeps captured tensors and constants alive
  std::vector<Tensor> bound;  // captures and update targets, read and written through their storages
  Types bound_types;          // what they were when compiled: astype may change a tensor under its handle
  std::vector<Instruction> instructions;
  std::vector<kernels::Plan> plans;
  std::vector<Location> operands;
  std::vector<Group> groups;
  std::vector<SlabGroups> slabs;
  std::vector<WriteBack> write_backs;
  std::vector<Location> outputs;
  std::vector<std::int32_t> written;  // of bound: whose versions a run bumps
  std::int64_t arena_bytes = 0, scratch_bytes = 0;
  double cost = 0, parallel_cost = 0;  // estimated nanoseconds on one core
  bool use_team = false;

  std::string str() const;
};

// When programs run by slabs of rows, and of how many, by the bytes of the values that live in no more than one slab.
// Measured: 9 MB cost the same either way, 18 MB 3 % less by slabs; and slabs of 2 to 9 MB, in which about half of the
// values live at a time, the same (64-128-64-10; an L2 cache of 2 MB, an L3 of 32).
struct SlabLimits {
  std::int64_t least_bytes = 16 << 20;  // of all slabs
  std::int64_t slab_bytes = 4 << 20;    // of one, about: it has a multiple of 1024 rows
};

// What float32 matrix products compute in. bf16: operands rounded to bfloat16, sums in float32; needs AMX.
enum class Precision : std::uint8_t { float32, bf16 };
std::shared_ptr<const Program> compile_program(const GraphData& graph, Precision precision = Precision::float32,
                                               const SlabLimits& limits = {});

}  // namespace chainrule
