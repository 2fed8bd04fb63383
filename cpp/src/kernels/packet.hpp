// One SIMD packet of floats or doubles and its masks: Eigen's packet types and functions, and AVX-512's mask registers
// where they exist (Eigen keeps masks in full packets, two extra instructions per comparison). Not a value type: Lane
// (lane.hpp) is.
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
#include <cstdint>

#define CHAINRULE_INLINE inline __attribute__((always_inline))

namespace chainrule {
inline namespace CHAINRULE_ISA {

namespace packet {

namespace eigen = ::Eigen::internal;

template <class T>
using Packet = typename eigen::packet_traits<T>::type;
template <class T>
using Integers = typename eigen::unpacket_traits<Packet<T>>::integer_packet;
template <class T>
inline constexpr int width = eigen::unpacket_traits<Packet<T>>::size;

// Integers as wide as T, for bit patterns and mask bytes.
template <class T>
struct Word;
template <>
struct Word<float> {
  using type = std::int32_t;
};
template <>
struct Word<double> {
  using type = std::int64_t;
};
template <class T>
using word = typename Word<T>::type;

#if defined(EIGEN_VECTORIZE_AVX512)

template <class T>
struct Masks;

template <>
struct Masks<float> {
  using type = __mmask16;
  CHAINRULE_INLINE static type lt(__m512 a, __m512 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
  CHAINRULE_INLINE static type le(__m512 a, __m512 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
  CHAINRULE_INLINE static type eq(__m512 a, __m512 b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
  CHAINRULE_INLINE static type no(type m) { return static_cast<type>(~m); }
  CHAINRULE_INLINE static bool any(type m) { return m != 0; }
  CHAINRULE_INLINE static __m512 select(type m, __m512 a, __m512 b) { return _mm512_mask_blend_ps(m, b, a); }
  CHAINRULE_INLINE static type load(const unsigned char* p) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm_test_epi8_mask(bytes, bytes);
  }
  CHAINRULE_INLINE static void store(unsigned char* p, type m) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm_maskz_set1_epi8(m, 1));
  }
};

template <>
struct Masks<double> {
  using type = __mmask8;
  CHAINRULE_INLINE static type lt(__m512d a, __m512d b) { return _mm512_cmp_pd_mask(a, b, _CMP_LT_OQ); }
  CHAINRULE_INLINE static type le(__m512d a, __m512d b) { return _mm512_cmp_pd_mask(a, b, _CMP_LE_OQ); }
  CHAINRULE_INLINE static type eq(__m512d a, __m512d b) { return _mm512_cmp_pd_mask(a, b, _CMP_EQ_OQ); }
  CHAINRULE_INLINE static type no(type m) { return static_cast<type>(~m); }
  CHAINRULE_INLINE static bool any(type m) { return m != 0; }
  CHAINRULE_INLINE static __m512d select(type m, __m512d a, __m512d b) { return _mm512_mask_blend_pd(m, b, a); }
  CHAINRULE_INLINE static type load(const unsigned char* p) {
    const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    return static_cast<type>(_mm_test_epi8_mask(bytes, bytes));
  }
  CHAINRULE_INLINE static void store(unsigned char* p, type m) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_maskz_set1_epi8(m, 1));
  }
};

// Eigen's square root for AVX-512 is a Newton iteration, not correctly rounded.
CHAINRULE_INLINE __m512 sqrt(__m512 x) { return _mm512_sqrt_ps(x); }
CHAINRULE_INLINE __m512d sqrt(__m512d x) { return _mm512_sqrt_pd(x); }

CHAINRULE_INLINE __mmask16 first(int n) { return static_cast<__mmask16>((1u << n) - 1u); }
CHAINRULE_INLINE __m512 load_some(const float* p, int n) { return _mm512_maskz_loadu_ps(first(n), p); }
CHAINRULE_INLINE __m512d load_some(const double* p, int n) {
  return _mm512_maskz_loadu_pd(static_cast<__mmask8>(first(n)), p);
}
CHAINRULE_INLINE void store_some(float* p, __m512 v, int n) { _mm512_mask_storeu_ps(p, first(n), v); }
CHAINRULE_INLINE void store_some(double* p, __m512d v, int n) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>(first(n)), v);
}

#else

