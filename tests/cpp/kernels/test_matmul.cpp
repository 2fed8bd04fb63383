// The matmul kernel against a plain triple loop in the contract's order, bit for bit: sizes, transposes, batches,
// ranges, addresses, continued sums. Operands end at a page that must not be touched, so a read or write past the end
// is fatal.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "dispatch/dispatch.hpp"
#include "guarded.hpp"
#include "kernels/abi.hpp"
#include "ops/matmul_plan.hpp"

namespace {

using chainrule::kernels::MatmulPlan;
using chainrule::kernels::Plan;
using chainrule::kernels::Status;
using kernel_test::Guarded;

MatmulPlan shape(std::int64_t m, std::int64_t n, std::int64_t k, int transposes, std::int64_t batch = 1) {
  MatmulPlan p{};
  p.batch = batch, p.m = m, p.n = n, p.k = k, p.stride_a = m * k, p.stride_b = k * n;
  p.transpose_a = transposes & 1, p.transpose_b = transposes >> 1;
  return p;
}

template <class T> void call(const MatmulPlan& matmul, const T* a, const T* b, T* c, std::int64_t begin,
                             std::int64_t end, chainrule::kernels::Range columns = {0, 0}) {
  Plan plan;
  chainrule::plan_matmul(plan, matmul, chainrule::dtype_of<T>);
  CHECK(plan.units == matmul.batch * matmul.m);
  Guarded<char> scratch((plan.scratch_bytes + 63) / 64 * 64);
  const void* in[] = {a, b};
  void* out[] = {c};
  const auto kernel = chainrule::dispatch::find_kernel("matmul", chainrule::dtype_of<T>);
  REQUIRE(kernel != nullptr);
  CHECK(kernel({in, out, &plan, columns}, {begin, end}, scratch.data()) == Status::ok);
}

template <class T> void call(const MatmulPlan& matmul, const T* a, const T* b, T* c) {
  call(matmul, a, b, c, 0, matmul.batch * matmul.m);
}

// Does this level fuse? Then x * x - round(x * x) is not zero.
template <class T> bool fused() {
  const T x = T(1) + std::sqrt(std::numeric_limits<T>::epsilon()) / 2;
  const T square = x * x;
  const T a[] = {-square, x}, b[] = {T(1), x};
  T c = 0;
  call(shape(1, 1, 2, 0), a, b, &c);
  return c != 0;
}

// The contract, word by word. C must hold what came before when `accumulate`.
template <class T> void reference(const MatmulPlan& p, const T* a, const T* b, T* c, bool fma) {
  for (std::int64_t item = 0; item < p.batch; ++item)
    for (std::int64_t i = 0; i < p.m; ++i)
      for (std::int64_t j = 0; j < p.n; ++j) {
        const T* ai = a + item * p.stride_a;
        const T* bi = b + item * p.stride_b;
        T& element = c[(item * p.m + i) * p.n + j];
        T chain = p.accumulate && p.k_offset % 1024 != 0 ? element : T(0);
        T sum = p.accumulate && p.k_offset % 1024 == 0 ? element : T(0);
        bool first = !p.accumulate || p.k_offset % 1024 != 0;
        if (p.k == 0 && !p.accumulate) element = 0;
        for (std::int64_t k = 0; k < p.k; ++k) {
          const T x = p.transpose_a ? ai[k * p.m + i] : ai[i * p.k + k];
          const T y = p.transpose_b ? bi[j * p.k + k] : bi[k * p.n + j];
          if (fma) {
            chain = std::fma(x, y, chain);
          } else {
            const volatile T product = x * y;
            chain = product + chain;
          }
          if ((k + 1 + p.k_offset) % 1024 == 0 || k + 1 == p.k) {
            sum = first ? chain : sum + chain;
            first = false;
            chain = 0;
            element = sum;
          }
        }
      }
}

template <class T> bool same_bits(const T* x, const T* y, std::int64_t count) {
  return count == 0 || std::memcmp(x, y, static_cast<std::size_t>(count) * sizeof(T)) == 0;
}

template <class T> void check(const MatmulPlan& p, bool fma, std::int64_t gap = 0) {
  const auto extent = [&](std::int64_t stride, std::int64_t one) {
    return p.batch == 0 ? 0 : (p.batch - 1) * stride + one;
  };
  Guarded<T> a(extent(p.stride_a, p.m * p.k), gap), b(extent(p.stride_b, p.k * p.n), gap);
  Guarded<T> c(p.batch * p.m * p.n, gap), expected(p.batch * p.m * p.n);
  a.fill_random(1), b.fill_random(2);
  if (p.accumulate)
    c.fill_random(3), expected.fill_random(3);
  else
    c.fill(std::numeric_limits<T>::quiet_NaN()), expected.fill(0);
  call(p, a.data(), b.data(), c.data());
  reference(p, a.data(), b.data(), expected.data(), fma);
  CHECK_MESSAGE(same_bits(c.data(), expected.data(), c.size()), "m ", p.m, " n ", p.n, " k ", p.k, " transposes ",
                p.transpose_a, p.transpose_b, " batch ", p.batch, " gap ", gap);
}

constexpr std::int64_t edges[][3] = {{1, 1, 1023},   {5, 37, 1024},  {13, 30, 1025},  {2, 129, 2047}, {25, 9, 2048},
                                     {12, 64, 2049}, {1, 10, 3000},  {200, 96, 1100}, {64, 1100, 70}, {40, 600, 1030},
                                     {300, 32, 512}, {17, 512, 256}, {128, 10, 128},  {1100, 33, 40}, {1, 300, 1500},
                                     {300, 1, 1500}, {3, 256, 200},  {256, 2, 64},    {33, 4, 1100},  {1, 700, 1024},
                                     {2, 100, 1280}, {90, 1, 1152},  {400, 40, 1024}};

}  // namespace

