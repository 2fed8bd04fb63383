// What the matrix product needs beside Eigen's packet functions: packets with only the first lanes valid, and a strip
// transpose made of 128-bit loads. The only place of the product that names instructions.
#pragma once

// GCC 12 takes the deliberately undefined operands of its own AVX-512 intrinsics for mistakes.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <Eigen/Core>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
#include <cstddef>

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace matmul {

namespace ei = Eigen::internal;

template <class T> using Packet = typename ei::packet_traits<T>::type;
template <class T> inline constexpr int lanes = ei::unpacket_traits<Packet<T>>::size;

#define CHAINRULE_INLINE inline __attribute__((always_inline))

// Where masks are cheap, ragged columns are read in place; elsewhere they are packed first.
// Where they are free, all loads that may be ragged are masked: half the code.
#if defined(EIGEN_VECTORIZE_AVX512)
inline constexpr bool has_masks = true, free_masks = true;
#elif defined(EIGEN_VECTORIZE_AVX2)
inline constexpr bool has_masks = true, free_masks = false;
#else
inline constexpr bool has_masks = false, free_masks = false;
#endif

// A hint: into the second-level cache, for reading.
CHAINRULE_INLINE void prefetch_far(const void* p) { __builtin_prefetch(p, 0, 2); }

// The first `count` lanes, count <= lanes; the other lanes are zero when loaded, left alone when stored.
#if defined(EIGEN_VECTORIZE_AVX512)
struct Mask {
  explicit CHAINRULE_INLINE Mask(int count) : bits((1U << count) - 1) {}
  unsigned bits;
};
CHAINRULE_INLINE __m512 load(const float* p, Mask m) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>(m.bits), p);
}
CHAINRULE_INLINE __m512d load(const double* p, Mask m) {
  return _mm512_maskz_loadu_pd(static_cast<__mmask8>(m.bits), p);
}
CHAINRULE_INLINE void store(float* p, __m512 x, Mask m) { _mm512_mask_storeu_ps(p, static_cast<__mmask16>(m.bits), x); }
CHAINRULE_INLINE void store(double* p, __m512d x, Mask m) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>(m.bits), x);
}
#elif defined(EIGEN_VECTORIZE_AVX2)
// Lanes are compared with `count` in 32 bits; a double is masked by the pair of words that it spans.
struct Mask {
  explicit CHAINRULE_INLINE Mask(int count) : n(count) {}
  CHAINRULE_INLINE __m256i words() const {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }
  CHAINRULE_INLINE __m256i pairs() const {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
  }
  int n;
};
CHAINRULE_INLINE __m256 load(const float* p, Mask m) { return _mm256_maskload_ps(p, m.words()); }
CHAINRULE_INLINE __m256d load(const double* p, Mask m) { return _mm256_maskload_pd(p, m.pairs()); }
CHAINRULE_INLINE void store(float* p, __m256 x, Mask m) { _mm256_maskstore_ps(p, m.words(), x); }
CHAINRULE_INLINE void store(double* p, __m256d x, Mask m) { _mm256_maskstore_pd(p, m.pairs(), x); }
#else
struct Mask {
  explicit CHAINRULE_INLINE Mask(int count) : n(count) {}
  int n;
};
// The loops have a fixed length: with a variable one they become calls of memcpy.
template <class T> CHAINRULE_INLINE Packet<T> load(const T* p, Mask m) {
  T lane[lanes<T>];
  for (int i = 0; i < lanes<T>; ++i) lane[i] = i < m.n ? p[i] : T(0);
  return ei::ploadu<Packet<T>>(lane);
}
template <class T> CHAINRULE_INLINE void store(T* p, const Packet<T>& x, Mask m) {
  T lane[lanes<T>];
  ei::pstoreu(lane, x);
  for (int i = 0; i < lanes<T>; ++i)
    if (i < m.n) p[i] = lane[i];
}
#endif

// `whole`: all lanes are valid, which spares the mask where masks are not free.
template <class T> CHAINRULE_INLINE Packet<T> load(const T* p, Mask m, bool whole) {
  return whole ? ei::ploadu<Packet<T>>(p) : load(p, m);
}
template <class T> CHAINRULE_INLINE void store(T* p, const Packet<T>& x, Mask m, bool whole) {
  if (whole)
    ei::pstoreu(p, x);
  else
    store(p, x, m);
}

