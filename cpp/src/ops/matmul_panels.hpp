// A row times a matrix whose columns lie in panels, one behind the other in memory: the same product, element by
// element, with B read from its first byte to its last.
#pragma once

#include <cstdint>
#include <span>

#include "graph/graph.hpp"

namespace chainrule {

// How many columns a panel of operand 1 should have where the node is a product of one row; 0: leave it as it is.
std::int64_t panel_columns(const Node& node, const Types& types);
// (K, N) -> (N / columns, K, columns).
void copy_to_panels(std::byte* to, const std::byte* from, const TensorType& matrix, std::int64_t columns);
// Rewrites the node for operand 1 as copy_to_panels leaves it; `panels` is its value, of that shape.
void multiply_panels(GraphData& graph, std::size_t node, ValueId panels);

}  // namespace chainrule
