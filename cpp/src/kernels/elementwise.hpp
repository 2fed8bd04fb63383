// The loop around an elementwise formula: kernel<Op, T> is one entry of a kernel table. It undoes broadcasting and
// strides; what is computed is in formulas/. Units are elements of the flattened output.
//
// An operand is read with step 1 or, where it is constant along the innermost axis, from a packet-sized buffer filled
// with it. The last, partial packet runs the same code padded with zeros, so an element's bits do not depend on its
// place. All that a packet reads is loaded before anything is stored: an output may be the memory of an input.
#pragma once

#include <cstring>
#include <type_traits>

#include "formulas/all.hpp"
#include "kernels/abi.hpp"
#include "kernels/lane_mod.hpp"
#include "kernels/lane_trigonometry.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace {

using kernels::Args, kernels::ElementwisePlan, kernels::KernelEntry, kernels::Range, kernels::Status;

// n outputs in a row; step[k] is 1, or 0 where in[k] is a buffer of packet_bytes filled with one value.
using Line = void (*)(const char* const* in, const std::int64_t* step, char* const* out, std::int64_t n,
                      const double* r);
constexpr int packet_bytes = 64;
constexpr int prefetch_bytes = 1024;  // ahead; hardware follows too few streams for an update: 12 % at 10^7 parameters

// What the walk over a broadcast plan needs to know of an Op and its type.
struct Layout {
  int inputs, outputs;
  int bytes, first_bytes, output_bytes;  // of an input, of input 0, of an output
  Line line;

  int bytes_of(int k) const { return k == 0 ? first_bytes : bytes; }
};

// ---- Ops: what a kernel applies to its lanes. c is input 0 where that is bool. ----

template <class F>
struct Value {
  static constexpr int inputs = F::inputs, outputs = formula::outputs<F>(), params = formula::params<F>();
  static constexpr bool mask_input = formula::mask_input<F>(), mask_output = formula::mask_output<F>();

  template <class M, class X, class Y>
  CHAINRULE_INLINE static void apply([[maybe_unused]] M c, const X* in, Y* out, [[maybe_unused]] const double* r) {
    if constexpr (requires { F::f(in, out, r); })
      F::f(in, out, r);
    else if constexpr (mask_input)
      out[0] = F::f(c, in[1], in[2]);
    else if constexpr (params > 0)
      out[0] = F::f(in[0], r);
    else if constexpr (inputs == 1)
      out[0] = F::f(in[0]);
    else if constexpr (inputs == 2)
      out[0] = F::f(in[0], in[1]);
    else
      out[0] = F::f(in[0], in[1], in[2]);
  }
};

// d, d0 or d1: operands (g), (saved, g) or (a, b, g).
template <class F, int which>
struct Derivative {
  static constexpr int inputs = F::inputs + (F::inputs > 1 || F::saves != Saves::none), outputs = 1;
  static constexpr int params = formula::params<F>();
  static constexpr bool mask_input = false, mask_output = false;

  template <class M, class X>
  CHAINRULE_INLINE static void apply(M, const X* in, X* out, [[maybe_unused]] const double* r) {
    if constexpr (F::inputs == 2 && which == 0)
      out[0] = F::d0(in[0], in[1], in[2]);
    else if constexpr (F::inputs == 2)
      out[0] = F::d1(in[0], in[1], in[2]);
    else if constexpr (params > 0)
      out[0] = F::d(in[0], in[1], r);
    else if constexpr (F::saves == Saves::none)
      out[0] = F::d(in[0]);
    else
      out[0] = F::d(in[0], in[1]);
  }
};

// ---- One line ----

// The first n elements of one packet: inputs at p, outputs at out + i elements.
template <class Op, class T>
CHAINRULE_INLINE void packet_step(const char* const* p, char* const* out, std::int64_t i, int n, const double* r) {
  using X = Lane<T>;
  using Y = std::conditional_t<Op::mask_output, Mask<T>, X>;
  using Stored = std::conditional_t<Op::mask_output, unsigned char, T>;
  constexpr int first = Op::mask_input ? 1 : 0;
  X x[Op::inputs];
  Y y[Op::outputs];
  for (int k = first; k < Op::inputs; ++k) x[k] = X::load(reinterpret_cast<const T*>(p[k]), n);
  if constexpr (Op::mask_input)
    Op::apply(Mask<T>::load(reinterpret_cast<const unsigned char*>(p[0]), n), x, y, r);
  else
    Op::apply(0, x, y, r);
  for (int j = 0; j < Op::outputs; ++j) y[j].store(reinterpret_cast<Stored*>(out[j]) + i, n);
}

