// Walks and folds one row of floats or doubles as lanes: tails run the same code as whole packets, and the order of a
// sum is fixed by the row's length alone. No formula of any op lives here.
#pragma once

#include <cstdint>
#include <limits>

#include "kernels/lane.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace rows {

template <class T>
constexpr std::int64_t width() {
  return Lane<T>::width;
}

template <class T>
CHAINRULE_INLINE Lane<T> splat(T value) {
  return Lane<T>::of(packet::eigen::pset1<packet::Packet<T>>(value));
}

#if defined(EIGEN_VECTORIZE_AVX2) && !defined(EIGEN_VECTORIZE_AVX512)
template <class T>
CHAINRULE_INLINE __m256i first_lanes(std::int64_t count) {
  if constexpr (sizeof(T) == 4) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  } else {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(count), _mm256_setr_epi64x(0, 1, 2, 3));
  }
}
#endif

// The first `count` lanes come from memory, the others hold `pad`; nothing beyond `count` is read.
template <class T>
CHAINRULE_INLINE Lane<T> load(const T* from, std::int64_t count, T pad) {
  using L = Lane<T>;
  if (count == width<T>()) return L::of(packet::eigen::ploadu<packet::Packet<T>>(from));
#if defined(EIGEN_VECTORIZE_AVX512)
  if constexpr (sizeof(T) == 4) {
    return L::of(_mm512_mask_loadu_ps(splat(pad).v, static_cast<__mmask16>((1u << count) - 1u), from));
  } else {
    return L::of(_mm512_mask_loadu_pd(splat(pad).v, static_cast<__mmask8>((1u << count) - 1u), from));
  }
#elif defined(EIGEN_VECTORIZE_AVX2)
  const __m256i mask = first_lanes<T>(count);
  if constexpr (sizeof(T) == 4) {
    return L::of(_mm256_blendv_ps(splat(pad).v, _mm256_maskload_ps(from, mask), _mm256_castsi256_ps(mask)));
  } else {
    return L::of(_mm256_blendv_pd(splat(pad).v, _mm256_maskload_pd(from, mask), _mm256_castsi256_pd(mask)));
  }
#else
  alignas(64) T some[width<T>()];
  for (std::int64_t i = 0; i < width<T>(); ++i) some[i] = i < count ? from[i] : pad;
  return L::of(packet::eigen::pload<packet::Packet<T>>(some));
#endif
}

template <class T>
CHAINRULE_INLINE void store(T* to, Lane<T> value, std::int64_t count) {
  if (count == width<T>()) {
    packet::eigen::pstoreu(to, value.v);
    return;
  }
#if defined(EIGEN_VECTORIZE_AVX2) && !defined(EIGEN_VECTORIZE_AVX512)
  if constexpr (sizeof(T) == 4) {
    _mm256_maskstore_ps(to, first_lanes<T>(count), value.v);
  } else {
    _mm256_maskstore_pd(to, first_lanes<T>(count), value.v);
  }
#else
  packet::store_some(to, value.v, static_cast<int>(count));
#endif
}

// 0, 1, 2, ...
template <class T>
CHAINRULE_INLINE Lane<T> lane_numbers() {
  return Lane<T>::of(packet::eigen::plset<packet::Packet<T>>(T(0)));
}

// `pad` in lanes count and above.
template <class T>
CHAINRULE_INLINE Lane<T> keep(Lane<T> value, std::int64_t count, T pad) {
  if (count == width<T>()) return value;
  return where(less(lane_numbers<T>(), splat(static_cast<T>(count))), value, splat(pad));
}

// body(j, count) for every packet of a row of n elements; count < width only in the last.
template <class T, class Body>
CHAINRULE_INLINE void each_packet(std::int64_t n, const Body& body) {
  constexpr std::int64_t W = width<T>();
  std::int64_t j = 0;
  for (; j + W <= n; j += W) body(j, W);
  if (j < n) body(j, n - j);
}