// Transposes `lanes` rows of strip<T> neighbouring elements: lane r of to[c] = from[r * stride + c].
// With wide registers, one register collects rows r, r + strip, r + 2 strip, ... by 128-bit loads into its quarters, so
// that what is left is a transpose inside each quarter: a quarter of the shuffles of a square transpose.
#if defined(EIGEN_VECTORIZE_AVX512)
template <class T> inline constexpr int strip = 16 / static_cast<int>(sizeof(T));
CHAINRULE_INLINE __m512 gather_quarters(const float* p, std::ptrdiff_t step) {
  __m512 x = _mm512_castps128_ps512(_mm_loadu_ps(p));
  x = _mm512_insertf32x4(x, _mm_loadu_ps(p + step), 1);
  x = _mm512_insertf32x4(x, _mm_loadu_ps(p + 2 * step), 2);
  return _mm512_insertf32x4(x, _mm_loadu_ps(p + 3 * step), 3);
}
CHAINRULE_INLINE __m512d gather_quarters(const double* p, std::ptrdiff_t step) {
  __m512d x = _mm512_castpd128_pd512(_mm_loadu_pd(p));
  x = _mm512_insertf64x2(x, _mm_loadu_pd(p + step), 1);
  x = _mm512_insertf64x2(x, _mm_loadu_pd(p + 2 * step), 2);
  return _mm512_insertf64x2(x, _mm_loadu_pd(p + 3 * step), 3);
}
#define CHAINRULE_SIMD(name) _mm512_##name
#elif defined(EIGEN_VECTORIZE_AVX2)
template <class T> inline constexpr int strip = 16 / static_cast<int>(sizeof(T));
CHAINRULE_INLINE __m256 gather_quarters(const float* p, std::ptrdiff_t step) {
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)), _mm_loadu_ps(p + step), 1);
}
CHAINRULE_INLINE __m256d gather_quarters(const double* p, std::ptrdiff_t step) {
  return _mm256_insertf128_pd(_mm256_castpd128_pd256(_mm_loadu_pd(p)), _mm_loadu_pd(p + step), 1);
}
#define CHAINRULE_SIMD(name) _mm256_##name
#else
template <class T> inline constexpr int strip = lanes<T>;
#endif

#if defined(CHAINRULE_SIMD)
CHAINRULE_INLINE void load_strip(Packet<float> (&to)[4], const float* from, std::ptrdiff_t stride) {
  const auto r0 = gather_quarters(from, 4 * stride), r1 = gather_quarters(from + stride, 4 * stride);
  const auto r2 = gather_quarters(from + 2 * stride, 4 * stride), r3 = gather_quarters(from + 3 * stride, 4 * stride);
  const auto low01 = CHAINRULE_SIMD(unpacklo_ps)(r0, r1), high01 = CHAINRULE_SIMD(unpackhi_ps)(r0, r1);
  const auto low23 = CHAINRULE_SIMD(unpacklo_ps)(r2, r3), high23 = CHAINRULE_SIMD(unpackhi_ps)(r2, r3);
  to[0] = CHAINRULE_SIMD(shuffle_ps)(low01, low23, 0x44);
  to[1] = CHAINRULE_SIMD(shuffle_ps)(low01, low23, 0xee);
  to[2] = CHAINRULE_SIMD(shuffle_ps)(high01, high23, 0x44);
  to[3] = CHAINRULE_SIMD(shuffle_ps)(high01, high23, 0xee);
}
CHAINRULE_INLINE void load_strip(Packet<double> (&to)[2], const double* from, std::ptrdiff_t stride) {
  const auto r0 = gather_quarters(from, 2 * stride), r1 = gather_quarters(from + stride, 2 * stride);
  to[0] = CHAINRULE_SIMD(unpacklo_pd)(r0, r1);
  to[1] = CHAINRULE_SIMD(unpackhi_pd)(r0, r1);
}
#undef CHAINRULE_SIMD
#else
template <class T>
CHAINRULE_INLINE void load_strip(Packet<T> (&to)[lanes<T>], const T* from, std::ptrdiff_t stride) {
  ei::PacketBlock<Packet<T>, lanes<T>> block;
  for (int r = 0; r < lanes<T>; ++r) block.packet[r] = ei::ploadu<Packet<T>>(from + r * stride);
  ei::ptranspose(block);
  for (int c = 0; c < lanes<T>; ++c) to[c] = block.packet[c];
}
#endif

