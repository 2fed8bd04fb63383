// What a graph looks like in words: names of values, expressions of nodes, and what a node costs.
#include "graph/view.hpp"

#include <algorithm>
#include <unordered_set>

#include "graph/call_rule.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

bool differentiable(const Op& op) { return op.derivative != Derivative::none && op.derivative != Derivative::zero; }

std::int64_t bytes_of_type(const TensorType& type) {
  return type.shape.size() * static_cast<std::int64_t>(size_of(type.dtype));
}

}  // namespace

std::int64_t node_flops(const GraphData& graph, const Node& node) {
  if (node.op->view) return 0;
  Types in, out;
  for (ValueId id : node.inputs) in.push_back(graph.types[index(id)]);
  for (ValueId id : node.outputs) out.push_back(graph.types[index(id)]);
  if (node.op->flops) return node.op->flops(in, out, node.attrs);
  if (out.empty()) return 0;
  return static_cast<std::int64_t>(node.op->flops_per_output * static_cast<double>(out[0].shape.size()));
}

std::vector<std::int64_t> saved_bytes(const GraphData& graph) {
  std::vector<char> active(graph.types.size(), 0), kept(graph.types.size(), 0);
  std::vector<ValueId> memory(graph.types.size());  // views share their operand's
  for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<ValueId>(i);
  for (ValueId id : graph.inputs) active[index(id)] = is_floating(graph.types[index(id)].dtype);
  for (const BoundValue& c : graph.captures) {
    active[index(c.value)] = is_floating(graph.types[index(c.value)].dtype);
    kept[index(c.value)] = 1;
  }
  for (const BoundValue& c : graph.constants) kept[index(c.value)] = 1;
  std::vector<std::int64_t> bytes;
  for (const Node& node : graph.nodes) {
    std::int64_t here = 0;
    const auto keep = [&](ValueId id) {
      const ValueId root = memory[index(id)];
      if (!kept[index(root)]) here += bytes_of_type(graph.types[index(root)]);
      kept[index(root)] = 1;
    };
    if (node.op->view) memory[index(node.outputs[0])] = memory[index(node.inputs[0])];
    bool reached = false;
    SaveMask saves = save_nothing;  // what the rules of those operands read that want a gradient
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      if (!active[index(node.inputs[i])]) continue;
      reached = true;
      saves |= node.op->saves & node.op->reads[std::min(i, node.op->reads.size() - 1)];
    }
    if (reached && differentiable(*node.op)) {
      for (std::size_t i = 0; i < node.inputs.size(); ++i)
        if (saves & save_input(static_cast<int>(i))) keep(node.inputs[i]);
      for (std::size_t j = 0; j < node.outputs.size(); ++j) {
        if (saves & (save_output << j)) keep(node.outputs[j]);
        active[index(node.outputs[j])] = is_floating(graph.types[index(node.outputs[j])].dtype);
      }
    }
    bytes.push_back(here);
  }
  return bytes;
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
        text += number_text(attrs.reals[slot], 6);
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

GraphText::GraphText(const GraphData& d, const GraphView& v)
    : data(d),
      view(v),
      names(v.names),
      kinds(d.types.size(), ValueKind::computed),
      saved(saved_bytes(d)),
      uses(d.types.size()) {
  names.resize(data.types.size());
  std::unordered_set<std::string> taken;
  for (std::string& given : names)  // two variables of one name, in two scopes
    if (!given.empty())
      while (!taken.insert(given).second) given += "'";
  const auto call = [&](ValueId id, const char* prefix, int& count) {
    std::string& own = names[index(id)];
    if (!own.empty()) return;
    do own = prefix + std::to_string(++count);
    while (!taken.insert(own).second);
  };
  int inputs = 0, captures = 0, constants = 0, computed = 0;
  if (data.inputs.size() == 1 && names[index(data.inputs[0])].empty() && taken.insert("x").second)
    names[index(data.inputs[0])] = "x";
  for (ValueId id : data.inputs) {
    kinds[index(id)] = ValueKind::input;
    call(id, "x", inputs);
  }
  for (const BoundValue& c : data.captures) {
    kinds[index(c.value)] = ValueKind::captured;
    call(c.value, "p", captures);
  }
  for (const BoundValue& c : data.constants) {
    kinds[index(c.value)] = ValueKind::constant;
    if (names[index(c.value)].empty() && literal(c.value))
      names[index(c.value)] = value_text(c.tensor);
    else
      call(c.value, "c", constants);
  }
  for (std::size_t n = 0; n < data.nodes.size(); ++n) {
    for (ValueId id : data.nodes[n].outputs) call(id, "v", computed);
    for (std::size_t i = 0; i < data.nodes[n].inputs.size(); ++i)
      uses[index(data.nodes[n].inputs[i])].emplace_back(n, i);
  }
  for (auto& all : uses) std::reverse(all.begin(), all.end());
  const auto any = [](const Tensors& t) {
    return std::any_of(t.begin(), t.end(), [](const Tensor& value) { return value.defined(); });
  };
  has_values = any(view.values);
  has_gradients = any(view.gradients);
}

