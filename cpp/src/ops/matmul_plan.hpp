// From a MatmulPlan to the Plan that a kernel call takes: extent, scratch, cost. Not the op: shapes are checked there.
#pragma once

#include <algorithm>
#include <cassert>
#include <cstdint>
#include <cstring>

#include "chainrule/dtype.hpp"
#include "kernels/abi.hpp"
#include "kernels/matmul_blocking.hpp"

namespace chainrule {

// With `accumulate` the call goes on where earlier calls over k_offset elements of k stopped. Inside a block of 1024
// that is possible only while C holds nothing but this block's chain: k_offset < 1024 or a multiple of 1024.
inline void plan_matmul(kernels::Plan& plan, const kernels::MatmulPlan& matmul, DType dtype) {
  assert(!matmul.accumulate || matmul.k_offset < kernels::matmul_block || matmul.k_offset % kernels::matmul_block == 0);
  static_assert(sizeof matmul <= sizeof plan.body);
  std::memcpy(plan.body, &matmul, sizeof matmul);

  const std::int64_t size = dtype == DType::float64 ? 8 : 4, rows = matmul.batch * matmul.m;
  plan.units = rows;

  // Two panels of B (one in use, one to come) and a block of A, whichever level runs: copied tiles of A have room for
  // up to a third more rows.
  const std::int64_t depth = std::min(matmul.k, kernels::matmul_block);
  const std::int64_t block = std::min((rows * 4 / 3 + 16) * depth * size, kernels::matmul_block_bytes);
  plan.scratch_bytes = 2 * depth * kernels::matmul_panel_bytes + block + kernels::matmul_slack_bytes;

  // A call copies B: several rows per element of a column keep that below a few percent. It does so once for each block
  // of A, too.
  const std::int64_t in_block = kernels::matmul_block_bytes / std::max<std::int64_t>(1, depth * size);
  plan.least_units = std::max<std::int64_t>(1, std::min(4 * matmul.k, in_block));

  // One core at an ordinary rate of FMAs, and the operands once from the cache.
  const double m = static_cast<double>(rows), n = static_cast<double>(matmul.n), k = static_cast<double>(matmul.k);
  const double bytes = static_cast<double>(size) * (m * k + static_cast<double>(matmul.batch) * n * k + m * n);
  plan.cost = 50 + m * n * k * static_cast<double>(size) / 160 + bytes / 40;

  // Columns in whole panels of the widest tile.
  plan.columns = matmul.n;
  plan.column_grain = kernels::matmul_panel_bytes / size;
  plan.row_cost = k * static_cast<double>(size) / 40;
  plan.column_cost = k * static_cast<double>(size) / (matmul.transpose_b ? 12 : 40);
}

}  // namespace chainrule
