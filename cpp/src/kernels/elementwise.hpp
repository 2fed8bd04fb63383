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
#include "kernels/elementwise_walk.hpp"
#include "kernels/lane_mod.hpp"
#include "kernels/lane_trigonometry.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace {

using kernels::KernelEntry;

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
    packet_step<Op, T>(p, out, i, width, r);
    for (int k = 0; k < Op::inputs; ++k) p[k] += advance[k];
  }
  if constexpr (width > 1)
    if (i < n) packet_step<Op, T>(p, out, i, static_cast<int>(n - i), r);
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
