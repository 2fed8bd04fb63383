// Philox4x32-10 (core/philox.hpp) for several neighbouring blocks at once, and the masks that dropout makes of them.
// The same words as the scalar function at every ISA level. Names instructions only for the 32 x 32 -> 64 bit product
// and for gathering comparison results into bits.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/philox.hpp"
#include "kernels/packet.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace philox_lanes {

// One block per 64-bit lane. A word lives in the lower half; what is above it is left to whatever the rounds put there,
// since the product reads lower halves only.
#if defined(__AVX512BW__) && defined(__BMI2__)
inline constexpr int lanes = 8;
#elif defined(__AVX2__)
inline constexpr int lanes = 4;
#else
inline constexpr int lanes = 2;
#endif
using Words = std::uint64_t __attribute__((vector_size(8 * lanes)));
inline constexpr int group = 8;  // blocks per call, at every level

CHAINRULE_INLINE Words multiply(Words a, Words b) {
#if defined(__AVX512BW__) && defined(__BMI2__)
  return reinterpret_cast<Words>(_mm512_mul_epu32(reinterpret_cast<__m512i>(a), reinterpret_cast<__m512i>(b)));
#elif defined(__AVX2__)
  return reinterpret_cast<Words>(_mm256_mul_epu32(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b)));
#elif defined(__SSE4_1__)
  return reinterpret_cast<Words>(_mm_mul_epu32(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b)));
#else
  return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

// The upper halves, moved down; above them anything. A shuffle where there is one: on Intel's 512-bit units a shift
// would wait for the port that multiplies.
CHAINRULE_INLINE Words upper(Words a) {
#if defined(__AVX512BW__) && defined(__BMI2__)
  return reinterpret_cast<Words>(_mm512_shuffle_epi32(reinterpret_cast<__m512i>(a), _MM_PERM_DDBB));
#else
  return a >> 32;
#endif
}

CHAINRULE_INLINE Words lane_numbers() {
  Words number{};
  for (int i = 0; i < lanes; ++i) number[i] = static_cast<std::uint64_t>(i);
  return number;
}

// What does not change from block to block: the keys of the ten rounds and half of the counter.
struct Stream {
  std::uint64_t key0[10], key1[10];
  std::uint32_t step, stream;

  // counter: {seed, step}, the explicit input of every random op.
  Stream(const std::int64_t* counter, std::int64_t id)
      : step(static_cast<std::uint32_t>(counter[1])), stream(static_cast<std::uint32_t>(id)) {
    const std::uint64_t seed = static_cast<std::uint64_t>(counter[0]);
    std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) key0[round] = k0, key1[round] = k1;
  }
};

// The words of blocks first .. first + lanes - 1, in the lower halves.
CHAINRULE_INLINE void draw(const Stream& s, std::uint64_t first, Words (&word)[4]) {
  const Words block = lane_numbers() + first;
  Words c0 = block, c1 = block >> 32, c2 = Words{} + s.step, c3 = Words{} + s.stream;
  for (int round = 0; round < 10; ++round) {
    const Words p0 = multiply(c0, Words{} + 0xD2511F53u), p1 = multiply(c2, Words{} + 0xCD9E8D57u);
    c0 = upper(p1) ^ c1 ^ (Words{} + s.key0[round]);
    c1 = p1;
    c2 = upper(p0) ^ c3 ^ (Words{} + s.key1[round]);
    c3 = p0;
  }
  word[0] = c0, word[1] = c1, word[2] = c2, word[3] = c3;
}

// The words of `group` blocks, in order.
CHAINRULE_INLINE void draw_group(const Stream& s, std::uint64_t first, std::uint32_t (&word)[4 * group]) {
  for (int b = 0; b < group; b += lanes) {
    Words w[4];
    draw(s, first + static_cast<std::uint64_t>(b), w);
    for (int k = 0; k < 4; ++k) {
      for (int i = 0; i < lanes; ++i) word[4 * (b + i) + k] = static_cast<std::uint32_t>(w[k][i]);
    }
  }
}

// Bit 8 b + 2 k + h tells whether half h (low first) of word k of block b is at least `threshold`; `lanes` bytes.
CHAINRULE_INLINE std::uint64_t at_least(const Words (&word)[4], std::uint16_t threshold) {
  const Words front = (word[0] & 0xFFFFFFFFu) | (word[1] << 32), back = (word[2] & 0xFFFFFFFFu) | (word[3] << 32);
#if defined(__AVX512BW__) && defined(__BMI2__)
  const __m512i limit = _mm512_set1_epi16(static_cast<short>(threshold));
  return _pdep_u64(_mm512_cmpge_epu16_mask(reinterpret_cast<__m512i>(front), limit), 0x0F0F0F0F0F0F0F0Fu) |
         _pdep_u64(_mm512_cmpge_epu16_mask(reinterpret_cast<__m512i>(back), limit), 0xF0F0F0F0F0F0F0F0u);
#elif defined(__AVX2__)
  const __m256i limit = _mm256_set1_epi16(static_cast<short>(threshold));
  const __m256i even = _mm256_unpacklo_epi64(reinterpret_cast<__m256i>(front), reinterpret_cast<__m256i>(back));
  const __m256i odd = _mm256_unpackhi_epi64(reinterpret_cast<__m256i>(front), reinterpret_cast<__m256i>(back));
  const __m256i kept = _mm256_packs_epi16(_mm256_cmpeq_epi16(_mm256_max_epu16(even, limit), even),
                                          _mm256_cmpeq_epi16(_mm256_max_epu16(odd, limit), odd));
  return static_cast<std::uint32_t>(_mm256_movemask_epi8(kept));
#elif defined(__SSE4_1__)
  const __m128i limit = _mm_set1_epi16(static_cast<short>(threshold));
  const __m128i even = _mm_unpacklo_epi64(reinterpret_cast<__m128i>(front), reinterpret_cast<__m128i>(back));
  const __m128i odd = _mm_unpackhi_epi64(reinterpret_cast<__m128i>(front), reinterpret_cast<__m128i>(back));
  const __m128i kept = _mm_packs_epi16(_mm_cmpeq_epi16(_mm_max_epu16(even, limit), even),
                                       _mm_cmpeq_epi16(_mm_max_epu16(odd, limit), odd));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(kept));
#else
  std::uint64_t bits = 0;
  for (int b = 0; b < lanes; ++b) {
    for (int i = 0; i < 4; ++i) {
      bits |= std::uint64_t{((front[b] >> 16 * i) & 0xFFFF) >= threshold} << (8 * b + i);
      bits |= std::uint64_t{((back[b] >> 16 * i) & 0xFFFF) >= threshold} << (8 * b + 4 + i);
    }
  }
  return bits;
#endif
}

// The same for a whole group: 64 draws, one bit each.
CHAINRULE_INLINE std::uint64_t group_at_least(const Stream& s, std::uint64_t first, std::uint16_t threshold) {
  std::uint64_t bits = 0;
  for (int b = 0; b < group; b += lanes) {
    Words word[4];
    draw(s, first + static_cast<std::uint64_t>(b), word);
    bits |= at_least(word, threshold) << (8 * b);
  }
  return bits;
}

}  // namespace philox_lanes
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
