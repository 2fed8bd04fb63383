// Eager differentiation. Iterative throughout: a chain of any length needs no deeper stack.
#include "autodiff/tape.hpp"

#include <algorithm>
#include <map>
#include <mutex>
#include <unordered_map>
#include <unordered_set>

#include "autodiff/rules.hpp"
#include "core/fail.hpp"
#include "graph/call_rule.hpp"

namespace chainrule {

using Handle = std::shared_ptr<GradNode>;

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
  std::sort(found.begin(), found.end(), [](const Handle& a, const Handle& b) { return a->order < b->order; });
  return found;
}

Tensor restored(const SavedValue& saved, const TensorType& type) {
  auto data = std::make_shared<TensorData>();
  data->dtype = type.dtype;
  data->shape = type.shape;
  data->storage = saved.storage;
  data->offset = saved.offset;
  data->constant = saved.constant;
  return Tensor(std::move(data));
}

namespace {

// The op's name, or that of the function it calls.
std::string_view name_of(const GradNode& node) {
  return node.attrs().call ? std::string_view(node.attrs().call->name) : node.op->name;
}

[[noreturn]] void fail_changed(const GradNode& node, const char* which, const std::string& operand,
                               const Shape& shape) {
  fail<StateError>(name_of(node), which, operand + shape.str(), "change it after backward, or change a copy");
}

// What a node's rules read, checked to be unchanged since it was recorded. linked: with the way back to where the
// values came from, so that what the rules compute can be differentiated in turn.
struct Operands {
  Operands(const Handle& node, bool linked) : x(node->edges.size()), y(node->output_types.size()) {
    if (node->freed)
      fail<StateError>(name_of(*node), "what was recorded for it was freed by an earlier backward", "",
                       "pass retain_graph=True to that backward, or compute the result again");
    for (std::size_t i = 0; i < x.size(); ++i) {
      const SavedValue& saved = node->saved_inputs[i];
      if (!saved.storage) continue;
      if (saved.storage->version != saved.version)
        fail_changed(*node, "an operand that backward needs was changed in place after it was used",
                     "operand " + std::to_string(i) + " of shape ", node->input_types[i].shape);
      const Edge& edge = node->edges[i];
      if (const auto leaf = linked ? edge.leaf.lock() : nullptr; leaf && leaf->storage == saved.storage) {
        x[i] = Tensor(leaf);
        continue;
      }
      x[i] = restored(saved, node->input_types[i]);
      if (linked && edge.node) link(x[i], edge.node, edge.output);
    }
    for (std::size_t j = 0; j < y.size(); ++j) {
      const SavedValue& saved = node->saved_outputs[j];
      if (!saved.storage) continue;
      if (saved.storage->version != saved.version)
        fail_changed(*node, "its result, which backward needs, was changed in place", "shape ",
                     node->output_types[j].shape);
      y[j] = restored(saved, node->output_types[j]);
      if (linked && is_floating(node->output_types[j].dtype)) link(y[j], node, static_cast<int>(j));
    }
  }
  OpCall call(const GradNode& node) const {
    return {node.op, &node.attrs(), x, y, node.input_types, node.output_types};
  }

  SmallVector<Tensor, 3> x, y;

 private:
  static void link(Tensor& t, const Handle& node, int output) {
    t.data_handle()->node = node;
    t.data_handle()->output_index = output;
  }
};

// Cotangents on their way down a tape. Ops are numbered as they are recorded, so of those that have received something
// the latest has received everything: what lies before it cannot send to it.
class Descent {
 public:
  explicit Descent(const TapeOptions& options)
      : keep_(options.retain || options.create_graph), linked_(options.create_graph) {
    for (const Tensor& stop : options.stops)
      if (const auto& data = stop.data_handle(); data->node) stops_.emplace(data->node.get(), data);
  }

