// kernels/random.cpp against the scalar Philox of core/philox.hpp: masks, draws, moments.
#include "call.hpp"
#include "core/philox.hpp"

using namespace kernel_test;

namespace {

constexpr std::int64_t seed = 0x1234'5678'9ABC'DEF0, step = 77, stream = 5;
const std::vector<std::int64_t> counter{seed, step};

chainrule::PhiloxBlock block(std::int64_t b) {
  return chainrule::philox(static_cast<std::uint64_t>(seed), static_cast<std::uint64_t>(b), step, stream);
}

Plan random_plan(std::int64_t n, std::int64_t units, double r0, double r1 = 0) {
  return make_plan(RowPlan{n, 1, {stream, 0, 0, 0}, {r0, r1, 0, 0}}, units);
}

template <class T>
std::vector<T> draw(const char* name, std::int64_t n, double r0, double r1) {
  const std::int64_t per_block = 16 / sizeof(T);
  return call(name, dtype_of<T>, random_plan(n, (n + per_block - 1) / per_block, r0, r1), {bytes_of(counter)},
              {at(n) * sizeof(T)})
      .template as<T>();
}

double upper_53(const std::uint32_t* word) {
  return static_cast<double>((std::uint64_t{word[1]} << 32 | word[0]) >> 11);
}

}  // namespace

TEST_CASE("philox: known answers of Random123") {
  const auto same = [](const chainrule::PhiloxBlock& b, std::uint32_t w0, std::uint32_t w1, std::uint32_t w2,
                       std::uint32_t w3) {
    return b.word[0] == w0 && b.word[1] == w1 && b.word[2] == w2 && b.word[3] == w3;
  };
  CHECK(same(chainrule::philox(0, 0, 0, 0), 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8));
  CHECK(same(chainrule::philox(~0ull, ~0ull, ~0u, ~0u), 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd));
  CHECK(same(chainrule::philox(0x299f31d0a4093822ull, 0x85a308d3243f6a88ull, 0x13198a2eu, 0x03707344u), 0xd16cfe09,
             0x94fdcceb, 0x5001e420, 0x24126ea1));
}

TEST_CASE_TEMPLATE("dropout keeps by 16-bit draws; dropout_apply repeats the mask", T, float, double) {
  for (const std::int64_t n : {1, 7, 8, 9, 63, 64, 65, 130, 1000, 4099}) {
    for (const double p : {0.0, 0.1, 0.5, 0.999999, 1.0}) {
      CAPTURE(n);
      CAPTURE(p);
      std::vector<T> x = random_values<T>(n, 3);
      const std::size_t mask_bytes = at((n + 7) / 8);
      const Plan plan = random_plan(n, (n + 7) / 8, p);
      const Result result =
          call("dropout", dtype_of<T>, plan, {bytes_of(x), bytes_of(counter)}, {at(n) * sizeof(T), mask_bytes});
      const auto y = result.template as<T>(0);
      const Bytes& mask = result.out[1];
      const T scale = static_cast<T>(1 / (1 - p));
      for (std::int64_t e = 0; e < n; ++e) {
        const std::uint32_t word = block(e / 8).word[e % 8 / 2];
        const std::uint32_t bits = e % 2 == 0 ? word & 0xFFFF : word >> 16;
        const bool kept = bits >= static_cast<std::uint32_t>(std::lround(p * 65536));
        CHECK((mask[at(e / 8)] >> (e % 8) & 1) == (kept ? 1 : 0));
        CHECK(y[at(e)] == (kept ? x[at(e)] * scale : T(0)));
      }
      if (n % 8 != 0) CHECK((mask.back() >> (n % 8)) == 0);
      CHECK(call("dropout_apply", dtype_of<T>, plan, {bytes_of(x), mask}, {at(n) * sizeof(T)}).out[0] == result.out[0]);
      const std::vector<T> hostile(at(n), not_a_number<T>);
      const auto applied =
          call("dropout_apply", dtype_of<T>, plan, {bytes_of(hostile), mask}, {at(n) * sizeof(T)}).template as<T>();
      for (std::int64_t e = 0; e < n; ++e) {
        const bool kept = (mask[at(e / 8)] >> (e % 8) & 1) != 0;
        CHECK((kept ? std::isnan(applied[at(e)]) : applied[at(e)] == 0 && !std::signbit(applied[at(e)])));
      }
    }
  }
}

