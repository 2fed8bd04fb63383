// explain: runs a small function's graph on values and takes its backward apart.
#include "transforms/explain.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autodiff/graph_values.hpp"
#include "autodiff/rules.hpp"
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "transforms/widened.hpp"

namespace chainrule {
namespace {

constexpr const char* who = "explain";
constexpr std::size_t most_ops = 100;
constexpr std::int64_t most_elements = 64, most_outputs = 8, most_jacobian = 32;

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

// A graph together with the function that runs it anywhere, for the differences.
struct Subject {
  GraphData graph;
  GraphView view;
  Function f;
};

Tensors in_float64(const Tensors& x) {
  Tensors all;
  for (const Tensor& t : x) {
    const bool converted = t.weak() || is_floating(t.dtype());
    all.push_back(converted ? cast(t, DType::float64).detach() : t.detach());
  }
  return all;
}

Subject named(Graph graph, const ExplainOptions& options) {
  graph = graph.named(options.names, options.variables ? options.variables() : NamedTensors());
  return {graph.data(), graph.view(), {}};
}

Function runner(const GraphData& graph) {
  return [graph](const Tensors& x) { return replay(graph, x); };
}

// Traced in float64; or, where f refers to float32 tensors, traced as it is and widened; or, where it branches on
// values, run on them and taken from the record.
Subject subject_of(const Function& f, const Tensors& x64, const ExplainOptions& options) {
  try {
    Subject s = named(trace(f, x64), options);
    s.f = runner(s.graph);
    if (all_float64(s.graph)) return s;  // else a module of another dtype converts its inputs: see below
  } catch (const std::exception&) {      // the last way tells what is wrong
  }
  try {
    Tensors plain;
    for (const Tensor& t : x64) plain.push_back(is_floating(t.dtype()) ? cast(t, DType::float32) : t);
    Subject s = named(trace(f, plain), options);
    s.graph = widened(s.graph);
    s.view.names.resize(s.graph.types.size());
    s.f = runner(s.graph);
    return s;
  } catch (const std::exception&) {}
  Tensors leaves;
  for (const Tensor& t : x64) {
    leaves.push_back(t.detach());
    if (is_floating(t.dtype())) leaves.back().requires_grad_();
  }
  const Tensors y = f(leaves);
  if (y.size() != 1)
    fail<ValueError>(who, "the function does not return one value", std::to_string(y.size()) + " were returned");
  Subject s = named(y[0].graph(), {{}, {}, options.variables});
  s.view.names.resize(s.graph.types.size());
  for (std::size_t i = 0; i < leaves.size(); ++i) {  // leaves are the arguments
    ValueId id = no_value;
    for (std::size_t c = 0; c < s.graph.captures.size(); ++c)
      if (s.graph.captures[c].tensor.data_handle() == leaves[i].data_handle()) {
        id = s.graph.captures[c].value;
        s.graph.captures.erase(s.graph.captures.begin() + static_cast<std::ptrdiff_t>(c));
        break;
      }
    if (id == no_value) {
      id = s.graph.add_value(type_of(leaves[i]));
      s.view.names.emplace_back();
    }
    if (i < options.names.size()) s.view.names[index(id)] = options.names[i];
    s.graph.inputs.push_back(id);
  }
  s.f = f;
  return s;
}

void check_size(const Subject& s, const Tensors& values) {
  if (s.graph.nodes.size() > most_ops)
    fail<ValueError>(who, "the function is too long to explain",
                     std::to_string(s.graph.nodes.size()) + " ops, at most " + std::to_string(most_ops),
                     "explain a part of it, print trace(f, ...), or use check_gradients");
  const GraphText text(s.graph, s.view);
  for (std::size_t i = 0; i < values.size(); ++i)
    if (values[i].defined() && values[i].size() > most_elements)
      fail<ValueError>(who, "a value is too large to explain",
                       text.name(static_cast<ValueId>(i)) + " is " + values[i].shape().str() + ", at most " +
                           std::to_string(most_elements) + " elements",
                       "use fewer samples and units: the rules are the same");
}

Tensor unit(const TensorType& type, std::int64_t at) {
  const Tensor e = Tensor::zeros(type.shape, DType::float64);
  const double one = 1;
  std::memcpy(bytes_of(e) + static_cast<std::size_t>(at) * sizeof one, &one, sizeof one);
  return cast(e, type.dtype);
}

// One tensor per output of f: themselves if there is one, else as rows.
Tensor stacked(const Tensors& parts, const TensorType& type, bool rows) {
  bool any = false;
  for (const Tensor& part : parts) any |= part.defined();
  if (!any) return {};
  if (!rows) return parts[0];
  Tensors lines;
  for (const Tensor& part : parts)
    lines.push_back(reshape(part.defined() ? part : Tensor::zeros(type.shape, type.dtype), {1, type.shape.size()}));
  return concat(lines, 0);
}

// Local derivatives of one node, from its own backward with a unit for every element of its output.
void local_derivatives(const GraphData& graph, const Tensors& values, const GraphText& text, Step& step) {
  const Node& node = graph.nodes[step.node];
  GraphData alone;
  Tensors at;
  Node copy = node;
  std::vector<std::string> names;
  for (ValueId& id : copy.inputs) {  // every operand is a value of its own, even if two are the same
    at.push_back(values[index(id)]);
    names.push_back(text.name(id));
    const ValueId own = alone.add_value(graph.types[index(id)]);
    alone.inputs.push_back(own);
    id = own;
  }
  for (ValueId& id : copy.outputs) {
    at.push_back(values[index(id)]);
    id = alone.add_value(graph.types[index(id)]);
  }
  alone.outputs = {copy.outputs[0]};
  alone.nodes.push_back(copy);
  const TensorType& y = graph.types[index(node.outputs[0])];
  const BackwardView backward(alone, {0});
  std::vector<Tensors> units;
  for (std::int64_t e = 0; e < y.shape.size(); ++e) {
    GraphView view;
    backward.run(at, {unit(y, e)}, view);
    units.push_back(view.sent[0]);
  }
  for (LocalDerivative& local : step.operands) {
    const TensorType& x = graph.types[index(node.inputs[local.operand])];
    const auto operand = static_cast<int>(local.operand);
    Tensors parts;
    for (const Tensors& sent : units) parts.push_back(local.operand < sent.size() ? sent[local.operand] : Tensor());
    if (node.op->elementwise) {
      if (node.op->rule) local.rule = node.op->rule(operand, names, text.name(node.outputs[0]), "1", node.attrs);
      // Unit e reaches the element of x that made element e of y: the sum over x is its slope.
      local.slope = Tensor::zeros(y.shape, DType::float64);
      for (std::size_t e = 0; e < parts.size(); ++e) {
        const double slope = parts[e].defined() ? sum(parts[e]).item() : 0.0;
        std::memcpy(bytes_of(local.slope) + e * sizeof slope, &slope, sizeof slope);
      }
    } else {
      if (node.op->rule) local.rule = node.op->rule(operand, names, text.name(node.outputs[0]), "g", node.attrs);
      if (y.shape.size() * x.shape.size() <= most_jacobian) local.jacobian = stacked(parts, x, true);
    }
  }
}

// Central differences of all outputs along every element of x, weighted as the cotangent says: (rows, size of x).
Tensor numeric_rows(const std::function<Tensor(const Tensor&)>& f, const Tensor& x, const Tensor& cotangent,
                    std::int64_t rows) {
  Tensors columns;
  for (std::int64_t i = 0; i < x.size(); ++i) {
    const double at = element(x, i), h = 6.0554544523933395e-06 * std::max(1.0, std::fabs(at));  // cbrt(epsilon)
    const Tensor step = unit(type_of(x), i) * Tensor(h);
    Tensor slope = (f(x + step) - f(x - step)) / Tensor(2 * h);
    if (cotangent.defined()) slope = sum(slope * cotangent);
    columns.push_back(reshape(slope, {rows, 1}));
  }
  return concat(columns, 1);
}

}  // namespace

Explanation explain(const Function& f, const std::vector<Tensor>& x, const ExplainOptions& options) {
  if (x.empty())
    fail<ValueError>(who, "no arguments were given", "", "write explain(f, x), with numbers to explain f at");
  const Tensors x64 = in_float64(x);
  Subject s = subject_of(f, x64, options);
  const NoGrad nothing;
  if (s.graph.outputs.size() != 1)
    fail<ValueError>(who, "the function does not return one value",
                     std::to_string(s.graph.outputs.size()) + " were returned", "return the one to explain");
  Tensors& values = s.view.values;
  values.resize(s.graph.types.size());
  for (std::size_t i = 0; i < x64.size(); ++i) values[index(s.graph.inputs[i])] = x64[i];
  for (const BoundValue& c : s.graph.captures) values[index(c.value)] = c.tensor.detach();
  for (const BoundValue& c : s.graph.constants) values[index(c.value)] = c.tensor;
  check_size(s, {});
  fill_values(s.graph, values);
  check_size(s, values);

  const ValueId out = s.graph.outputs[0];
  const TensorType y = s.graph.types[index(out)];
  if (!is_floating(y.dtype))
    fail<DTypeError>(who, "the output has no derivative", "dtype is " + std::string(name_of(y.dtype)),
                     "return a floating result");
  Tensor cotangent = options.cotangent;
  if (cotangent.defined()) cotangent = start_cotangent(values[index(out)], cast(cotangent.detach(), y.dtype), who);
  if (!cotangent.defined() && y.shape.size() > most_outputs)
    fail<ValueError>(who, "the function has too many outputs to explain",
                     std::to_string(y.shape.size()) + ", at most " + std::to_string(most_outputs),
                     "reduce them, for instance with .sum(), or give a cotangent");

  auto data = std::make_shared<ExplanationData>();
  data->rows = !cotangent.defined() && y.shape.rank() > 0;
  const std::int64_t count = cotangent.defined() ? 1 : y.shape.size();
  const BackwardView backward(s.graph, {0});
  std::vector<GraphView> passes;
  for (std::int64_t k = 0; k < count; ++k) {
    passes.emplace_back();
    backward.run(values, {cotangent.defined() ? cotangent : unit(y, k)}, passes.back());
  }
  const auto gradient = [&](ValueId id) {
    Tensors parts;
    for (const GraphView& pass : passes) parts.push_back(pass.gradients[index(id)]);
    return stacked(parts, s.graph.types[index(id)], data->rows);
  };
  const auto sent = [&](std::size_t node, std::size_t operand) {
    Tensors parts;
    for (const GraphView& pass : passes)
      parts.push_back(operand < pass.sent[node].size() ? pass.sent[node][operand] : Tensor());
    return stacked(parts, s.graph.types[index(s.graph.nodes[node].inputs[operand])], data->rows);
  };
  if (!passes.empty()) {
    s.view.gradients = passes.back().gradients;
    s.view.sent = passes.back().sent;
  }
  const GraphText text(s.graph, s.view);
  for (std::size_t n = s.graph.nodes.size(); n-- > 0;) {
    const Node& node = s.graph.nodes[n];
    Step step{n, gradient(node.outputs[0]), {}};
    if (!step.arrived.defined()) continue;
    for (std::size_t i = 0; i < node.inputs.size(); ++i)
      if (const Tensor t = sent(n, i); t.defined()) step.operands.push_back({i, {}, {}, {}, t});
    if (step.operands.empty()) continue;
    local_derivatives(s.graph, values, text, step);
    data->steps.push_back(std::move(step));
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const ValueId id = node.inputs[i];
      const auto& uses = text.uses[index(id)];
      if (uses.back() != std::pair<std::size_t, std::size_t>(n, i) || uses.size() < 2) continue;
      Fork fork{id, data->steps.size() - 1, {}, gradient(id)};
      for (const auto& [user, operand] : uses)
        if (const Tensor part = sent(user, operand); part.defined()) fork.parts.push_back(part);
      if (fork.parts.size() > 1) data->forks.push_back(std::move(fork));
    }
  }