TEST_CASE_TEMPLATE("matmul: every level that has FMA uses it", T, float, double) {
  const auto level = chainrule::dispatch::level();
  if (level == "v3" || level == "v4") CHECK(fused<T>());
  if (level == "v2") CHECK_FALSE(fused<T>());
}

TEST_CASE_TEMPLATE("matmul: bits of the plain loop for sizes 0 to 70", T, float, double) {
  const bool fma = fused<T>();
  std::mt19937 random(7);
  const auto any = [&] { return static_cast<std::int64_t>(random() % 71); };
  for (int transposes = 0; transposes < 4; ++transposes)
    for (std::int64_t size = 0; size <= 70; ++size) {
      check<T>(shape(size, any(), any(), transposes), fma);
      check<T>(shape(any(), size, any(), transposes), fma);
      check<T>(shape(any(), any(), size, transposes), fma);
      check<T>(shape(size, any() % 5, any(), transposes), fma);
      check<T>(shape(any() % 5, size, any(), transposes), fma);
    }
}

TEST_CASE_TEMPLATE("matmul: bits of the plain loop around the blocks of 1024 and where operands are copied", T, float,
                   double) {
  const bool fma = fused<T>();
  for (const auto& [m, n, k] : edges)
    for (int transposes = 0; transposes < 4; ++transposes) check<T>(shape(m, n, k, transposes), fma);
}

TEST_CASE_TEMPLATE("matmul: batches, with either operand broadcast", T, float, double) {
  const bool fma = fused<T>();
  for (int transposes = 0; transposes < 4; ++transposes)
    for (int broadcast = 0; broadcast < 4; ++broadcast)
      for (const auto& [m, n, k] :
           {std::array<std::int64_t, 3>{5, 7, 9}, {33, 18, 20}, {1, 40, 64}, {14, 1, 3}, {0, 3, 2}}) {
        MatmulPlan p = shape(m, n, k, transposes, 3);
        if (broadcast & 1) p.stride_a = 0;
        if (broadcast & 2) p.stride_b = 0;
        check<T>(p, fma);
      }
  check<T>(shape(3, 4, 5, 0, 0), fma);
}

TEST_CASE_TEMPLATE("matmul: bits do not depend on addresses", T, float, double) {
  const bool fma = fused<T>();
  for (std::int64_t gap = 0; gap <= 64; gap += sizeof(T))
    for (int transposes = 0; transposes < 4; ++transposes) {
      check<T>(shape(14, 37, 33, transposes), fma, gap);
      check<T>(shape(61, 160, 20, transposes), fma, gap);
    }
}