TEST_CASE("dropout drops the share it was asked to, and a new step draws a new mask") {
  const std::int64_t n = 1 << 18;
  const std::vector<float> x(at(n), 1.0f);
  const auto mask_of = [&](std::int64_t at_step) {
    return call("dropout", DType::float32, random_plan(n, n / 8, 0.3),
                {bytes_of(x), bytes_of<std::int64_t>({seed, at_step})}, {at(n) * 4, at(n / 8)});
  };
  const Result first = mask_of(1), second = mask_of(2);
  double sum = 0;
  for (const float y : first.as<float>()) sum += y;
  CHECK(std::abs(sum / static_cast<double>(n) - 1) < 5 * std::sqrt(0.3 / 0.7 / static_cast<double>(n)));
  std::int64_t agree = 0;
  for (std::size_t b = 0; b < first.out[1].size(); ++b) {
    for (int i = 0; i < 8; ++i) agree += ((first.out[1][b] ^ second.out[1][b]) >> i & 1) == 0;
  }
  const double chance = 0.3 * 0.3 + 0.7 * 0.7;
  CHECK(std::abs(static_cast<double>(agree) / static_cast<double>(n) - chance) < 0.01);
}

TEST_CASE("uniform draws are the words, scaled") {
  for (const std::int64_t n : {1, 2, 3, 4, 5, 31, 32, 33, 1001}) {
    const auto y = draw<float>("random_uniform", n, -3, 5);
    const auto unit = draw<float>("random_uniform", n, 0, 1);
    const auto wide = draw<double>("random_uniform", n, 0, 1);
    for (std::int64_t e = 0; e < n; ++e) {
      const double u = (block(e / 4).word[e % 4] >> 8) * 0x1p-24;
      CHECK(unit[at(e)] == static_cast<float>(u));
      CHECK(y[at(e)] == static_cast<float>(-3 + 8 * u));
      CHECK(wide[at(e)] == upper_53(block(e / 2).word + e % 2 * 2) * 0x1p-53);
    }
  }
}

TEST_CASE("normal draws are Box and Muller's, to the last bits of double") {
  const double turn = 6.283185307179586476925286766559;
  const std::int64_t n = 20001;
  const auto narrow = draw<float>("random_normal", n, 0, 1);
  const auto wide = draw<double>("random_normal", n, 0, 1);
  for (std::int64_t e = 0; e < n; ++e) {
    const chainrule::PhiloxBlock quarter = block(e / 4);
    const std::uint32_t* word = quarter.word + e % 4 / 2 * 2;
    const long double radius = std::sqrt(-2 * std::log((word[0] + 1.0L) * 0x1p-32L)), angle = turn * 0x1p-32L * word[1];
    const long double z = radius * (e % 2 == 0 ? std::cos(angle) : std::sin(angle));
    CHECK(std::abs(static_cast<double>(narrow[at(e)] - z)) <= 1e-7 * std::max(1.0, std::abs(static_cast<double>(z))));
    const auto b = block(e / 2);
    const long double far = std::sqrt(-2 * std::log((upper_53(b.word) + 1.0L) * 0x1p-53L)),
                      turned = turn * 0x1p-53L * upper_53(b.word + 2);
    const long double w = far * (e % 2 == 0 ? std::cos(turned) : std::sin(turned));
    CHECK(std::abs(static_cast<double>(wide[at(e)] - w)) <= 4e-15);
  }
  const auto shifted = draw<double>("random_normal", n, 10, 0.5);
  CHECK(std::abs(shifted[3] - (10 + 0.5 * wide[3])) < 1e-14);
}

TEST_CASE_TEMPLATE("normal draws have the normal moments", T, float, double) {
  const std::int64_t n = 1 << 18;
  double moment[5] = {};
  for (const T value : draw<T>("random_normal", n, 0, 1)) {
    for (int k = 1; k <= 4; ++k) moment[k] += std::pow(static_cast<double>(value), k) / static_cast<double>(n);
  }
  const double tolerance = 5 / std::sqrt(static_cast<double>(n));
  CHECK(std::abs(moment[1]) < tolerance);
  CHECK(std::abs(moment[2] - 1) < tolerance * 1.5);
  CHECK(std::abs(moment[3]) < tolerance * 4);
  CHECK(std::abs(moment[4] - 3) < tolerance * 10);
}

TEST_CASE("one seed gives the same normal draws at every ISA level and from every compiler") {
  const auto hash = [](DType dtype, std::int64_t n, std::int64_t per_block, std::size_t bytes) {
    const Plan plan = make_plan(RowPlan{n, 1, {3, 0, 0, 0}, {0, 1, 0, 0}}, n / per_block);
    std::uint64_t h = 0xCBF29CE484222325u;  // FNV-1a
    const Result drawn = call("random_normal", dtype, plan, {bytes_of<std::int64_t>({1, 2})}, {at(n) * bytes});
    for (const unsigned char byte : drawn.out[0]) h = (h ^ byte) * 0x100000001B3u;
    return h;
  };
  CHECK(hash(DType::float32, 10000, 4, 4) == 17410654146627077876u);
  CHECK(hash(DType::float64, 10000, 2, 8) == 1569804663222256812u);
}
