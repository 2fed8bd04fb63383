// Dead nodes, views that change nothing, common subexpressions, transpositions folded into products, the places of
// checks and updates.
#include "program/passes.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

// Rewrites every use of a value; find() follows chains.
class Renaming {
 public:
  explicit Renaming(std::size_t values) : to_(values) {
    for (std::size_t i = 0; i < values; ++i) to_[i] = static_cast<ValueId>(i);
  }
  ValueId find(ValueId id) const {
    while (to_[static_cast<std::size_t>(id)] != id) id = to_[static_cast<std::size_t>(id)];
    return id;
  }
  void rename(ValueId from, ValueId to) { to_[static_cast<std::size_t>(from)] = find(to); }
  void apply(GraphData& graph) const {
    for (Node& node : graph.nodes)
      for (ValueId& id : node.inputs) id = find(id);
    for (ValueId& id : graph.outputs) id = find(id);
    for (StateUpdate& update : graph.updates) update.value = find(update.value);
  }

 private:
  std::vector<ValueId> to_;
};

std::size_t hash_node(const Node& node) {
  std::size_t h = std::hash<const void*>{}(node.op);
  for (ValueId id : node.inputs) h = h * 1000003u + static_cast<std::size_t>(id);
  for (const Dims& list : node.attrs.lists)
    for (std::int64_t v : list) h = h * 31u + static_cast<std::size_t>(v);
  for (std::int64_t v : node.attrs.ints) h = h * 31u + static_cast<std::size_t>(v);
  return h;
}

// Equal for constants that are one: the same tensor, or single elements of one type and the same bits.
using ConstantKey = std::tuple<const void*, DType, std::vector<std::int64_t>, std::uint64_t>;
ConstantKey key_of(const Tensor& constant) {
  if (constant.symbolic() || constant.size() != 1) return {constant.data_handle().get(), DType::float32, {}, 0};
  std::uint64_t bits = 0;
  std::memcpy(&bits, constant.raw_data(), size_of(constant.dtype()));
  return {nullptr, constant.dtype(), {constant.shape().begin(), constant.shape().end()}, bits};
}

// A transposition of the last two axes only.
bool swaps_last_two(const Node& node) {
  if (node.op->name != "transpose") return false;
  const Dims& axes = node.attrs.lists[0];
  const int r = axes.rank();
  if (r < 2) return false;
  for (int i = 0; i + 2 < r; ++i)
    if (axes[i] != i) return false;
  return axes[r - 1] == r - 2 && axes[r - 2] == r - 1;
}

}  // namespace

GraphData remove_dead_nodes(const GraphData& graph) {
  std::vector<char> live(graph.types.size(), 0);
  const auto mark = [&](ValueId id) { live[static_cast<std::size_t>(id)] = 1; };
  for (ValueId id : graph.outputs) mark(id);
  for (const StateUpdate& update : graph.updates) mark(update.value);
  std::vector<char> keep(graph.nodes.size(), 0);
  for (std::size_t n = graph.nodes.size(); n-- > 0;) {
    const Node& node = graph.nodes[n];
    bool wanted = !node.op->pure;
    for (ValueId id : node.outputs) wanted |= live[static_cast<std::size_t>(id)] != 0;
    if (!wanted) continue;
    keep[n] = 1;
    for (ValueId id : node.inputs) mark(id);
  }
  GraphData result = graph;
  result.nodes.clear();
  for (std::size_t n = 0; n < graph.nodes.size(); ++n)
    if (keep[n]) result.nodes.push_back(graph.nodes[n]);
  std::erase_if(result.captures, [&](const BoundValue& c) { return !live[static_cast<std::size_t>(c.value)]; });
  std::erase_if(result.constants, [&](const BoundValue& c) { return !live[static_cast<std::size_t>(c.value)]; });
  return result;
}

GraphData merge_common_subexpressions(const GraphData& graph) {
  GraphData result = graph;
  Renaming renaming(graph.types.size());
  std::map<ConstantKey, ValueId> first;
  for (const BoundValue& constant : graph.constants) {
    const auto [known, fresh] = first.try_emplace(key_of(constant.tensor), constant.value);
    if (!fresh) renaming.rename(constant.value, known->second);
  }
  std::unordered_multimap<std::size_t, const Node*> seen;
  for (Node& node : result.nodes) {
    for (ValueId& id : node.inputs) id = renaming.find(id);
    if (!node.op->pure) continue;
    const std::size_t h = hash_node(node);
    const auto [begin, end] = seen.equal_range(h);
    const Node* twin = nullptr;
    for (auto it = begin; it != end && twin == nullptr; ++it)
      if (it->second->op == node.op && it->second->inputs == node.inputs && it->second->attrs == node.attrs)
        twin = it->second;
    if (twin == nullptr) {
      seen.emplace(h, &node);
      continue;
    }
    for (std::size_t j = 0; j < node.outputs.size(); ++j) renaming.rename(node.outputs[j], twin->outputs[j]);
  }
  renaming.apply(result);
  return result;
}

