// The op "call": a function with derivative rules of its own, as one node.
#include "core/fail.hpp"
#include "graph/call_rule.hpp"
#include "ops/operands.hpp"

namespace chainrule {
namespace {

// Cotangents or tangents as the rule's author expects them: none missing.
Tensors filled(std::span<const Tensor> g, std::span<const TensorType> types) {
  Tensors result(g.begin(), g.end());
  for (std::size_t i = 0; i < result.size(); ++i)
    if (!result[i].defined()) result[i] = zeros_like_type(types[i]);
  return result;
}

// A rule of its own says nothing of what the function captured.
void check_captures(const CallRule& rule, std::size_t operand, const TensorType& type) {
  if (operand < rule.lost.size() && rule.lost[operand])
    fail<StateError>(rule.name,
                     "the function uses a tensor that is being differentiated and is not one of its arguments",
                     "shape is " + type.shape.str(), "pass it as an argument, or use stop_gradient(x) of it");
}

}  // namespace

void add_call_op(std::vector<Op>& ops) {
  Op op;
  op.name = "call";
  op.doc = "A function called as one op, with derivative rules of its own: see custom_gradient.";
  op.min_inputs = 0;
  op.max_inputs = 1 << 15;
  op.infer = [](const Op&, std::span<const TensorType>, const Attrs& attrs) { return attrs.call->outputs; };
  op.run = [](std::span<const Tensor> x, const Attrs& attrs) { return attrs.call->value(x); };
  op.saves = save_inputs;
  op.derivative = Derivative::custom;
  op.vjp = [](const RuleContext& c) {
    for (std::size_t i = 0; i < c.x_types.size(); ++i)
      if (c.needs[i]) check_captures(*c.attrs.call, i, c.x_types[i]);
    Tensors gx = c.attrs.call->vjp(c.x, filled(c.g, c.y_types));
    gx.resize(c.x_types.size());
    return gx;
  };
  op.jvp = [](const RuleContext& c) {
    for (std::size_t i = 0; i < c.x_types.size(); ++i)
      if (c.g[i].defined()) check_captures(*c.attrs.call, i, c.x_types[i]);
    return c.attrs.call->jvp(c.x, filled(c.g.first(c.attrs.call->primals), c.x_types));
  };
  op.batch = Batch::rule;
  op.batch_rule = [](const BatchContext& c) { return call(c.attrs.call->batch(c.batched, c.size), c.x); };
  op.internal = true;
  op.flops_per_output = 0;
  op.flops = [](std::span<const TensorType>, std::span<const TensorType>, const Attrs& attrs) {
    std::int64_t total = 0;
    for (const Node& node : attrs.call->primal.nodes) total += node_flops(attrs.call->primal, node);
    return total;
  };
  ops.push_back(op);
}

Tensors call(std::shared_ptr<const CallRule> rule, std::span<const Tensor> x) {
  static const Op& op = find_op("call");
  Attrs attrs;
  attrs.call = std::move(rule);
  return apply(op, x, attrs);
}

GraphData inline_calls(const GraphData& graph) {
  bool any = false;
  for (const Node& node : graph.nodes) any |= node.attrs.call != nullptr;
  if (!any) return graph;
  GraphData result = graph;
  result.nodes.clear();
  std::vector<ValueId> renamed(graph.types.size());  // outputs of calls are values of what was called
  for (std::size_t i = 0; i < renamed.size(); ++i) renamed[i] = static_cast<ValueId>(i);
  const auto now = [&](ValueId id) { return renamed[static_cast<std::size_t>(id)]; };
  for (Node node : graph.nodes) {
    for (ValueId& id : node.inputs) id = now(id);
    if (!node.attrs.call) {
      result.nodes.push_back(std::move(node));
      continue;
    }
    const GraphData inner = inline_calls(node.attrs.call->primal);
    std::vector<ValueId> here(inner.types.size(), no_value);
    const auto at = [&](ValueId id) -> ValueId& { return here[static_cast<std::size_t>(id)]; };
    for (std::size_t i = 0; i < inner.inputs.size(); ++i) at(inner.inputs[i]) = node.inputs[i];
    for (std::size_t v = 0; v < here.size(); ++v)
      if (here[v] == no_value) here[v] = result.add_value(inner.types[v]);
    for (const BoundValue& c : inner.captures) result.captures.push_back({at(c.value), c.tensor});
    for (const BoundValue& c : inner.constants) result.constants.push_back({at(c.value), c.tensor});
    for (Node part : inner.nodes) {
      for (ValueId& id : part.inputs) id = at(id);
      for (ValueId& id : part.outputs) id = at(id);
      part.scope = node.scope;
      result.nodes.push_back(std::move(part));
    }
    for (std::size_t j = 0; j < node.outputs.size(); ++j)
      renamed[static_cast<std::size_t>(node.outputs[j])] = at(inner.outputs[j]);
  }
  for (ValueId& id : result.outputs) id = now(id);
  for (StateUpdate& update : result.updates) update.value = now(update.value);
  return result;
}

}  // namespace chainrule
