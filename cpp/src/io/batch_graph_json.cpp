// A BatchGraph as JSON. Types are ["float32", [size, ...]]; a size or an integer is a number, or [a, b] for a*B + b, or
// null where it depends on B in another way.
#include "io/batch_graph_json.hpp"

#include <algorithm>
#include <cstring>
#include <set>

#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "io/file.hpp"

namespace chainrule::io {
namespace {

constexpr std::int64_t largest_number = std::int64_t{1} << 48;
constexpr std::int64_t most_values = 1 << 24;

Json affine_to_json(const Affine& f) { return f.a == 0 ? Json(f.b) : Json{f.a, f.b}; }

Affine affine_from_json(const JsonView& view) {
  if (!view.is_array()) return {0, view.integer(-largest_number, largest_number)};
  if (view.size() != 2) view.fail("should be a number or [a, b]");
  return {view.at(0).integer(-largest_number, largest_number), view.at(1).integer(-largest_number, largest_number)};
}

Json value_to_json(const BatchValue& value) {
  Json shape = Json::array();
  for (const auto& size : value.shape) shape.push_back(size ? affine_to_json(*size) : Json());
  return Json::array({std::string(name_of(value.dtype)), std::move(shape)});
}

DType dtype_from_json(const JsonView& view) {
  for (int i = 0; i < dtype_count; ++i)
    if (name_of(static_cast<DType>(i)) == view.string()) return static_cast<DType>(i);
  view.fail("is no dtype: " + in_quotes(view.string()));
}

BatchValue value_from_json(const JsonView& view) {
  if (view.size() != 2) view.fail("should be [dtype, shape]");
  BatchValue value{dtype_from_json(view.at(0)), {}};
  const JsonView shape = view.at(1);
  if (shape.size() > Shape::max_rank) shape.fail("has more than 8 sizes");
  for (const JsonView& size : shape.items())
    value.shape.push_back(size.is_null() ? std::optional<Affine>() : std::optional<Affine>(affine_from_json(size)));
  return value;
}

Json attributes_to_json(const Op& op, const BatchAttrs& attrs) {
  Json all = Json::object();
  for (const AttributeField& field : op.attributes) {
    const auto slot = static_cast<std::size_t>(field.slot);
    Json& value = all[field.name];
    switch (field.kind) {
      case AttributeField::Kind::list:
        value = Json::array();
        for (const Affine& f : attrs.lists[slot]) value.push_back(affine_to_json(f));
        break;
      case AttributeField::Kind::real:
        value = real_to_json(attrs.reals[slot]);
        break;
      case AttributeField::Kind::integer:
        value = affine_to_json(attrs.ints[slot]);
        break;
      case AttributeField::Kind::flag:
        value = attrs.ints[slot].b != 0;
        break;
      case AttributeField::Kind::dtype:
        value = std::string(name_of(static_cast<DType>(attrs.ints[slot].b)));
        break;
    }
  }
  return all;
}

BatchAttrs attributes_from_json(const Op& op, const JsonView& view) {
  if (!view.is_object() || view.json().size() != op.attributes.size())
    view.fail("should hold the " + std::to_string(op.attributes.size()) + " attributes of " + std::string(op.name));
  BatchAttrs attrs;
  for (const AttributeField& field : op.attributes) {
    const auto slot = static_cast<std::size_t>(field.slot);
    const JsonView value = view[field.name];
    switch (field.kind) {
      case AttributeField::Kind::list:
        if (value.size() > Dims::max_rank) value.fail("has more than 8 entries");
        for (const JsonView& item : value.items()) attrs.lists[slot].push_back(affine_from_json(item));
        break;
      case AttributeField::Kind::real:
        attrs.reals[slot] = value.real();
        break;
      case AttributeField::Kind::integer:
        attrs.ints[slot] = affine_from_json(value);
        break;
      case AttributeField::Kind::flag:
        attrs.ints[slot].b = value.boolean();
        break;
      case AttributeField::Kind::dtype:
        attrs.ints[slot].b = static_cast<std::int64_t>(dtype_from_json(value));
        break;
    }
  }
  return attrs;
}

// A single number is written into the graph itself.
bool is_inline(const Tensor& t) { return t.rank() == 0 && t.dtype() != DType::bfloat16; }

Json number_to_json(const Tensor& t) {
  switch (t.dtype()) {
    case DType::int64:
      return *t.data<std::int64_t>();
    case DType::boolean:
      return *t.data<bool>();
    case DType::int32:
    case DType::uint8:
      return static_cast<std::int64_t>(t.item());
    default:
      return real_to_json(t.item());
  }
}

Tensor number_from_json(const JsonView& view, DType dtype) {
  switch (dtype) {
    case DType::int64: {
      const std::int64_t value = view.integer();
      return Tensor::from_raw(&value, 1, {}, DType::int64);
    }
    case DType::boolean:
      return Tensor::full({}, view.boolean() ? 1.0 : 0.0, dtype);
    case DType::int32:
      return Tensor::full({}, static_cast<double>(view.integer(INT32_MIN, INT32_MAX)), dtype);
    case DType::uint8:
      return Tensor::full({}, static_cast<double>(view.integer(0, 255)), dtype);
    default:
      return Tensor::full({}, view.real(), dtype);
  }
}

ValueId id_from_json(const JsonView& view, std::size_t values) {
  return static_cast<ValueId>(view.integer(0, static_cast<std::int64_t>(values) - 1));
}

// Each value is defined once, and before it is read.
class Definitions {
 public:
  explicit Definitions(std::size_t values) : defined_(values, 0) {}
  ValueId define(const JsonView& view) {
    const ValueId id = id_from_json(view, defined_.size());
    if (defined_[static_cast<std::size_t>(id)]++) view.fail("value " + std::to_string(id) + " is defined twice");
    return id;
  }
  ValueId use(const JsonView& view) const {
    const ValueId id = id_from_json(view, defined_.size());
    if (!defined_[static_cast<std::size_t>(id)])
      view.fail("value " + std::to_string(id) + " is read before it is defined");
    return id;
  }
  void check_all(const JsonView& view) const {
    const auto gap = std::find(defined_.begin(), defined_.end(), 0);
    if (gap != defined_.end()) view.fail("value " + std::to_string(gap - defined_.begin()) + " is never defined");
  }

