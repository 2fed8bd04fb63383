// How an elementwise kernel goes over a broadcast plan: row by row, or many short rows at a time with what is broadcast
// laid out for them. What is computed is the caller's Line.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels/abi.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace {

using kernels::Args, kernels::ElementwisePlan, kernels::Range, kernels::Status;

// n outputs in a row; step[k] is 1, or 0 where in[k] is a buffer of packet_bytes filled with one value.
using Line = void (*)(const char* const* in, const std::int64_t* step, char* const* out, std::int64_t n,
                      const double* r);
constexpr int packet_bytes = 64;

// What the walk over a broadcast plan needs to know of an Op and its type.
struct Layout {
  int inputs, outputs;
  int bytes, first_bytes, output_bytes;  // of an input, of input 0, of an output
  Line line;

  int bytes_of(int k) const { return k == 0 ? first_bytes : bytes; }
};

// Position of one element of the output in every input.
struct Position {
  const ElementwisePlan& plan;
  const Layout& layout;
  std::int64_t index[kernels::max_rank];
  std::int64_t offset[kernels::max_elementwise_inputs] = {};

  Position(const ElementwisePlan& p, const Layout& l, std::int64_t element) : plan(p), layout(l) {
    for (std::int64_t d = plan.rank - 1; d >= 0; --d) {
      index[d] = element % plan.size[d];
      element /= plan.size[d];
      for (int k = 0; k < layout.inputs; ++k) offset[k] += index[d] * plan.stride[k][d];
    }
  }
  std::int64_t left_in_row() const { return plan.size[plan.rank - 1] - index[plan.rank - 1]; }
  // By n elements, n not more than are left in the row.
  void advance(std::int64_t n) {
    std::int64_t d = plan.rank - 1;
    for (int k = 0; k < layout.inputs; ++k) offset[k] += n * plan.stride[k][d];
    index[d] += n;
    carry(d);
  }
  // Whole rows from here on, of the last axis but one.
  std::int64_t rows_left() const {
    return index[plan.rank - 1] != 0 ? 0 : plan.rank == 1 ? 1 : plan.size[plan.rank - 2] - index[plan.rank - 2];
  }
  // From the start of a row, by n rows, not more than rows_left().
  void advance_rows(std::int64_t n) {
    if (plan.rank == 1) return advance(plan.size[0]);
    const std::int64_t d = plan.rank - 2;
    for (int k = 0; k < layout.inputs; ++k) offset[k] += n * plan.stride[k][d];
    index[d] += n;
    carry(d);
  }

 private:
  void carry(std::int64_t d) {
    for (; d > 0 && index[d] == plan.size[d]; --d) {
      index[d] = 0;
      ++index[d - 1];
      for (int k = 0; k < layout.inputs; ++k) offset[k] += plan.stride[k][d - 1] - plan.size[d] * plan.stride[k][d];
    }
  }
};

// The first `filled` bytes over and over, up to `bytes` of them.
void repeat(char* to, std::int64_t filled, std::int64_t bytes) {
  for (; filled < bytes; filled *= 2)
    std::memcpy(to + filled, to, static_cast<std::size_t>(filled < bytes - filled ? filled : bytes - filled));
}

// rows x n elements, one behind the other, from the two strides; stride 0 repeats.
template <class Word>
void gather_words(char* to, const char* from, std::int64_t row_stride, std::int64_t stride, std::int64_t rows,
                  std::int64_t n) {
  constexpr auto bytes = static_cast<std::int64_t>(sizeof(Word));
  const std::int64_t different = row_stride == 0 ? 1 : rows;
  for (std::int64_t i = 0; i < different; ++i) {
    char* const row = to + i * n * bytes;
    const char* const source = from + i * row_stride * bytes;
    if (stride == 0) {
      Word value;
      std::memcpy(&value, source, bytes);
      for (std::int64_t j = 0; j < n; ++j) std::memcpy(row + j * bytes, &value, bytes);
    } else {
      for (std::int64_t j = 0; j < n; ++j) std::memcpy(row + j * bytes, source + j * stride * bytes, bytes);
    }
  }
  repeat(to, different * n * bytes, rows * n * bytes);
}
void gather(char* to, const char* from, std::int64_t row_stride, std::int64_t stride, std::int64_t rows, std::int64_t n,
            int bytes) {
  if (bytes == 8) return gather_words<std::uint64_t>(to, from, row_stride, stride, rows, n);
  if (bytes == 4) return gather_words<std::uint32_t>(to, from, row_stride, stride, rows, n);
  gather_words<unsigned char>(to, from, row_stride, stride, rows, n);
}

