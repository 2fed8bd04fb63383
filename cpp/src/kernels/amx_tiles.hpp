// The unit of matmul_bf16.hpp on AMX: tile registers and their products, and the rounding of operands with AVX-512. The
// only place that names these instructions. They round to nearest even and take subnormal numbers for zero, whatever
// the floating-point environment is.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace {

struct TileConfig {  // as ldtilecfg reads it: eight tiles of 16 rows of 64 bytes
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileConfig) == 64);
alignas(64) constexpr TileConfig eight_tiles{};

class AmxTiles {
 public:
  using Bits = std::uint16_t;

  // The tile registers are configured while one lives; released, they cost a context switch nothing.
  struct Session {
    Session() { asm volatile("ldtilecfg %0" : : "m"(eight_tiles)); }
    ~Session() { asm volatile("tilerelease" : : : "memory"); }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
  };

  // Written as assembly: GCC 12's intrinsics do not tell it what memory they read, nor take template arguments.
  template <int t> static void zero() { asm volatile("tilezero %%tmm%c0" : : "i"(t)); }
  template <int t> static void load(const void* from, std::ptrdiff_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(t) : "memory");
  }
  template <int t> static void store(void* to, std::ptrdiff_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(t) : "memory");
  }
  // c += a b. Per element, the 16 products of even k and the 16 of odd k are two FMA chains from zero; their sum is
  // added.
  template <int c, int a, int b> static void add_product() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(c), "i"(a), "i"(b));
  }

  // to[i][k] from from[i * stride + k]; zero beyond `rows` and `depth`.
  static void round_rows(Bits* to, const float* from, std::ptrdiff_t stride, int rows, int depth) {
    const __mmask16 low = first(depth), high = first(depth - 16);
    for (int i = 0; i < 16; ++i, from += stride)
      store_line(to + i * 32, i < rows
                                  ? rounded(_mm512_maskz_loadu_ps(low, from), _mm512_maskz_loadu_ps(high, from + 16))
                                  : _mm512_setzero_si512());
  }
  // to[k / 2][i][k % 2] from from[k * stride + i]; zero beyond `extent` and `depth`.
  static void round_pairs(Bits* to, const float* from, std::ptrdiff_t stride, int extent, int depth) {
    alignas(64) static constexpr Bits interleave[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                                        8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const __m512i order = _mm512_load_si512(interleave);
    const __mmask16 there = first(extent);
    for (int k = 0; k < 32; k += 2, from += 2 * stride) {
      const __m512 even = _mm512_maskz_loadu_ps(k < depth ? there : first(0), from);
      const __m512 odd = _mm512_maskz_loadu_ps(k + 1 < depth ? there : first(0), from + stride);
      store_line(to + k * 16, _mm512_permutexvar_epi16(order, rounded(even, odd)));
    }
  }
  // to[x][y] = from[y][x] for 16 by 16 pairs: registers made of quarters from four rows, then a transpose within each.
  static void transpose_pairs(Bits* to, const Bits* from) {
    for (int x = 0; x < 16; x += 4) {
      const Bits* const corner = from + 2 * x;
      const __m512 r0 = quarters(corner), r1 = quarters(corner + 32), r2 = quarters(corner + 64),
                   r3 = quarters(corner + 96);
      const __m512 low01 = _mm512_unpacklo_ps(r0, r1), high01 = _mm512_unpackhi_ps(r0, r1);
      const __m512 low23 = _mm512_unpacklo_ps(r2, r3), high23 = _mm512_unpackhi_ps(r2, r3);
      Bits* const line = to + x * 32;
      store_line(line, _mm512_castps_si512(_mm512_shuffle_ps(low01, low23, 0x44)));
      store_line(line + 32, _mm512_castps_si512(_mm512_shuffle_ps(low01, low23, 0xee)));
      store_line(line + 64, _mm512_castps_si512(_mm512_shuffle_ps(high01, high23, 0x44)));
      store_line(line + 96, _mm512_castps_si512(_mm512_shuffle_ps(high01, high23, 0xee)));
    }
  }

 private:
  static __mmask16 first(int count) {
    return static_cast<__mmask16>(count >= 16 ? 0xFFFF : count <= 0 ? 0 : (1 << count) - 1);
  }
  static __m512i rounded(__m512 low, __m512 high) { return (__m512i)_mm512_cvtne2ps_pbh(high, low); }
  static void store_line(Bits* to, __m512i line) { _mm512_storeu_si512(to, line); }
  static __m512 quarters(const Bits* at) {
    const auto quarter = [at](int row) { return _mm_loadu_ps(reinterpret_cast<const float*>(at + row * 32)); };
    __m512 x = _mm512_castps128_ps512(quarter(0));
    x = _mm512_insertf32x4(x, quarter(4), 1);
    x = _mm512_insertf32x4(x, quarter(8), 2);
    return _mm512_insertf32x4(x, quarter(12), 3);
  }
};

}  // namespace
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
