// Splits a prediction's graph, and gives the weights their places.
#include "train/prediction_plan.hpp"

#include <algorithm>
#include <cstring>
#include <map>

#include "core/storage.hpp"
#include "graph/call_rule.hpp"
#include "graph/tensor_data.hpp"
#include "ops/matmul_panels.hpp"

namespace chainrule {
namespace {

using Index = std::size_t;

// The values that need no sample. A pure op on such values is one of them.
std::vector<char> fixed_values(const GraphData& graph) {
  std::vector<char> fixed(graph.types.size(), 0);
  for (const BoundValue& capture : graph.captures) fixed[static_cast<Index>(capture.value)] = 1;
  for (const BoundValue& constant : graph.constants) fixed[static_cast<Index>(constant.value)] = 1;
  for (const Node& node : graph.nodes)
    if (node.op->pure && std::all_of(node.inputs.begin(), node.inputs.end(),
                                     [&](ValueId id) { return fixed[static_cast<Index>(id)] != 0; }))
      for (ValueId id : node.outputs) fixed[static_cast<Index>(id)] = 1;
  return fixed;
}

class Splitter {
 public:
  explicit Splitter(const GraphData& prediction) : graph_(inline_calls(prediction)), fixed_(fixed_values(graph_)) {
    GraphData &weights = plan_.weights, &samples = plan_.samples;
    weights = samples = graph_;
    weights.inputs.clear();
    weights.outputs.clear();
    weights.updates.clear();
    samples.updates.clear();  // a prediction changes no model
    samples.captures.clear();
    for (const BoundValue& constant : graph_.constants) constants_.push_back(constant.value);
    std::erase_if(weights.nodes, [&](const Node& n) { return !is_fixed(n); });
    std::erase_if(samples.nodes, [&](const Node& n) { return is_fixed(n); });
    for (Index n = 0; n < samples.nodes.size(); ++n) {
      const std::int64_t columns =
          is_slot(samples.nodes[n].inputs, 1) ? panel_columns(samples.nodes[n], graph_.types) : 0;
      if (columns != 0) {
        multiply_panels(samples, n, slot(samples.nodes[n].inputs[1], columns));
        ++n;  // behind the view
        continue;
      }
      for (ValueId& id : samples.nodes[n].inputs)
        if (needs_slot(id)) id = slot(id, 0);
    }
    for (ValueId& id : samples.outputs)
      if (needs_slot(id)) id = slot(id, 0);
    place();
  }
  PredictionPlan take() { return std::move(plan_); }

 private:
  bool is_fixed(const Node& node) const {
    return !node.outputs.empty() && fixed_[static_cast<Index>(node.outputs[0])] != 0;
  }
  bool needs_slot(ValueId id) const {
    return static_cast<Index>(id) < fixed_.size() && fixed_[static_cast<Index>(id)] != 0 &&
           std::find(constants_.begin(), constants_.end(), id) == constants_.end();
  }
  bool is_slot(const std::vector<ValueId>& inputs, Index i) const { return i < inputs.size() && needs_slot(inputs[i]); }

  // The value that stands for a fixed one in the second graph.
  ValueId slot(ValueId id, std::int64_t columns) {
    const auto [known, fresh] = slots_.try_emplace({id, columns}, no_value);
    if (!fresh) return known->second;
    const TensorType type = graph_.types[static_cast<Index>(id)];
    TensorType placed = type;
    if (columns != 0) placed.shape = Shape{type.shape[1] / columns, type.shape[0], columns};
    known->second = plan_.samples.add_value(placed);
    values_.push_back(known->second);
    plan_.slots.push_back({type, columns});
    plan_.weights.outputs.push_back(id);
    return known->second;
  }

  void place() {
    constexpr Index line = 64;
    Index total = 0;
    for (const WeightSlot& s : plan_.slots) total += (bytes_of_type(s.type) + line - 1) / line * line;
    // Weights that fill a second-level cache are worth a huge page: its lines spread evenly over the sets. Blocks of
    // this size get them (core/storage.cpp); what is never touched takes no memory.
    constexpr Index worth = 512 * 1024, huge = 4 * 1024 * 1024;
    const Index reserved = total >= worth ? std::max(total, huge) : std::max(total, line);
    const std::shared_ptr<std::byte> block(static_cast<std::byte*>(allocate_aligned(reserved)), free_aligned);
    std::memset(block.get(), 0, total);
    Index at = 0;
    for (Index i = 0; i < plan_.slots.size(); ++i) {
      WeightSlot& s = plan_.slots[i];
      const TensorType& placed = plan_.samples.types[static_cast<Index>(values_[i])];
      s.tensor = Tensor::view_raw(block.get() + at, placed.shape, placed.dtype, block);
      plan_.samples.captures.push_back({values_[i], s.tensor});
      at += (bytes_of_type(s.type) + line - 1) / line * line;
    }
  }

  GraphData graph_;
  std::vector<char> fixed_;
  std::vector<ValueId> constants_;
  std::map<std::pair<ValueId, std::int64_t>, ValueId> slots_;
  std::vector<ValueId> values_;  // of each slot, in the second graph
  PredictionPlan plan_;
};

}  // namespace

std::size_t bytes_of_type(const TensorType& type) {
  return static_cast<std::size_t>(type.shape.size()) * size_of(type.dtype);
}

PredictionPlan split_weights(const GraphData& prediction) { return Splitter(prediction).take(); }

void fill_slot(const WeightSlot& slot, const void* value) {
  if (slot.type.shape.size() == 0) return;
  std::byte* const to = bytes_of(slot.tensor);
  if (slot.columns != 0)
    copy_to_panels(to, static_cast<const std::byte*>(value), slot.type, slot.columns);
  else
    std::memcpy(to, value, bytes_of_type(slot.type));
}

}  // namespace chainrule
