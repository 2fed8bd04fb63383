// Kernels of the elementwise ops with one input, and their derivatives d_<op>: what was saved (if anything) and the
// cotangent. float32 and float64.
#include "kernels/elementwise.hpp"

using namespace chainrule;

#define CHAINRULE_ENTRIES(name, Struct, doc)                             \
  value_entry<Struct, float>(#name), value_entry<Struct, double>(#name), \
      derivative_entry<Struct, 0, float>("d_" #name), derivative_entry<Struct, 0, double>("d_" #name),

CHAINRULE_KERNEL_TABLE(elementwise_unary) = {
    CHAINRULE_UNARY_OPS(CHAINRULE_ENTRIES) CHAINRULE_PARAMETRIC_OPS(CHAINRULE_ENTRIES) end_of_table,
};
