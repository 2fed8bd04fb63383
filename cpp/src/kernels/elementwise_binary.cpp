// Kernels of the elementwise ops with two and three inputs, comparisons among them, and the derivatives d0_<op> and
// d1_<op>: both inputs and the cotangent. float32 and float64; inputs of where beside the bool condition likewise.
#include "kernels/elementwise.hpp"

using namespace chainrule;

#define CHAINRULE_ENTRIES(name, Struct, doc)                                                             \
  value_entry<Struct, float>(#name), value_entry<Struct, double>(#name),                                 \
      derivative_entry<Struct, 0, float>("d0_" #name), derivative_entry<Struct, 0, double>("d0_" #name), \
      derivative_entry<Struct, 1, float>("d1_" #name), derivative_entry<Struct, 1, double>("d1_" #name),

CHAINRULE_KERNEL_TABLE(elementwise_binary) = {
    CHAINRULE_BINARY_OPS(CHAINRULE_ENTRIES) CHAINRULE_TERNARY_OPS(CHAINRULE_ENTRIES)
        CHAINRULE_COMPARISON_OPS(CHAINRULE_ENTRIES) end_of_table,
};
