// A map is linear where its derivative does not depend on the point, and where it is 0 at 0.
#include "transforms/linear_rules.hpp"

#include <algorithm>
#include <cmath>

#include "autodiff/rules.hpp"
#include "core/fail.hpp"
#include "ops/operands.hpp"

namespace chainrule {
namespace {

[[noreturn]] void refuse(const RuleName& name, const std::string& why) {
  fail<ValueError>("custom_gradient",
                   "the rule " + std::string(name.rule) + " is not linear in the " + std::string(name.reads), why,
                   std::string(name.rule) == "jvp" ? "write sums of tangents times what depends on x alone"
                                                   : "forward mode needs a rule of its own then: give jvp= as well");
}

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

// Which values of the graph depend on these.
std::vector<char> reached_from(const GraphData& graph, std::span<const ValueId> from) {
  std::vector<char> reached(graph.types.size(), 0);
  for (ValueId id : from) reached[index(id)] = 1;
  for (const Node& node : graph.nodes) {
    const bool any =
        std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId id) { return reached[index(id)]; });
    for (ValueId id : node.outputs) reached[index(id)] = any;
  }
  return reached;
}

// An op on the way from the vectors to the outputs through which no derivative goes.
const Op* without_derivative(const GraphData& graph, const std::vector<char>& reached,
                             std::span<const ValueId> outputs) {
  std::vector<char> wanted(graph.types.size(), 0);
  for (ValueId id : outputs) wanted[index(id)] = 1;
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    bool used = false, depends = false;
    for (ValueId id : node->outputs) used |= wanted[index(id)] && reached[index(id)];
    if (!used) continue;
    for (ValueId id : node->inputs) depends |= reached[index(id)] != 0;
    for (ValueId id : node->inputs) wanted[index(id)] = 1;
    const Derivative d = node->op->derivative;
    if (depends && (d == Derivative::none || d == Derivative::zero)) return node->op;
  }
  return nullptr;
}

// The largest finite element by size.
double largest(const Tensor& t) {
  double most = 0;
  const Tensor values = cast(t.detach(), DType::float64);
  for (double v : values.span<double>())
    if (std::isfinite(v)) most = std::max(most, std::abs(v));
  return most;
}

Tensor constant(Tensor t) {
  t = with_shape(t, t.shape());  // a handle of its own
  t.data_handle()->constant = true;
  return t;
}

// The value of a tensor, also of a symbol that is a constant or a captured tensor of its own trace; or undefined.
Tensor value_behind(const Tensor& t) {
  if (!t.symbolic()) return t;
  const TensorData& data = *t.data_handle();
  const GraphData& graph = data.tracer->graph();
  for (const auto* list : {&graph.constants, &graph.captures})
    for (const BoundValue& bound : *list)
      if (bound.value == data.value) return value_behind(bound.tensor);
  return {};
}

// What the graph gives for vectors of zeros. Captured symbols without a value are some number.
void check_zero_at_zero(GraphData graph, std::span<const ValueId> outputs, const RuleName& name) {
  constexpr double some_number = 0.7390851332151607;
  graph.outputs.clear();
  for (ValueId id : outputs)
    if (is_floating(graph.types[index(id)].dtype)) graph.outputs.push_back(id);
  Tensors zeros, captures;
  for (ValueId id : graph.inputs) zeros.push_back(zeros_like_type(graph.types[index(id)]));
  for (const BoundValue& c : graph.captures) {
    const TensorType type = type_of(c.tensor);
    const Tensor known = value_behind(c.tensor);
    captures.push_back(constant(!known.defined() ? is_floating(type.dtype)
                                                       ? Tensor::full(type.shape, some_number, type.dtype)
                                                       : Tensor::zeros(type.shape, type.dtype)
                                                 : known));
  }
  const NoGrad nothing;
  for (const Tensor& y : replay_with(graph, zeros, captures))
    if (const double most = largest(y); most > 0) refuse(name, "for zeros it gives " + std::to_string(most));
}

// A rule recorded on symbols, and checked.
struct Recording {
  std::shared_ptr<Tracer> tracer = Tracer::create();
  Tensors outputs{};
  std::vector<ValueId> wrt{}, output_ids{};

