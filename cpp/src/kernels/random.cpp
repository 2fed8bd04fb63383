// Random numbers from Philox counters: dropout with its bit mask, uniform and normal draws. Element i of a stream is a
// function of (seed, step, stream, i) alone.

#include "kernels/abi.hpp"
#include "kernels/keys.hpp"
#include "kernels/philox_lanes.hpp"
#include "kernels/rows.hpp"

namespace {

using namespace chainrule::kernels;
using namespace chainrule::rows;
namespace packet = chainrule::packet;
namespace ei = packet::eigen;
using chainrule::key;
using chainrule::Lane;
namespace philox_lanes = chainrule::philox_lanes;
using philox_lanes::Stream;
using std::int64_t;
using std::uint32_t;
using std::uint64_t;

const RowPlan& row_plan(const Args& args) { return *reinterpret_cast<const RowPlan*>(args.plan->body); }

// --- dropout: y = x / (1 - p) where the element's bit is set, 0 elsewhere; element e has bit e % 8 of byte e / 8 ---

constexpr int64_t byte_group = philox_lanes::group;  // bytes of mask, and Philox blocks, handled at a time
constexpr int64_t element_group = 8 * byte_group;

// scale * x, and +0 in lanes whose bit is clear, whatever x is there.
template <class T>
CHAINRULE_INLINE Lane<T> masked_scale(Lane<T> x, Lane<T> scale, uint64_t bits) {
#if defined(EIGEN_VECTORIZE_AVX512)
  if constexpr (sizeof(T) == 4) {
    return Lane<T>::of(_mm512_maskz_mul_ps(static_cast<__mmask16>(bits), x.v, scale.v));
  } else {
    return Lane<T>::of(_mm512_maskz_mul_pd(static_cast<__mmask8>(bits), x.v, scale.v));
  }
#else
  if constexpr (width<T>() == 1) return (bits & 1) != 0 ? x * scale : Lane<T>(0.0);
  using Word = packet::word<T>;
  using Words = packet::Integers<T>;
  alignas(64) static constexpr Word bit_of_lane[8] = {1, 2, 4, 8, 16, 32, 64, 128};
  const Words bit = ei::pload<Words>(bit_of_lane);
  const Words kept = ei::pcmp_eq(ei::pand(ei::pset1<Words>(static_cast<Word>(bits)), bit), bit);
  return Lane<T>::of(ei::pand((x * scale).v, ei::preinterpret<packet::Packet<T>>(kept)));
#endif
}

// Up to 64 elements under one word of mask bits.
template <class T>
CHAINRULE_INLINE void apply_bits(const T* x, T* y, Lane<T> scale, uint64_t bits, int64_t count) {
  constexpr int64_t W = width<T>();
  int64_t e = 0;
  if (count == element_group) {
    for (; e < element_group; e += W) store(y + e, masked_scale(load(x + e, W, T(0)), scale, bits >> e), W);
    return;
  }
  for (; e + W <= count; e += W) store(y + e, masked_scale(load(x + e, W, T(0)), scale, bits >> e), W);
  if (e < count) store(y + e, masked_scale(load(x + e, count - e, T(0)), scale, bits >> e), count - e);
}

template <class T>
Lane<T> kept_scale(const RowPlan& plan) {
  return splat(static_cast<T>(1.0 / (1.0 - plan.r[0])));
}

// in: x (n), counter int64 (2) = {seed, step}; out: y (n), mask uint8 (ceil(n / 8)), clear beyond n.
// r[0] = p, i[0] = stream. Byte b holds the draws of Philox block b: 16 bits per element, kept when >= round(65536 p).
// units = bytes of mask. y may be the same memory as x.
template <class T>
Status dropout(const Args& args, Range range, void*) {
  const RowPlan& plan = row_plan(args);
  const Stream stream(static_cast<const int64_t*>(args.in[1]), plan.i[0]);
  const T* x = static_cast<const T*>(args.in[0]);
  T* y = static_cast<T*>(args.out[0]);
  std::uint8_t* mask = static_cast<std::uint8_t*>(args.out[1]);
  const Lane<T> scale = kept_scale<T>(plan);
  const int64_t threshold = static_cast<int64_t>(plan.r[0] * 65536.0 + 0.5);
  for (int64_t byte = range.begin; byte < range.end; byte += byte_group) {
    const int64_t bytes = range.end - byte < byte_group ? range.end - byte : byte_group;
    const int64_t count = plan.rows - 8 * byte < 8 * bytes ? plan.rows - 8 * byte : 8 * bytes;
    uint64_t bits = 0;  // a threshold of 65536 drops all
    if (threshold < 65536) {
      const uint64_t first = static_cast<uint64_t>(byte);
      bits = philox_lanes::group_at_least(stream, first, static_cast<std::uint16_t>(threshold));
    }
    if (count < element_group) bits &= (uint64_t{1} << count) - 1;
    std::memcpy(mask + byte, &bits, static_cast<std::size_t>(bytes));
    apply_bits(x + 8 * byte, y + 8 * byte, scale, bits, count);
  }
  return Status::ok;
}

// in: gy (n), mask; out: gx (n). The plan of dropout.
template <class T>
Status dropout_apply(const Args& args, Range range, void*) {
  const RowPlan& plan = row_plan(args);
  const T* x = static_cast<const T*>(args.in[0]);
  const std::uint8_t* mask = static_cast<const std::uint8_t*>(args.in[1]);
  T* y = static_cast<T*>(args.out[0]);
  const Lane<T> scale = kept_scale<T>(plan);
  for (int64_t byte = range.begin; byte < range.end; byte += byte_group) {
    const int64_t bytes = range.end - byte < byte_group ? range.end - byte : byte_group;
    const int64_t count = plan.rows - 8 * byte < 8 * bytes ? plan.rows - 8 * byte : 8 * bytes;
    uint64_t bits = 0;
    std::memcpy(&bits, mask + byte, static_cast<std::size_t>(bytes));
    apply_bits(x + 8 * byte, y + 8 * byte, scale, bits, count);
  }
  return Status::ok;
}

// --- uniform and normal: i[0] = stream; a unit is one Philox block, 4 float32 or 2 float64 elements ---

constexpr int words_per_group = 4 * philox_lanes::group;

// The 53 upper bits of words 2 i and 2 i + 1, low word first.
CHAINRULE_INLINE double upper_53(const uint32_t* word, int i) {
  return static_cast<double>((uint64_t{word[2 * i + 1]} << 32 | word[2 * i]) >> 11);
}

// r = {low, high}: low + (high - low) u, u uniform in [0, 1) with 24 bits for float32 and 53 for float64, computed in
// double; the rounding to T may reach high unless low = 0 and high is a power of two.
struct Uniform {
  CHAINRULE_INLINE static void draw(const uint32_t* word, const double* r, float* out) {
    const double low = r[0], width = r[1] - r[0];
    for (int i = 0; i < words_per_group; ++i) {
      out[i] = static_cast<float>(low + width * (static_cast<std::int32_t>(word[i] >> 8) * 0x1p-24));
    }
  }
  CHAINRULE_INLINE static void draw(const uint32_t* word, const double* r, double* out) {
    const double low = r[0], width = r[1] - r[0];
    for (int i = 0; i < words_per_group / 2; ++i) out[i] = low + width * (upper_53(word, i) * 0x1p-53);
  }
};

CHAINRULE_INLINE uint64_t bits_of(double x) {
  uint64_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
CHAINRULE_INLINE double double_of(uint64_t bits) {
  double x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// log u for u in (0, 1]: u = m 2^e with m in (sqrt 1/2, sqrt 2], log m = 2 artanh s with s = (m - 1) / (m + 1).
// |s| < 0.172, so that s^21 / 21 is the last term to count.
CHAINRULE_INLINE double log_unit(double u) {
  const uint64_t bits = bits_of(u);
  const double exponent = double_of(bits >> 52 | 0x4330000000000000u) - (0x1p52 + 1023);
  const double mantissa = double_of((bits & 0xFFFFFFFFFFFFFu) | 0x3FF0000000000000u);
  const bool large = mantissa > 1.4142135623730951;
  const double m = large ? 0.5 * mantissa : mantissa, e = large ? exponent + 1 : exponent;
  const double s = (m - 1) / (m + 1), z = s * s;
  double series = 1.0 / 21;
  for (int k = 19; k >= 3; k -= 2) series = series * z + 1.0 / k;
  return e * 0.6931471805599453 + 2 * (s + s * z * series);
}

// cos and sin of 2 pi u for u in [0, 1]: within an eighth of a turn of a quadrant's axis, Taylor polynomials.
CHAINRULE_INLINE void circle(double u, double& cosine, double& sine) {
  const double shifted = 4 * u + 0x1.8p52;  // 4 u rounded to an integer, which is then in the low bits
  const double a = (4 * u - (shifted - 0x1.8p52)) * 1.5707963267948966, z = a * a;
  double c = 0, s = 0;
  for (int k = 18; k >= 2; k -= 2) {
    c = (1 - c) * (z * (1.0 / (k * (k - 1))));  // cos a = 1 - z/2 (1 - z/12 (1 - ...))
    s = (1 - s) * (z * (1.0 / (k * (k + 1))));  // sin a = a (1 - z/6 (1 - z/20 (1 - ...)))
  }
  c = 1 - c;
  s = a - a * s;
  const uint64_t quadrant = bits_of(shifted);
  const bool swapped = (quadrant & 1) != 0;
  const double x = swapped ? s : c, y = swapped ? c : s;
  cosine = double_of(bits_of(x) ^ ((quadrant + 1) & 2) << 62);
  sine = double_of(bits_of(y) ^ (quadrant & 2) << 62);
}

// r = {mean, standard deviation}. Box and Muller: mean + std sqrt(-2 log u1) (cos 2 pi u2, sin 2 pi u2), in double, u1
// in (0, 1], u2 in [0, 1). A pair takes two words for float32 (32 bits per u) and a block for float64 (53 bits per u).
// Only +, -, *, /, sqrt, each rounded once: the same bits at every ISA level, so one seed gives one initial model.
struct Normal {
  template <int pairs, class T>
  CHAINRULE_INLINE static void transform(const double* u1, const double* u2, const double* r, T* out) {
    const double mean = r[0], deviation = r[1];
    double radius[pairs], cosine[pairs], sine[pairs];
    for (int i = 0; i < pairs; ++i) radius[i] = -2 * log_unit(u1[i]);
    constexpr int W = static_cast<int>(width<double>());
    for (int i = 0; i < pairs; i += W) store(radius + i, sqrt(load(radius + i, W, 0.0)), W);
    for (int i = 0; i < pairs; ++i) circle(u2[i], cosine[i], sine[i]);
    for (int i = 0; i < pairs; ++i) {
      out[2 * i] = static_cast<T>(mean + deviation * radius[i] * cosine[i]);
      out[2 * i + 1] = static_cast<T>(mean + deviation * radius[i] * sine[i]);
    }
  }
  CHAINRULE_INLINE static void draw(const uint32_t* word, const double* r, float* out) {
    constexpr int pairs = words_per_group / 2;
    double u1[pairs], u2[pairs];
    for (int i = 0; i < pairs; ++i) u1[i] = (word[2 * i] + 1.0) * 0x1p-32, u2[i] = word[2 * i + 1] * 0x1p-32;
    transform<pairs>(u1, u2, r, out);
  }
  CHAINRULE_INLINE static void draw(const uint32_t* word, const double* r, double* out) {
    constexpr int pairs = words_per_group / 4;
    double u1[pairs], u2[pairs];
    for (int i = 0; i < pairs; ++i) {
      u1[i] = (upper_53(word, 2 * i) + 1) * 0x1p-53;
      u2[i] = upper_53(word, 2 * i + 1) * 0x1p-53;
    }
    transform<pairs>(u1, u2, r, out);
  }
};

// in: counter int64 (2); out (n).
template <class Distribution, class T>
Status fill_random(const Args& args, Range range, void*) {
  constexpr int64_t per_block = 16 / sizeof(T);
  const RowPlan& plan = row_plan(args);
  const Stream stream(static_cast<const int64_t*>(args.in[0]), plan.i[0]);
  T* out = static_cast<T*>(args.out[0]);
  for (int64_t first = range.begin; first < range.end; first += philox_lanes::group) {
    uint32_t word[words_per_group];
    T value[philox_lanes::group * per_block];
    philox_lanes::draw_group(stream, static_cast<uint64_t>(first), word);
    Distribution::draw(word, plan.r, value);
    const int64_t end = first + philox_lanes::group < range.end ? first + philox_lanes::group : range.end;
    const int64_t last = end * per_block < plan.rows ? end * per_block : plan.rows;
    std::memcpy(out + first * per_block, value, static_cast<std::size_t>(last - first * per_block) * sizeof(T));
  }
  return Status::ok;
}

}  // namespace

CHAINRULE_KERNEL_TABLE(random) = {
    {"dropout", key<float>, dropout<float>},
    {"dropout", key<double>, dropout<double>},
    {"dropout_apply", key<float>, dropout_apply<float>},
    {"dropout_apply", key<double>, dropout_apply<double>},
    {"random_uniform", key<float>, fill_random<Uniform, float>},
    {"random_uniform", key<double>, fill_random<Uniform, double>},
    {"random_normal", key<float>, fill_random<Normal, float>},
    {"random_normal", key<double>, fill_random<Normal, double>},
    {nullptr, 0, nullptr},
};
