// Eager differentiation. Iterative throughout: a chain of any length needs no deeper stack.
#include "autodiff/tape.hpp"

#include <algorithm>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "autodiff/rules.hpp"
#include "core/fail.hpp"

namespace chainrule {
namespace {

using Handle = std::shared_ptr<GradNode>;

// Every recorded op that the roots came from, latest first; none of the stops' and none behind them.
std::vector<Handle> nodes_behind(std::span<const Tensor> roots, std::span<const Tensor> stops) {
  std::vector<Handle> found;
  std::unordered_set<const GradNode*> seen;
  for (const Tensor& stop : stops)
    if (stop.data_handle()->node) seen.insert(stop.data_handle()->node.get());
  for (const Tensor& root : roots)
    if (const Handle& node = root.data_handle()->node; node && seen.insert(node.get()).second) found.push_back(node);
  for (std::size_t i = 0; i < found.size(); ++i)
    for (std::size_t e = 0; e < found[i]->edges.size(); ++e)
      if (const Handle node = found[i]->edges[e].node; node && seen.insert(node.get()).second) found.push_back(node);
  std::sort(found.begin(), found.end(), [](const Handle& a, const Handle& b) { return a->order > b->order; });
  return found;
}

// What the rules read, checked to be unchanged since it was recorded.
struct Saved {
  Saved(const GradNode& node, const std::shared_ptr<GradNode>& self, bool linked)
      : x(node.saved_inputs), y(node.saved_outputs) {
    if (node.freed)
      fail<StateError>(node.op->name, "its record was used up by an earlier backward", "",
                       "call backward once, or compute the result again");
    for (std::size_t i = 0; i < x.size(); ++i) {
      if (!x[i].defined()) continue;
      if (x[i].data_handle()->storage->version != node.versions[i])
        fail<StateError>(node.op->name, "an operand that backward needs was changed in place after it was used",
                         "operand " + std::to_string(i) + " of shape " + node.input_types[i].shape.str(),
                         "change it after backward, or change a copy");
      if (linked && node.edges[i].node) {
        x[i] = with_shape(x[i], node.input_types[i].shape);
        x[i].data_handle()->node = node.edges[i].node;
        x[i].data_handle()->output_index = node.edges[i].output;
      }
    }
    if (linked)
      for (std::size_t j = 0; j < y.size(); ++j) {
        if (!y[j].defined() || !is_floating(node.output_types[j].dtype)) continue;
        y[j] = with_shape(y[j], node.output_types[j].shape);
        y[j].data_handle()->node = self;
        y[j].data_handle()->output_index = static_cast<int>(j);
      }
  }
  Tensors x, y;
};

OpCall call_of(const GradNode& node, const Saved& saved) {
  return {node.op, &node.attrs, saved.x, saved.y, node.input_types, node.output_types};
}

class GradMode {
 public:
  explicit GradMode(bool on) : before_(grad_enabled()) { set_grad_enabled(on); }
  ~GradMode() { set_grad_enabled(before_); }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};

}  // namespace

void run_tape(std::span<const Tensor> roots, std::span<const Tensor> cotangents, const TapeOptions& options,
              const std::function<void(const std::shared_ptr<TensorData>&, const Tensor&)>& arrive) {
  const GradMode mode(options.create_graph);
  const std::vector<Handle> nodes = nodes_behind(roots, options.stops);
  std::unordered_map<const GradNode*, Tensors> waiting;
  std::unordered_map<const TensorData*, std::pair<std::shared_ptr<TensorData>, Tensor>> leaves;
  std::unordered_map<const GradNode*, std::shared_ptr<TensorData>> stops;
  for (const Tensor& stop : options.stops)
    if (stop.data_handle()->node) stops.emplace(stop.data_handle()->node.get(), stop.data_handle());
  waiting.reserve(nodes.size());
  const auto deliver = [&](const Handle& node, int output, std::shared_ptr<TensorData> leaf, const Tensor& g) {
    if (node) {
      const auto stop = stops.find(node.get());
      if (stop == stops.end()) {
        Tensors& at = waiting[node.get()];
        at.resize(node->output_types.size());
        accumulate(at[static_cast<std::size_t>(output)], g);
        return;
      }
      leaf = stop->second;
    }
    if (!leaf) return;
    auto& slot = leaves[leaf.get()];
    slot.first = leaf;
    accumulate(slot.second, g);
  };
  for (std::size_t i = 0; i < roots.size(); ++i) {
    const auto& data = roots[i].data_handle();
    deliver(data->node, data->output_index, data->node || !data->requires_grad ? nullptr : data, cotangents[i]);
  }
  for (const Handle& node : nodes) {
    const auto found = waiting.find(node.get());
    if (found == waiting.end()) continue;
    const Tensors gy = std::move(found->second);
    waiting.erase(found);
    std::vector<char> needs;
    for (const Edge& edge : node->edges) needs.push_back(edge.wanted());
    const Saved saved(*node, node, options.create_graph);
    const Tensors gx = pull_back(call_of(*node, saved), gy, needs);
    for (std::size_t i = 0; i < gx.size(); ++i)
      if (gx[i].defined()) deliver(node->edges[i].node, node->edges[i].output, node->edges[i].leaf, gx[i]);
    if (!options.retain && !options.create_graph) {
      node->saved_inputs.assign(node->saved_inputs.size(), Tensor());
      node->saved_outputs.assign(node->saved_outputs.size(), Tensor());
      node->freed = true;
    }
  }
  for (auto& [leaf, entry] : leaves) arrive(entry.first, entry.second);
}

Tensors push_tape(std::span<const Tensor> outputs, std::span<const Tensor> leaves, std::span<const Tensor> tangents,
                  bool record) {
  const GradMode mode(record);
  std::vector<Handle> nodes = nodes_behind(outputs, leaves);
  std::reverse(nodes.begin(), nodes.end());
  std::unordered_map<const TensorData*, Tensor> at_leaf;
  std::unordered_map<const GradNode*, Tensors> at_node;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    at_leaf[leaves[i].data_handle().get()] = tangents[i];
    if (const Handle& node = leaves[i].data_handle()->node) at_node[node.get()] = {tangents[i]};
  }
  const auto tangent_of = [&](const Handle& node, int output, const TensorData* leaf) {
    if (node) {
      const auto found = at_node.find(node.get());
      return found == at_node.end() ? Tensor() : found->second[static_cast<std::size_t>(output)];
    }
    const auto found = at_leaf.find(leaf);
    return found == at_leaf.end() ? Tensor() : found->second;
  };
  for (const Handle& node : nodes) {
    Tensors tx;
    bool flows = false;
    for (const Edge& edge : node->edges) {
      tx.push_back(tangent_of(edge.node, edge.output, edge.leaf.get()));
      flows |= tx.back().defined();
    }
    if (flows) at_node[node.get()] = push_forward(call_of(*node, Saved(*node, node, record)), tx);
  }
  Tensors result;
  for (const Tensor& y : outputs) {
    const auto& data = y.data_handle();
    result.push_back(tangent_of(data->node, data->output_index, data.get()));
  }
  return result;
}

void Tensor::backward(const Tensor& cotangent) const {
  if (!defined() || !requires_grad())
    fail<StateError>("backward", "nothing was recorded", "no input of this result requires a gradient",
                     "call requires_grad_() on a leaf before computing");
  const Tensor start = start_cotangent(*this, cotangent, "backward");
  run_tape(std::span(this, 1), std::span(&start, 1), {}, [](const std::shared_ptr<TensorData>& leaf, const Tensor& g) {
    static std::mutex arrivals;  // several threads may send gradients to one leaf
    const std::lock_guard lock(arrivals);
    const NoGrad nothing;
    accumulate(leaf->grad, g);
  });
}

}  // namespace chainrule
