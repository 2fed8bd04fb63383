// The grid in which threads share a product: it covers each element once, uses all threads, and makes no slivers.
#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "graph/grid.hpp"
#include "ops/matmul_plan.hpp"

using namespace chainrule;

namespace {

kernels::Plan product(std::int64_t m, std::int64_t n, std::int64_t k, bool transpose_b = false) {
  kernels::MatmulPlan p{};
  p.batch = 1, p.m = m, p.n = n, p.k = k;
  p.transpose_b = transpose_b;
  kernels::Plan plan;
  plan_matmul(plan, p, DType::float32);
  return plan;
}

// The threads that have something to do; every element is done once, and columns are parted at the grain.
int busy(const kernels::Plan& plan, Grid grid, int threads) {
  std::vector<int> done(static_cast<std::size_t>(plan.units * plan.columns));
  int parts = 0;
  for (int t = 0; t < threads; ++t) {
    const Part part = part_of(plan, grid, t);
    const kernels::Range columns = part.columns.end == 0 ? kernels::Range{0, plan.columns} : part.columns;
    parts += part.rows.begin < part.rows.end && columns.begin < columns.end;
    CHECK(columns.begin % plan.column_grain == 0);
    CHECK((columns.end % plan.column_grain == 0 || columns.end == plan.columns));
    for (std::int64_t i = part.rows.begin; i < part.rows.end; ++i)
      for (std::int64_t j = columns.begin; j < columns.end; ++j) ++done[static_cast<std::size_t>(i * plan.columns + j)];
  }
  CHECK(std::all_of(done.begin(), done.end(), [](int times) { return times == 1; }));
  return parts;
}

}  // namespace

TEST_CASE("grid: few rows and many columns occupy all threads") {
  for (const std::int64_t batch : {1, 3, 8, 64})
    for (const int threads : {1, 2, 3, 5, 16, 64}) {
      const kernels::Plan plan = product(batch, 4096, 1024);
      CHECK(busy(plan, grid_for(plan, threads), threads) == threads);
      CHECK(busy(plan, grid_for(plan, threads, 2), threads) == threads);
    }
}

TEST_CASE("grid: any product is covered once, by no more threads than there are") {
  for (const std::int64_t m : {1, 2, 7, 100})
    for (const std::int64_t n : {1, 10, 64, 65, 1000})
      for (const int threads : {1, 2, 3, 5, 7, 40}) {
        const kernels::Plan plan = product(m, n, 50);
        const Grid grid = grid_for(plan, threads, 1);
        CHECK(grid.parts() <= threads);
        CHECK(busy(plan, grid, threads) >= 1);
      }
  const kernels::Plan nothing = product(0, 100, 50);
  CHECK(grid_for(nothing, 8).parts() == 1);
}

TEST_CASE("grid: what each thread must read decides") {
  CHECK(grid_for(product(512, 4096, 4096, true), 2).columns == 2);  // each turns half of B around
  CHECK(grid_for(product(4096, 256, 512), 2).rows == 2);
  CHECK(grid_for(product(4096, 4096, 512), 4).rows == 2);
  CHECK(grid_for(product(4096, 4096, 512), 2).rows == 2);  // as good either way: whole rows
  // Two kernels behind the product, for every row by itself, cost more than is saved.
  CHECK(grid_for(product(128, 256, 784), 2).columns == 2);
  CHECK(grid_for(product(128, 256, 784), 2, 2).columns == 1);
  kernels::Plan rows_only = product(4, 4096, 100);
  rows_only.columns = 0;
  CHECK(grid_for(rows_only, 16).rows == 4);
  CHECK(grid_for(rows_only, 16).columns == 1);
}