  const auto check = [&](ValueId id, const std::function<Tensor(const Tensor&)>& along) {
    const TensorType& type = s.graph.types[index(id)];
    if (!is_floating(type.dtype) || type.shape.size() == 0) return;
    Tensor analytic = gradient(id);
    const Shape shape = data->rows ? Shape{count, type.shape.size()} : type.shape;
    if (!analytic.defined()) analytic = Tensor::zeros(shape, DType::float64);
    const Tensor numeric = reshape(numeric_rows(along, values[index(id)], cotangent, count), shape);
    data->checked.push_back({id, analytic, numeric, max(abs(analytic - numeric)).item()});
  };
  for (std::size_t i = 0; i < x64.size(); ++i)
    check(s.graph.inputs[i], [&](const Tensor& moved) {
      Tensors arguments = x64;
      arguments[i] = moved;
      return cast(s.f(arguments)[0].detach(), DType::float64);
    });
  for (std::size_t c = 0; c < s.graph.captures.size(); ++c)
    if (s.graph.captures[c].tensor.data_handle()->requires_grad &&
        s.graph.types[index(s.graph.captures[c].value)].dtype == DType::float64)
      check(s.graph.captures[c].value, [&](const Tensor& moved) {
        Tensors captures;
        for (const BoundValue& bound : s.graph.captures) captures.push_back(values[index(bound.value)]);
        captures[c] = moved;
        return replay_with(s.graph, x64, captures)[0];
      });
  data->graph = std::make_shared<GraphData>(std::move(s.graph));
  data->view = std::make_shared<GraphView>(std::move(s.view));
  return Explanation(std::move(data));
}

Graph Explanation::graph() const { return Graph(data_->graph, data_->view); }
double Explanation::difference() const {
  double largest = 0;
  for (const Checked& c : data_->checked)
    if (!(c.difference <= largest)) largest = c.difference;  // NaN stays
  return largest;
}

}  // namespace chainrule
