// Kernels of the elementwise ops that make sense for integers and bool.
#include "kernels/elementwise.hpp"

using namespace chainrule;

#define CHAINRULE_ENTRIES(name, Struct, doc)                                          \
  value_entry<Struct, std::int32_t>(#name), value_entry<Struct, std::int64_t>(#name), \
      value_entry<Struct, std::uint8_t>(#name), value_entry<Struct, bool>(#name),

CHAINRULE_KERNEL_TABLE(elementwise_integer) = {
    CHAINRULE_UNARY_OPS(CHAINRULE_ENTRIES) CHAINRULE_PARAMETRIC_OPS(CHAINRULE_ENTRIES)
        CHAINRULE_BINARY_OPS(CHAINRULE_ENTRIES) CHAINRULE_TERNARY_OPS(CHAINRULE_ENTRIES)
            CHAINRULE_COMPARISON_OPS(CHAINRULE_ENTRIES) end_of_table,
};
