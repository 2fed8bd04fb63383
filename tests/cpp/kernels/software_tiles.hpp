// The unit of kernels/matmul_bf16.hpp in plain C++: what AMX's instructions compute, by the Intel 64 manual, so that
// layout, edges, order and the passes are tested on every machine.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "kernels/convert.hpp"
#include "kernels/matmul_bf16.hpp"

namespace kernel_test {

inline float value_of(std::uint16_t bits) {
  return chainrule::movement::float_of(static_cast<std::uint32_t>(bits) << 16);
}
// To nearest, ties to even; subnormal numbers are zero.
inline std::uint16_t to_bf16(float x) {
  const float normal = std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
  return chainrule::movement::round_to_bfloat16(normal).bits;
}

struct SoftwareTiles {
  using Bits = std::uint16_t;
  struct Tile {
    unsigned char line[16][64];
  };
  static inline thread_local Tile tile[8];
  static inline thread_local bool configured = false;

  struct Session {
    Session() { configured = true; }
    ~Session() { configured = false; }
  };

  template <int t> static void zero() { tile[t] = Tile{}; }
  template <int t> static void load(const void* from, std::ptrdiff_t stride) {
    for (int i = 0; i < 16; ++i) std::memcpy(tile[t].line[i], static_cast<const char*>(from) + i * stride, 64);
  }
  template <int t> static void store(void* to, std::ptrdiff_t stride) {
    for (int i = 0; i < 16; ++i) std::memcpy(static_cast<char*>(to) + i * stride, tile[t].line[i], 64);
  }
  template <int c, int a, int b> static void add_product() {
    if (!configured) std::abort();
    for (int i = 0; i < 16; ++i) {
      Bits x[32];
      float sums[16], even[16] = {}, odd[16] = {};
      std::memcpy(x, tile[a].line[i], 64);
      std::memcpy(sums, tile[c].line[i], 64);
      for (int k = 0; k < 16; ++k) {
        Bits y[32];
        std::memcpy(y, tile[b].line[k], 64);
        for (int j = 0; j < 16; ++j) {
          even[j] = std::fma(value_of(x[2 * k]), value_of(y[2 * j]), even[j]);
          odd[j] = std::fma(value_of(x[2 * k + 1]), value_of(y[2 * j + 1]), odd[j]);
        }
      }
      for (int j = 0; j < 16; ++j) sums[j] += even[j] + odd[j];
      std::memcpy(tile[c].line[i], sums, 64);
    }
  }

  static void round_rows(Bits* to, const float* from, std::ptrdiff_t stride, int rows, int depth) {
    for (int i = 0; i < 16; ++i)
      for (int k = 0; k < 32; ++k) to[i * 32 + k] = i < rows && k < depth ? to_bf16(from[i * stride + k]) : Bits(0);
  }
  static void round_pairs(Bits* to, const float* from, std::ptrdiff_t stride, int extent, int depth) {
    for (int k = 0; k < 32; ++k)
      for (int i = 0; i < 16; ++i)
        to[k / 2 * 32 + 2 * i + k % 2] = i < extent && k < depth ? to_bf16(from[k * stride + i]) : Bits(0);
  }
  static void transpose_pairs(Bits* to, const Bits* from) {
    for (int x = 0; x < 16; ++x)
      for (int y = 0; y < 16; ++y) std::memcpy(to + x * 32 + 2 * y, from + y * 32 + 2 * x, 4);
  }
};

}  // namespace kernel_test
