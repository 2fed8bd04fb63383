// A pass: matrix products of float32 values run in bfloat16. Each becomes two ops that round an operand into the layout
// the processor multiplies, and one that multiplies; they exist in Programs only, never in a graph that is kept.
#pragma once

#include "graph/graph.hpp"

namespace chainrule {

struct Bf16Ops {
  Op pack, multiply;
};
const Bf16Ops& bf16_ops();  // without kernels where the processor has none: dispatch/amx.hpp

// The values rounded are operands alone: what is added behind a product, and all that is kept, stays float32.
GraphData products_in_bf16(const GraphData& graph, const Bf16Ops& ops);

}  // namespace chainrule
