// Tracing a model for a file: three graphs of three batch sizes become one whose sizes are a*B + b.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "core/fail.hpp"
#include "graph/call_rule.hpp"
#include "graph/tensor_data.hpp"
#include "io/batch_graph.hpp"
#include "io/number_text.hpp"
#include "ops/random_scope.hpp"

namespace chainrule::io {
namespace {

constexpr const char* writer = "save";
constexpr std::int64_t largest_in_list = std::int64_t{1} << 48;

// One trace with its values numbered as BatchGraph numbers them, and what it captures sorted into paths and constants.
struct Trace {
  GraphData graph;
  std::vector<std::string> paths;  // of graph.captures
  std::vector<std::string> updated;
  ValueId rng = no_value;
};

class Renumber {
 public:
  // counter: whether the last input is the random one.
  Renumber(const GraphData& from, const PathOf& path_of, bool counter)
      : from_(from), path_of_(path_of), counter_(counter), ids_(from.types.size(), no_value) {
    for (const BoundValue& c : from.captures) bound_.emplace_back(c.value, c.tensor);
    for (const BoundValue& c : from.constants) bound_.emplace_back(c.value, c.tensor);
    for (std::size_t i = 0; i < bound_.size(); ++i) at_[bound_[i].first] = i;
  }

  Trace run() {
    for (std::size_t i = 0; i < from_.inputs.size() - (counter_ ? 1 : 0); ++i)
      trace_.graph.inputs.push_back(fresh(from_.inputs[i]));
    for (const Node& node : from_.nodes) {
      Node copy{node.op, {}, {}, node.attrs, node.scope};
      for (const ValueId id : node.inputs) copy.inputs.push_back(operand(id));
      for (const ValueId id : node.outputs) copy.outputs.push_back(fresh(id));
      trace_.graph.nodes.push_back(std::move(copy));
    }
    for (const ValueId id : from_.outputs) trace_.graph.outputs.push_back(operand(id));
    for (const StateUpdate& update : from_.updates) {
      const std::string* path = path_of_(update.target);
      if (path == nullptr)
        fail<StateError>(writer, "the model updates a tensor that is no buffer of it", update.target.shape().str(),
                         "register it with add_buffer");
      trace_.updated.push_back(*path);
      trace_.graph.updates.push_back({update.target, operand(update.value)});
    }
    return std::move(trace_);
  }

 private:
  ValueId fresh(ValueId id) {
    return ids_[static_cast<std::size_t>(id)] = trace_.graph.add_value(from_.types[static_cast<std::size_t>(id)]);
  }

  ValueId operand(ValueId id) {
    if (const ValueId known = ids_[static_cast<std::size_t>(id)]; known != no_value) return known;
    const ValueId to = fresh(id);
    if (counter_ && id == from_.inputs.back()) return trace_.rng = to;
    const Tensor& tensor = bound_[at_.at(id)].second;
    if (const std::string* path = path_of_(tensor)) {
      trace_.graph.captures.push_back({to, tensor});
      trace_.paths.push_back(*path);
      return to;
    }
    if (tensor.data_handle()->node)
      fail<StateError>(writer, "the model uses a value that was computed from parameters before the input came in",
                       "shape is " + tensor.shape().str(), "write (x @ w) * 2 instead of x @ (w * 2)");
    if (tensor.requires_grad())
      fail<StateError>(writer, "the model uses a tensor that wants gradients but is no parameter of it",
                       "shape is " + tensor.shape().str(), "register it: add_parameter, in Python nn.Parameter");
    trace_.graph.constants.push_back({to, tensor});
    return to;
  }

