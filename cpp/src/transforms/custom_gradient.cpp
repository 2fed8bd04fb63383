// custom_gradient: a function called as one op, with derivative rules of its own. Where it is traced, function and
// rules become graphs, and what they capture becomes operands; where it runs on values, the functions themselves are
// called.
#include <algorithm>
#include <atomic>
#include <optional>

#include "autodiff/batching.hpp"
#include "chainrule/transforms.hpp"
#include "core/fail.hpp"
#include "graph/call_rule.hpp"
#include "ops/operands.hpp"
#include "ops/random_scope.hpp"
#include "transforms/call_graphs.hpp"
#include "transforms/differentiation.hpp"
#include "transforms/fixed_draws.hpp"
#include "transforms/linear_rules.hpp"

namespace chainrule {
namespace {

constexpr const char* who = "custom_gradient";

struct Rules {
  Function f, vjp, jvp;
  FunctionWithPullback with_pullback;
  std::shared_ptr<std::atomic<bool>> checked = std::make_shared<std::atomic<bool>>(false);  // jvp, on values
};

Types types_of(std::span<const Tensor> tensors) {
  Types types;
  for (const Tensor& t : tensors) types.push_back(type_of(t));
  return types;
}
Types operator+(Types a, const Types& b) {
  for (const TensorType& type : b) a.push_back(type);
  return a;
}
Tensors joined(std::span<const Tensor> a, std::span<const Tensor> b) {
  Tensors all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

// What a rule returned, one tensor per type and of its shape, in its dtype. Integers have no cotangent.
Tensors checked(Tensors given, std::span<const TensorType> types, const char* what) {
  if (given.size() != types.size())
    fail<ValueError>(who, std::string("the rule returned the wrong number of ") + what,
                     std::to_string(given.size()) + " for " + std::to_string(types.size()),
                     std::string("return one of the ") + what + " for each");
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (!given[i].defined() || !is_floating(types[i].dtype)) {
      given[i] = Tensor();
      continue;
    }
    if (!(given[i].shape() == types[i].shape))
      fail<ShapeError>(who, std::string("one of the ") + what + " that the rule returned does not fit",
                       "number " + std::to_string(i) + " is " + given[i].shape().str() + " for " + types[i].shape.str(),
                       "return one value per element");
    given[i] = cast(given[i], types[i].dtype);
  }
  return given;
}

constexpr RuleName pull_rule{"vjp", "cotangents"}, push_rule{"jvp", "tangents"};

// The rule that is not given is the transpose of the other; both are checked. jvp_checked: not again on values.
void complete(CallRule& rule, std::size_t primals, const std::shared_ptr<std::atomic<bool>>& jvp_checked = {}) {
  const auto types = [primals](std::span<const Tensor> x) { return types_of(x.first(primals)); };
  if (rule.vjp) {
    rule.vjp = [given = rule.vjp, types](std::span<const Tensor> x, std::span<const Tensor> gy) {
      return checked(given(x, gy), types(x), "cotangents");
    };
  }
  if (rule.jvp) {
    const auto jvp = [given = rule.jvp, outputs = rule.outputs](std::span<const Tensor> x, const Tensors& tx) {
      return checked(given(x, tx), outputs, "tangents");
    };
    rule.jvp = [jvp, jvp_checked](std::span<const Tensor> x, std::span<const Tensor> tx) {
      const Tensors t(tx.begin(), tx.end());
      if (jvp_checked && *jvp_checked) return jvp(x, t);
      // Both runs see the same draws: a rule is linear for each of them.
      RandomScope* const outer = RandomScope::current();
      const std::uint32_t first = outer ? outer->stream() : 0;
      Function same_draws = [&](const Tensors& at) {
        if (outer) outer->rewind(first);
        return jvp(x, at);
      };
      if (!outer) same_draws = with_fixed_draws(std::move(same_draws));
      Tensors ty = same_draws(t);
      if (check_linear(same_draws, t, ty, push_rule) && jvp_checked) *jvp_checked = true;
      return ty;
    };
    if (!rule.vjp)
      rule.vjp = [jvp, types](std::span<const Tensor> x, std::span<const Tensor> gy) {
        return transposed([&](const Tensors& tx) { return jvp(x, tx); }, types(x), gy, push_rule);
      };
  }
  if (!rule.jvp)
    rule.jvp = [vjp = rule.vjp, outputs = rule.outputs](std::span<const Tensor> x, std::span<const Tensor> tx) {
      return transposed([&](const Tensors& gy) { return vjp(x, gy); }, outputs, tx, pull_rule);
    };
}

// --- on values -------------------------------------------------------------------------------------------------------

Tensors call_on_values(const std::shared_ptr<const Rules>& rules, const Tensors& x) {
  Tensors at, y;
  for (const Tensor& t : x) at.push_back(t.detach());
  Pullback pullback;
  if (rules->with_pullback)
    std::tie(y, pullback) = rules->with_pullback(at);
  else
    y = rules->f(at);
  for (Tensor& t : y) {
    if (t.requires_grad() && grad_enabled())  // the arguments want none here
      fail<StateError>(who, "the function uses a tensor that wants a gradient and is not one of its arguments",
                       "a result of shape " + t.shape().str() + " depends on it",
                       "pass it as an argument, or use stop_gradient(x) of it");
    t = with_shape(t, t.shape());  // a handle of its own: f may return an argument
  }
  auto rule = std::make_shared<CallRule>();
  rule->name = who;
  rule->outputs = types_of(y);
  rule->primals = x.size();
  rule->value = [y = std::make_shared<Tensors>(std::move(y))](std::span<const Tensor>) { return std::move(*y); };
  if (rules->with_pullback) {
    rule->vjp = [rules, pullback](std::span<const Tensor> x_now, std::span<const Tensor> gy) {
      // To be differentiated in turn, the rule must see the recorded arguments: the call is made again.
      const Tensors g(gy.begin(), gy.end());
      const bool again = grad_enabled() || TraceScope::current() != nullptr;
      return again ? rules->with_pullback(Tensors(x_now.begin(), x_now.end())).second(g) : pullback(g);
    };
  } else {
    if (rules->vjp)
      rule->vjp = [rules](std::span<const Tensor> x_now, std::span<const Tensor> gy) {
        return rules->vjp(joined(x_now, gy));
      };
    if (rules->jvp)
      rule->jvp = [rules](std::span<const Tensor> x_now, std::span<const Tensor> tx) {
        return rules->jvp(joined(x_now, tx));
      };
  }
  complete(*rule, x.size(), rules->checked);
  return call(std::move(rule), x);
}

// --- in a trace ------------------------------------------------------------------------------------------------------

// A traced function, its captures as further inputs: their operands are at x[first...] of the call.
struct Part {
  GraphData graph;
  std::size_t first = 0, count = 0;
};

Part closed(GraphData graph, Tensors& operands) {
  Part part{std::move(graph), operands.size(), 0};
  for (const BoundValue& capture : part.graph.captures) {
    part.graph.inputs.push_back(capture.value);
    operands.push_back(capture.tensor);
  }
  part.count = part.graph.captures.size();
  part.graph.captures.clear();
  if (!part.graph.updates.empty())
    fail<StateError>(who, "the function changes a state", "", "call eval() on models in it");
  return part;
}

// The part as a graph of every operand of the call, those of other parts unused, and then of what is its own.
GraphData of_all_operands(Part part, std::size_t primals, const Types& operands) {
  GraphData& graph = part.graph;
  const std::vector<ValueId> given = graph.inputs;
  const auto input = [&](std::size_t i) { return given[i]; };
  const std::size_t own = given.size() - primals - part.count;
  graph.inputs.clear();
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (i < primals)
      graph.inputs.push_back(input(i));
    else if (i >= part.first && i < part.first + part.count)
      graph.inputs.push_back(input(primals + own + i - part.first));
    else
      graph.inputs.push_back(graph.add_value(operands[i]));
  }
  for (std::size_t k = 0; k < own; ++k) graph.inputs.push_back(input(primals + k));
  return std::move(graph);
}

std::shared_ptr<const CallRule> batched(const std::shared_ptr<const CallRule>& rule, std::span<const char> flags,
                                        std::int64_t size) {
  auto result = std::make_shared<CallRule>();
  const std::vector<char> x_flags(flags.begin(), flags.end());
  result->name = rule->name;
  result->primals = rule->primals;
  result->lost = rule->lost;
  for (TensorType type : rule->outputs) {
    type.shape.insert(0, size);
    result->outputs.push_back(type);
  }
  result->primal = batch(rule->primal, x_flags, size, Draws::own);
  result->value = [rule, x_flags, size](std::span<const Tensor> x) {
    return replay_batched(rule->primal, x, x_flags, size, Draws::own);
  };
  // A rule on one sample, recorded and run on the batch. `own` marks which cotangents or tangents are batched.
  const auto on_samples = [rule, x_flags, size](const auto& function, std::span<const Tensor> x,
                                                std::span<const Tensor> g, const std::vector<char>& own) {
    std::vector<char> all = x_flags;
    all.insert(all.end(), own.begin(), own.end());
    const Tensors arguments = joined(x, g);
    Types types = types_of(arguments);
    for (std::size_t i = 0; i < types.size(); ++i)
      if (all[i]) types[i].shape.erase(0);
    const GraphData graph = trace_types(
        [&](const Tensors& in) {
          Tensors out = function(std::span(in).first(x.size()), std::span(in).subspan(x.size()));
          for (std::size_t i = 0; i < out.size(); ++i)  // integers: none, and none is asked for
            if (!out[i].defined()) out[i] = zeros_like_type({DType::float32, Shape{}});
          return out;
        },
        types);
    return replay_batched(graph, arguments, all, size, Draws::own);
  };
  result->vjp = [rule, x_flags, on_samples](std::span<const Tensor> x, std::span<const Tensor> gy) {
    Tensors gx = on_samples(rule->vjp, x, gy, std::vector<char>(gy.size(), 1));
    for (std::size_t i = 0; i < gx.size(); ++i) {
      if (!is_floating(x[i].dtype()))
        gx[i] = Tensor();
      else if (!x_flags[i])
        gx[i] = sum(gx[i], {0});  // shared by all samples
    }
    return gx;
  };
  result->jvp = [rule, x_flags, on_samples](std::span<const Tensor> x, std::span<const Tensor> tx) {
    return on_samples(rule->jvp, x, tx, {x_flags.begin(), x_flags.begin() + static_cast<std::ptrdiff_t>(tx.size())});
  };
  const std::shared_ptr<const CallRule> self = result;
  result->batch = [weak = std::weak_ptr<const CallRule>(self)](std::span<const char> f, std::int64_t n) {
    return batched(weak.lock(), f, n);
  };
  return self;
}

// Which inputs of the graph its outputs have a derivative with respect to.
std::vector<char> differentiable_inputs(const GraphData& graph) {
  const auto at = [](ValueId id) { return static_cast<std::size_t>(id); };
  std::vector<char> leads(graph.types.size(), 0);
  for (ValueId id : graph.outputs) leads[at(id)] = is_floating(graph.types[at(id)].dtype);
  for (auto node = graph.nodes.rbegin(); node != graph.nodes.rend(); ++node) {
    if (node->op->derivative == Derivative::none || node->op->derivative == Derivative::zero) continue;
    if (std::any_of(node->outputs.begin(), node->outputs.end(), [&](ValueId id) { return leads[at(id)]; }))
      for (ValueId id : node->inputs) leads[at(id)] |= is_floating(graph.types[at(id)].dtype);
  }
  std::vector<char> inputs;
  for (ValueId id : graph.inputs) inputs.push_back(leads[at(id)]);
  return inputs;
}

Tensors call_in_trace(const std::shared_ptr<const Rules>& rules, const Tensors& x) {
  const Types x_types = types_of(x);
  const std::size_t n = x.size();
  Tensors operands = x;
  const auto first_of = [&](const Tensors& in) { return rules->with_pullback(in).first; };
  const Part primal = closed(trace_types(rules->with_pullback ? Function(first_of) : rules->f, x_types), operands);
  Types y_types;
  for (ValueId id : primal.graph.outputs) y_types.push_back(primal.graph.types[static_cast<std::size_t>(id)]);
  const Function pull = [&](const Tensors& in) {
    const auto split = in.begin() + static_cast<std::ptrdiff_t>(n);
    return rules->with_pullback(Tensors(in.begin(), split)).second(Tensors(split, in.end()));
  };
  const auto traced = [&](const Function& f, const Types& own, const Types& results) {
    const Function defined = [&](const Tensors& in) {
      Tensors out = f(in);
      for (std::size_t i = 0; i < out.size() && i < results.size(); ++i)
        if (!out[i].defined()) out[i] = zeros_like_type(results[i]);
      return out;
    };
    return closed(trace_types(defined, x_types + own), operands);
  };
  std::optional<Part> vjp_part, jvp_part;
  if (rules->with_pullback || rules->vjp) vjp_part = traced(rules->with_pullback ? pull : rules->vjp, y_types, x_types);
  if (rules->jvp) jvp_part = traced(rules->jvp, x_types, y_types);
  const Types all = types_of(operands);
  const auto shared = [&](std::optional<Part>& part) {
    return part ? std::make_shared<const GraphData>(of_all_operands(std::move(*part), n, all)) : nullptr;
  };
  const auto rule = rule_of_graphs(who, n, of_all_operands(primal, n, all), shared(vjp_part), shared(jvp_part));
  rule->lost = differentiable_inputs(rule->primal);
  std::fill(rule->lost.begin(), rule->lost.begin() + static_cast<std::ptrdiff_t>(n), 0);
  return call(rule, operands);
}

Function with_rules(Rules given) {
  const auto rules = std::make_shared<const Rules>(std::move(given));
  return [rules](const std::vector<Tensor>& x) {
    const bool traced = TraceScope::current() != nullptr ||
                        std::any_of(x.begin(), x.end(), [](const Tensor& t) { return t.symbolic(); });
    return traced ? call_in_trace(rules, x) : call_on_values(rules, x);
  };
}

}  // namespace

