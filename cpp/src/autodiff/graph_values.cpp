// A Graph on values, to look at: Graph::with_values, and what Graph's accessors of values return.
#include "autodiff/graph_values.hpp"

#include "autodiff/rules.hpp"
#include "chainrule/ops.hpp"
#include "core/fail.hpp"

namespace chainrule {
namespace {
std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }
}  // namespace

void fill_values(const GraphData& graph, Tensors& values) {
  const NoGrad nothing;
  for (const Node& node : graph.nodes) {
    bool known = true, ready = true;
    Tensors inputs;
    for (ValueId id : node.outputs) known &= values[index(id)].defined();
    for (ValueId id : node.inputs) {
      inputs.push_back(values[index(id)]);
      ready &= inputs.back().defined();
    }
    if (known || !ready) continue;
    Tensors outputs = apply(*node.op, inputs, node.attrs);
    for (std::size_t j = 0; j < outputs.size(); ++j) values[index(node.outputs[j])] = std::move(outputs[j]);
  }
}

BackwardView::BackwardView(const GraphData& graph, std::vector<std::size_t> outputs)
    : value_at_(graph.types.size(), no_value), gradient_at_(graph.types.size(), no_value) {
  const auto tracer = Tracer::create();
  const TraceScope recording(*tracer);
  const GradMode wanted(true);
  Tensors at(graph.types.size());
  std::vector<ValueId> wrt;
  const auto leaf = [&](ValueId id, bool differentiated) {
    const TensorType& type = graph.types[index(id)];
    at[index(id)] = tracer->input(type);
    if (differentiated && is_floating(type.dtype)) wrt.push_back(at[index(id)].data_handle()->value);
  };
  for (ValueId id : graph.inputs) leaf(id, true);
  for (const BoundValue& c : graph.captures) leaf(c.value, true);
  for (const BoundValue& c : graph.constants) leaf(c.value, false);
  std::vector<std::size_t> node_at;
  for (const Node& node : graph.nodes) {
    Tensors inputs;
    for (ValueId id : node.inputs) inputs.push_back(at[index(id)]);
    node_at.push_back(tracer->graph().nodes.size());
    const Tensors results = apply(*node.op, inputs, node.attrs);
    for (std::size_t j = 0; j < results.size(); ++j) at[index(node.outputs[j])] = results[j];
  }
  Tensors roots, seeds;
  for (std::size_t i : outputs) {
    roots.push_back(at[index(graph.outputs[i])]);
    seeds.push_back(tracer->input(graph.types[index(graph.outputs[i])]));
    seed_at_.push_back(seeds.back().data_handle()->value);
  }
  Flows flows;
  gradients_in_trace(*tracer, roots, seeds, wrt, 0, &flows);
  const auto id_of = [&](const Tensor& t) { return t.defined() ? tracer->value_of(t) : no_value; };
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (!at[i].defined()) continue;
    value_at_[i] = at[i].data_handle()->value;
    gradient_at_[i] = id_of(flows.cotangents[index(value_at_[i])]);
  }
  for (std::size_t n : node_at) {
    sent_at_.emplace_back();
    for (const Tensor& t : flows.sent[n]) sent_at_.back().push_back(id_of(t));
  }
  both_ = tracer->take();
}

void BackwardView::run(const Tensors& values, const Tensors& cotangents, GraphView& into) const {
  Tensors known(both_.types.size());
  for (const BoundValue& c : both_.captures) known[index(c.value)] = c.tensor;
  for (const BoundValue& c : both_.constants) known[index(c.value)] = c.tensor;
  for (std::size_t i = 0; i < values.size(); ++i)
    if (value_at_[i] != no_value) known[index(value_at_[i])] = values[i];
  for (std::size_t i = 0; i < seed_at_.size(); ++i) known[index(seed_at_[i])] = cotangents[i];
  fill_values(both_, known);
  const auto at = [&](ValueId id) { return id == no_value ? Tensor() : known[index(id)]; };
  into.gradients.clear();
  into.sent.clear();
  for (ValueId id : gradient_at_) into.gradients.push_back(at(id));
  for (const auto& ids : sent_at_) {
    into.sent.emplace_back();
    for (ValueId id : ids) into.sent.back().push_back(at(id));
  }
}

