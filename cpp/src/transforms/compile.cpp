// compile: a function traced once per input types, then run as a Program.
#include <mutex>

#include "chainrule/transforms.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "ops/random_scope.hpp"
#include "program/workspace.hpp"

namespace chainrule {
namespace {

struct Entry {
  Types types;
  std::shared_ptr<const Program> program;
  std::unique_ptr<Workspace> workspace;
};

}  // namespace

struct Compiled::State {
  Function f;
  std::mutex mutex;  // one workspace, so one run at a time
  std::vector<Entry> entries;
  std::int64_t counter[2] = {0, 0};
};

Compiled::Compiled(Function f) : state_(std::make_shared<State>()) { state_->f = std::move(f); }
Compiled compile(Function f) { return Compiled(std::move(f)); }

std::vector<Tensor> Compiled::operator()(const std::vector<Tensor>& inputs) const {
  const std::lock_guard lock(state_->mutex);
  Types types;
  for (const Tensor& t : inputs) types.push_back(type_of(t));
  for (const Tensor& t : inputs)
    if (t.symbolic()) return state_->f(inputs);  // inside another trace: becomes part of it
  std::erase_if(state_->entries, [](const Entry& e) { return e.workspace->stale(); });
  Entry* entry = nullptr;
  for (Entry& e : state_->entries)
    if (e.types == types) entry = &e;
  if (entry == nullptr) {
    Types with_counter = types;
    with_counter.push_back({DType::int64, Shape{2}});
    const auto traced = [&] {
      return trace_types(
          [&](const Tensors& in) {
            RandomScope random(in.back());
            return state_->f(Tensors(in.begin(), in.end() - 1));
          },
          with_counter);
    };
    const GraphData graph = traced();
    if (state_->entries.empty()) check_same_trace(graph, traced(), "compile");
    auto program = compile_program(graph);
    auto workspace = std::make_unique<Workspace>(program, available_threads());
    state_->entries.push_back({types, std::move(program), std::move(workspace)});
    entry = &state_->entries.back();
  }
  Workspace& workspace = *entry->workspace;
  for (std::size_t i = 0; i < inputs.size(); ++i) workspace.bind_input(i, inputs[i].raw_data());
  state_->counter[0] = static_cast<std::int64_t>(global_seed());
  workspace.bind_input(inputs.size(), state_->counter);
  workspace.run();
  ++state_->counter[1];
  std::vector<Tensor> outputs;
  const GraphData& graph = entry->program->graph;
  for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
    const TensorType& type = graph.types[static_cast<std::size_t>(graph.outputs[i])];
    outputs.push_back(
        Tensor::from_raw(workspace.output(i), static_cast<std::size_t>(type.shape.size()), type.shape, type.dtype));
  }
  return outputs;
}

}  // namespace chainrule