// The same for whole cache lines, square<T> elements of each row, where registers are wide enough for that: a line is
// read once, which counts where the distance of the rows is a power of two and a set of the cache holds fewer of them.
// 256-bit loads put rows r and r + lanes / 2 side by side, so that one stage of the transpose less is left.
#if defined(EIGEN_VECTORIZE_AVX512)
template <class T> inline constexpr int square = lanes<T>;
CHAINRULE_INLINE __m512 load_halves(const float* p, const float* q) {
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(p)), _mm256_loadu_ps(q), 1);
}
CHAINRULE_INLINE __m512d load_halves(const double* p, const double* q) {
  return _mm512_insertf64x4(_mm512_castpd256_pd512(_mm256_loadu_pd(p)), _mm256_loadu_pd(q), 1);
}
CHAINRULE_INLINE void turn_halves(__m512* to, const __m512 (&x)[8]) {  // rows r | r + 8, eight elements
  const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27);
  const __m512i second = _mm512_setr_epi32(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31);
  __m512 t[8];
  for (int r = 0; r < 8; r += 4) {
    const __m512 low01 = _mm512_unpacklo_ps(x[r], x[r + 1]), high01 = _mm512_unpackhi_ps(x[r], x[r + 1]);
    const __m512 low23 = _mm512_unpacklo_ps(x[r + 2], x[r + 3]), high23 = _mm512_unpackhi_ps(x[r + 2], x[r + 3]);
    t[r] = _mm512_shuffle_ps(low01, low23, 0x44), t[r + 1] = _mm512_shuffle_ps(low01, low23, 0xee);
    t[r + 2] = _mm512_shuffle_ps(high01, high23, 0x44), t[r + 3] = _mm512_shuffle_ps(high01, high23, 0xee);
  }
  for (int c = 0; c < 4; ++c) {
    to[c] = _mm512_permutex2var_ps(t[c], first, t[c + 4]);
    to[c + 4] = _mm512_permutex2var_ps(t[c], second, t[c + 4]);
  }
}
CHAINRULE_INLINE void turn_halves(__m512d* to, const __m512d (&x)[4]) {  // rows r | r + 4, four elements
  const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 4, 5, 12, 13);
  const __m512i second = _mm512_setr_epi64(2, 3, 10, 11, 6, 7, 14, 15);
  const __m512d low01 = _mm512_unpacklo_pd(x[0], x[1]), high01 = _mm512_unpackhi_pd(x[0], x[1]);
  const __m512d low23 = _mm512_unpacklo_pd(x[2], x[3]), high23 = _mm512_unpackhi_pd(x[2], x[3]);
  to[0] = _mm512_permutex2var_pd(low01, first, low23), to[1] = _mm512_permutex2var_pd(high01, first, high23);
  to[2] = _mm512_permutex2var_pd(low01, second, low23), to[3] = _mm512_permutex2var_pd(high01, second, high23);
}
template <class T>
CHAINRULE_INLINE void load_square(Packet<T> (&to)[square<T>], const T* from, std::ptrdiff_t stride) {
  constexpr int L = lanes<T>, half = L / 2;
  const T* row[L];
  for (int r = 0; r < L; ++r) {
    // One pointer per three rows, the others by base + index addressing; else the compiler keeps all in memory.
    row[r] = r % 3 == 0 ? (r == 0 ? from : row[r - 3] + 3 * stride) : row[r - r % 3] + r % 3 * stride;
    if (r % 3 == 0) asm("" : "+r"(row[r]));
  }
  Packet<T> low[half], high[half];
  for (int r = 0; r < half; ++r) {
    low[r] = load_halves(row[r], row[r + half]);
    high[r] = load_halves(row[r] + half, row[r + half] + half);
  }
  turn_halves(to, low);
  turn_halves(to + half, high);
}
#else
template <class T> inline constexpr int square = strip<T>;
template <class T>
CHAINRULE_INLINE void load_square(Packet<T> (&to)[square<T>], const T* from, std::ptrdiff_t stride) {
  load_strip(to, from, stride);
}
#endif

}  // namespace matmul
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