// Row by row; innermost strides are 0 or 1.
void walk_rows(const Args& args, Range range, const Layout& layout) {
  const auto& plan = *reinterpret_cast<const ElementwisePlan*>(args.plan->body);
  const std::int64_t last = plan.rank - 1;
  alignas(64) char constant[kernels::max_elementwise_inputs][packet_bytes];
  std::int64_t filled[kernels::max_elementwise_inputs], step[kernels::max_elementwise_inputs];
  const char* in[kernels::max_elementwise_inputs];
  char* out[kernels::max_elementwise_inputs];
  for (int k = 0; k < layout.inputs; ++k) {
    filled[k] = -1;
    step[k] = plan.stride[k][last];
  }
  Position at(plan, layout, range.begin);
  for (std::int64_t i = range.begin; i < range.end;) {
    const std::int64_t left = at.left_in_row(), n = left < range.end - i ? left : range.end - i;
    for (int k = 0; k < layout.inputs; ++k) {
      const int bytes = layout.bytes_of(k);
      const char* from = static_cast<const char*>(args.in[k]) + at.offset[k] * bytes;
      if (step[k] == 0 && filled[k] != at.offset[k]) {
        gather(constant[k], from, 0, 0, 1, packet_bytes / bytes, bytes);
        filled[k] = at.offset[k];
      }
      in[k] = step[k] == 0 ? constant[k] : from;
    }
    for (int j = 0; j < layout.outputs; ++j) out[j] = static_cast<char*>(args.out[j]) + i * layout.output_bytes;
    layout.line(in, step, out, n, plan.r);
    i += n;
    at.advance(n);
  }
}

// One row of all: innermost strides are 0 or 1.
void walk_line(const Args& args, Range range, const Layout& layout) {
  const auto& plan = *reinterpret_cast<const ElementwisePlan*>(args.plan->body);
  alignas(64) char constant[kernels::max_elementwise_inputs][packet_bytes];
  std::int64_t step[kernels::max_elementwise_inputs];
  const char* in[kernels::max_elementwise_inputs];
  char* out[kernels::max_elementwise_inputs];
  for (int k = 0; k < layout.inputs; ++k) {
    const int bytes = layout.bytes_of(k);
    step[k] = plan.stride[k][0];
    in[k] = static_cast<const char*>(args.in[k]) + range.begin * step[k] * bytes;
    if (step[k] != 0) continue;
    gather(constant[k], in[k], 0, 0, 1, packet_bytes / bytes, bytes);
    in[k] = constant[k];
  }
  for (int j = 0; j < layout.outputs; ++j) out[j] = static_cast<char*>(args.out[j]) + range.begin * layout.output_bytes;
  layout.line(in, step, out, range.end - range.begin, plan.r);
}

// How walk_tiles reads an operand: in place, from a tile that is the same everywhere, or gathered anew for each tile.
struct TileReads {
  unsigned periodic = 0, gathered = 0;  // bit k: operand k
  std::int64_t period[kernels::max_elementwise_inputs];
  std::int64_t longest = 1;

  TileReads(const ElementwisePlan& plan, const Layout& layout) {
    for (int k = 0; k < layout.inputs; ++k) {
      bool linear = true;
      std::int64_t elements = 1;
      period[k] = 1;
      for (std::int64_t d = plan.rank - 1; d >= 0; --d) {
        linear = linear && plan.stride[k][d] == elements;
        elements *= plan.size[d];
        if (plan.stride[k][d] != 0) period[k] = elements;
      }
      if (linear) continue;
      if (period[k] <= kernels::elementwise_tile) {
        periodic |= 1u << k;
        longest = period[k] > longest ? period[k] : longest;  // periods are products of trailing sizes: they divide it
      } else {
        gathered |= 1u << k;
      }
    }
  }
};