  void send(const Handle& node, int output, std::shared_ptr<TensorData> leaf, Tensor&& g) {
    if (node && !stops_.empty())
      if (const auto stop = stops_.find(node.get()); stop != stops_.end()) return arrived(stop->second, std::move(g));
    if (node) {
      Waiting& at = waiting_[node->order];
      if (!at.node) {
        at.node = node;
        at.gy.resize(node->output_types.size());
      }
      accumulate(at.gy[static_cast<std::size_t>(output)], std::move(g));
    } else if (leaf) {
      arrived(leaf, std::move(g));
    }
  }

  void run() {
    while (!waiting_.empty()) {
      Waiting at = std::move(waiting_.begin()->second);
      waiting_.erase(waiting_.begin());
      step(*at.node, at);
    }
  }

  void hand_over(const Arrive& arrive) {
    for (auto& [leaf, g] : arrivals_) arrive(leaf, std::move(g));
  }

 private:
  struct Waiting {
    Handle node;
    SmallVector<Tensor, 1> gy;
  };

  void step(GradNode& node, Waiting& at) {
    for (const RetainedGrad& retained : node.retained)
      if (const auto tensor = retained.tensor.lock())
        if (const Tensor& g = at.gy[static_cast<std::size_t>(retained.output)]; g.defined()) arrived(tensor, Tensor(g));
    SmallVector<std::shared_ptr<TensorData>, 3> leaves;
    SmallVector<char, 8> needs;
    for (const Edge& edge : node.edges) {
      leaves.push_back(edge.leaf.lock());
      needs.push_back(edge.node != nullptr || leaves.back() != nullptr);
    }
    Tensors gx;
    {
      const Operands operands(at.node, linked_);
      gx = pull_back(operands.call(node), at.gy, needs);
    }
    at.gy.clear();
    if (!keep_) {
      node.freed = true;
      node.saved_inputs.clear();
      node.saved_outputs.clear();
    }
    for (std::size_t i = 0; i < gx.size(); ++i)
      if (gx[i].defined()) send(node.edges[i].node, node.edges[i].output, std::move(leaves[i]), std::move(gx[i]));
  }

  void arrived(const std::shared_ptr<TensorData>& leaf, Tensor&& g) {
    const auto [at, first] = place_.try_emplace(leaf.get(), arrivals_.size());
    if (first) arrivals_.emplace_back(leaf, Tensor());
    accumulate(arrivals_[at->second].second, std::move(g));
  }

  bool keep_, linked_;
  std::map<std::uint64_t, Waiting, std::greater<>> waiting_;
  std::unordered_map<const GradNode*, std::shared_ptr<TensorData>> stops_;
  std::vector<std::pair<std::shared_ptr<TensorData>, Tensor>> arrivals_;
  std::unordered_map<const TensorData*, std::size_t> place_;
};

// In a trace the rules are recorded there, as any other op.
bool recorded(bool asked) { return asked || TraceScope::current() != nullptr; }

// A leaf's first gradient belongs to it alone: writing into it must not reach another leaf's, or the caller's
// cotangent.
Tensor owned(Tensor&& g) {
  TensorData& data = *g.data_handle();
  if (g.data_handle().use_count() > 1 || data.storage.use_count() > 1 || data.storage->borrowed)
    return Tensor::from_raw(data.bytes(), static_cast<std::size_t>(data.shape.size()), data.shape, data.dtype);
  data.constant = false;
  return std::move(g);
}

}  // namespace

void run_tape(std::span<const Tensor> roots, std::span<const Tensor> cotangents, const TapeOptions& options,
              const Arrive& arrive) {
  const GradMode mode(recorded(options.create_graph));
  Descent descent(options);
  for (std::size_t i = 0; i < roots.size(); ++i) {
    const auto& data = roots[i].data_handle();
    descent.send(data->node, data->output_index, data->requires_grad ? data : nullptr, Tensor(cotangents[i]));
  }
  descent.run();
  descent.hand_over(arrive);
}

