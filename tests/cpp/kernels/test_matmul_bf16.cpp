// Products in bfloat16 against sums in double of the rounded operands: sizes, transposes, batches, ranges, continued
// sums. On AMX where the processor has it, and everywhere on tiles in plain C++. Operands and results end at a page
// that must not be touched.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>
#include <vector>

#include "call.hpp"
#include "dispatch/amx.hpp"
#include "guarded.hpp"
#include "software_tiles.hpp"

namespace {

using namespace kernel_test;
using chainrule::kernels::MatmulPlan;
using chainrule::kernels::PackBf16Plan;

struct Kernels {
  const char* name;
  Kernel pack, multiply;
};

std::vector<Kernels> all_kernels() {
  std::vector<Kernels> all = {
      {"software", &chainrule::bf16::pack<SoftwareTiles>, &chainrule::bf16::multiply<SoftwareTiles>}};
  if (chainrule::dispatch::ask_for_amx().empty()) {
    Kernels amx{"AMX", nullptr, nullptr};
    for (const KernelEntry* entry = chainrule::dispatch::amx_kernels(); entry->name != nullptr; ++entry)
      (entry->name == std::string_view("pack_bf16") ? amx.pack : amx.multiply) = entry->kernel;
    all.push_back(amx);
  }
  return all;
}

struct Shape {
  std::int64_t m, n, k;
  int transposes = 0;
  std::int64_t batch = 1;
  bool shared_a = false, shared_b = false;
  std::int64_t a_items() const { return shared_a ? 1 : batch; }
  std::int64_t b_items() const { return shared_b ? 1 : batch; }
};

void run(Kernel kernel, const Plan& plan, std::vector<const void*> in, void* out, std::int64_t begin,
         std::int64_t end) {
  void* outputs[] = {out};
  const Args args{in.data(), outputs, &plan};
  const FloatingPointMode mode;
  REQUIRE(kernel(args, {begin, end}, nullptr) == Status::ok);
}

// One operand as tiles; `pieces`: rounded in that many calls.
Guarded<std::uint16_t> pack(const Kernels& kernels, Guarded<float>& x, std::int64_t items, std::int64_t extent,
                            std::int64_t depth, bool rows_are_sums, bool for_b, std::int64_t pieces = 1) {
  Guarded<std::uint16_t> packed(items * chainrule::kernels::bf16_packed(extent, depth));
  packed.fill(0xFFFF);
  const PackBf16Plan body{items, extent, depth, rows_are_sums, for_b};
  const Plan plan = make_plan(body, items * chainrule::kernels::bf16_groups(extent));
  for (std::int64_t piece = 0; piece < pieces; ++piece)
    run(kernels.pack, plan, {x.data()}, packed.data(), plan.units * piece / pieces, plan.units * (piece + 1) / pieces);
  return packed;
}

Plan multiply_plan(const Shape& s, bool accumulate = false) {
  MatmulPlan body{};
  body.batch = s.batch, body.m = s.m, body.n = s.n, body.k = s.k, body.accumulate = accumulate;
  body.stride_a = s.shared_a ? 0 : chainrule::kernels::bf16_packed(s.m, s.k);
  body.stride_b = s.shared_b ? 0 : chainrule::kernels::bf16_packed(s.n, s.k);
  return make_plan(body, s.batch * s.m);
}

struct Operands {
  Guarded<float> a, b;
  explicit Operands(const Shape& s) : a(s.a_items() * s.m * s.k), b(s.b_items() * s.k * s.n) {
    a.fill_random(1);
    b.fill_random(2);
  }
  Guarded<std::uint16_t> packed_a(const Kernels& kernels, const Shape& s, std::int64_t pieces = 1) {
    return pack(kernels, a, s.a_items(), s.m, s.k, (s.transposes & 1) == 0, false, pieces);
  }
  Guarded<std::uint16_t> packed_b(const Kernels& kernels, const Shape& s, std::int64_t pieces = 1) {
    return pack(kernels, b, s.b_items(), s.n, s.k, (s.transposes & 2) != 0, true, pieces);
  }
  float element_a(const Shape& s, std::int64_t item, std::int64_t i, std::int64_t k) {
    return a[(s.shared_a ? 0 : item * s.m * s.k) + (s.transposes & 1 ? k * s.m + i : i * s.k + k)];
  }
  float element_b(const Shape& s, std::int64_t item, std::int64_t k, std::int64_t j) {
    return b[(s.shared_b ? 0 : item * s.n * s.k) + (s.transposes & 2 ? j * s.k + k : k * s.n + j)];
  }
};

void multiply(const Kernels& kernels, const Shape& s, Operands& x, float* c) {
  auto a = x.packed_a(kernels, s), b = x.packed_b(kernels, s);
  run(kernels.multiply, multiply_plan(s), {a.data(), b.data()}, c, 0, s.batch * s.m);
}

// The error of a sum of 16 products, one more addition, and one per step of 32: (18 + steps) units of 2^-24 of the sum
// of magnitudes.
void check(const Kernels& kernels, const Shape& s) {
  CAPTURE(kernels.name);
  const std::string text = std::to_string(s.m) + " " + std::to_string(s.n) + " " + std::to_string(s.k) +
                           " transposes " + std::to_string(s.transposes) + " batch " + std::to_string(s.batch);
  CAPTURE(text);
  Operands x(s);
  Guarded<float> c(s.batch * s.m * s.n);
  c.fill(NAN);
  multiply(kernels, s, x, c.data());
  const double unit = std::ldexp(18.0 + static_cast<double>(chainrule::kernels::bf16_steps(s.k)), -24);
  std::int64_t wrong = 0;
  for (std::int64_t item = 0; item < s.batch; ++item)
    for (std::int64_t i = 0; i < s.m; ++i)
      for (std::int64_t j = 0; j < s.n; ++j) {
        double sum = 0, size = 0;
        for (std::int64_t k = 0; k < s.k; ++k) {
          const double product = static_cast<double>(value_of(to_bf16(x.element_a(s, item, i, k)))) *
                                 static_cast<double>(value_of(to_bf16(x.element_b(s, item, k, j))));
          sum += product;
          size += std::abs(product);
        }
        wrong += !(std::abs(static_cast<double>(c[(item * s.m + i) * s.n + j]) - sum) <= unit * size);
      }
  CHECK(wrong == 0);
}

bool same_bits(const float* x, const float* y, std::int64_t count) {
  return std::memcmp(x, y, static_cast<std::size_t>(count) * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("matmul_bf16: every size around the tiles, in all transposes") {
  for (const Kernels& kernels : all_kernels())
    for (int transposes = 0; transposes < 4; ++transposes) {
      for (const std::int64_t m : {1, 15, 16, 17, 33})
        for (const std::int64_t n : {1, 16, 31, 34})
          for (const std::int64_t k : {1, 2, 31, 32, 33, 70}) check(kernels, {m, n, k, transposes});
      check(kernels, {270, 5, 3, transposes});      // more rows than are kept in cache at once
      check(kernels, {20, 40, 1100, transposes});   // goes on from memory
      check(kernels, {300, 17, 2100, transposes});  // both
    }
}

TEST_CASE("matmul_bf16: batches, and operands that a batch shares") {
  for (const Kernels& kernels : all_kernels())
    for (int transposes = 0; transposes < 4; ++transposes)
      for (int shared = 0; shared < 4; ++shared)
        for (const auto& size : {std::array<std::int64_t, 3>{5, 7, 9}, {33, 18, 40}, {16, 16, 32}, {1, 40, 64}})
          check(kernels, {size[0], size[1], size[2], transposes, 3, (shared & 1) != 0, (shared & 2) != 0});
}

TEST_CASE("matmul_bf16: any split of rounding and of the rows gives the same bits and stays inside") {
  std::mt19937 random(11);
  for (const Kernels& kernels : all_kernels())
    for (int transposes = 0; transposes < 4; ++transposes)
      for (const Shape& s :
           {Shape{23, 35, 40, transposes, 3}, {300, 50, 1050, transposes}, {64, 3, 17, transposes, 2}}) {
        CAPTURE(kernels.name);
        const std::int64_t rows = s.batch * s.m;
        Operands x(s);
        Guarded<float> whole(rows * s.n), parts(rows * s.n);
        multiply(kernels, s, x, whole.data());
        auto a = x.packed_a(kernels, s, 3), b = x.packed_b(kernels, s, 2);
        for (int repeat = 0; repeat < 6; ++repeat) {
          for (std::int64_t row = 0; row < rows;) {
            const std::int64_t end =
                std::min(rows, row + 1 + static_cast<std::int64_t>(random()) % (repeat < 2 ? 3 : 60));
            parts.fill(-77);  // rows before as well: what runs behind them may have changed them already
            run(kernels.multiply, multiply_plan(s), {a.data(), b.data()}, parts.data(), row, end);
            CHECK(same_bits(parts.data() + row * s.n, whole.data() + row * s.n, (end - row) * s.n));
            const auto untouched = [](float v) { return v == -77; };
            CHECK(std::all_of(parts.data(), parts.data() + row * s.n, untouched));
            CHECK(std::all_of(parts.data() + end * s.n, parts.data() + rows * s.n, untouched));
            row = end;
          }
        }
      }
}

TEST_CASE("matmul_bf16: a row alone has the bits of the row in a batch") {
  for (const Kernels& kernels : all_kernels()) {
    const Shape s{100, 67, 150}, single{1, 67, 150};
    Operands x(s), one(single);
    Guarded<float> batch(s.m * s.n), alone(s.n);
    multiply(kernels, s, x, batch.data());
    std::memcpy(one.b.data(), x.b.data(), static_cast<std::size_t>(s.k * s.n) * sizeof(float));
    for (std::int64_t i = 0; i < s.m; ++i) {
      std::memcpy(one.a.data(), x.a.data() + i * s.k, static_cast<std::size_t>(s.k) * sizeof(float));
      multiply(kernels, single, one, alone.data());
      CHECK(same_bits(alone.data(), batch.data() + i * s.n, s.n));
    }
  }
}

TEST_CASE("matmul_bf16: transposes of the same operands give the same bits, and tiles of both kernels are equal") {
  const Shape s{45, 50, 70};
  Operands x(s);
  for (const Kernels& kernels : all_kernels()) {
    Guarded<float> first(s.m * s.n), other(s.m * s.n);
    multiply(kernels, s, x, first.data());
    for (int transposes = 1; transposes < 4; ++transposes) {
      const Shape t{s.m, s.n, s.k, transposes};
      Operands y(t);
      for (std::int64_t k = 0; k < s.k; ++k) {
        for (std::int64_t i = 0; i < s.m; ++i)
          y.a[transposes & 1 ? k * s.m + i : i * s.k + k] = x.element_a(s, 0, i, k);
        for (std::int64_t j = 0; j < s.n; ++j)
          y.b[transposes & 2 ? j * s.k + k : k * s.n + j] = x.element_b(s, 0, k, j);
      }
      multiply(kernels, t, y, other.data());
      CHECK(same_bits(first.data(), other.data(), s.m * s.n));
      auto a = y.packed_a(kernels, t), software = x.packed_a(all_kernels()[0], s);
      CHECK(std::memcmp(a.data(), software.data(), static_cast<std::size_t>(a.size()) * 2) == 0);
      auto b = y.packed_b(kernels, t), software_b = x.packed_b(all_kernels()[0], s);
      CHECK(std::memcmp(b.data(), software_b.data(), static_cast<std::size_t>(b.size()) * 2) == 0);
    }
  }
}

TEST_CASE("matmul_bf16: a sum over whole steps goes on from memory with the same bits") {
  const Shape whole{20, 37, 160}, part{20, 37, 32};
  for (const Kernels& kernels : all_kernels()) {
    Operands x(whole), slab(part);
    Guarded<float> at_once(whole.m * whole.n), slabs(whole.m * whole.n);
    multiply(kernels, whole, x, at_once.data());
    for (std::int64_t k = 0; k < whole.k; k += part.k) {
      for (std::int64_t l = 0; l < part.k; ++l) {
        for (std::int64_t i = 0; i < part.m; ++i) slab.a[i * part.k + l] = x.element_a(whole, 0, i, k + l);
        for (std::int64_t j = 0; j < part.n; ++j) slab.b[l * part.n + j] = x.element_b(whole, 0, k + l, j);
      }
      auto a = slab.packed_a(kernels, part), b = slab.packed_b(kernels, part);
      run(kernels.multiply, multiply_plan(part, k > 0), {a.data(), b.data()}, slabs.data(), 0, part.m);
    }
    CHECK(same_bits(at_once.data(), slabs.data(), at_once.size()));
  }
}

TEST_CASE("matmul_bf16: operands round to nearest, ties to even; edge values") {
  struct Case {
    float from, to;
  };
  const float inf = infinity<float>;
  for (const Kernels& kernels : all_kernels())
    for (const Case& c : {Case{1.00390625f, 1.0f},
                          {1.01171875f, 1.015625f},
                          {1.00390637f, 1.0078125f},
                          {-1.00390625f, -1.0f},
                          {3.4e38f, inf},
                          {-3.4e38f, -inf},
                          {inf, inf},
                          {1e-40f, 0.0f},
                          {0.0f, 0.0f}})
      for (const int transposes : {0, 3}) {
        CAPTURE(kernels.name);
        CAPTURE(c.from);
        const Shape s{1, 1, 1, transposes};
        Operands x(s);
        Guarded<float> result(1);
        x.a[0] = c.from, x.b[0] = 1;
        multiply(kernels, s, x, result.data());
        CHECK(result[0] == c.to);
        x.a[0] = 1, x.b[0] = c.from;
        multiply(kernels, s, x, result.data());
        CHECK(result[0] == c.to);
        x.a[0] = not_a_number<float>, x.b[0] = 0;
        multiply(kernels, s, x, result.data());
        CHECK(std::isnan(result[0]));
      }
}
