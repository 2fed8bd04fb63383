// Calls an op's derivative rule, and does the two things no rule does itself: undoing broadcasting and adding where a
// value forks.
#pragma once

#include <span>

#include "graph/tensor_data.hpp"

namespace chainrule {

// One recorded call of an op, as its rules need it.
struct OpCall {
  const Op* op;
  const Attrs* attrs;
  std::span<const Tensor> x, y;  // what the op saves
  std::span<const TensorType> x_types, y_types;
};

// Cotangents of the inputs from those of the outputs; undefined where none is needed or none flows.
Tensors pull_back(const OpCall& call, std::span<const Tensor> gy, std::span<const char> needs);
// Tangents of the outputs from those of the inputs; undefined where zero.
Tensors push_forward(const OpCall& call, std::span<const Tensor> tx);

// Where a value forks, its cotangents add up here.
void accumulate(Tensor& sum, Tensor&& g);

// The cotangent to start from: ones for a single element, otherwise the one given, checked.
Tensor start_cotangent(const Tensor& output, const Tensor& given, const char* who);

// What passed while gradients were traced, for who wants to look: the cotangent of every value, and by node what it
// sent to each of its inputs.
struct Flows {
  Tensors cotangents;
  std::vector<Tensors> sent;
};

// One recorded stretch of a trace differentiated with respect to values of it. Nodes are appended to the same trace.
Tensors gradients_in_trace(Tracer& tracer, std::span<const Tensor> outputs, std::span<const Tensor> cotangents,
                           std::span<const ValueId> wrt, std::size_t first_node = 0, Flows* passed = nullptr);
Tensors tangents_in_trace(Tracer& tracer, std::span<const Tensor> outputs, std::span<const ValueId> wrt,
                          std::span<const Tensor> tangents, std::size_t first_node = 0);

// Graph -> Graph. vjp: inputs (x..., gy...) -> outputs (y..., gx...); jvp: inputs (x..., tx...) -> (y..., ty...).
GraphData vjp(const GraphData& graph);
GraphData jvp(const GraphData& graph);

}  // namespace chainrule
