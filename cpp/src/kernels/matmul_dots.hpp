// Products with few rows or few columns, where the long operand has its elements of one row side by side: a packet
// holds the chains of `lanes` of its rows, which are transposed in registers on their way. The same chain per element.
#pragma once

#include <algorithm>
#include <cstddef>

#include "kernels/matmul_blocking.hpp"
#include "kernels/matmul_tile.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace matmul {

inline constexpr std::ptrdiff_t most_dots = 4;  // rows of the short operand

// Whether lines are read whole: with more rows than two the registers do not suffice.
template <class T, int R> inline constexpr bool whole_lines = R <= 2 && square<T> != strip<T>;

// C(r, j) = sum over k of x(r, k) w(j, k), with r < rows <= most_dots and j < length, length >= lanes.
template <class T> struct Dots {
  std::ptrdiff_t rows, length, depth;
  const T* x;  // element (r, k) at x[r * x_row + k * x_step]
  std::ptrdiff_t x_row, x_step;
  const T* w;  // element (j, k) at w[j * w_row + k]
  std::ptrdiff_t w_row;
  T* c;  // element (r, j) at c[r * c_row + j * c_step]
  std::ptrdiff_t c_row, c_step;
};

// R rows for G packets of j, from j on.
template <class T, int R, int G> inline void dots(const Dots<T>& d, std::ptrdiff_t j) noexcept {
  using P = Packet<T>;
  constexpr int L = lanes<T>, S = whole_lines<T, R> ? square<T> : strip<T>;
  constexpr std::ptrdiff_t line = 64 / static_cast<std::ptrdiff_t>(sizeof(T)), ahead = 4 * line;
  const T* const w = d.w + j * d.w_row;
  P sum[R][G], chain[R][G];
  for (std::ptrdiff_t block = 0; block < d.depth; block += kernels::matmul_block) {
    const std::ptrdiff_t end = std::min<std::ptrdiff_t>(d.depth, block + kernels::matmul_block);
    for (int r = 0; r < R; ++r)
      for (int g = 0; g < G; ++g) chain[r][g] = ei::pset1<P>(T(0));
    // Adds what the columns of W from k on, as packets, give to the chains of packet g.
    const auto add = [&]<int N>(const P(&columns)[N], std::ptrdiff_t k, auto g) __attribute__((always_inline)) {
      unroll<R>([&](auto r) __attribute__((always_inline)) {
        const T* x = d.x + r * d.x_row + k * d.x_step;
        for (int s = 0; s < N; ++s, x += d.x_step) chain[r][g] = ei::pmadd(ei::pset1<P>(*x), columns[s], chain[r][g]);
      });
    };
    // A cache line of every row before the next packet: rows whose distance is a power of two share few sets.
    std::ptrdiff_t from = block;
    for (; from + line <= end; from += line)
      unroll<G>([&](auto g) __attribute__((always_inline)) {
        const T* const rows = w + g * L * d.w_row;
        if (!whole_lines<T, R> && from + ahead < d.depth)
          for (int l = 0; l < L; ++l) __builtin_prefetch(rows + l * d.w_row + from + ahead);
        for (std::ptrdiff_t k = from; k < from + line; k += S) {
          P columns[S];
          if constexpr (whole_lines<T, R>)
            load_square(columns, rows + k, d.w_row);
          else
            load_strip(columns, rows + k, d.w_row);
          add(columns, k, g);
        }
      });
    unroll<G>([&](auto g) __attribute__((always_inline)) {
      const T* const rows = w + g * L * d.w_row;
      std::ptrdiff_t k = from;
      for (; k + strip<T> <= end; k += strip<T>) {
        P columns[strip<T>];
        load_strip(columns, rows + k, d.w_row);
        add(columns, k, g);
      }
      for (; k < end; ++k) {
        const P column[1] = {ei::pgather<T, P>(rows + k, d.w_row)};
        add(column, k, g);
      }
    });
    for (int r = 0; r < R; ++r)
      for (int g = 0; g < G; ++g) sum[r][g] = block == 0 ? chain[r][g] : ei::padd(sum[r][g], chain[r][g]);
  }
  for (int r = 0; r < R; ++r)
    for (int g = 0; g < G; ++g) {
      T* const c = d.c + r * d.c_row + (j + g * L) * d.c_step;
      if (d.c_step == 1)
        ei::pstoreu(c, sum[r][g]);
      else
        ei::pscatter<T, P>(c, sum[r][g], d.c_step);
    }
}

template <class T, int R> inline void all_dots(const Dots<T>& d) noexcept {
  constexpr int L = lanes<T>, G = R > 2 ? 2 : whole_lines<T, R> ? 3 : 4;
  // Rows at such distances fight for the same sets: fewer at once.
  const bool crowded = whole_lines<T, R> && d.w_row * static_cast<std::ptrdiff_t>(sizeof(T)) % 512 == 0;
  std::ptrdiff_t j = 0;
  for (; !crowded && j + G * L <= d.length; j += G * L) dots<T, R, G>(d, j);
  if constexpr (G > 2)
    for (; j + 2 * L <= d.length; j += 2 * L) dots<T, R, 2>(d, j);
  // The last packet ends at the last j: what it shares with the one before is computed twice.
  for (; j < d.length; j += L) dots<T, R, 1>(d, std::min(j, d.length - L));
}

template <class T> inline void all_dots(const Dots<T>& d) noexcept {
  switch (d.rows) {
    case 1:
      return all_dots<T, 1>(d);
    case 2:
      return all_dots<T, 2>(d);
    case 3:
      return all_dots<T, 3>(d);
    default:
      return all_dots<T, 4>(d);
  }
}

}  // namespace matmul
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