std::shared_ptr<CallRule> rule_of_graphs(std::string name, std::size_t primals, GraphData primal,
                                         std::shared_ptr<const GraphData> vjp_graph,
                                         std::shared_ptr<const GraphData> jvp_graph) {
  auto rule = std::make_shared<CallRule>();
  rule->name = std::move(name);
  rule->primals = primals;
  for (ValueId id : primal.outputs) rule->outputs.push_back(primal.types[static_cast<std::size_t>(id)]);
  rule->primal = std::move(primal);
  rule->vjp_graph = std::move(vjp_graph);
  rule->jvp_graph = std::move(jvp_graph);
  rule->value = [graph = rule->primal](std::span<const Tensor> x) { return replay(graph, x); };
  const auto run = [](const std::shared_ptr<const GraphData>& graph) {
    return [graph](std::span<const Tensor> x, std::span<const Tensor> g) { return replay(*graph, joined(x, g)); };
  };
  if (rule->vjp_graph) rule->vjp = run(rule->vjp_graph);
  if (rule->jvp_graph) rule->jvp = run(rule->jvp_graph);
  complete(*rule, primals);
  rule->batch = [weak = std::weak_ptr<const CallRule>(rule)](std::span<const char> flags, std::int64_t size) {
    return batched(weak.lock(), flags, size);
  };
  return rule;
}

Function custom_gradient(Function f, Function vjp, Function jvp) {
  if (!vjp && !jvp) fail<ValueError>(who, "no derivative rule was given", "", "give vjp, jvp or both");
  return with_rules({.f = std::move(f), .vjp = std::move(vjp), .jvp = std::move(jvp), .with_pullback = {}});
}
Function custom_gradient(FunctionWithPullback f) {
  return with_rules({.f = {}, .vjp = {}, .jvp = {}, .with_pullback = std::move(f)});
}

}  // namespace chainrule