 private:
  std::vector<char> defined_;
};

constexpr int deepest_call = 16;

BatchGraph any_graph_from_json(const JsonView& view, const std::map<std::string, Tensor>& constants, int depth);

std::shared_ptr<const BatchCall> call_from_json(const JsonView& view, std::size_t operands,
                                                const std::map<std::string, Tensor>& constants, int depth) {
  if (depth > deepest_call) view.fail("is nested too deeply");
  view.only({"name", "primals", "value"}, {"vjp", "jvp"});
  BatchCall call{view["name"].string(),
                 static_cast<std::size_t>(view["primals"].integer(0, static_cast<std::int64_t>(operands))),
                 any_graph_from_json(view["value"], constants, depth)};
  if (view.has("vjp")) call.vjp = any_graph_from_json(view["vjp"], constants, depth);
  if (view.has("jvp")) call.jvp = any_graph_from_json(view["jvp"], constants, depth);
  if (!call.vjp && !call.jvp) view.fail("has neither \"vjp\" nor \"jvp\"");
  const auto check = [&](const char* part, const BatchGraph& graph, std::size_t inputs, std::size_t outputs) {
    if (graph.inputs.size() != inputs || graph.outputs.size() != outputs)
      view[part].fail("should take " + std::to_string(inputs) + " and give " + std::to_string(outputs));
  };
  check("value", call.value, operands, call.value.outputs.size());
  if (call.vjp) check("vjp", *call.vjp, operands + call.value.outputs.size(), call.primals);
  if (call.jvp) check("jvp", *call.jvp, operands + call.primals, call.value.outputs.size());
  return std::make_shared<const BatchCall>(std::move(call));
}

BatchNode node_from_json(const JsonView& view, Definitions& definitions, const std::map<std::string, Tensor>& constants,
                         int depth) {
  view.only({"op", "version", "inputs", "outputs"}, {"attributes", "scope", "call"});
  BatchNode node;
  const std::string& name = view["op"].string();
  node.op = find_op_or_null(name);
  if (node.op == nullptr)
    view["op"].fail("there is no op " + in_quotes(name) + "; the file may come from a newer chainrule");
  const Op& op = *node.op;
  if (!op.pure || op.inplace_pairs) view["op"].fail("the op " + in_quotes(name) + " cannot be part of a model file");
  const std::int64_t version = view["version"].integer(1, INT32_MAX);
  if (version > op.version)
    view["version"].fail("version " + std::to_string(version) + " of " + name + " is newer than this chainrule's " +
                         std::to_string(op.version));
  const auto inputs = view["inputs"].items();
  if (static_cast<int>(inputs.size()) < op.min_inputs || static_cast<int>(inputs.size()) > op.max_inputs)
    view["inputs"].fail(name + " does not take " + std::to_string(inputs.size()));
  for (const JsonView& input : inputs) node.inputs.push_back(definitions.use(input));
  const auto outputs = view["outputs"].items();
  if (view.has("call") != (op.run != nullptr)) view.fail("only the op \"call\" has a \"call\"");
  if (view.has("call")) {
    node.call = call_from_json(view["call"], inputs.size(), constants, depth + 1);
    if (outputs.size() != node.call->value.outputs.size()) view["outputs"].fail("are not those of the call");
  } else if (static_cast<int>(outputs.size()) != op.outputs)
    view["outputs"].fail(name + " does not give " + std::to_string(outputs.size()));
  for (const JsonView& output : outputs) node.outputs.push_back(definitions.define(output));
  if (view.has("attributes"))
    node.attrs = attributes_from_json(op, view["attributes"]);
  else if (!op.attributes.empty())
    view.fail("has no \"attributes\"");
  if (view.has("scope")) node.scope = view["scope"].string();
  return node;
}

}  // namespace

std::string ConstantStore::add(const Tensor& constant) {
  for (const nn::NamedTensor& known : tensors_)
    if (type_of(known.tensor) == type_of(constant) &&
        std::memcmp(known.tensor.raw_data(), constant.raw_data(),
                    static_cast<std::size_t>(constant.size()) * size_of(constant.dtype())) == 0)
      return known.name;
  tensors_.push_back({std::string(constant_prefix) + std::to_string(tensors_.size()), constant});
  return tensors_.back().name;
}

Json graph_to_json(const BatchGraph& graph, ConstantStore& store) {
  Json values = Json::array(), nodes = Json::array(), tensors = Json::array(), constants = Json::array(),
       updates = Json::array();
  for (const BatchValue& value : graph.values) values.push_back(value_to_json(value));
  for (const auto& [id, path] : graph.tensors) tensors.push_back({id, path});
  for (const BoundValue& constant : graph.constants)
    constants.push_back({constant.value, is_inline(constant.tensor) ? number_to_json(constant.tensor)
                                                                    : Json{{"tensor", store.add(constant.tensor)}}});
  for (const BatchNode& node : graph.nodes) {
    Json json{{"op", std::string(node.op->name)},
              {"version", node.op->version},
              {"inputs", node.inputs},
              {"outputs", node.outputs}};
    if (!node.op->attributes.empty()) json["attributes"] = attributes_to_json(*node.op, node.attrs);
    if (!node.scope.empty()) json["scope"] = node.scope;
    if (node.call) {
      Json& call = json["call"];
      call = {{"name", node.call->name},
              {"primals", node.call->primals},
              {"value", graph_to_json(node.call->value, store)}};
      if (node.call->vjp) call["vjp"] = graph_to_json(*node.call->vjp, store);
      if (node.call->jvp) call["jvp"] = graph_to_json(*node.call->jvp, store);
    }
    nodes.push_back(std::move(json));
  }
  for (const auto& [path, id] : graph.updates) updates.push_back({path, id});
  Json json{{"values", std::move(values)},
            {"inputs", graph.inputs},
            {"tensors", std::move(tensors)},
            {"nodes", std::move(nodes)},
            {"outputs", graph.outputs}};
  if (graph.rng != no_value) json["rng"] = graph.rng;
  if (!constants.empty()) json["constants"] = std::move(constants);
  if (!updates.empty()) json["updates"] = std::move(updates);
  return json;
}

namespace {
BatchGraph any_graph_from_json(const JsonView& view, const std::map<std::string, Tensor>& constants, int depth) {
  view.only({"values", "inputs", "tensors", "nodes", "outputs"}, {"rng", "constants", "updates"});
  BatchGraph graph;
  const JsonView values = view["values"];
  if (values.size() > static_cast<std::size_t>(most_values)) values.fail("has too many entries");
  graph.values.reserve(values.size());
  for (const JsonView& value : values.items()) graph.values.push_back(value_from_json(value));
  Definitions definitions(graph.values.size());
  const auto value_at = [&](ValueId id) -> const BatchValue& { return graph.values[static_cast<std::size_t>(id)]; };

  for (const JsonView& input : view["inputs"].items()) {
    graph.inputs.push_back(definitions.define(input));
    if (depth > 0) continue;  // of a call: any types, which the caller's operands decide
    const BatchValue& value = value_at(graph.inputs.back());
    bool fits = !value.shape.empty() && value.shape[0] == Affine{1, 0};
    for (std::size_t i = 1; i < value.shape.size(); ++i)
      fits = fits && value.shape[i] && value.shape[i]->a == 0 && value.shape[i]->b >= 0;
    if (!fits) input.fail("the shape of an input should be B and fixed sizes");
  }
  if (graph.inputs.empty() && depth == 0) view["inputs"].fail("is empty");
  if (view.has("rng")) graph.rng = definitions.define(view["rng"]);
  for (const JsonView& tensor : view["tensors"].items()) {
    if (tensor.size() != 2) tensor.fail("should be [value, path]");
    graph.tensors.emplace_back(definitions.define(tensor.at(0)), tensor.at(1).string());
  }
  if (view.has("constants")) {
    for (const JsonView& constant : view["constants"].items()) {
      if (constant.size() != 2) constant.fail("should be [value, constant]");
      const ValueId id = definitions.define(constant.at(0));
      const JsonView content = constant.at(1);
      Tensor tensor;
      if (content.is_object()) {
        content.only({"tensor"});
        const auto found = constants.find(content["tensor"].string());
        if (found == constants.end()) content.fail("there is no tensor " + in_quotes(content["tensor"].string()));
        tensor = found->second;
      } else {
        tensor = number_from_json(content, value_at(id).dtype);
        tensor.data_handle()->constant = true;
      }
      graph.constants.push_back({id, std::move(tensor)});
    }
  }
  const auto nodes = view["nodes"].items();
  graph.nodes.reserve(nodes.size());
  for (const JsonView& node : nodes) graph.nodes.push_back(node_from_json(node, definitions, constants, depth));
  for (const JsonView& output : view["outputs"].items()) graph.outputs.push_back(definitions.use(output));
  if (graph.outputs.empty()) view["outputs"].fail("is empty");
  if (view.has("updates")) {
    for (const JsonView& update : view["updates"].items()) {
      if (update.size() != 2) update.fail("should be [path, value]");
      graph.updates.emplace_back(update.at(0).string(), definitions.use(update.at(1)));
    }
  }
  if (depth > 0 && (!graph.tensors.empty() || !graph.updates.empty() || graph.rng != no_value))
    view.fail("a call's graph should refer to constants only");
  definitions.check_all(values);
  return graph;
}
}  // namespace

BatchGraph graph_from_json(const JsonView& view, const std::map<std::string, Tensor>& constants) {
  return any_graph_from_json(view, constants, 0);
}

void check_types(const BatchGraph& graph, const JsonView& view, std::span<const TensorType> tensors) {
  for (const std::int64_t batch : traced_batches) {
    Types inputs, constants;
    for (const ValueId id : graph.inputs) {
      const BatchValue& value = graph.values[static_cast<std::size_t>(id)];
      TensorType& type = inputs.emplace_back(TensorType{value.dtype, {}});
      for (const auto& size : value.shape) type.shape.push_back(size->at(batch));
      type.shape.checked_size("input");
    }
    for (const BoundValue& constant : graph.constants) constants.push_back(type_of(constant.tensor));
    const BatchPlan plan = plan_batch(graph, batch, inputs, tensors, constants);
    for (std::size_t v = 0; v < graph.values.size(); ++v) {
      const BatchValue& value = graph.values[v];
      bool equal =
          value.dtype == plan.types[v].dtype && static_cast<int>(value.shape.size()) == plan.types[v].shape.rank();
      for (std::size_t i = 0; equal && i < value.shape.size(); ++i)
        equal = !value.shape[i] || value.shape[i]->at(batch) == plan.types[v].shape[static_cast<int>(i)];
      if (!equal)
        view["values"].at(v).fail("the stored type is not what the ops give at batch size " + std::to_string(batch) +
                                  ": " + std::string(name_of(plan.types[v].dtype)) + " " + plan.types[v].shape.str());
    }
  }
}

}  // namespace chainrule::io
