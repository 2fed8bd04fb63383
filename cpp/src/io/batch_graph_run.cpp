// A BatchGraph at one batch size: attributes filled in, types inferred and checked, ops called.
#include <algorithm>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "graph/stand_ins.hpp"
#include "graph/tensor_data.hpp"
#include "io/batch_graph.hpp"
#include "ops/random_scope.hpp"
#include "transforms/call_graphs.hpp"

namespace chainrule::io {

std::int64_t Affine::at(std::int64_t batch) const {
  std::int64_t value = 0;
  if (__builtin_mul_overflow(a, batch, &value) || __builtin_add_overflow(value, b, &value))
    fail<ShapeError>("model", "a size overflows", "at batch size " + std::to_string(batch), "use smaller batches");
  return value;
}

Attrs BatchAttrs::at(std::int64_t batch) const {
  Attrs attrs;
  for (std::size_t i = 0; i < lists.size(); ++i)
    for (const Affine& f : lists[i]) attrs.lists[i].push_back(f.at(batch));
  attrs.reals = reals;
  for (std::size_t i = 0; i < ints.size(); ++i) attrs.ints[i] = ints[i].at(batch);
  return attrs;
}

BatchPlan plan_batch(const BatchGraph& graph, std::int64_t batch, std::span<const TensorType> inputs,
                     std::span<const TensorType> tensors, std::span<const TensorType> constants) {
  BatchPlan plan{batch, {}, {}};
  plan.types.resize(graph.values.size());
  plan.attrs.reserve(graph.nodes.size());
  const auto type = [&](ValueId id) -> TensorType& { return plan.types[static_cast<std::size_t>(id)]; };
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) type(graph.inputs[i]) = inputs[i];
  if (graph.rng != no_value) type(graph.rng) = {DType::int64, Shape{2}};
  for (std::size_t i = 0; i < graph.tensors.size(); ++i) type(graph.tensors[i].first) = tensors[i];
  for (std::size_t i = 0; i < graph.constants.size(); ++i) type(graph.constants[i].value) = constants[i];
  for (const BatchNode& node : graph.nodes) {
    const Op& op = *node.op;
    Attrs& attrs = plan.attrs.emplace_back(node.attrs.at(batch));
    if (!attributes_fit(op, attrs))
      fail<ShapeError>(op.name, "an attribute is out of range", attributes_to_string(op, attrs));
    Types in;
    for (const ValueId id : node.inputs) in.push_back(type(id));
    const Types out = node.call ? call_types(*node.call, batch, in) : op.infer(op, in, attrs);
    if (out.size() != node.outputs.size())
      fail<ValueError>(op.name, "has another number of results",
                       std::to_string(out.size()) + ", not " + std::to_string(node.outputs.size()));
    for (std::size_t j = 0; j < out.size(); ++j) {
      out[j].shape.checked_size(op.name.data());
      type(node.outputs[j]) = out[j];
    }
  }
  return plan;
}

namespace {

// In a trace, parameters, buffers and constants enter as its values, so that ops on them alone are recorded, too: run
// on their present values they would become constants.
class Lift {
 public:
  explicit Lift(std::span<const Tensor> inputs) {
    for (const Tensor& x : inputs)
      if (x.symbolic() && (tracer_ == nullptr || x.data_handle()->tracer->level() > tracer_->level()))
        tracer_ = x.data_handle()->tracer.get();
  }
  Tensor operator()(const Tensor& t) const { return tracer_ == nullptr ? t : tracer_->symbol(tracer_->value_of(t)); }

 private:
  Tracer* tracer_ = nullptr;
};

}  // namespace

