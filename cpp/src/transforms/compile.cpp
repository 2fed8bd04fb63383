// compile: a function traced once per input types, then run as a Program. Recorded calls are one op whose derivatives
// are compiled functions as well, so that any order of differentiation runs as programs.
#include <algorithm>
#include <cstring>
#include <mutex>

#include "autodiff/rules.hpp"
#include "chainrule/transforms.hpp"
#include "core/fail.hpp"
#include "graph/call_rule.hpp"
#include "graph/mode_reads.hpp"
#include "graph/stand_ins.hpp"
#include "graph/tensor_data.hpp"
#include "ops/operands.hpp"
#include "ops/random_scope.hpp"
#include "program/profile.hpp"

namespace chainrule {
namespace {

// A traced function whose differentiable captures have become arguments, and its compiled derivatives.
struct Differentiable {
  std::vector<BoundValue> captured;  // those that want a gradient
  Types outputs;
  Compiled pull, push;  // (x..., gy...) -> gx...; (x..., tx...) -> ty...
};

struct Entry {
  Types types;
  std::vector<char> numbers;  // which inputs are numbers, that take the other operand's dtype
  std::shared_ptr<const Program> program;
  std::unique_ptr<Workspace> workspace;
  GraphData traced;  // before any pass
  std::vector<ModeRead> modes{};
  std::shared_ptr<const Differentiable> derivatives{};  // made at the first call that is recorded
};

bool wanted(const BoundValue& c) { return is_floating(c.tensor.dtype()) && c.tensor.requires_grad(); }

// Whether the captures that want a gradient are those that wanted one then.
bool current(const Differentiable& d, const GraphData& traced) {
  std::size_t at = 0;
  for (const BoundValue& c : traced.captures)
    if (wanted(c) && (at == d.captured.size() || d.captured[at++].value != c.value)) return false;
  return at == d.captured.size();
}

std::shared_ptr<const Differentiable> derivatives_of(const GraphData& traced) {
  GraphData graph = traced;
  graph.updates.clear();  // the forward run has made them
  std::vector<BoundValue> captured;
  for (const BoundValue& c : traced.captures)
    if (wanted(c)) captured.push_back(c);
  std::erase_if(graph.captures, wanted);
  for (const BoundValue& c : captured) graph.inputs.push_back(c.value);
  Types outputs;
  for (ValueId id : graph.outputs) outputs.push_back(graph.types[static_cast<std::size_t>(id)]);
  const std::size_t values = graph.outputs.size();
  struct Derivative {
    std::once_flag made{};  // at the first call: a custom_gradient may have a rule for one of the modes only
    GraphData graph{};
  };
  const auto behind_values = [&](GraphData (*mode)(const GraphData&)) {
    return compile([graph, values, mode, kept = std::make_shared<Derivative>()](const Tensors& in) {
      std::call_once(kept->made, [&] {
        kept->graph = mode(graph);
        auto& results = kept->graph.outputs;
        results.erase(results.begin(), results.begin() + static_cast<std::ptrdiff_t>(values));
      });
      return replay(kept->graph, in);
    });
  };
  return std::make_shared<const Differentiable>(
      Differentiable{std::move(captured), std::move(outputs), behind_values(&vjp), behind_values(&jvp)});
}

Tensors joined(std::span<const Tensor> a, std::span<const Tensor> b) {
  Tensors all(a.begin(), a.end());
  all.insert(all.end(), b.begin(), b.end());
  return all;
}

}  // namespace

struct Compiled::State {
  Function f;
  std::mutex mutex;  // one workspace, so one run at a time
  std::vector<Entry> entries;
  std::int64_t counter[2] = {0, 0};
  Types types;  // of the call at hand
  std::vector<char> numbers;

  Entry& entry_for(const std::vector<Tensor>& inputs) {
    types.clear();
    numbers.clear();
    for (const Tensor& t : inputs) {
      types.push_back(type_of(t));
      numbers.push_back(t.weak());
    }
    std::erase_if(entries, [](const Entry& e) { return e.workspace->stale() || modes_changed(e.modes); });
    for (Entry& e : entries)
      if (e.types == types && e.numbers == numbers) return e;
    Types with_counter = types;
    with_counter.push_back({DType::int64, Shape{2}});
    const auto traced = [&] {
      return trace_types(
          [&](const Tensors& in) {
            RandomScope random(in.back());
            for (std::size_t i = 0; i < numbers.size(); ++i) in[i].data_handle()->weak = numbers[i] != 0;
            Tensors y = f(Tensors(in.begin(), in.end() - 1));
            for (Tensor& t : y) t = settle(t, "compile");
            return y;
          },
          with_counter);
    };
    ModeReads reads;
    GraphData graph = traced();
    std::vector<ModeRead> modes = reads.take();
    if (entries.empty()) check_same_trace(graph, traced(), "compile");
    auto program = compile_program(graph);
    auto workspace = std::make_unique<Workspace>(program, available_threads());
    entries.push_back({types, numbers, std::move(program), std::move(workspace), std::move(graph), std::move(modes)});
    return entries.back();
  }

  void bind(Entry& entry, const std::vector<Tensor>& inputs) {
    Workspace& workspace = *entry.workspace;
    for (std::size_t i = 0; i < inputs.size(); ++i) workspace.bind_input(i, inputs[i].raw_data());
    counter[0] = static_cast<std::int64_t>(global_seed());
    workspace.bind_input(inputs.size(), counter);
  }
  void run(Entry& entry, const std::vector<Tensor>& inputs) {
    bind(entry, inputs);
    entry.workspace->run();
  }