// A mask is a packet of all-ones and all-zeros elements.
template <class T>
struct Masks {
  using type = Packet<T>;
  CHAINRULE_INLINE static type lt(type a, type b) { return eigen::pcmp_lt(a, b); }
  CHAINRULE_INLINE static type le(type a, type b) { return eigen::pcmp_le(a, b); }
  CHAINRULE_INLINE static type eq(type a, type b) { return eigen::pcmp_eq(a, b); }
  CHAINRULE_INLINE static type no(type m) { return eigen::pxor(m, eigen::ptrue(m)); }
  CHAINRULE_INLINE static bool any(type m) { return eigen::predux_any(m); }
  CHAINRULE_INLINE static type select(type m, type a, type b) { return eigen::pselect(m, a, b); }
  CHAINRULE_INLINE static type load(const unsigned char* p) {
    alignas(64) word<T> words[width<T>];
    for (int j = 0; j < width<T>; ++j) words[j] = -static_cast<word<T>>(p[j] != 0);
    return eigen::pload<type>(reinterpret_cast<const T*>(words));
  }
  CHAINRULE_INLINE static void store(unsigned char* p, type m) {
    alignas(64) word<T> words[width<T>];
    eigen::pstore(reinterpret_cast<T*>(words), m);
    for (int j = 0; j < width<T>; ++j) p[j] = static_cast<unsigned char>(words[j] & 1);
  }
};

template <class P>
CHAINRULE_INLINE P sqrt(P x) {
  return eigen::psqrt(x);
}

#if defined(EIGEN_VECTORIZE_AVX2)
CHAINRULE_INLINE __m256i first(int n, float) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
CHAINRULE_INLINE __m256i first(int n, double) {
  return _mm256_cmpgt_epi64(_mm256_set1_epi64x(n), _mm256_setr_epi64x(0, 1, 2, 3));
}
CHAINRULE_INLINE __m256 load_some(const float* p, int n) { return _mm256_maskload_ps(p, first(n, 0.0f)); }
CHAINRULE_INLINE __m256d load_some(const double* p, int n) { return _mm256_maskload_pd(p, first(n, 0.0)); }
CHAINRULE_INLINE void store_some(float* p, __m256 v, int n) { _mm256_maskstore_ps(p, first(n, 0.0f), v); }
CHAINRULE_INLINE void store_some(double* p, __m256d v, int n) { _mm256_maskstore_pd(p, first(n, 0.0), v); }
#else
// The loops have a fixed length: with a variable one they become calls of memcpy.
template <class T>
CHAINRULE_INLINE Packet<T> load_some(const T* p, int n) {
  alignas(64) T some[width<T>];
  for (int j = 0; j < width<T>; ++j) some[j] = j < n ? p[j] : T(0);
  return eigen::pload<Packet<T>>(some);
}
template <class T>
CHAINRULE_INLINE void store_some(T* p, Packet<T> v, int n) {
  alignas(64) T some[width<T>];
  eigen::pstore(some, v);
  for (int j = 0; j < width<T>; ++j)
    if (j < n) p[j] = some[j];
}
#endif

#endif

// A packet of floats as packets of doubles, and back.
inline constexpr int doubles_per_float = width<float> / width<double>;
CHAINRULE_INLINE void widen(Packet<float> x, Packet<double>* parts) {
#if defined(EIGEN_VECTORIZE_AVX512)
  parts[0] = _mm512_cvtps_pd(_mm512_castps512_ps256(x));
  parts[1] = _mm512_cvtps_pd(_mm512_extractf32x8_ps(x, 1));
#elif defined(EIGEN_VECTORIZE_AVX)
  parts[0] = _mm256_cvtps_pd(_mm256_castps256_ps128(x));
  parts[1] = _mm256_cvtps_pd(_mm256_extractf128_ps(x, 1));
#elif defined(EIGEN_VECTORIZE_SSE)
  parts[0] = _mm_cvtps_pd(x);
  parts[1] = _mm_cvtps_pd(_mm_movehl_ps(x, x));
#else
  alignas(64) float from[width<float>];
  alignas(64) double to[width<float>];
  eigen::pstore(from, x);
  for (int j = 0; j < width<float>; ++j) to[j] = static_cast<double>(from[j]);
  for (int k = 0; k < doubles_per_float; ++k) parts[k] = eigen::pload<Packet<double>>(to + k * width<double>);
#endif
}
CHAINRULE_INLINE Packet<float> narrow(const Packet<double>* parts) {
#if defined(EIGEN_VECTORIZE_AVX512)
  return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(parts[0])), _mm512_cvtpd_ps(parts[1]), 1);
#elif defined(EIGEN_VECTORIZE_AVX)
  return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm256_cvtpd_ps(parts[0])), _mm256_cvtpd_ps(parts[1]), 1);
#elif defined(EIGEN_VECTORIZE_SSE)
  return _mm_movelh_ps(_mm_cvtpd_ps(parts[0]), _mm_cvtpd_ps(parts[1]));
#else
  alignas(64) double from[width<float>];
  alignas(64) float to[width<float>];
  for (int k = 0; k < doubles_per_float; ++k) eigen::pstore(from + k * width<double>, parts[k]);
  for (int j = 0; j < width<float>; ++j) to[j] = static_cast<float>(from[j]);
  return eigen::pload<Packet<float>>(to);
#endif
}

}  // namespace packet

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