  Recording(const Function& linear, const Types& types, const RuleName& name) {
    const TraceScope recording(*tracer);
    Tensors in;
    for (const TensorType& type : types) {
      in.push_back(tracer->input(type));
      wrt.push_back(in.back().data_handle()->value);
    }
    outputs = linear(in);
    for (const Tensor& t : outputs)
      if (t.defined()) output_ids.push_back(tracer->value_of(t));
    const GraphData& graph = tracer->graph();
    if (const Op* op = without_derivative(graph, reached_from(graph, wrt), output_ids))
      refuse(name, std::string(op->name) + " of them has no derivative");
  }
  // Cotangents of what was mapped; their record must not read it.
  Tensors pull(std::span<const Tensor> at, const RuleName& name) {
    const TraceScope recording(*tracer);
    Tensors used, cotangents;
    for (std::size_t i = 0; i < outputs.size(); ++i)
      if (outputs[i].defined() && at[i].defined()) {
        used.push_back(outputs[i]);
        cotangents.push_back(at[i]);
      }
    Tensors result = gradients_in_trace(*tracer, used, cotangents, wrt);
    std::vector<ValueId> ids;  // before the graph is asked: a constant result becomes a value of it here
    for (const Tensor& t : result)
      if (t.defined()) ids.push_back(tracer->value_of(t));
    const std::vector<char> reached = reached_from(tracer->graph(), wrt);
    for (ValueId id : ids)
      if (reached[index(id)]) refuse(name, "its derivative depends on them");
    return result;
  }
};

}  // namespace

Tensors transposed(const Function& linear, const Types& types, std::span<const Tensor> at, const RuleName& name) {
  Recording r(linear, types, name);
  const GraphData map = r.tracer->graph();
  Tensors result = r.pull(at, name);
  GraphData graph;
  {
    const TraceScope recording(*r.tracer);
    for (std::size_t i = 0; i < result.size(); ++i)
      if (!result[i].defined()) result[i] = zeros_like_type(types[i]);
    r.tracer->set_outputs(result);
    graph = r.tracer->take();
  }
  check_zero_at_zero(map, r.output_ids, name);
  Tensors zeros;
  for (const TensorType& type : types) zeros.push_back(zeros_like_type(type));
  return replay(graph, zeros);
}

bool check_linear(const Function& linear, const Tensors& t, const Tensors& y, const RuleName& name) {
  const auto without_values = [](const Tensor& x) { return x.defined() && x.symbolic(); };
  if (TraceScope::current() != nullptr || std::any_of(t.begin(), t.end(), without_values) ||
      std::any_of(y.begin(), y.end(), without_values)) {
    Types types;
    for (const Tensor& x : t) types.push_back(type_of(x));
    Recording r(linear, types, name);
    const GraphData map = r.tracer->graph();
    Tensors ones;
    for (const Tensor& out : r.outputs) ones.push_back(out.defined() ? zeros_like_type(type_of(out)) : Tensor());
    r.pull(ones, name);
    check_zero_at_zero(map, r.output_ids, name);
    return false;
  }
  const NoGrad nothing;
  Tensors scaled;
  for (const Tensor& x : t) scaled.push_back(is_floating(x.dtype()) ? x.detach() * Tensor(-2.0) : x);
  const Tensors again = linear(scaled);
  bool seen = false;
  for (std::size_t i = 0; i < y.size() && i < again.size(); ++i) {
    if (!y[i].defined() || !again[i].defined()) continue;
    // Exactly 0 for sums of products, since 2 is a power of two. What is linear by way of other functions rounds.
    const Tensor off = cast(again[i], DType::float64) + cast(y[i].detach(), DType::float64) * Tensor(2.0);
    const double scale = largest(y[i]);
    seen |= scale > 0;
    const Tensor most = abs(cast(y[i].detach(), DType::float64)) * Tensor(1e-3) + Tensor(1e-6 * scale);
    if (largest(maximum(abs(off) - most, Tensor(0.0))) > 0)
      refuse(name, "it does not give -2 times as much for -2 times as much");
  }
  return seen;
}

}  // namespace chainrule
