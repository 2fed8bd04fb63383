// The choice of a grid, by estimated cost.
#include "graph/grid.hpp"

#include <algorithm>

namespace chainrule {
namespace {

constexpr double nanoseconds_per_call = 40;  // of a follower, beside its arithmetic

std::int64_t up(std::int64_t x, std::int64_t by) { return (x + by - 1) / by; }

}  // namespace

Grid grid_for(const kernels::Plan& plan, int threads, int followers) {
  const auto most = [&](std::int64_t extent) { return static_cast<int>(std::clamp<std::int64_t>(extent, 1, threads)); };
  if (plan.columns == 0 || plan.units == 0) return {most(plan.units), 1};
  const std::int64_t wide = up(plan.columns, plan.column_grain);
  const double each = plan.cost / static_cast<double>(plan.units) / static_cast<double>(plan.columns);
  Grid best;
  double least = 0;
  for (int columns = 1; columns <= most(wide); ++columns) {
    const Grid grid{std::min(most(plan.units), threads / columns), columns};
    const auto m = static_cast<double>(up(plan.units, grid.rows));
    const auto n = static_cast<double>(std::min(plan.columns, up(wide, columns) * plan.column_grain));
    double cost = m * n * each + m * plan.row_cost + n * plan.column_cost;
    if (columns > 1) cost += m * followers * nanoseconds_per_call;
    if (columns > 1 && cost >= least) continue;
    best = grid;
    least = cost;
  }
  return best;
}

Part part_of(const kernels::Plan& plan, Grid grid, int part) { return part_of(plan, {0, plan.units}, grid, part); }

Part part_of(const kernels::Plan& plan, kernels::Range rows, Grid grid, int part) {
  if (part >= grid.parts()) return {};
  const int i = part / grid.columns, j = part % grid.columns;
  const std::int64_t units = rows.end - rows.begin;
  Part p{{rows.begin + units * i / grid.rows, rows.begin + units * (i + 1) / grid.rows}, {0, 0}};
  if (grid.columns == 1) return p;
  const std::int64_t wide = up(plan.columns, plan.column_grain);
  const auto cut = [&](int at) { return std::min(plan.columns, wide * at / grid.columns * plan.column_grain); };
  p.columns = {cut(j), cut(j + 1)};
  return p;
}

}  // namespace chainrule