  const GraphData& from_;
  const PathOf& path_of_;
  bool counter_;
  std::vector<ValueId> ids_;
  std::vector<std::pair<ValueId, Tensor>> bound_;
  std::unordered_map<ValueId, std::size_t> at_;
  Trace trace_;
};

std::string where(const Node& node) { return node.scope.empty() ? std::string() : "model." + node.scope + ": "; }

using Traces = std::array<Trace, 3>;

std::string at_batches(const std::array<std::string, 3>& texts) {
  std::string all;
  for (std::size_t i = 0; i < 3; ++i)
    all += (i ? ", " : "") + texts[i] + " at batch " + std::to_string(traced_batches[i]);
  return all;
}

[[noreturn]] void other_structure(const std::string& what, const std::array<std::string, 3>& texts) {
  fail<ValueError>(writer, what + " differs with the batch size", at_batches(texts),
                   "a file serves every batch size: write the model without loops or branches over x.shape[0]");
}

std::string constant_text(const Tensor& t) {
  if (t.size() == 1 && t.dtype() != DType::bfloat16) return number_text(t.item());
  return std::string(name_of(t.dtype())) + " " + t.shape().str();
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return type_of(a) == type_of(b) &&
         std::memcmp(a.raw_data(), b.raw_data(), static_cast<std::size_t>(a.size()) * size_of(a.dtype())) == 0;
}

[[noreturn]] void moving_constant(const Traces& traces, std::size_t index) {
  std::array<std::string, 3> texts;
  bool batch_size = true, same_type = true;
  for (std::size_t t = 0; t < 3; ++t) {
    const Tensor& value = traces[t].graph.constants[index].tensor;
    texts[t] = constant_text(value);
    same_type = same_type && type_of(value) == type_of(traces[0].graph.constants[index].tensor);
    batch_size = batch_size && value.size() == 1 && value.dtype() != DType::bfloat16 &&
                 std::fmod(value.item(), static_cast<double>(traced_batches[t])) == 0.0;
  }
  const ValueId id = traces[0].graph.constants[index].value;
  std::string reader = "an output is";
  for (const Node& node : traces[0].graph.nodes)
    if (std::find(node.inputs.begin(), node.inputs.end(), id) != node.inputs.end()) {
      reader = where(node) + std::string(node.op->name) + " computes with";
      break;
    }
  if (batch_size)
    fail<ValueError>(writer, reader + " a batch size that became a constant", at_batches(texts),
                     "write mean(...) instead of sum(...) / x.shape[0]");
  if (!same_type)
    fail<ValueError>(writer, reader + " a constant array that grows with the batch", at_batches(texts),
                     "make it from the input, for instance x * 0, or let it broadcast");
  fail<ValueError>(writer, reader + " a constant that is another one in every trace", at_batches(texts),
                   "random numbers and clocks are frozen when traced: use dropout, or register the array as a buffer");
}

void check_structure(const Traces& traces) {
  const auto counts = [&](const char* what, auto&& count) {
    std::array<std::size_t, 3> n{count(traces[0]), count(traces[1]), count(traces[2])};
    if (n[0] != n[1] || n[0] != n[2])
      other_structure(what, {std::to_string(n[0]), std::to_string(n[1]), std::to_string(n[2])});
  };
  counts("the number of ops", [](const Trace& t) { return t.graph.nodes.size(); });
  for (std::size_t i = 0; i < traces[0].graph.nodes.size(); ++i) {
    const auto node = [&](std::size_t t) -> const Node& { return traces[t].graph.nodes[i]; };
    for (std::size_t t = 1; t < 3; ++t)
      if (node(t).op != node(0).op || node(t).inputs != node(0).inputs || node(t).outputs != node(0).outputs ||
          node(t).scope != node(0).scope)
        other_structure(where(node(0)) + "what is computed",
                        {std::string(node(0).op->name), std::string(node(1).op->name), std::string(node(2).op->name)});
  }
  counts("the number of outputs", [](const Trace& t) { return t.graph.outputs.size(); });
  counts("the number of constants", [](const Trace& t) { return t.graph.constants.size(); });
  counts("the number of values", [](const Trace& t) { return t.graph.types.size(); });
  for (std::size_t t = 1; t < 3; ++t) {
    if (traces[t].paths != traces[0].paths || traces[t].updated != traces[0].updated ||
        traces[t].rng != traces[0].rng || traces[t].graph.outputs != traces[0].graph.outputs)
      other_structure("which tensors are used",
                      {"one set", t == 1 ? "another" : "the same", t == 2 ? "another" : "the same"});
    for (std::size_t k = 0; k < traces[0].graph.constants.size(); ++k)
      if (!same_bits(traces[t].graph.constants[k].tensor, traces[0].graph.constants[k].tensor))
        moving_constant(traces, k);
    for (std::size_t k = 0; k < traces[0].graph.updates.size(); ++k)
      if (traces[t].graph.updates[k].value != traces[0].graph.updates[k].value)
        other_structure("a running statistic", {"one value", "another", "another"});
  }
}

// The a*B + b through the three values, if there is one.
std::optional<Affine> affine_through(std::int64_t v0, std::int64_t v1, std::int64_t v2) {
  static_assert(traced_batches[0] == 2 && traced_batches[1] == 3 && traced_batches[2] == 5);
  Affine f;
  std::int64_t b = 0;
  if (__builtin_sub_overflow(v1, v0, &f.a) || __builtin_mul_overflow(f.a, traced_batches[0], &b) ||
      __builtin_sub_overflow(v0, b, &f.b))
    return {};
  std::int64_t last = 0;
  if (__builtin_mul_overflow(f.a, traced_batches[2], &last) || __builtin_add_overflow(last, f.b, &last) || last != v2)
    return {};
  return f;
}

BatchAttrs merge_attrs(const std::array<const Node*, 3>& nodes) {
  const Op& op = *nodes[0]->op;
  const auto refuse = [&](const char* name, const std::array<std::string, 3>& texts) {
    fail<ValueError>(
        writer,
        where(*nodes[0]) + std::string(op.name) + "'s attribute " + name + " does not grow evenly with the batch size",
        at_batches(texts), "a file serves every batch size: compute with sizes that are a * batch + b");
  };
  BatchAttrs merged;
  for (const AttributeField& field : op.attributes) {
    const auto slot = static_cast<std::size_t>(field.slot);
    if (field.kind == AttributeField::Kind::real) {
      const auto value = [&](std::size_t t) { return nodes[t]->attrs.reals[slot]; };
      for (std::size_t t = 1; t < 3; ++t)
        if (std::bit_cast<std::uint64_t>(value(t)) != std::bit_cast<std::uint64_t>(value(0)))
          refuse(field.name, {number_text(value(0)), number_text(value(1)), number_text(value(2))});
      merged.reals[slot] = value(0);
    } else if (field.kind == AttributeField::Kind::list) {
      const auto list = [&](std::size_t t) -> const Dims& { return nodes[t]->attrs.lists[slot]; };
      const auto texts = [&] { return std::array<std::string, 3>{list(0).str(), list(1).str(), list(2).str()}; };
      if (list(1).rank() != list(0).rank() || list(2).rank() != list(0).rank()) refuse(field.name, texts());
      for (int i = 0; i < list(0).rank(); ++i) {
        const auto f = affine_through(list(0)[i], list(1)[i], list(2)[i]);
        if (!f) refuse(field.name, texts());
        merged.lists[slot].push_back(*f);
      }
    } else {
      const auto value = [&](std::size_t t) { return nodes[t]->attrs.ints[slot]; };
      const auto f = affine_through(value(0), value(1), value(2));
      if (!f) refuse(field.name, {std::to_string(value(0)), std::to_string(value(1)), std::to_string(value(2))});
      merged.ints[slot] = *f;
    }
  }
  return merged;
}

BatchValue merge_type(const std::array<const TensorType*, 3>& types, const char* what) {
  for (std::size_t t = 1; t < 3; ++t)
    if (types[t]->dtype != types[0]->dtype || types[t]->shape.rank() != types[0]->shape.rank())
      other_structure(what, {types[0]->shape.str(), types[1]->shape.str(), types[2]->shape.str()});
  BatchValue value{types[0]->dtype, {}};
  for (int i = 0; i < types[0]->shape.rank(); ++i)
    value.shape.push_back(affine_through(types[0]->shape[i], types[1]->shape[i], types[2]->shape[i]));
  return value;
}

}  // namespace

int stream_slot(const Op& op) {
  for (const AttributeField& field : op.attributes)
    if (field.kind == AttributeField::Kind::integer && std::string_view(field.name) == "stream") return field.slot;
  return -1;
}

bool attributes_fit(const Op& op, const Attrs& attrs) {
  Attrs rest = attrs;
  for (const AttributeField& field : op.attributes) {
    const auto slot = static_cast<std::size_t>(field.slot);
    switch (field.kind) {
      case AttributeField::Kind::real:
        rest.reals[slot] = 0.0;
        break;
      case AttributeField::Kind::list: {
        std::int64_t product = 1;
        for (const std::int64_t v : attrs.lists[slot])
          if (v > largest_in_list || v < -largest_in_list ||
              __builtin_mul_overflow(product, std::max<std::int64_t>(std::abs(v), 1), &product))
            return false;
        rest.lists[slot] = Dims{};
        break;
      }
      case AttributeField::Kind::integer:
        if (attrs.ints[slot] > INT32_MAX || attrs.ints[slot] < INT32_MIN) return false;
        rest.ints[slot] = 0;
        break;
      case AttributeField::Kind::flag:
        if (attrs.ints[slot] != 0 && attrs.ints[slot] != 1) return false;
        rest.ints[slot] = 0;
        break;
      case AttributeField::Kind::dtype:
        if (attrs.ints[slot] < 0 || attrs.ints[slot] >= dtype_count) return false;
        rest.ints[slot] = 0;
        break;
    }
  }
  return rest == Attrs{};
}

namespace {

BatchGraph merged(const Traces& traces, const PathOf& path_of);

// The function that node i calls, and its rules.
std::shared_ptr<const BatchCall> merged_call(const Traces& traces, std::size_t i, const PathOf& path_of) {
  std::array<const CallRule*, 3> rules{};
  for (std::size_t t = 0; t < 3; ++t) rules[t] = traces[t].graph.nodes[i].attrs.call.get();
  const auto part = [&](const auto& graph_of) {
    Traces parts;
    for (std::size_t t = 0; t < 3; ++t) parts[t] = Renumber(graph_of(*rules[t]), path_of, false).run();
    return merged(parts, path_of);
  };
  BatchCall call{rules[0]->name, rules[0]->primals, part([](const CallRule& r) { return r.primal; })};
  if (rules[0]->vjp_graph) call.vjp = part([](const CallRule& r) { return *r.vjp_graph; });
  if (rules[0]->jvp_graph) call.jvp = part([](const CallRule& r) { return *r.jvp_graph; });
  return std::make_shared<const BatchCall>(std::move(call));
}

BatchGraph merged(const Traces& traces, const PathOf& path_of) {
  check_structure(traces);

  BatchGraph graph;
  const GraphData& first = traces[0].graph;
  const auto name_of_value = [&](std::size_t v) {
    for (const Node& node : first.nodes)
      if (std::find(node.outputs.begin(), node.outputs.end(), static_cast<ValueId>(v)) != node.outputs.end())
        return where(node) + "the result of " + std::string(node.op->name);
    return std::string("a value");
  };
  for (std::size_t v = 0; v < first.types.size(); ++v)
    graph.values.push_back(
        merge_type({&first.types[v], &traces[1].graph.types[v], &traces[2].graph.types[v]}, name_of_value(v).c_str()));
  graph.inputs = first.inputs;
  graph.rng = traces[0].rng;
  for (std::size_t i = 0; i < first.captures.size(); ++i)
    graph.tensors.emplace_back(first.captures[i].value, traces[0].paths[i]);
  graph.constants = first.constants;
  for (std::size_t i = 0; i < first.nodes.size(); ++i) {
    const Node& node = first.nodes[i];
    if (node.attrs.call) {
      graph.nodes.push_back({node.op, node.inputs, node.outputs, {}, node.scope, merged_call(traces, i, path_of)});
      continue;
    }
    for (const Trace& trace : traces)
      if (!attributes_fit(*node.op, trace.graph.nodes[i].attrs))
        fail<StateError>(writer, where(node) + std::string(node.op->name) + " has attributes a file cannot hold",
                         attributes_to_string(*node.op, trace.graph.nodes[i].attrs));
    if (!node.op->pure || node.op->inplace_pairs)
      fail<StateError>(writer, where(node) + std::string(node.op->name) + " cannot be part of a model file");
    graph.nodes.push_back({node.op, node.inputs, node.outputs,
                           merge_attrs({&node, &traces[1].graph.nodes[i], &traces[2].graph.nodes[i]}), node.scope});
  }
  graph.outputs = first.outputs;
  for (std::size_t i = 0; i < first.updates.size(); ++i)
    graph.updates.emplace_back(traces[0].updated[i], first.updates[i].value);
  return graph;
}

}  // namespace

BatchGraph trace_batches(const Function& f, std::span<const TensorType> samples, const PathOf& path_of) {
  const Function with_counter = [&](const std::vector<Tensor>& inputs) {
    RandomScope scope(inputs.back());
    return f({inputs.begin(), inputs.end() - 1});
  };
  Traces traces;
  for (std::size_t t = 0; t < 3; ++t) {
    Types types;
    for (const TensorType& sample : samples) {
      types.push_back(sample);
      types.back().shape.insert(0, traced_batches[t]);
    }
    types.push_back({DType::int64, Shape{2}});
    traces[t] = Renumber(trace_types(with_counter, types), path_of, true).run();
  }
  return merged(traces, path_of);
}

}  // namespace chainrule::io
