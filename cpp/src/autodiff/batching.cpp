// Ops on batches, by the facts in the op table.
#include "autodiff/batching.hpp"

#include <algorithm>

#include "core/fail.hpp"
#include "graph/call_rule.hpp"
#include "graph/state_update.hpp"
#include "graph/tensor_data.hpp"
#include "ops/operands.hpp"

namespace chainrule {
namespace {

Tensor repeated(const Tensor& x, std::int64_t size) {
  Dims shape = x.shape();
  shape.insert(0, size);
  return broadcast_to(x, Shape(shape));
}

// Ranks of the samples made equal behind the batch axis: what broadcasting does at the left end of a shape.
Tensors on_aligned(const BatchContext& c) {
  int rank = 0;
  for (std::size_t i = 0; i < c.x.size(); ++i) rank = std::max(rank, c.x[i].rank() - c.batched[i]);
  Tensors x(c.x.begin(), c.x.end());
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!c.batched[i] || x[i].rank() == rank + 1) continue;
    Dims shape = x[i].shape();
    while (shape.rank() <= rank) shape.insert(1, 1);
    x[i] = reshape(x[i], shape);
  }
  return apply(c.op, x, c.attrs);
}

void move_list(Dims& list, OnBatch how, std::int64_t size) {
  if (how == OnBatch::axis || how == OnBatch::permutation)
    for (std::int64_t& axis : list) ++axis;
  if (how == OnBatch::permutation || how == OnBatch::starts) list.insert(0, 0);
  if (how == OnBatch::sizes || how == OnBatch::stops) list.insert(0, size);
  if (how == OnBatch::steps) list.insert(0, 1);
}

Tensors with_leading_axis(const BatchContext& c) {
  Attrs attrs = c.attrs;
  for (const AttributeField& field : c.op.attributes) {
    if (field.on_batch == OnBatch::keep) continue;
    const auto slot = static_cast<std::size_t>(field.slot);
    if (field.kind == AttributeField::Kind::list)
      move_list(attrs.lists[slot], field.on_batch, c.size);
    else
      ++attrs.ints[slot];
  }
  Tensors x;
  for (std::size_t i = 0; i < c.x.size(); ++i) x.push_back(c.batched[i] ? c.x[i] : repeated(c.x[i], c.size));
  return apply(c.op, x, attrs);
}

Tensors sample_by_sample(const BatchContext& c) {
  std::vector<Tensors> parts;
  for (std::int64_t s = 0; s < c.size; ++s) {
    Tensors x;
    for (std::size_t i = 0; i < c.x.size(); ++i) {
      if (!c.batched[i]) {
        x.push_back(c.x[i]);
        continue;
      }
      Dims shape = c.x[i].shape();
      shape.erase(0);
      x.push_back(reshape(slice(c.x[i], {Slice{s, s + 1, 1}}), shape));
    }
    const Tensors y = apply(c.op, x, c.attrs);
    parts.resize(y.size());
    for (std::size_t j = 0; j < y.size(); ++j) parts[j].push_back(expand_dims(y[j], 0));
  }
  Tensors result;
  for (const Tensors& samples : parts) result.push_back(concat(samples, 0));
  return result;
}

Tensors on_batch(const BatchContext& c) {
  switch (c.op.batch) {
    case Batch::elementwise:
      return on_aligned(c);
    case Batch::leading:
      return with_leading_axis(c);
    case Batch::rule:
      return c.op.batch_rule(c);
    case Batch::loop:
      break;
  }
  if (c.size == 0)
    fail<ValueError>("vmap", "the batch is empty", "and " + std::string(c.op.name) + " runs sample by sample",
                     "give one sample at least");
  return sample_by_sample(c);
}

bool has_draws(const Node& node) {
  if (!node.attrs.call) return node.op->draws;
  const std::vector<Node>& called = node.attrs.call->primal.nodes;
  return std::any_of(called.begin(), called.end(), has_draws);
}

}  // namespace

Tensors replay_batched(const GraphData& graph, std::span<const Tensor> arguments, std::span<const char> batched,
                       std::int64_t size, Draws draws) {
  std::vector<Tensor> values(graph.types.size());
  std::vector<char> has_batch(graph.types.size(), 0);
  const auto at = [&](ValueId id) { return static_cast<std::size_t>(id); };
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    values[at(graph.inputs[i])] = arguments[i];
    has_batch[at(graph.inputs[i])] = batched[i];
  }
  for (const BoundValue& capture : graph.captures) values[at(capture.value)] = capture.tensor;
  for (const BoundValue& constant : graph.constants) values[at(constant.value)] = constant.tensor;
  Tensors x;
  std::vector<char> flags;
  for (const Node& node : graph.nodes) {
    x.clear();
    flags.clear();
    char any = draws == Draws::own && has_draws(node);
    for (ValueId id : node.inputs) {
      x.push_back(values[at(id)]);
      flags.push_back(has_batch[at(id)]);
      any |= flags.back();
    }
    Tensors y = any ? on_batch({*node.op, node.attrs, x, flags, size}) : apply(*node.op, x, node.attrs);
    for (std::size_t j = 0; j < y.size(); ++j) {
      values[at(node.outputs[j])] = std::move(y[j]);
      has_batch[at(node.outputs[j])] = any;
    }
  }
  for (const StateUpdate& update : graph.updates) {
    if (has_batch[at(update.value)])
      fail<StateError>("vmap", "a state would get one value per sample", "shape is " + update.target.shape().str(),
                       "call eval() on the model, so that running statistics stay as they are");
    update_buffer(update.target, values[at(update.value)]);
  }
  Tensors results;
  for (ValueId id : graph.outputs)
    results.push_back(has_batch[at(id)] ? values[at(id)] : repeated(values[at(id)], size));
  return results;
}

GraphData batch(const GraphData& graph, std::span<const char> batched, std::int64_t size, Draws draws) {
  Types types;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    types.push_back(graph.types[static_cast<std::size_t>(graph.inputs[i])]);
    if (batched[i]) types.back().shape.insert(0, size);
  }
  return trace_types([&](const Tensors& x) { return replay_batched(graph, x, batched, size, draws); }, types);
}

}  // namespace chainrule