struct Add {
  template <class T>
  static constexpr T neutral = -T(0);  // -0 + x is x, for x = -0 too
  template <class T>
  CHAINRULE_INLINE static Lane<T> combine(Lane<T> a, Lane<T> b) {
    return a + b;
  }
  template <class T>
  CHAINRULE_INLINE static T across(Lane<T> a) {
    return packet::eigen::predux(a.v);
  }
};

struct Product {
  template <class T>
  static constexpr T neutral = 1;
  template <class T>
  CHAINRULE_INLINE static Lane<T> combine(Lane<T> a, Lane<T> b) {
    return a * b;
  }
  template <class T>
  CHAINRULE_INLINE static T across(Lane<T> a) {
    return packet::eigen::predux_mul(a.v);
  }
};

// NaN propagates.
struct Max {
  template <class T>
  static constexpr T neutral = -std::numeric_limits<T>::infinity();
  template <class T>
  CHAINRULE_INLINE static Lane<T> combine(Lane<T> a, Lane<T> b) {
    return maximum(a, b);
  }
  template <class T>
  CHAINRULE_INLINE static T across(Lane<T> a) {
    return packet::eigen::predux_max<Eigen::PropagateNaN>(a.v);
  }
};

struct Min {
  template <class T>
  static constexpr T neutral = std::numeric_limits<T>::infinity();
  template <class T>
  CHAINRULE_INLINE static Lane<T> combine(Lane<T> a, Lane<T> b) {
    return minimum(a, b);
  }
  template <class T>
  CHAINRULE_INLINE static T across(Lane<T> a) {
    return packet::eigen::predux_min<Eigen::PropagateNaN>(a.v);
  }
};

// term(j, count) gives the lanes of elements j .. j + count - 1, with Op's neutral element beyond.
// Four chains over packets 0 4 8 .., 1 5 9 .., ...; what is left of the last round goes to the first two.
template <class Op, class T, class Term>
CHAINRULE_INLINE Lane<T> fold_block(std::int64_t begin, std::int64_t end, const Term& term) {
  constexpr std::int64_t W = width<T>();
  Lane<T> a0 = splat(Op::template neutral<T>), a1 = a0, a2 = a0, a3 = a0;
  std::int64_t j = begin;
  for (; j + 4 * W <= end; j += 4 * W) {
    a0 = Op::combine(a0, term(j, W));
    a1 = Op::combine(a1, term(j + W, W));
    a2 = Op::combine(a2, term(j + 2 * W, W));
    a3 = Op::combine(a3, term(j + 3 * W, W));
  }
  for (; j + W <= end; j += W) a0 = Op::combine(a0, term(j, W));
  if (j < end) a1 = Op::combine(a1, term(j, end - j));
  return Op::combine(Op::combine(a0, a1), Op::combine(a2, a3));
}

// Folds a row to one value. Blocks of 128 packets are joined as a binary tree (block 0 with 1, 2 with 3, then the
// pairs), so an element of a float32 sum of any length goes through about 40 + log2(blocks) roundings.
template <class Op, class T, class Term>
CHAINRULE_INLINE T fold_row(std::int64_t n, const Term& term) {
  constexpr std::int64_t W = width<T>(), block = 128 * W;
  if (n <= W) return Op::across(term(0, n));
  Lane<T> tree[56];  // finished subtrees, one per set bit of `blocks`
  int depth = 0;
  std::int64_t blocks = 0;
  for (std::int64_t begin = 0; begin < n; begin += block, ++blocks) {
    Lane<T> sum = fold_block<Op, T>(begin, begin + block < n ? begin + block : n, term);
    for (std::int64_t bits = blocks; bits & 1; bits >>= 1) sum = Op::combine(tree[--depth], sum);
    tree[depth++] = sum;
  }
  Lane<T> total = tree[--depth];
  while (depth > 0) total = Op::combine(tree[--depth], total);
  return Op::across(total);
}

}  // namespace rows
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