template <class Op, class T>
void line(const char* const* in, const std::int64_t* step, char* const* out, std::int64_t n, const double* attributes) {
  constexpr int width = Lane<T>::width;
  const char* p[Op::inputs];
  std::int64_t advance[Op::inputs];
  for (int k = 0; k < Op::inputs; ++k) {
    p[k] = in[k];
    advance[k] = step[k] * width * (k == 0 && Op::mask_input ? 1 : static_cast<int>(sizeof(T)));
  }
  double r[Op::params + 1];  // a copy no store can alias
  for (int k = 0; k < Op::params; ++k) r[k] = attributes[k];
  std::int64_t i = 0;
  for (; i + width <= n; i += width) {
    if constexpr (Op::outputs > 1)
      for (int k = 0; k < Op::inputs; ++k) __builtin_prefetch(p[k] + prefetch_bytes);
    packet_step<Op, T>(p, out, i, width, r);
    for (int k = 0; k < Op::inputs; ++k) p[k] += advance[k];
  }
  if constexpr (width > 1)
    if (i < n) packet_step<Op, T>(p, out, i, static_cast<int>(n - i), r);
}

// ---- The walk over a plan ----

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
  if (rows)
    walk_rows(args, range, layout);
  else
    walk_tiles(args, range, layout, static_cast<char*>(scratch));
  return Status::ok;
}

template <class Op, class T>
Status kernel(const Args& args, Range range, void* scratch) {
  constexpr int bytes = static_cast<int>(sizeof(T)), first_bytes = Op::mask_input ? 1 : bytes;
  constexpr int output_bytes = Op::mask_output ? 1 : bytes;
  static_assert(Lane<T>::width * bytes <= packet_bytes && Op::inputs <= kernels::max_elementwise_inputs);
  const auto& plan = *reinterpret_cast<const ElementwisePlan*>(args.plan->body);
  bool dense = plan.rank == 1;
  for (int k = 0; k < Op::inputs; ++k) dense = dense && plan.stride[k][0] == 1;
  if (!dense) {
    static constexpr Layout layout{Op::inputs, Op::outputs, bytes, first_bytes, output_bytes, line<Op, T>};
    return walk(args, range, layout, scratch);
  }
  const char* in[Op::inputs];
  char* out[Op::outputs];
  std::int64_t step[Op::inputs];
  for (int k = 0; k < Op::inputs; ++k) {
    in[k] = static_cast<const char*>(args.in[k]) + range.begin * (k == 0 ? first_bytes : bytes);
    step[k] = 1;
  }
  for (int j = 0; j < Op::outputs; ++j) out[j] = static_cast<char*>(args.out[j]) + range.begin * output_bytes;
  line<Op, T>(in, step, out, range.end - range.begin, plan.r);
  return Status::ok;
}

// The same, but refuses a range in which input 1 is negative somewhere.
template <class Op, class T>
Status natural_kernel(const Args& args, Range range, void* scratch) {
  static constexpr Layout layout{Op::inputs, Op::outputs, sizeof(T), sizeof(T), sizeof(T), line<Op, T>};
  const auto& plan = *reinterpret_cast<const ElementwisePlan*>(args.plan->body);
  const T* b = static_cast<const T*>(args.in[1]);
  Position at(plan, layout, range.begin);
  T smallest = 0;
  for (std::int64_t i = range.begin; i < range.end;) {
    const std::int64_t left = at.left_in_row(), n = left < range.end - i ? left : range.end - i;
    const T* row = b + at.offset[1];
    const std::int64_t step = plan.stride[1][plan.rank - 1];
    for (std::int64_t j = 0; j < n; ++j) smallest = row[j * step] < smallest ? row[j * step] : smallest;
    i += n;
    at.advance(n);
  }
  return smallest < T(0) ? Status::negative_exponent : kernel<Op, T>(args, range, scratch);
}

// ---- Table entries; one without a kernel has the empty name ----

// DType's values.
template <class T>
constexpr std::uint8_t dtype = std::is_same_v<T, float>          ? 0
                               : std::is_same_v<T, double>       ? 1
                               : std::is_same_v<T, std::int32_t> ? 2
                               : std::is_same_v<T, std::int64_t> ? 3
                               : std::is_same_v<T, std::uint8_t> ? 4
                                                                 : 5;
constexpr KernelEntry no_entry{"", 0, nullptr};
constexpr KernelEntry end_of_table{nullptr, 0, nullptr};

template <class F, class T>
constexpr KernelEntry value_entry(const char* name) {
  if constexpr (std::is_floating_point_v<T>)
    return {name, dtype<T>, kernel<Value<F>, T>};
  else if constexpr (std::is_same_v<T, bool> && formula::booleans<F>())
    return {name, dtype<bool>, kernel<Value<F>, std::uint8_t>};
  else if constexpr (!std::is_same_v<T, bool> && formula::natural_b<F>())
    return {name, dtype<T>, natural_kernel<Value<F>, T>};
  else if constexpr (!std::is_same_v<T, bool> && formula::integers<F>())
    return {name, dtype<T>, kernel<Value<F>, T>};
  else
    return no_entry;
}

template <class F, int which, class T>
constexpr KernelEntry derivative_entry(const char* name) {
  if constexpr (formula::has_derivative_kernel<F>())
    return {name, dtype<T>, kernel<Derivative<F, which>, T>};
  else
    return no_entry;
}

}  // namespace
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