std::vector<Tensor> run_batch(const BatchGraph& graph, const BatchPlan& plan, const BatchOperands& operands) {
  const Lift lift(operands.inputs);
  Tensors values(graph.values.size());
  const auto value = [&](ValueId id) -> Tensor& { return values[static_cast<std::size_t>(id)]; };
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) value(graph.inputs[i]) = operands.inputs[i];
  for (std::size_t i = 0; i < graph.tensors.size(); ++i)
    value(graph.tensors[i].first) = lift(StandIns::of(operands.tensors[i]));
  for (std::size_t i = 0; i < graph.constants.size(); ++i)
    value(graph.constants[i].value) = lift(operands.constants[i]);
  RandomScope* random = RandomScope::current();
  std::optional<RandomScope> own;
  if (graph.rng != no_value) {
    if (random == nullptr) random = &own.emplace(make_counter(global_seed(), 0));
    value(graph.rng) = random->counter();
  }
  // The streams of the file, each replaced by the scope's next one: two models in one keep different masks.
  std::vector<std::pair<std::int64_t, std::uint32_t>> streams;
  const auto stream = [&](std::int64_t in_file) {
    for (const auto& [from, to] : streams)
      if (from == in_file) return to;
    return streams.emplace_back(in_file, random->next_stream()).second;
  };

  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const BatchNode& node = graph.nodes[i];
    const Scope scope(node.scope);
    Tensors in;
    in.reserve(node.inputs.size());
    for (const ValueId id : node.inputs) in.push_back(value(id));
    Tensors out;
    const int slot =
        graph.rng == no_value || std::find(node.inputs.begin(), node.inputs.end(), graph.rng) == node.inputs.end()
            ? -1
            : stream_slot(*node.op);
    if (node.call) {
      out = run_call(*node.call, plan.batch, in);
    } else if (slot < 0) {
      out = apply(*node.op, in, plan.attrs[i]);
    } else {
      Attrs attrs = plan.attrs[i];
      attrs.ints[static_cast<std::size_t>(slot)] = stream(attrs.ints[static_cast<std::size_t>(slot)]);
      out = apply(*node.op, in, attrs);
    }
    for (std::size_t j = 0; j < node.outputs.size(); ++j) value(node.outputs[j]) = std::move(out[j]);
  }
  std::vector<Tensor> results;
  for (const ValueId id : graph.outputs) results.push_back(value(id));
  for (const auto& [path, id] : graph.updates) results.push_back(value(id));
  return results;
}

namespace {

// One of a call's graphs at a batch size. Its floating constants follow the operands, should astype have moved those.
GraphData graph_at(const BatchGraph& graph, std::int64_t batch, const Types& inputs) {
  std::optional<DType> saved, now;
  for (std::size_t i = 0; i < graph.inputs.size() && i < inputs.size() && !saved; ++i)
    if (const DType stored = graph.values[static_cast<std::size_t>(graph.inputs[i])].dtype; is_floating(stored)) {
      saved = stored;
      now = inputs[i].dtype;
    }
  Tensors constants;
  for (const BoundValue& constant : graph.constants) {
    constants.push_back(constant.tensor);
    if (saved && *saved != *now && constant.tensor.dtype() == *saved) {
      constants.back() = cast(constant.tensor.detach(), *now);
      constants.back().data_handle()->constant = true;
    }
  }
  Types types;
  for (const Tensor& constant : constants) types.push_back(type_of(constant));
  const BatchPlan plan = plan_batch(graph, batch, inputs, {}, types);
  return trace_types([&](const Tensors& x) { return run_batch(graph, plan, {x, {}, constants}); }, inputs);
}

Types types_of(std::span<const Tensor> tensors) {
  Types types;
  for (const Tensor& t : tensors) types.push_back(type_of(t));
  return types;
}

}  // namespace

Types call_types(const BatchCall& call, std::int64_t batch, std::span<const TensorType> operands) {
  if (call.value.inputs.size() != operands.size())
    fail<ValueError>("call", "takes another number of operands",
                     std::to_string(operands.size()) + ", not " + std::to_string(call.value.inputs.size()));
  const GraphData value = graph_at(call.value, batch, {operands.begin(), operands.end()});
  Types types;
  for (const ValueId id : value.outputs) types.push_back(value.types[static_cast<std::size_t>(id)]);
  return types;
}

std::vector<Tensor> run_call(const BatchCall& call, std::int64_t batch, std::span<const Tensor> operands) {
  const Types types = types_of(operands);
  GraphData value = graph_at(call.value, batch, types);
  const auto rule = [&](const std::optional<BatchGraph>& graph, const Types& own) {
    Types inputs = types;
    for (const TensorType& type : own) inputs.push_back(type);
    return graph ? std::make_shared<const GraphData>(graph_at(*graph, batch, inputs)) : nullptr;
  };
  const auto vjp_graph = rule(call.vjp, call_types(call, batch, types));
  const auto jvp_graph = rule(call.jvp, {types.begin(), types.begin() + static_cast<std::ptrdiff_t>(call.primals)});
  return chainrule::call(rule_of_graphs(call.name, call.primals, std::move(value), vjp_graph, jvp_graph), operands);
}

}  // namespace chainrule::io
