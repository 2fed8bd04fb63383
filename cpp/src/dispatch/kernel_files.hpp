// The list of kernel files: one table each, per ISA level.
#pragma once

#include "kernels/abi.hpp"

#define CHAINRULE_KERNEL_FILES(X, isa) \
  X(elementwise_unary, isa)            \
  X(elementwise_binary, isa)           \
  X(elementwise_integer, isa)          \
  X(elementwise_update, isa)           \
  X(limits, isa)                       \
  X(matmul, isa)                       \
  X(matmul_integer, isa)               \
  X(reduce, isa)                       \
  X(softmax, isa)                      \
  X(sort, isa)                         \
  X(movement, isa)                     \
  X(random, isa)                       \
  X(scan, isa)                         \
  X(take, isa)                         \
  X(unslice, isa)
