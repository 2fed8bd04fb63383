// A graph for one sample, run on a batch: the transform behind vmap, and behind Jacobians of many rows at once.
#pragma once

#include <span>

#include "graph/graph.hpp"

namespace chainrule {

// Whether random ops that no batched value reaches draw once for all samples (the rows of one Jacobian) or once for
// each (vmap).
enum class Draws : std::uint8_t { shared, own };

// Calls the graph's ops on arguments of which those marked carry `size` samples along a new first axis; captures and
// constants are shared by all samples. Every output has the batch first. Symbols give a graph, values are computed.
Tensors replay_batched(const GraphData& graph, std::span<const Tensor> arguments, std::span<const char> batched,
                       std::int64_t size, Draws draws = Draws::shared);

// The same as Graph -> Graph.
GraphData batch(const GraphData& graph, std::span<const char> batched, std::int64_t size, Draws draws = Draws::shared);

}  // namespace chainrule