Graph Graph::with_values(const std::vector<Tensor>& arguments, const std::vector<Tensor>& cotangents) const {
  const char* const who = "with_values";
  if (!data_) fail<StateError>(who, "the graph is empty", "", "make one with trace(f, ...)");
  const GraphData& g = *data_;
  if (arguments.size() != g.inputs.size())
    fail<ValueError>(who, "wrong number of arguments", std::to_string(arguments.size()) + " were given",
                     "the graph takes " + std::to_string(g.inputs.size()));
  auto view = std::make_shared<GraphView>(this->view());
  view->values.assign(g.types.size(), {});
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const TensorType& type = g.types[index(g.inputs[i])];
    if (!(arguments[i].shape() == type.shape))
      fail<ShapeError>(who, "argument " + std::to_string(i) + " does not fit",
                       "it is " + arguments[i].shape().str() + ", the graph was traced for " + type.shape.str(),
                       "trace the function again with this shape");
    view->values[index(g.inputs[i])] = cast(arguments[i].detach(), type.dtype);
  }
  for (const BoundValue& c : g.captures) view->values[index(c.value)] = c.tensor.detach();
  for (const BoundValue& c : g.constants) view->values[index(c.value)] = c.tensor;
  fill_values(g, view->values);

  std::vector<std::size_t> seeded;
  Tensors seeds;
  if (!cotangents.empty() && cotangents.size() != g.outputs.size())
    fail<ValueError>(who, "wrong number of cotangents",
                     std::to_string(cotangents.size()) + " for " + std::to_string(g.outputs.size()) + " outputs",
                     "give one per output");
  for (std::size_t i = 0; i < cotangents.size(); ++i)
    if (cotangents[i].defined()) {
      seeded.push_back(i);
      const Tensor& y = view->values[index(g.outputs[i])];
      seeds.push_back(start_cotangent(y, cast(cotangents[i].detach(), y.dtype()), who));
    }
  if (cotangents.empty() && g.outputs.size() == 1) {
    const Tensor& y = view->values[index(g.outputs[0])];
    if (y.size() == 1 && is_floating(y.dtype())) {
      seeded.push_back(0);
      seeds.push_back(start_cotangent(y, {}, who));
    }
  }
  if (!seeded.empty()) BackwardView(g, seeded).run(view->values, seeds, *view);
  return Graph(data_, std::move(view));
}

Graph Graph::named(const std::vector<std::string>& arguments, const NamedTensors& tensors) const {
  if (!data_) return *this;
  auto view = std::make_shared<GraphView>(this->view());
  view->names.resize(data_->types.size());
  for (std::size_t i = 0; i < arguments.size() && i < data_->inputs.size(); ++i)
    view->names[index(data_->inputs[i])] = arguments[i];
  const auto same = [](const Tensor& a, const Tensor& b) {
    return a.defined() && b.defined() && !a.symbolic() && !b.symbolic() && type_of(a) == type_of(b) &&
           bytes_of(a) == bytes_of(b);
  };
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined() || name.empty()) continue;
    for (const auto* bound : {&data_->captures, &data_->constants})
      for (const BoundValue& c : *bound)
        if (std::string& own = view->names[index(c.value)]; own.empty() && same(c.tensor, tensor)) own = name;
    const auto& from = tensor.data_handle();
    if (from->tracer) {
      std::string* own = from->tracer == view->tracer.lock() ? &view->names[index(from->value)] : nullptr;
      if (own && own->empty()) *own = name;
      continue;
    }
    for (std::size_t i = 0; from->node && i < view->origins.size(); ++i)
      if (view->names[i].empty() && view->origins[i].first.lock() == from->node &&
          view->origins[i].second == from->output_index)
        view->names[i] = name;
  }
  return Graph(data_, std::move(view));
}

namespace {
NamedTensors those_known(const GraphText& g, const Tensors& tensors) {
  NamedTensors named;
  const auto add = [&](ValueId id) {
    if (!tensors.empty() && tensors[index(id)].defined() && !g.literal(id))
      named.emplace_back(g.name(id), tensors[index(id)]);
  };
  for (ValueId id : g.data.inputs) add(id);
  for (const BoundValue& c : g.data.captures) add(c.value);
  for (const BoundValue& c : g.data.constants) add(c.value);
  for (const Node& node : g.data.nodes)
    for (ValueId id : node.outputs) add(id);
  return named;
}
}  // namespace

NamedTensors Graph::values() const {
  return data_ ? those_known(GraphText(*data_, view()), view().values) : NamedTensors();
}
NamedTensors Graph::gradients() const {
  return data_ ? those_known(GraphText(*data_, view()), view().gradients) : NamedTensors();
}

}  // namespace chainrule
