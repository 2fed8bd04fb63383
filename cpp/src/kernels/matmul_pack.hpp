// Copies of operands that suit the register tiles: panels of B with rows of whole packets, tiles of A with the rows of
// one k side by side. Copies may write up to a packet past their end.
#pragma once

#include <cstddef>

#include "kernels/matmul_lanes.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace matmul {

// to[k * to_stride + c] = from[k * from_stride + c] for c < width; what follows up to a whole packet is undefined, and
// rows of `to` may overlap there: they are written in ascending order.
template <class T>
inline void copy_rows(T* to, std::ptrdiff_t to_stride, const T* from, std::ptrdiff_t from_stride, std::ptrdiff_t depth,
                      int width) noexcept {
  constexpr int L = lanes<T>;
  const int full = width / L * L;
  const Mask mask(width - full);
  for (std::ptrdiff_t k = 0; k < depth; ++k, to += to_stride, from += from_stride) {
    for (int c = 0; c < full; c += L) ei::pstoreu(to + c, ei::ploadu<Packet<T>>(from + c));
    if (full != width) ei::pstoreu(to + full, load(from + full, mask));
  }
}

// to[k * to_stride + c] = from[c * from_stride + k] for c < width <= lanes; the lanes that follow are undefined.
template <class T>
inline void transpose_packet(T* to, std::ptrdiff_t to_stride, const T* from, std::ptrdiff_t from_stride,
                             std::ptrdiff_t depth, int width) noexcept {
  constexpr int L = lanes<T>, S = strip<T>;
  std::ptrdiff_t k = 0;
  if (width == L)
    for (; k + S <= depth; k += S) {
      Packet<T> columns[S];
      load_strip(columns, from + k, from_stride);
      for (int s = 0; s < S; ++s) ei::pstoreu(to + (k + s) * to_stride, columns[s]);
    }
  for (; k < depth; ++k)
    for (int c = 0; c < width; ++c) to[k * to_stride + c] = from[c * from_stride + k];
}

// The same for the rows of a tile of A: squares of 128 bits, the last of which repeats a row where `height` is ragged.
// A stretch of k is done for all rows before the next, so that its copy is written while in the first-level cache.
template <class T>
inline void transpose_tile(T* to, std::ptrdiff_t to_stride, const T* from, std::ptrdiff_t from_stride,
                           std::ptrdiff_t depth, int height) noexcept {
  using Q = typename ei::find_best_packet<T, 16 / sizeof(T)>::type;
  constexpr int S = ei::unpacket_traits<Q>::size;
  constexpr std::ptrdiff_t stretch = 64;
  for (std::ptrdiff_t begin = 0; begin < depth; begin += stretch) {
    const std::ptrdiff_t end = begin + stretch < depth ? begin + stretch : depth;
    for (int r = 0; r < height; r += S) {
      const T* row[S];
      for (int s = 0; s < S; ++s) row[s] = from + (r + s < height ? r + s : height - 1) * from_stride;
      std::ptrdiff_t k = begin;
      for (; k + S <= end; k += S) {
        ei::PacketBlock<Q, S> square;
        for (int s = 0; s < S; ++s) square.packet[s] = ei::ploadu<Q>(row[s] + k);
        ei::ptranspose(square);
        for (int s = 0; s < S; ++s) ei::pstoreu(to + (k + s) * to_stride + r, square.packet[s]);
      }
      for (; k < end; ++k)
        for (int s = 0; s < S; ++s) to[k * to_stride + r + s] = row[s][k];
    }
  }
}

// Between a tile of the transposed product and C: tile (height, width) with rows of `stride`, C (width, height).
template <class T>
inline void tile_from_c(T* tile, std::ptrdiff_t stride, const T* c, std::ptrdiff_t ldc, int height,
                        int width) noexcept {
  for (int j = 0; j < width; ++j)
    for (int i = 0; i < height; ++i) tile[i * stride + j] = c[j * ldc + i];
}
template <class T>
inline void tile_to_c(T* c, std::ptrdiff_t ldc, const T* tile, std::ptrdiff_t stride, int height, int width) noexcept {
  for (int j = 0; j < width; ++j)
    for (int i = 0; i < height; ++i) c[j * ldc + i] = tile[i * stride + j];
}

}  // namespace matmul
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
