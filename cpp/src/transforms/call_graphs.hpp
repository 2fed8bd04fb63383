// A call made of graphs: how custom_gradient is traced, and how a model file brings it back.
#pragma once

#include <memory>
#include <string>

#include "graph/call_rule.hpp"

namespace chainrule {

// All graphs take every operand of the call first, the first `primals` of which have derivatives; the rules take a
// cotangent per output or a tangent per primal behind them. One rule is enough; they refer to constants only.
std::shared_ptr<CallRule> rule_of_graphs(std::string name, std::size_t primals, GraphData primal,
                                         std::shared_ptr<const GraphData> vjp_graph,
                                         std::shared_ptr<const GraphData> jvp_graph);

}  // namespace chainrule