TEST_CASE_TEMPLATE("matmul: any split of the rows gives the same bits and stays inside", T, float, double) {
  std::mt19937 random(11);
  for (int transposes = 0; transposes < 4; ++transposes)
    for (const auto& [m, n, k] : {std::array<std::int64_t, 3>{23, 35, 40}, {90, 200, 1050}, {64, 3, 17}}) {
      const MatmulPlan p = shape(m, n, k, transposes, 3);
      const std::int64_t rows = p.batch * m;
      Guarded<T> a(rows * k), b(p.batch * k * n), whole(rows * n), parts(rows * n);
      a.fill_random(1), b.fill_random(2);
      call(p, a.data(), b.data(), whole.data());
      for (int repeat = 0; repeat < 6; ++repeat) {
        parts.fill(-77);
        std::int64_t row = 0;
        while (row < rows) {
          const std::int64_t end =
              std::min(rows, row + 1 + static_cast<std::int64_t>(random()) % (repeat < 2 ? 3 : 60));
          call(p, a.data(), b.data(), parts.data(), row, end);
          CHECK(same_bits(parts.data(), whole.data(), end * n));
          CHECK(std::all_of(&parts[end * n - 1] + 1, parts.data() + rows * n, [](T x) { return x == T(-77); }));
          row = end;
        }
      }
    }
}

TEST_CASE_TEMPLATE("matmul: any grid of rows and columns gives the same bits and stays inside", T, float, double) {
  for (int transposes = 0; transposes < 4; ++transposes)
    for (const auto& [m, n, k] : {std::array<std::int64_t, 3>{23, 135, 40},
                                  {90, 200, 1050},
                                  {1, 300, 70},
                                  {3, 257, 30},
                                  {64, 3, 17},
                                  {5, 9, 0},
                                  {61, 1200, 20}})
      for (const std::int64_t k_offset : {-1, 0, 512, 1024}) {  // -1: nothing came before
        MatmulPlan p = shape(m, n, k, transposes, 2);
        p.accumulate = k_offset >= 0;
        p.k_offset = std::max<std::int64_t>(k_offset, 0);
        const std::int64_t rows = p.batch * m;
        Guarded<T> a(rows * k), b(p.batch * k * n), whole(rows * n), parts(rows * n);
        a.fill_random(1), b.fill_random(2), whole.fill_random(3), parts.fill_random(3);
        call(p, a.data(), b.data(), whole.data());
        for (const auto& grid : {std::array<std::int64_t, 2>{1, 1}, {1, 2}, {2, 1}, {3, 2}, {2, 3}, {1, 7}, {5, 5}}) {
          const std::int64_t down = grid[0], across = grid[1];
          parts.fill_random(3);
          for (std::int64_t i = 0; i < down; ++i)
            for (std::int64_t j = 0; j < across; ++j) {
              const std::int64_t first = rows * i / down, last = rows * (i + 1) / down;
              const chainrule::kernels::Range columns{n * j / across, n * (j + 1) / across};
              if (columns.begin == columns.end) continue;
              Guarded<T> before(rows * n);
              std::memcpy(before.data(), parts.data(), static_cast<std::size_t>(rows * n) * sizeof(T));
              call(p, a.data(), b.data(), parts.data(), first, last, columns);
              bool inside = true;
              for (std::int64_t at = 0; at < rows * n; ++at) {
                const bool mine = at / n >= first && at / n < last && at % n >= columns.begin && at % n < columns.end;
                inside = inside && (mine || same_bits(parts.data() + at, before.data() + at, 1));
              }
              CHECK(inside);
            }
          CHECK_MESSAGE(same_bits(parts.data(), whole.data(), rows * n), "m ", p.m, " n ", p.n, " k ", p.k,
                        " transposes ", p.transpose_a, p.transpose_b, " offset ", p.k_offset, " parts ", down, " x ",
                        across);
        }
      }
}

TEST_CASE_TEMPLATE("matmul: a flag gives the bits of a transposed copy", T, float, double) {
  const std::int64_t m = 45, n = 50, k = 1100;
  Guarded<T> a(m * k), b(k * n), a_t(m * k), b_t(k * n), first(m * n), other(m * n);
  a.fill_random(1), b.fill_random(2);
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t q = 0; q < k; ++q) a_t[q * m + i] = a[i * k + q];
  for (std::int64_t q = 0; q < k; ++q)
    for (std::int64_t j = 0; j < n; ++j) b_t[j * k + q] = b[q * n + j];
  call(shape(m, n, k, 0), a.data(), b.data(), first.data());
  for (int transposes = 1; transposes < 4; ++transposes) {
    call(shape(m, n, k, transposes), transposes & 1 ? a_t.data() : a.data(), transposes & 2 ? b_t.data() : b.data(),
         other.data());
    CHECK(same_bits(first.data(), other.data(), m * n));
  }
}

