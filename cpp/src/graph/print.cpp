// A Graph as text: one line per node.
#include <algorithm>
#include <cstdio>

#include "graph/graph.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

std::string number(double value) {
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%g", value);
  return buffer;
}
std::string type_name(const TensorType& type) { return std::string(name_of(type.dtype)) + type.shape.str(); }

}  // namespace

std::int64_t node_flops(const GraphData& graph, const Node& node) {
  if (node.op->view) return 0;
  Types in, out;
  for (ValueId id : node.inputs) in.push_back(graph.types[static_cast<std::size_t>(id)]);
  for (ValueId id : node.outputs) out.push_back(graph.types[static_cast<std::size_t>(id)]);
  if (node.op->flops) return node.op->flops(in, out, node.attrs);
  if (out.empty()) return 0;
  return static_cast<std::int64_t>(node.op->flops_per_output * static_cast<double>(out[0].shape.size()));
}

std::string attributes_to_string(const Op& op, const Attrs& attrs) {
  std::string text;
  for (const AttributeField& field : op.attributes) {
    const auto slot = static_cast<std::size_t>(field.slot);
    text += ", " + std::string(field.name) + "=";
    switch (field.kind) {
      case AttributeField::Kind::list:
        text += attrs.lists[slot].str();
        break;
      case AttributeField::Kind::real:
        text += number(attrs.reals[slot]);
        break;
      case AttributeField::Kind::integer:
        text += std::to_string(attrs.ints[slot]);
        break;
      case AttributeField::Kind::flag:
        text += attrs.ints[slot] ? "true" : "false";
        break;
      case AttributeField::Kind::dtype:
        text += name_of(static_cast<DType>(attrs.ints[slot]));
        break;
    }
  }
  return text;
}

std::string to_string(const GraphData& graph) {
  const auto type = [&](ValueId id) { return type_name(graph.types[static_cast<std::size_t>(id)]); };
  std::string text;
  for (std::size_t i = 0; i < graph.inputs.size(); ++i)
    text +=
        "%" + std::to_string(graph.inputs[i]) + " = input " + std::to_string(i) + " : " + type(graph.inputs[i]) + "\n";
  for (const BoundValue& c : graph.captures)
    text += "%" + std::to_string(c.value) + " = captured : " + type(c.value) + "\n";
  for (const BoundValue& c : graph.constants) {
    text += "%" + std::to_string(c.value) + " = constant";
    if (c.tensor.size() == 1 && !c.tensor.symbolic()) text += " " + number(c.tensor.item());
    text += " : " + type(c.value) + "\n";
  }
  for (const Node& node : graph.nodes) {
    for (std::size_t j = 0; j < node.outputs.size(); ++j) text += (j ? ", %" : "%") + std::to_string(node.outputs[j]);
    text += (node.outputs.empty() ? "" : " = ") + std::string(node.op->name) + "(";
    for (std::size_t i = 0; i < node.inputs.size(); ++i) text += (i ? ", %" : "%") + std::to_string(node.inputs[i]);
    text += attributes_to_string(*node.op, node.attrs) + ")";
    for (std::size_t j = 0; j < node.outputs.size(); ++j) text += (j ? ", " : " : ") + type(node.outputs[j]);
    text += "  " + std::to_string(node_flops(graph, node)) + " FLOP";
    if (!node.scope.empty()) text += "  # " + node.scope;
    text += "\n";
  }
  text += "return";
  for (std::size_t i = 0; i < graph.outputs.size(); ++i) text += (i ? ", %" : " %") + std::to_string(graph.outputs[i]);
  for (const StateUpdate& update : graph.updates)
    text += "\nupdate " + type(update.value) + " <- %" + std::to_string(update.value);
  return text + "\n";
}

std::string Graph::str() const { return data_ ? to_string(*data_) : "(empty graph)\n"; }
std::size_t Graph::size() const { return data_ ? data_->nodes.size() : 0; }
std::int64_t Graph::flops() const {
  std::int64_t total = 0;
  if (data_)
    for (const Node& node : data_->nodes) total += node_flops(*data_, node);
  return total;
}

Graph trace(const Function& f, const std::vector<Tensor>& examples) {
  Types types;
  for (const Tensor& t : examples) types.push_back(type_of(t));
  return Graph(std::make_shared<GraphData>(trace_types(f, types)));
}

}  // namespace chainrule