// The next `count` elements of the operands in `which`, one behind the other.
void gather_operands(Position& at, const Args& args, unsigned which, std::int64_t count, char* const* to) {
  const ElementwisePlan& plan = at.plan;
  const std::int64_t last = plan.rank - 1, width = plan.size[last];
  for (std::int64_t done = 0; done < count;) {
    const std::int64_t fit = (count - done) / width, whole = at.rows_left() < fit ? at.rows_left() : fit;
    const std::int64_t left = at.left_in_row(), part = left < count - done ? left : count - done;
    const std::int64_t rows = whole > 0 ? whole : 1, n = whole > 0 ? width : part;
    for (unsigned rest = which; rest != 0; rest &= rest - 1) {
      const int k = __builtin_ctz(rest), bytes = at.layout.bytes_of(k);
      gather(to[k] + done * bytes, static_cast<const char*>(args.in[k]) + at.offset[k] * bytes,
             last > 0 ? plan.stride[k][last - 1] : 0, plan.stride[k][last], rows, n, bytes);
    }
    done += rows * n;
    if (whole > 0)
      at.advance_rows(rows);
    else
      at.advance(n);
  }
}

// Many short rows at a time: what is broadcast is laid out for a whole tile, once where all tiles look alike.
void walk_tiles(const Args& args, Range range, const Layout& layout, char* scratch) {
  const auto& plan = *reinterpret_cast<const ElementwisePlan*>(args.plan->body);
  const TileReads reads(plan, layout);
  const std::int64_t units = range.end - range.begin, least = kernels::elementwise_tile / 2;
  std::int64_t tile = reads.longest * ((least + reads.longest - 1) / reads.longest);
  if (tile > units) tile = units;
  char* values[kernels::max_elementwise_inputs];
  const char* in[kernels::max_elementwise_inputs];
  char* out[kernels::max_elementwise_inputs];
  std::int64_t step[kernels::max_elementwise_inputs], advance[kernels::max_elementwise_inputs];
  for (int k = 0; k < layout.inputs; ++k) {
    values[k] = scratch + k * kernels::elementwise_tile * 8;
    step[k] = 1;
    const bool in_place = (((reads.periodic | reads.gathered) >> k) & 1u) == 0;
    advance[k] = in_place ? layout.bytes_of(k) : 0;
    in[k] = in_place ? static_cast<const char*>(args.in[k]) + range.begin * layout.bytes_of(k) : values[k];
  }
  for (unsigned rest = reads.periodic; rest != 0; rest &= rest - 1) {
    const int k = __builtin_ctz(rest), bytes = layout.bytes_of(k);
    Position at(plan, layout, range.begin);
    const std::int64_t filled = reads.period[k] < tile ? reads.period[k] : tile;
    gather_operands(at, args, 1u << k, filled, values);
    repeat(values[k], filled * bytes, tile * bytes);
  }
  Position at(plan, layout, range.begin);
  for (std::int64_t i = range.begin; i < range.end; i += tile) {
    const std::int64_t count = range.end - i < tile ? range.end - i : tile;
    if (reads.gathered != 0) gather_operands(at, args, reads.gathered, count, values);
    for (int j = 0; j < layout.outputs; ++j) out[j] = static_cast<char*>(args.out[j]) + i * layout.output_bytes;
    layout.line(in, step, out, count, plan.r);
    for (int k = 0; k < layout.inputs; ++k) in[k] += count * advance[k];
  }
}

Status walk(const Args& args, Range range, const Layout& layout, void* scratch) {
  const auto& plan = *reinterpret_cast<const ElementwisePlan*>(args.plan->body);
  if (range.begin >= range.end) return Status::ok;
  const std::int64_t last = plan.rank - 1;
  bool rows = plan.rank == 1 || plan.size[last] >= kernels::elementwise_tile / 4;
  for (int k = 0; k < layout.inputs; ++k) rows = rows && (plan.stride[k][last] == 0 || plan.stride[k][last] == 1);
  if (rows && plan.rank == 1)
    walk_line(args, range, layout);
  else if (rows)
    walk_rows(args, range, layout);
  else
    walk_tiles(args, range, layout, static_cast<char*>(scratch));
  return Status::ok;
}

}  // namespace
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
