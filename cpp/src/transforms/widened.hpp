// A graph's computation in float64, for comparisons with numeric derivatives.
#pragma once

#include "graph/graph.hpp"

namespace chainrule {

bool all_float64(const GraphData& graph);  // whether all its floats are
// The graph as it would be if its floats were float64: same values, same nodes; what makes a float32 is cast behind.
GraphData widened(const GraphData& from);

}  // namespace chainrule
