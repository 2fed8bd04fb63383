// Recording a Graph, running it again, and module scopes.
#include <unordered_set>

#include "core/fail.hpp"
#include "graph/graph.hpp"
#include "graph/state_update.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {
thread_local int levels = 0;
thread_local std::string scope_path;
thread_local Tracer* recording_now = nullptr;
}  // namespace

TraceScope::TraceScope(Tracer& tracer) : before_(recording_now), grad_mode_(true) { recording_now = &tracer; }
TraceScope::~TraceScope() { recording_now = before_; }
Tracer* TraceScope::current() noexcept { return recording_now; }

bool tracing() noexcept { return recording_now != nullptr; }

Scope::Scope(const std::string& name) : length_before_(scope_path.size()) {
  if (name.empty()) return;
  if (!scope_path.empty()) scope_path += '.';
  scope_path += name;
}
Scope::~Scope() { scope_path.resize(length_before_); }
const std::string& Scope::path() { return scope_path; }

std::shared_ptr<Tracer> Tracer::create() {
  auto tracer = std::make_shared<Tracer>();
  tracer->level_ = ++levels;  // later traces are inner ones; a level is never reused on a thread
  return tracer;
}

Tensor Tracer::symbol(ValueId value) {
  auto data = std::make_shared<TensorData>();
  const TensorType& type = graph_.types[static_cast<std::size_t>(value)];
  data->dtype = type.dtype;
  data->shape = type.shape;
  data->tracer = shared_from_this();
  data->value = value;
  return Tensor(std::move(data));
}

Tensor Tracer::input(const TensorType& type) {
  const ValueId value = graph_.add_value(type);
  graph_.inputs.push_back(value);
  return symbol(value);
}

GraphData Tracer::take() {
  finished_ = true;
  captured_.clear();
  return std::move(graph_);
}

void Tracer::check_open() const {
  if (finished_)
    fail<StateError>("trace", "a symbolic tensor left the function that was traced", "",
                     "return it from the function instead of keeping it");
}

ValueId Tracer::value_of(const Tensor& tensor) {
  check_open();
  const auto& data = tensor.data_handle();
  if (data->tracer.get() == this) return data->value;
  if (data->tracer && data->tracer->level() > level_)
    fail<StateError>("trace", "a symbolic tensor left the function that was traced", "shape is " + data->shape.str(),
                     "return it from the function instead of keeping it");
  // Not by memory: a tensor, its detach() and the leaf a transform makes of it share theirs, but not their gradients.
  const auto found = captured_.find(data.get());
  if (found != captured_.end()) return found->second;
  const ValueId value = graph_.add_value(data->type());
  (data->constant ? graph_.constants : graph_.captures).push_back({value, tensor});
  captured_[data.get()] = value;
  return value;
}

Tensors Tracer::record(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs, const Types& outputs) {
  check_open();
  Node node;
  node.op = &op;
  node.attrs = attrs;
  node.scope = scope_path;
  for (const Tensor& t : inputs) node.inputs.push_back(value_of(t));
  Tensors results;
  for (const TensorType& type : outputs) {
    node.outputs.push_back(graph_.add_value(type));
    results.push_back(symbol(node.outputs.back()));
  }
  graph_.nodes.push_back(std::move(node));
  return results;
}

void Tracer::set_outputs(std::span<const Tensor> outputs) {
  graph_.outputs.clear();
  for (const Tensor& t : outputs) graph_.outputs.push_back(value_of(t));
}

void Tracer::add_update(const Tensor& target, const Tensor& value) {
  for (StateUpdate& update : graph_.updates)
    if (update.target.data_handle() == target.data_handle()) {
      update.value = value_of(value);
      return;
    }
  graph_.updates.push_back({target, value_of(value)});
}

Tensor Tracer::present(const Tensor& state) {
  for (const StateUpdate& update : graph_.updates)
    if (update.target.data_handle() == state.data_handle()) return symbol(update.value);
  return symbol(value_of(state));
}

void update_buffer(const Tensor& buffer, const Tensor& new_value) {
  if (new_value.symbolic()) {
    new_value.data_handle()->tracer->add_update(buffer, new_value);
  } else {
    write_values(buffer, new_value);
  }
}

GraphData trace_types(const Function& f, const Types& types) {
  const auto tracer = Tracer::create();
  const TraceScope recording(*tracer);
  Tensors inputs;
  for (const TensorType& type : types) inputs.push_back(tracer->input(type));
  const Tensors outputs = f(inputs);
  tracer->set_outputs(outputs);
  return tracer->take();
}

Tensors replay_with(const GraphData& graph, std::span<const Tensor> arguments, std::span<const Tensor> captures) {
  std::vector<Tensor> values(graph.types.size());
  const auto at = [&](ValueId id) -> Tensor& { return values[static_cast<std::size_t>(id)]; };
  if (arguments.size() != graph.inputs.size())
    fail<ValueError>("graph", "wrong number of arguments", std::to_string(arguments.size()) + " were given",
                     "it takes " + std::to_string(graph.inputs.size()));
  for (std::size_t i = 0; i < arguments.size(); ++i) at(graph.inputs[i]) = arguments[i];
  for (std::size_t i = 0; i < captures.size(); ++i) at(graph.captures[i].value) = captures[i];
  for (const BoundValue& constant : graph.constants) at(constant.value) = constant.tensor;
  for (const Node& node : graph.nodes) {
    Tensors inputs;
    inputs.reserve(node.inputs.size());
    for (ValueId id : node.inputs) inputs.push_back(at(id));
    Tensors outputs = apply(*node.op, inputs, node.attrs);
    for (std::size_t j = 0; j < outputs.size(); ++j) at(node.outputs[j]) = std::move(outputs[j]);
  }
  for (const StateUpdate& update : graph.updates) update_buffer(update.target, at(update.value));
  Tensors results;
  for (ValueId id : graph.outputs) results.push_back(at(id));
  return results;
}

Tensors replay(const GraphData& graph, std::span<const Tensor> arguments) {
  Tensors captures;
  for (const BoundValue& capture : graph.captures) captures.push_back(capture.tensor);
  return replay_with(graph, arguments, captures);
}

}  // namespace chainrule