// The weight gradient x' g of a batch of `total` rows, slab by slab.
TEST_CASE_TEMPLATE("matmul: slabs along k continue the chain", T, float, double) {
  struct Slabs {
    std::int64_t total, first, then;
  };
  // No structured bindings: Clang 14 cannot capture them in the message's lambda.
  for (const Slabs& slab :
       {Slabs{1024, 64, 64}, {1000, 64, 64}, {300, 1, 7}, {1024, 1000, 24}, {3000, 1024, 1024}, {2500, 100, 2400}})
    for (const auto& size_mn : {std::array<std::int64_t, 2>{20, 33}, {70, 5}, {3, 160}, {64, 1}})
      for (int transpose_b = 0; transpose_b < 2; ++transpose_b) {
        const std::int64_t total = slab.total, first = slab.first, then = slab.then, m = size_mn[0], n = size_mn[1];
        Guarded<T> x(total * m), g(total * n), g_t(total * n), whole(m * n), slabs(m * n);
        x.fill_random(1), g.fill_random(2);
        call(shape(m, n, total, 1), x.data(), g.data(), whole.data());
        slabs.fill(std::numeric_limits<T>::quiet_NaN());
        for (std::int64_t k = 0, size = first; k < total; k += size, size = then) {
          size = std::min(size, total - k);
          MatmulPlan p = shape(m, n, size, 1 + 2 * transpose_b);
          p.accumulate = k > 0;
          p.k_offset = k;
          const T* slab_of_g = g.data() + k * n;
          if (transpose_b) {
            for (std::int64_t q = 0; q < size; ++q)
              for (std::int64_t j = 0; j < n; ++j) g_t[j * size + q] = slab_of_g[q * n + j];
            slab_of_g = g_t.data();
          }
          call(p, x.data() + k * m, slab_of_g, slabs.data());
        }
        CHECK_MESSAGE(same_bits(whole.data(), slabs.data(), m * n), "total ", total, " slab ", then, " m ", m, " n ",
                      n);
      }
}

TEST_CASE_TEMPLATE("matmul: accumulate with offset 0 adds block sums to C", T, float, double) {
  const bool fma = fused<T>();
  for (int transposes = 0; transposes < 4; ++transposes)
    for (const auto& [m, n, k] : {std::array<std::int64_t, 3>{30, 40, 50}, {64, 1, 20}, {7, 3, 2000}, {3, 3, 0}}) {
      MatmulPlan p = shape(m, n, k, transposes, 2);
      p.accumulate = 1;
      check<T>(p, fma);
      p.k_offset = 2048;
      check<T>(p, fma);
      p.k_offset = 1000;
      check<T>(p, fma);
    }
}

TEST_CASE_TEMPLATE("matmul: a row alone has the bits of the row in a batch", T, float, double) {
  const std::int64_t m = 128, n = 67, k = 150;
  Guarded<T> a(m * k), b(k * n), batch(m * n), alone(n);
  a.fill_random(1), b.fill_random(2);
  call(shape(m, n, k, 0), a.data(), b.data(), batch.data());
  for (std::int64_t i = 0; i < m; ++i) {
    call(shape(1, n, k, 0), a.data() + i * k, b.data(), alone.data());
    CHECK(same_bits(alone.data(), batch.data() + i * n, n));
  }
}

TEST_CASE_TEMPLATE("matmul: nothing to sum gives zeros, nothing to write is left alone", T, float, double) {
  T c[6] = {1, 2, 3, 4, 5, 6};
  const T none = 0;
  call(shape(2, 0, 3, 0), &none, &none, c);
  call(shape(0, 2, 3, 0), &none, &none, c);
  call(shape(2, 3, 4, 0, 0), &none, &none, c);
  CHECK(c[0] == 1);
  CHECK(c[5] == 6);
  call(shape(2, 2, 0, 0), &none, &none, c);
  CHECK(c[3] == 0);
  CHECK(c[4] == 5);
}