  Tensors results(const Entry& entry) const {
    Tensors outputs;
    const GraphData& graph = entry.program->graph;
    for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
      const TensorType& type = graph.types[static_cast<std::size_t>(graph.outputs[i])];
      outputs.push_back(Tensor::from_raw(entry.workspace->output(i), static_cast<std::size_t>(type.shape.size()),
                                         type.shape, type.dtype));
    }
    return outputs;
  }
};

Compiled::Compiled(Function f) : state_(std::make_shared<State>()) { state_->f = std::move(f); }
Compiled compile(Function f) { return Compiled(std::move(f)); }

namespace {

bool part_of_trace(const std::vector<Tensor>& inputs) {
  return TraceScope::current() != nullptr || StandIns::active() ||
         std::any_of(inputs.begin(), inputs.end(), [](const Tensor& t) { return t.symbolic(); });
}

bool wants_gradient(const Entry& entry, const std::vector<Tensor>& inputs) {
  if (!grad_enabled()) return false;
  for (const Tensor& t : inputs)
    if (t.requires_grad()) return true;
  for (const BoundValue& c : entry.traced.captures)
    if (c.tensor.requires_grad()) return true;
  return false;
}

// One recorded op: its value is what has just run, its derivatives are compiled.
Tensors record_call(const std::shared_ptr<const Differentiable>& d, const std::vector<Tensor>& inputs,
                    const Tensor& counter, Tensors values) {
  Tensors x = inputs;
  x.push_back(counter);
  for (const BoundValue& c : d->captured) x.push_back(c.tensor);
  const auto floating = [](const Tensors& from, const Tensors& like) {
    Tensors kept(from.begin(), from.end());
    for (std::size_t i = 0; i < kept.size(); ++i)
      if (!is_floating(like[i].dtype())) kept[i] = Tensor();
    return kept;
  };
  auto rule = std::make_shared<CallRule>();
  rule->name = "compiled function";
  rule->outputs = d->outputs;
  rule->primals = x.size();
  rule->value = [values = std::make_shared<Tensors>(std::move(values))](std::span<const Tensor>) {
    return std::move(*values);
  };
  rule->vjp = [d, floating](std::span<const Tensor> at, std::span<const Tensor> gy) {
    return floating(d->pull(joined(at, gy)), Tensors(at.begin(), at.end()));
  };
  rule->jvp = [d](std::span<const Tensor> at, std::span<const Tensor> tx) { return d->push(joined(at, tx)); };
  return call(std::move(rule), x);
}

}  // namespace

std::vector<Tensor> Compiled::operator()(const std::vector<Tensor>& inputs) const {
  if (part_of_trace(inputs)) return state_->f(inputs);
  const std::lock_guard lock(state_->mutex);
  Entry& entry = state_->entry_for(inputs);
  state_->run(entry, inputs);
  Tensors outputs = state_->results(entry);
  if (wants_gradient(entry, inputs)) {
    if (!entry.derivatives || !current(*entry.derivatives, entry.traced))
      entry.derivatives = derivatives_of(entry.traced);
    outputs = record_call(
        entry.derivatives, inputs,
        make_counter(static_cast<std::uint64_t>(state_->counter[0]), static_cast<std::uint64_t>(state_->counter[1])),
        std::move(outputs));
  }
  ++state_->counter[1];
  return outputs;
}

void Compiled::operator()(const std::vector<Tensor>& inputs, const std::vector<OutputView>& outputs) const {
  if (part_of_trace(inputs))
    fail<StateError>("compile", "out= cannot be written inside a traced function", "", "use the returned tensors");
  const std::lock_guard lock(state_->mutex);
  Entry& entry = state_->entry_for(inputs);
  if (wants_gradient(entry, inputs))
    fail<StateError>("compile", "out= would lose the gradient", "an argument or a captured tensor requires one",
                     "use the returned tensors, or call it under no_grad");
  const GraphData& graph = entry.program->graph;
  if (outputs.size() != graph.outputs.size())
    fail<ValueError>(
        "compile", "out= does not fit",
        std::to_string(outputs.size()) + " arrays for " + std::to_string(graph.outputs.size()) + " outputs",
        "give one array per output");
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const TensorType& type = graph.types[static_cast<std::size_t>(graph.outputs[i])];
    if (!(outputs[i].shape == type.shape) || outputs[i].dtype != type.dtype)
      fail<ShapeError>("compile", "out= does not fit",
                       std::string(name_of(outputs[i].dtype)) + outputs[i].shape.str() + " for " +
                           std::string(name_of(type.dtype)) + type.shape.str(),
                       "give an array of the output's shape and dtype");
  }
  state_->run(entry, inputs);
  ++state_->counter[1];
  for (std::size_t i = 0; i < outputs.size(); ++i)
    if (const auto bytes = static_cast<std::size_t>(outputs[i].shape.size()) * size_of(outputs[i].dtype))
      std::memcpy(outputs[i].data, entry.workspace->output(i), bytes);
}

Profile Compiled::profile(const std::vector<Tensor>& inputs, int runs) const {
  const std::lock_guard lock(state_->mutex);
  Entry& entry = state_->entry_for(inputs);
  state_->bind(entry, inputs);
  return chainrule::profile(*entry.workspace, runs, [](int) {});
}

}  // namespace chainrule
