// The register tile of the matrix product: MR rows by NV packets of C, held in registers over a whole depth. All tile
// sizes compute the same chain per element, so the choice among them never shows in the result.
#pragma once

#include <cstddef>
#include <utility>

#include "kernels/matmul_lanes.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace matmul {

// Accumulators live in registers beside a row of B, an element of A and what the compiler needs: 32 registers with
// AVX-512, 16 else. Of the shapes with two packets, 12 x 2 (6 x 2) needs the fewest loads per FMA.
#if defined(EIGEN_VECTORIZE_AVX512)
inline constexpr int max_rows = 12, max_accumulators = 24;
#else
inline constexpr int max_rows = 6, max_accumulators = 12;
#endif
inline constexpr int max_log_packets = 4;
inline constexpr std::ptrdiff_t next_ahead = 16;  // rows of the next panel that are on their way
inline constexpr std::ptrdiff_t chunk = 8;        // steps of k per copied row of the next panel

// How A lies in memory: element (i, k) at a[i * stride + k] or at a[k * stride + i].
enum class Layout : int { rows = 0, columns = 1 };

// One tile: out = chain, or out = out + chain where `add`. The chain begins at `start`, or at zero where that is null.
// Row k of the panel of B is at b + k * b_stride. Of the last packet of each row, `last` lanes are valid.
template <class T> struct TileCall {
  const T* a;
  std::ptrdiff_t a_stride;
  const T* b;
  std::ptrdiff_t b_stride;
  std::ptrdiff_t depth;
  const T* start;
  std::ptrdiff_t start_stride;
  T* out;
  std::ptrdiff_t out_stride;
  // Unless null: one row of NV packets per chunk of k is copied from here to `next_to`: the panel of B that comes next.
  // So its way from memory is hidden behind the arithmetic.
  const T* next_from;
  std::ptrdiff_t next_stride;
  T* next_to;
  // Unless null: lines of `ahead_length` elements, ahead_stride apart, that a later call copies; called into the cache
  // a little at a time. Left where the next call goes on.
  mutable const T* ahead;
  mutable const T* ahead_end;
  std::ptrdiff_t ahead_length, ahead_stride;
  int last;
  bool add;
};

template <class T> using TileKernel = void (*)(const TileCall<T>&) noexcept;

// Calls f with the constants 0 .. N-1: array indices the compiler surely sees as constants, so that the accumulators
// become registers.
template <class F, int... I> CHAINRULE_INLINE void unroll_sequence(F&& f, std::integer_sequence<int, I...>) {
  (f(std::integral_constant<int, I>()), ...);
}
template <int N, class F> CHAINRULE_INLINE void unroll(F&& f) {
  unroll_sequence(static_cast<F&&>(f), std::make_integer_sequence<int, N>());
}
#define CHAINRULE_EACH(i) [&](auto i) __attribute__((always_inline))

// All cache lines of NV packets, wherever the first one begins.
template <class T, int NV> CHAINRULE_INLINE void prefetch_row(const T* row) {
  unroll<NV>(CHAINRULE_EACH(j) { prefetch_far(row + j * lanes<T>); });
  prefetch_far(row + NV * lanes<T> - 1);
}

// masked_b: the panel of B is read in place and its last packet is ragged.
template <class T, int MR, int NV, Layout layout, bool masked_b> void tile(const TileCall<T>& call) noexcept {
  using P = Packet<T>;
  constexpr int L = lanes<T>;
  const Mask mask(call.last);
  const bool whole = !free_masks && call.last == L;
  P acc[MR][NV];
  if (call.start == nullptr) {
    unroll<MR>(CHAINRULE_EACH(i) { unroll<NV>(CHAINRULE_EACH(j) { acc[i][j] = ei::pzero(P()); }); });
  } else {
    unroll<MR>(CHAINRULE_EACH(i) {
      const T* row = call.start + i * call.start_stride;
      unroll<NV - 1>(CHAINRULE_EACH(j) { acc[i][j] = ei::ploadu<P>(row + j * L); });
      acc[i][NV - 1] = load(row + (NV - 1) * L, mask, whole);
    });
  }

  T* const out = call.out;
  const std::ptrdiff_t out_stride = call.out_stride, a_stride = call.a_stride, b_stride = call.b_stride;
  const T *b = call.b, *next_from = call.next_from, *ahead = call.ahead, *ahead_end = call.ahead_end;
  constexpr std::ptrdiff_t line = 64 / static_cast<std::ptrdiff_t>(sizeof(T));
  T* next_to = call.next_to;
  // One pointer per three rows: the other two are reached by base + index and base + 2 index addressing.
  constexpr int groups = layout == Layout::rows ? (MR + 2) / 3 : 1;
  const T* a[groups];
  unroll<groups>(CHAINRULE_EACH(g) { a[g] = call.a + 3 * g * a_stride; });

  const T *out_row = out, *const out_end = out + MR * out_stride;
  for (std::ptrdiff_t left = call.depth; left > 0; left -= chunk) {
    if (out_row != out_end) {  // one row of C per chunk is called into the cache
      prefetch_row<T, NV>(out_row);
      out_row += out_stride;
    }
    if (next_from != nullptr) {
      unroll<NV>(CHAINRULE_EACH(j) { ei::pstoreu(next_to + j * L, ei::ploadu<P>(next_from + j * L)); });
      next_from += call.next_stride, next_to += NV * L;
      prefetch_row<T, NV>(next_from + next_ahead * call.next_stride);
    }
    if (ahead != nullptr) {
      prefetch_far(ahead);
      prefetch_far(ahead + line);
      ahead += 2 * line;
      if (ahead >= ahead_end) {
        ahead_end += call.ahead_stride;
        ahead = ahead_end - call.ahead_length;
      }
    }
    for (const T* end = b + (left < chunk ? left : chunk) * b_stride; b != end; b += b_stride) {
      P row[NV];
      unroll<NV - (masked_b ? 1 : 0)>(CHAINRULE_EACH(j) { row[j] = ei::ploadu<P>(b + j * L); });
      if constexpr (masked_b) row[NV - 1] = load(b + (NV - 1) * L, mask);
      unroll<MR>(CHAINRULE_EACH(i) {
        const T* element = layout == Layout::rows ? a[i / 3] + (i % 3) * a_stride : a[0] + i;
        const P value = ei::pset1<P>(*element);
        unroll<NV>(CHAINRULE_EACH(j) { acc[i][j] = ei::pmadd(value, row[j], acc[i][j]); });
      });
      unroll<groups>(CHAINRULE_EACH(g) { a[g] += layout == Layout::rows ? 1 : a_stride; });
    }
  }

  call.ahead = ahead;
  call.ahead_end = ahead_end;

  if (call.add)
    unroll<MR>(CHAINRULE_EACH(i) {
      const T* to = out + i * out_stride;
      unroll<NV - 1>(CHAINRULE_EACH(j) { acc[i][j] = ei::padd(ei::ploadu<P>(to + j * L), acc[i][j]); });
      acc[i][NV - 1] = ei::padd(load(to + (NV - 1) * L, mask, whole), acc[i][NV - 1]);
    });
  unroll<MR>(CHAINRULE_EACH(i) {
    T* to = out + i * out_stride;
    unroll<NV - 1>(CHAINRULE_EACH(j) { ei::pstoreu(to + j * L, acc[i][j]); });
    store(to + (NV - 1) * L, acc[i][NV - 1], mask, whole);
  });
}

#undef CHAINRULE_EACH

}  // namespace matmul
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
