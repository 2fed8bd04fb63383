// Reverse and forward mode on recorded graphs.
#include <algorithm>

#include "autodiff/rules.hpp"

namespace chainrule {
namespace {

// A recorded node with everything its rules may read, as symbols of the trace. Copies: the trace grows meanwhile.
struct Recorded {
  Recorded(Tracer& tracer, std::size_t index) : node(tracer.graph().nodes[index]) {
    for (ValueId id : node.inputs) {
      x.push_back(tracer.symbol(id));
      x_types.push_back(tracer.graph().types[static_cast<std::size_t>(id)]);
    }
    for (ValueId id : node.outputs) {
      y.push_back(tracer.symbol(id));
      y_types.push_back(tracer.graph().types[static_cast<std::size_t>(id)]);
    }
  }
  OpCall call() const { return {node.op, &node.attrs, x, y, x_types, y_types}; }

  Node node;
  Tensors x, y;
  Types x_types, y_types;
};

bool differentiable(const Op& op) { return op.derivative != Derivative::none && op.derivative != Derivative::zero; }

// A composite node is taken apart behind the trace: its parts have rules.
Tensors pull_composite(Tracer& tracer, const Recorded& r, std::span<const Tensor> gy) {
  const std::size_t first = tracer.graph().nodes.size();
  const Tensors parts = r.node.op->decompose(r.x, r.node.attrs);
  const std::vector<ValueId>& in = r.node.inputs;
  Tensors gx = gradients_in_trace(tracer, parts, gy, in, first);
  for (std::size_t i = 1; i < gx.size(); ++i)  // of an operand that stands twice, each place got the whole gradient
    if (const auto here = in.begin() + static_cast<std::ptrdiff_t>(i); std::find(in.begin(), here, in[i]) != here)
      gx[i] = Tensor();
  return gx;
}
Tensors push_composite(Tracer& tracer, const Recorded& r, std::span<const Tensor> tx) {
  const std::size_t first = tracer.graph().nodes.size();
  const Tensors parts = r.node.op->decompose(r.x, r.node.attrs);
  return tangents_in_trace(tracer, parts, r.node.inputs, tx, first);
}

}  // namespace

Tensors gradients_in_trace(Tracer& tracer, std::span<const Tensor> outputs, std::span<const Tensor> cotangents,
                           std::span<const ValueId> wrt, std::size_t first_node, Flows* passed) {
  const std::size_t last_node = tracer.graph().nodes.size();
  if (passed) passed->sent.assign(last_node, {});
  std::vector<char> active(tracer.graph().types.size(), 0);
  std::vector<Tensor> g(tracer.graph().types.size());
  for (ValueId id : wrt) active[static_cast<std::size_t>(id)] = 1;
  for (std::size_t n = first_node; n < last_node; ++n) {
    const Node& node = tracer.graph().nodes[n];
    if (!differentiable(*node.op)) continue;
    bool reached = false;
    for (ValueId id : node.inputs) reached |= active[static_cast<std::size_t>(id)] != 0;
    for (ValueId id : node.outputs)
      if (reached && is_floating(tracer.graph().types[static_cast<std::size_t>(id)].dtype))
        active[static_cast<std::size_t>(id)] = 1;
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto id = static_cast<std::size_t>(tracer.value_of(outputs[i]));
    if (id < active.size() && active[id]) accumulate(g[id], Tensor(cotangents[i]));
  }
  for (std::size_t n = last_node; n-- > first_node;) {
    const Recorded r(tracer, n);
    if (!differentiable(*r.node.op)) continue;
    Tensors gy;
    bool flows = false;
    for (ValueId id : r.node.outputs) {
      gy.push_back(g[static_cast<std::size_t>(id)]);
      flows |= gy.back().defined();
    }
    std::vector<char> needs;
    bool wanted = false;
    for (ValueId id : r.node.inputs) {
      needs.push_back(active[static_cast<std::size_t>(id)]);
      wanted |= needs.back() != 0;
    }
    if (!flows || !wanted) continue;
    Tensors gx =
        r.node.op->derivative == Derivative::composite ? pull_composite(tracer, r, gy) : pull_back(r.call(), gy, needs);
    if (passed) passed->sent[n] = gx;
    for (std::size_t i = 0; i < gx.size(); ++i)
      if (needs[i]) accumulate(g[static_cast<std::size_t>(r.node.inputs[i])], std::move(gx[i]));
  }
  if (passed) passed->cotangents = g;
  Tensors result;
  for (ValueId id : wrt) result.push_back(g[static_cast<std::size_t>(id)]);
  return result;
}

Tensors tangents_in_trace(Tracer& tracer, std::span<const Tensor> outputs, std::span<const ValueId> wrt,
                          std::span<const Tensor> tangents, std::size_t first_node) {
  const std::size_t last_node = tracer.graph().nodes.size();
  std::vector<Tensor> t(tracer.graph().types.size());
  for (std::size_t i = 0; i < wrt.size(); ++i) t[static_cast<std::size_t>(wrt[i])] = tangents[i];
  for (std::size_t n = first_node; n < last_node; ++n) {
    const Recorded r(tracer, n);
    if (!differentiable(*r.node.op)) continue;
    Tensors tx;
    bool flows = false;
    for (ValueId id : r.node.inputs) {
      tx.push_back(t[static_cast<std::size_t>(id)]);
      flows |= tx.back().defined();
    }
    if (!flows) continue;
    const Tensors ty =
        r.node.op->derivative == Derivative::composite ? push_composite(tracer, r, tx) : push_forward(r.call(), tx);
    for (std::size_t j = 0; j < ty.size(); ++j) t[static_cast<std::size_t>(r.node.outputs[j])] = ty[j];
  }
  Tensors result;
  for (const Tensor& y : outputs) {
    const auto id = static_cast<std::size_t>(tracer.value_of(y));
    result.push_back(id < t.size() ? t[id] : Tensor());
  }
  return result;
}

namespace {

Tensor zeros_of(const TensorType& type) {
  Tensor z = Tensor::zeros(type.shape, type.dtype);
  z.data_handle()->constant = true;
  return z;
}

GraphData differentiate(const GraphData& graph, bool reverse) {
  const auto tracer = Tracer::create();
  const TraceScope recording(*tracer);
  Tensors x, seeds;
  std::vector<ValueId> wrt;
  for (ValueId id : graph.inputs) {
    x.push_back(tracer->input(graph.types[static_cast<std::size_t>(id)]));
    wrt.push_back(x.back().data_handle()->value);
  }
  for (ValueId id : reverse ? graph.outputs : graph.inputs)
    seeds.push_back(tracer->input(graph.types[static_cast<std::size_t>(id)]));
  Tensors results = replay(graph, x);
  const Tensors derivatives =
      reverse ? gradients_in_trace(*tracer, results, seeds, wrt) : tangents_in_trace(*tracer, results, wrt, seeds);
  const auto& like = reverse ? graph.inputs : graph.outputs;
  for (std::size_t i = 0; i < derivatives.size(); ++i)
    results.push_back(derivatives[i].defined() ? derivatives[i]
                                               : zeros_of(graph.types[static_cast<std::size_t>(like[i])]));
  tracer->set_outputs(results);
  return tracer->take();
}

}  // namespace

GraphData vjp(const GraphData& graph) { return differentiate(graph, true); }
GraphData jvp(const GraphData& graph) { return differentiate(graph, false); }

}  // namespace chainrule