std::string GraphText::type(ValueId id) const {
  const TensorType& t = data.types[index(id)];
  return t.shape.str() + " " + std::string(name_of(t.dtype));
}
Tensor GraphText::value(ValueId id) const { return view.values.empty() ? Tensor() : view.values[index(id)]; }
Tensor GraphText::gradient(ValueId id) const { return view.gradients.empty() ? Tensor() : view.gradients[index(id)]; }
Tensor GraphText::sent(std::size_t node, std::size_t operand) const {
  if (node >= view.sent.size() || operand >= view.sent[node].size()) return {};
  return view.sent[node][operand];
}

bool GraphText::output(ValueId id) const {
  return std::find(data.outputs.begin(), data.outputs.end(), id) != data.outputs.end();
}
Tensors GraphText::summands(ValueId id) const {
  Tensors parts;
  for (const auto& [node, operand] : uses[index(id)])
    if (sent(node, operand).defined()) parts.push_back(sent(node, operand));
  return parts;
}

bool GraphText::literal(ValueId id) const {
  if (kind(id) != ValueKind::constant || data.types[index(id)].shape.rank() != 0) return false;
  if (!view.names.empty() && !view.names[index(id)].empty()) return false;
  for (const BoundValue& c : data.constants)
    if (c.value == id) return c.tensor.defined() && !c.tensor.symbolic();
  return false;
}

std::string GraphText::expression(const Node& node) const {
  std::string attributes;
  for (const AttributeField& field : node.op->attributes) {
    // A flag that is off or a count of 0 says nothing; axis 0 does.
    const bool integer = field.kind == AttributeField::Kind::integer && std::string_view(field.name) != "axis";
    if ((integer || field.kind == AttributeField::Kind::flag) &&
        node.attrs.ints[static_cast<std::size_t>(field.slot)] == 0)
      continue;
    Op one;
    one.attributes = {field};
    attributes += attributes_to_string(one, node.attrs);
  }
  const std::string symbol(node.op->symbol);
  if (attributes.empty() && !symbol.empty()) {
    const auto operand = [&](std::size_t i) {
      const std::string& text = name(node.inputs[i]);
      return text[0] == '-' ? "(" + text + ")" : text;
    };
    if (node.inputs.size() == 2) return operand(0) + " " + symbol + " " + operand(1);
    if (node.inputs.size() == 1) return symbol + operand(0);
  }
  std::string text = (node.attrs.call ? node.attrs.call->name : std::string(node.op->name)) + "(";
  for (std::size_t i = 0; i < node.inputs.size(); ++i) text += (i ? ", " : "") + name(node.inputs[i]);
  return text + (node.inputs.empty() && !attributes.empty() ? attributes.substr(2) : attributes) + ")";
}

std::string GraphText::target(const StateUpdate& update) const {
  for (const BoundValue& c : data.captures)
    if (c.tensor.data_handle() == update.target.data_handle()) return name(c.value);
  return "state " + update.target.shape().str();
}

Graph trace(const Function& f, const std::vector<Tensor>& examples) {
  Types types;
  for (const Tensor& t : examples) types.push_back(type_of(t));
  const GraphData once = trace_types(f, types);
  const auto tracer = Tracer::create();
  const TraceScope recording(*tracer);
  Tensors inputs;
  for (const TensorType& type : types) inputs.push_back(tracer->input(type));
  tracer->set_outputs(f(inputs));
  check_same_trace(once, tracer->graph(), "trace");
  auto view = std::make_shared<GraphView>();
  view->tracer = tracer;
  return Graph(std::make_shared<GraphData>(tracer->take()), std::move(view));
}

}  // namespace chainrule
