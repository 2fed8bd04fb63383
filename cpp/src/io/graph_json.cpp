// A Graph as JSON, for other programs to read. docs/differentiation.md tells the members.
#include "graph/view.hpp"
#include "io/json.hpp"

namespace chainrule {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::int64_t most_elements = 1024;  // of a value written in full

Json real(double value) { return Json(io::real_to_json(value)); }

Json numbers(const Tensor& t) {
  Json all = Json::array();
  if (t.size() > most_elements) return nullptr;
  for (std::int64_t i = 0; i < t.size(); ++i) {
    if (t.dtype() == DType::boolean)
      all.push_back(element(t, i) != 0);
    else if (is_floating(t.dtype()))
      all.push_back(real(element(t, i)));
    else
      all.push_back(static_cast<std::int64_t>(element(t, i)));
  }
  return all;
}

Json attributes(const Op& op, const Attrs& attrs) {
  Json all = Json::object();
  for (const AttributeField& field : op.attributes) {
    const auto slot = static_cast<std::size_t>(field.slot);
    Json& value = all[field.name];
    switch (field.kind) {
      case AttributeField::Kind::list:
        value = std::vector<std::int64_t>(attrs.lists[slot].begin(), attrs.lists[slot].end());
        break;
      case AttributeField::Kind::real:
        value = real(attrs.reals[slot]);
        break;
      case AttributeField::Kind::integer:
        value = attrs.ints[slot];
        break;
      case AttributeField::Kind::flag:
        value = attrs.ints[slot] != 0;
        break;
      case AttributeField::Kind::dtype:
        value = std::string(name_of(static_cast<DType>(attrs.ints[slot])));
        break;
    }
  }
  return all;
}

}  // namespace

std::string Graph::to_json() const {
  std::string text = "{\"format\": \"chainrule-graph\", \"version\": 1";
  const auto member = [&](const char* name, const Json& value) {
    text += std::string(",\n\"") + name + "\": ";
    if (!value.is_array() || value.empty() || !value[0].is_object()) {
      text += value.dump();
      return;
    }
    for (std::size_t i = 0; i < value.size(); ++i)  // an object per line
      text += (i ? ",\n  " : "[\n  ") + value[i].dump(-1, ' ', false, Json::error_handler_t::replace);
    text += "]";
  };
  const GraphData nothing{};
  const GraphText g(data_ ? *data_ : nothing, view());
  constexpr const char* kinds[] = {"input", "captured", "constant", "computed"};
  Json values = Json::array(), nodes = Json::array(), updates = Json::array();
  for (std::size_t i = 0; i < g.data.types.size(); ++i) {
    const auto id = static_cast<ValueId>(i);
    const TensorType& type = g.data.types[i];
    Json value;
    value["id"] = id;
    value["name"] = g.name(id);
    value["kind"] = kinds[static_cast<std::size_t>(g.kind(id))];
    value["dtype"] = std::string(name_of(type.dtype));
    value["shape"] = std::vector<std::int64_t>(type.shape.begin(), type.shape.end());
    if (const Tensor t = g.value(id); t.defined()) value["value"] = numbers(t);
    if (const Tensor t = g.gradient(id); t.defined()) value["gradient"] = numbers(t);
    values.push_back(std::move(value));
  }
  for (std::size_t n = 0; n < g.data.nodes.size(); ++n) {
    const Node& from = g.data.nodes[n];
    Json node;
    node["op"] = std::string(from.op->name);
    node["inputs"] = from.inputs;
    node["outputs"] = from.outputs;
    node["attributes"] = attributes(*from.op, from.attrs);
    node["module"] = from.scope;
    node["flops"] = node_flops(g.data, from);
    node["saved_bytes"] = g.saved[n];
    if (g.has_gradients) {
      node["sent"] = Json::array();
      for (std::size_t i = 0; i < from.inputs.size(); ++i) {
        const Tensor t = g.sent(n, i);
        node["sent"].push_back(t.defined() ? numbers(t) : Json(nullptr));
      }
    }
    nodes.push_back(std::move(node));
  }
  for (const StateUpdate& update : g.data.updates)
    updates.push_back(Json{{"target", g.target(update)}, {"value", update.value}});
  member("values", values);
  member("nodes", nodes);
  member("outputs", Json(g.data.outputs));
  member("updates", updates);
  member("flops", Json(flops()));
  member("saved_bytes", Json(saved_bytes()));
  return text + "}";
}

}  // namespace chainrule