bool reaches_other_leaves(std::span<const Tensor> outputs, std::span<const Tensor> stops) {
  const auto is_stop = [&](const TensorData* leaf) {
    return std::any_of(stops.begin(), stops.end(), [&](const Tensor& t) { return t.data_handle().get() == leaf; });
  };
  for (const Handle& node : nodes_behind(outputs, stops))
    for (const Edge& edge : node->edges)
      if (const auto leaf = edge.leaf.lock(); leaf && !is_stop(leaf.get())) return true;
  return false;
}

Tensors push_tape(std::span<const Tensor> outputs, std::span<const Tensor> leaves, std::span<const Tensor> tangents,
                  bool record) {
  const GradMode mode(recorded(record));
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
  for (const Handle& node : nodes_behind(outputs, leaves)) {
    Tensors tx;
    bool flows = false;
    for (const Edge& edge : node->edges) {
      tx.push_back(tangent_of(edge.node, edge.output, edge.leaf.lock().get()));
      flows |= tx.back().defined();
    }
    if (flows) at_node[node.get()] = push_forward(Operands(node, record).call(*node), tx);
  }
  Tensors result;
  for (const Tensor& y : outputs) {
    const auto& data = y.data_handle();
    result.push_back(tangent_of(data->node, data->output_index, data.get()));
  }
  return result;
}

namespace {
// The cotangent 1, without memory of its own: what is kept for Tensor::graph where nothing was given.
Tensor one(const Tensor& start) {
  static constexpr float single = 1;
  static constexpr double twice = 1;
  if (start.dtype() == DType::float32) return Tensor::view(&single, start.shape());
  return start.dtype() == DType::float64 ? Tensor::view(&twice, start.shape()) : Tensor();
}
}  // namespace

void backward(const std::vector<Tensor>& tensors, const std::vector<Tensor>& gradients,
              const BackwardOptions& options) {
  if (tensors.empty()) fail<ValueError>("backward", "no tensors were given", "", "pass the tensors to start from");
  if (!gradients.empty() && gradients.size() != tensors.size())
    fail<ValueError>("backward", "the number of gradients differs from that of tensors",
                     std::to_string(gradients.size()) + " for " + std::to_string(tensors.size()),
                     "give one for each tensor, undefined (None) for 1");
  Tensors starts;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& y = tensors[i];
    if (y.symbolic())
      fail<StateError>("backward", "the tensor has no values while a function is traced", "shape is " + y.shape().str(),
                       "use grad(f) there, which is traced with it");
    if (y.defined() && !is_floating(y.dtype())) start_cotangent(y, {}, "backward");  // says so
    if (!y.requires_grad())
      fail<StateError>("backward", "nothing was recorded", "no input of this result requires a gradient",
                       "call requires_grad_() on a leaf before computing");
    starts.push_back(start_cotangent(y, gradients.empty() ? Tensor() : gradients[i], "backward"));
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const bool given = !gradients.empty() && gradients[i].defined();
    if (is_small(type_of(starts[i]))) tensors[i].data_handle()->seed = given ? starts[i].detach() : one(starts[i]);
  }
  run_tape(tensors, starts, {.retain = options.retain_graph, .create_graph = options.create_graph},
           [&](const std::shared_ptr<TensorData>& leaf, Tensor&& g) {
             static std::mutex arrivals;  // several threads may send gradients to one leaf
             const std::lock_guard lock(arrivals);
             if (leaf->grad.defined())
               accumulate(leaf->grad, std::move(g));
             else
               leaf->grad = options.create_graph ? std::move(g) : owned(std::move(g));
           });
}

void Tensor::backward(const Tensor& gradient, const BackwardOptions& options) const {
  chainrule::backward({*this}, {gradient}, options);
}
void Tensor::backward(const BackwardOptions& options) const { backward(Tensor(), options); }

}  // namespace chainrule
