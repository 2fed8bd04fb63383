// Passes: GraphData -> GraphData, same meaning, less work. They read an op's fields, never its name... but for the two
// ops that the folding of transpositions is about.
#pragma once

#include "graph/graph.hpp"

namespace chainrule {

GraphData remove_dead_nodes(const GraphData& graph);
GraphData merge_common_subexpressions(const GraphData& graph);
GraphData fold_transpositions(const GraphData& graph);
GraphData remove_identities(const GraphData& graph);
GraphData settle_checks(const GraphData& graph);
GraphData gather_updates(const GraphData& graph);
bool same_rule(const Node& a, const Node& b);  // optimizer updates of one op with one set of numbers
GraphData optimize(const GraphData& graph);    // all of them, in order

kernels::Plan plan_of(const GraphData& graph, const Node& node);

}  // namespace chainrule