GraphData fold_transpositions(const GraphData& graph) {
  GraphData result = graph;
  std::unordered_map<ValueId, const Node*> producer;
  for (const Node& node : graph.nodes)
    for (ValueId id : node.outputs) producer[id] = &node;
  for (Node& node : result.nodes)
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      while ((node.op->transposable >> i) & 1u) {
        const auto found = producer.find(node.inputs[i]);
        if (found == producer.end() || !swaps_last_two(*found->second)) break;
        node.inputs[i] = found->second->inputs[0];
        node.attrs.ints[i] ^= 1;
      }
  return result;
}

// Views that change nothing: stop_gradient, which has done its work, and reshapes to the same shape.
GraphData remove_identities(const GraphData& graph) {
  GraphData result = graph;
  Renaming renaming(graph.types.size());
  const auto type = [&](ValueId id) -> const TensorType& { return graph.types[static_cast<std::size_t>(id)]; };
  std::erase_if(result.nodes, [&](const Node& node) {
    if (!node.op->view || !(type(node.inputs[0]) == type(node.outputs[0]))) return false;
    renaming.rename(node.outputs[0], node.inputs[0]);
    return true;
  });
  renaming.apply(result);
  return result;
}

// Checks (elementwise, of one value, without a result) right behind what they check, while that is in the cache.
GraphData settle_checks(const GraphData& graph) {
  const auto is_check = [](const Node& node) { return node.op->elementwise && node.outputs.empty(); };
  std::unordered_map<ValueId, std::vector<const Node*>> checks;
  std::unordered_set<ValueId> produced;
  for (const Node& node : graph.nodes) {
    if (is_check(node) && produced.contains(node.inputs[0])) checks[node.inputs[0]].push_back(&node);
    produced.insert(node.outputs.begin(), node.outputs.end());
  }
  GraphData result = graph;
  result.nodes.clear();
  for (const Node& node : graph.nodes) {
    if (is_check(node) && produced.contains(node.inputs[0])) continue;
    result.nodes.push_back(node);
    for (ValueId id : node.outputs)
      if (const auto found = checks.find(id); found != checks.end())
        for (const Node* check : found->second) result.nodes.push_back(*check);
  }
  return result;
}

// An update's inputs are the parameter, its gradient and its states, as many as there are outputs and one more; then
// the numbers of its optimizer.
bool same_rule(const Node& a, const Node& b) {
  if (a.op != b.op || !a.op->inplace_pairs || !(a.attrs == b.attrs)) return false;
  return std::equal(a.inputs.begin() + a.op->outputs + 1, a.inputs.end(), b.inputs.begin() + b.op->outputs + 1,
                    b.inputs.end());
}

// Updates by one rule behind each other, where the last of them stands: each waits for the next one, unless what it
// makes is read before that. Later only, since a state is written in place when nobody reads it any more.
GraphData gather_updates(const GraphData& graph) {
  std::vector<const Node*> rules;                              // the first node of each
  std::vector<std::size_t> rule_of(graph.nodes.size()), last;  // the last node of each
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    if (!graph.nodes[n].op->inplace_pairs) continue;
    std::size_t& rule = rule_of[n];
    while (rule < rules.size() && !same_rule(*rules[rule], graph.nodes[n])) ++rule;
    if (rule == rules.size()) {
      rules.push_back(&graph.nodes[n]);
      last.push_back(n);
    }
    last[rule] = n;
  }
  GraphData result = graph;
  result.nodes.clear();
  std::vector<const Node*> waiting;
  std::unordered_set<ValueId> made;  // by those that wait
  const auto release = [&] {
    for (const Node* node : waiting) result.nodes.push_back(*node);
    waiting.clear();
    made.clear();
  };
  for (std::size_t n = 0; n < graph.nodes.size(); ++n) {
    const Node& node = graph.nodes[n];
    const bool update = node.op->inplace_pairs;
    if ((update && !waiting.empty() && !same_rule(*waiting.front(), node)) ||
        std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return made.contains(id); }))
      release();
    if (!update) {
      result.nodes.push_back(node);
      continue;
    }
    waiting.push_back(&node);
    made.insert(node.outputs.begin(), node.outputs.end());
    if (last[rule_of[n]] == n) release();
  }
  return result;
}

kernels::Plan plan_of(const GraphData& graph, const Node& node) {
  Types in, out;
  for (ValueId id : node.inputs) in.push_back(graph.types[static_cast<std::size_t>(id)]);
  for (ValueId id : node.outputs) out.push_back(graph.types[static_cast<std::size_t>(id)]);
  kernels::Plan plan;
  node.op->plan(*node.op, in, out, node.attrs, plan);
  return plan;
}

GraphData optimize(const GraphData& graph) {
  return gather_updates(settle_checks(remove_dead_nodes(
      merge_common_subexpressions(fold_transpositions(remove_identities(remove_dead_nodes(graph)))))));
}

}  // namespace chainrule
