// Kernels of the optimizers' update rules.
#include "kernels/elementwise.hpp"

using namespace chainrule;

#define CHAINRULE_ENTRIES(name, Struct, doc) value_entry<Struct, float>(#name), value_entry<Struct, double>(#name),

CHAINRULE_KERNEL_TABLE(elementwise_update) = {
    CHAINRULE_UPDATE_OPS(CHAINRULE_ENTRIES) end_of_table,
};
