// From a MatmulPlan to the Plan that a kernel call takes: extent, scratch, cost. Not the op: shapes are checked there.
#pragma once

#include <algorithm>
#include <cstring>

#include "chainrule/dtype.hpp"
#include "kernels/abi.hpp"
#include "kernels/matmul_blocking.hpp"

namespace chainrule {

inline void plan_matmul(kernels::Plan& plan, const kernels::MatmulPlan& matmul, DType dtype) {
  std::memcpy(plan.body, &matmul, sizeof matmul);
  plan.units = matmul.batch * matmul.m;
  plan.scratch_bytes = 8 * 1024 * 1024;
  plan.cost = 100;
}

}  // namespace chainrule
