// Tensor::graph: what eager ops recorded, as a Graph with the values, and after backward with the gradients. Nothing is
// kept for it while recording but small constants: values that no derivative needs are computed again.
#include <unordered_map>

#include "autodiff/graph_values.hpp"
#include "autodiff/tape.hpp"
#include "chainrule/graph.hpp"
#include "core/fail.hpp"

namespace chainrule {
namespace {

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

class Recording {
 public:
  explicit Recording(const Tensor& root) : data_(std::make_shared<GraphData>()), view_(std::make_shared<GraphView>()) {
    for (const auto& node : nodes_behind(std::span(&root, 1), {})) add(node);
    const auto& handle = root.data_handle();
    const ValueId result = handle->node ? computed(*handle->node, handle->output_index) : leaf(handle, nullptr);
    data_->outputs = {result};
    if (handle->node) view_->values[index(result)] = root.detach();
    fill_values(*data_, view_->values);
    gradients(handle);
    notes();
  }
  Graph graph() const { return Graph(data_, view_); }

 private:
  ValueId new_value(const TensorType& type) {
    view_->values.emplace_back();
    view_->origins.emplace_back();
    return data_->add_value(type);
  }
  ValueId computed(const GradNode& node, int output) const {
    return at_node_.at(&node)[static_cast<std::size_t>(output)];
  }
  // A leaf as it was when recorded; its value then is lost if it was changed in place since.
  ValueId leaf(const std::shared_ptr<TensorData>& from, const SavedValue* recorded) {
    const auto found = at_leaf_.find(from.get());
    if (found != at_leaf_.end()) return found->second;
    const ValueId id = at_leaf_[from.get()] = new_value(from->type());
    data_->captures.push_back({id, Tensor(from)});
    if (recorded == nullptr || recorded->version == from->storage->version)
      view_->values[index(id)] = Tensor(from).detach();
    else
      changed_ = true;
    return id;
  }
  // What wanted no gradient, or a leaf that nobody holds any more: its value, if it was kept.
  ValueId constant(const GradNode& node, std::size_t i) {
    const SavedValue& small = node.edges[i].shown;
    const SavedValue* kept = &small;
    if (!small.storage && i < node.saved_inputs.size()) kept = &node.saved_inputs[i];
    if (!kept->storage) {
      const ValueId id = new_value(node.input_types[i]);
      data_->constants.push_back({id, {}});
      return id;
    }
    const Tensor tensor = restored(*kept, node.input_types[i]);
    const auto found = at_memory_.find(bytes_of(tensor));
    if (found != at_memory_.end() && data_->types[index(found->second)] == node.input_types[i]) return found->second;
    const ValueId id = at_memory_[bytes_of(tensor)] = new_value(node.input_types[i]);
    if (kept->storage->version == kept->version)
      view_->values[index(id)] = tensor;
    else
      changed_ = true;
    data_->constants.push_back({id, tensor});
    return id;
  }
  void add(const std::shared_ptr<GradNode>& from) {
    Node node;
    node.op = from->op;
    node.attrs = from->attrs();
    node.scope = from->scope;
    freed_ |= from->freed;
    for (std::size_t i = 0; i < from->edges.size(); ++i) {
      const Edge& edge = from->edges[i];
      ValueId id = no_value;
      if (edge.node)
        id = computed(*edge.node, edge.output);
      else if (const auto held = edge.leaf.lock())
        id = leaf(held, &edge.shown);
      else
        id = constant(*from, i);
      if (i < from->saved_inputs.size()) take(id, from->saved_inputs[i]);
      node.inputs.push_back(id);
    }
    auto& outputs = at_node_[from.get()];
    for (std::size_t j = 0; j < from->output_types.size(); ++j) {
      const ValueId id = new_value(from->output_types[j]);
      if (j < from->saved_outputs.size()) take(id, from->saved_outputs[j]);
      view_->origins[index(id)] = {from, static_cast<int>(j)};
      node.outputs.push_back(id);
      outputs.push_back(id);
    }
    data_->nodes.push_back(std::move(node));
  }
  void take(ValueId id, const SavedValue& saved) {
    Tensor& value = view_->values[index(id)];
    if (!value.defined() && saved.storage && saved.storage->version == saved.version)
      value = restored(saved, data_->types[index(id)]);
  }
  // backward() on this tensor leaves its cotangent: the others follow. Leaves show what they hold.
  void gradients(const std::shared_ptr<TensorData>& root) {
    view_->gradients.assign(data_->types.size(), {});
    if (root->seed.defined() && root->node) BackwardView(*data_, {0}).run(view_->values, {root->seed}, *view_);
    for (const BoundValue& c : data_->captures)
      if (const Tensor held = c.tensor.grad(); held.defined()) view_->gradients[index(c.value)] = held.detach();
  }
  void notes() {
    bool unknown = false;
    for (const Tensor& value : view_->values) unknown |= !value.defined();
    if (changed_)
      view_->notes.emplace_back("?: was changed in place after it was used, or follows from such a tensor");
    else if (unknown && freed_)
      view_->notes.emplace_back("?: freed by backward(), and too large to be kept for showing; call graph() before it");
    else if (unknown)
      view_->notes.emplace_back("?: no derivative needs it, so it was not kept");
  }

  std::shared_ptr<GraphData> data_;
  std::shared_ptr<GraphView> view_;
  std::unordered_map<const GradNode*, std::vector<ValueId>> at_node_;
  std::unordered_map<const TensorData*, ValueId> at_leaf_;
  std::unordered_map<const std::byte*, ValueId> at_memory_;  // of constants
  bool freed_ = false, changed_ = false;
};

}  // namespace

Graph Tensor::graph() const {
  if (symbolic())
    fail<StateError>("graph", "the tensor belongs to a function that is being traced", "shape is " + shape().str(),
                     "call trace(f, ...) on the function");
  if (!defined() || !requires_grad())
    fail<StateError>("graph", "nothing was recorded", "no input of this result requires a gradient",
                     "call requires_grad_() on a leaf before computing, or trace(f, ...) a function");
  return Recording(*this).graph();
}

}  // namespace chainrule
