// training_step: losses, gradients and updates of several optimizers as one Program.
#include "chainrule/training_step.hpp"

#include <algorithm>
#include <cstring>
#include <mutex>

#include "autodiff/rules.hpp"
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "graph/mode_reads.hpp"
#include "graph/stand_ins.hpp"
#include "graph/tensor_data.hpp"
#include "ops/random_scope.hpp"
#include "program/workspace.hpp"
#include "train/parameter_arena.hpp"
#include "train/precision.hpp"
#include "train/profile.hpp"
#include "train/step_parts.hpp"

namespace chainrule {
namespace {

constexpr const char* who = "training_step";

// Values as the parts before have left them, for what the next part reads.
struct Moved {
  Tensors originals, present;
  void set(const Tensor& original, const Tensor& value) {
    for (std::size_t i = 0; i < originals.size(); ++i)
      if (originals[i].data_handle() == original.data_handle()) {
        present[i] = value;
        return;
      }
    originals.push_back(original);
    present.push_back(value);
  }
};

void trace_part(Tracer& tracer, LossAndOptimizer& part, const Tensors& inputs, const Tensor& counter,
                const Tensor& limit, Clip clip, Moved& moved, Tensors& losses, std::size_t number) {
  const StandIns scope(moved.originals, moved.present);
  const auto present = [&](const Tensor& t) { return tracer.symbol(tracer.value_of(StandIns::of(t))); };
  const std::string which = "loss " + std::to_string(number);
  const std::size_t first_node = tracer.graph().nodes.size();
  Tensors results;
  {
    const RandomScope random(counter);
    results = part.loss(inputs);
  }
  if (results.size() != 1 || results[0].size() != 1)
    fail<ShapeError>(
        who, "a loss does not return one number",
        which + " returned " +
            (results.size() == 1 ? "shape " + results[0].shape().str() : std::to_string(results.size()) + " values"),
        "reduce it, for instance with .mean()");
  const Tensor& value = results[0];
  const Tensor start = start_cotangent(value, {}, who);
  guard(value);
  const std::vector<Tensor>& parameters = part.optimizer.parameters();
  std::vector<ValueId> wrt;
  for (const Tensor& p : parameters) wrt.push_back(tracer.value_of(StandIns::of(p)));
  Tensors gradients = gradients_in_trace(tracer, std::span(&value, 1), std::span(&start, 1), wrt, first_node);
  bool trains = false;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    if (!parameters[i].requires_grad()) gradients[i] = Tensor();
    trains |= gradients[i].defined();
  }
  if (!trains)
    fail<StateError>(who, "a loss reaches no parameter that its optimizer may move",
                     which + ", " + part.optimizer.str() + " of " + std::to_string(parameters.size()) + " parameters",
                     "give the optimizer the parameters of a module that the loss calls");
  clip_gradients(gradients, limit, clip);
  const std::vector<Tensors> scalars = scalar_inputs(tracer, part.optimizer);
  for (const std::size_t i : in_order_of_groups(part.optimizer, gradients)) {
    const std::size_t group = part.optimizer.group_of(i);
    const std::vector<Tensor>& states = part.optimizer.states(i);
    Tensors now;
    for (const Tensor& s : states) now.push_back(present(s));
    const Tensors updated =
        part.optimizer.rule_of(group).update(present(parameters[i]), gradients[i], now, scalars[group]);
    tracer.add_update(parameters[i], updated[0]);
    moved.set(parameters[i], updated[0]);
    for (std::size_t k = 0; k < states.size(); ++k) {
      tracer.add_update(states[k], updated[k + 1]);
      moved.set(states[k], updated[k + 1]);
    }
  }
  losses.push_back(value);
}

// Inputs: the step's, dropout's counter, the clip limit if there is one, each optimizer's scalars.
GraphData trace_parts(std::vector<LossAndOptimizer>& parts, const Types& types, const std::vector<char>& numbers,
                      Clip clip) {
  const auto tracer = Tracer::create();
  const TraceScope recording(*tracer);
  Tensors inputs;
  for (const TensorType& type : types) {
    inputs.push_back(tracer->input(type));
    inputs.back().data_handle()->weak = numbers[inputs.size() - 1] != 0;
  }
  const Tensor counter = tracer->input({DType::int64, Shape{2}});
  const Tensor limit = clip != Clip::none ? tracer->input({DType::float64, {}}) : Tensor();
  Moved moved;
  Tensors losses;
  for (std::size_t i = 0; i < parts.size(); ++i)
    trace_part(*tracer, parts[i], inputs, counter, limit, clip, moved, losses, i);
  tracer->set_outputs(losses);
  return tracer->take();
}

struct Compiled {
  Types types;
  std::vector<char> numbers;  // which inputs are numbers, that take the other operand's dtype
  std::string variant;
  std::vector<char> trained;  // which parameters wanted gradients
  std::vector<ModeRead> modes;
  std::unique_ptr<Workspace> workspace;
  std::vector<double> scalars;
  std::vector<float> single;
};

Precision named_precision(const std::vector<LossAndOptimizer>& parts, const TrainingStepOptions& options) {
  std::vector<nn::NamedTensor> parameters;
  for (const LossAndOptimizer& part : parts)
    for (const Tensor& p : part.optimizer.parameters())
      parameters.push_back({"parameter " + std::to_string(parameters.size()), p});
  return precision_named(options.precision, parameters, who);
}

}  // namespace

struct TrainingStep::State {
  std::vector<LossAndOptimizer> parts;
  TrainingStepOptions options;
  Clipping clipping;
  double limit = 0;
  std::int64_t counter[2] = {0, 0};
  std::mutex mutex;
  std::vector<std::unique_ptr<Compiled>> compiled;
  Types types;  // of the call at hand
  std::vector<char> numbers;
  std::vector<double> rates;                   // of the groups of the part at hand
  std::vector<std::vector<std::byte>> before;  // what a failing step puts back, where there are several parts

  std::vector<char> trained() const {
    std::vector<char> flags;
    for (const LossAndOptimizer& part : parts)
      for (const Tensor& p : part.optimizer.parameters()) flags.push_back(p.requires_grad());
    return flags;
  }
  bool same_flags(const std::vector<char>& flags) const {
    std::size_t at = 0;
    for (const LossAndOptimizer& part : parts)
      for (const Tensor& p : part.optimizer.parameters())
        if ((flags[at++] != 0) != p.requires_grad()) return false;
    return true;
  }

  Compiled& step_for(const std::vector<Tensor>& inputs, const std::string& variant) {
    types.clear();
    numbers.clear();
    for (const Tensor& t : inputs) {
      types.push_back(type_of(t));
      numbers.push_back(t.weak());
    }
    std::erase_if(compiled, [&](const auto& c) {
      return c->workspace->stale() || modes_changed(c->modes) || !same_flags(c->trained);
    });
    for (const auto& c : compiled)
      if (c->types == types && c->numbers == numbers && c->variant == variant) return *c;
    auto made = std::make_unique<Compiled>();
    made->types = types;
    made->numbers = numbers;
    made->variant = variant;
    made->trained = trained();
    const Clip clip = clipping.by;
    GraphData graph;
    {
      ModeReads reads;
      graph = trace_parts(parts, types, numbers, clip);
      made->modes = reads.take();
      if (compiled.empty()) check_same_trace(graph, trace_parts(parts, types, numbers, clip), who);
    }
    made->workspace =
        std::make_unique<Workspace>(compile_program(graph, named_precision(parts, options)), available_threads());
    for (const LossAndOptimizer& part : parts)
      made->scalars.resize(made->scalars.size() + scalar_count(part.optimizer));
    made->single.resize(made->scalars.size());
    std::size_t at = types.size();
    made->workspace->bind_input(at++, counter);
    if (clip != Clip::none) made->workspace->bind_input(at++, &limit);
    std::size_t k = 0;
    for (const LossAndOptimizer& part : parts) {
      const bool wide = scalar_dtype(part.optimizer) == DType::float64;
      for (std::size_t n = scalar_count(part.optimizer); n-- > 0; ++k)
        made->workspace->bind_input(
            at++, wide ? static_cast<const void*>(&made->scalars[k]) : static_cast<const void*>(&made->single[k]));
    }
    compiled.push_back(std::move(made));
    return *compiled.back();
  }

  void load_scalars(Compiled& step) {
    std::size_t k = 0;
    for (const LossAndOptimizer& part : parts) {
      rates.resize(part.optimizer.group_count());
      part.optimizer.rates_at(part.optimizer.step_count(), rates);
      k = set_scalars(step, part.optimizer, rates, k);
    }
  }
  // Out of line, so that its arithmetic stays inside the floating-point environment.
  [[gnu::noinline]] static std::size_t set_scalars(Compiled& step, const optim::Optimizer& o,
                                                   std::span<const double> rates, std::size_t k) {
    const FloatEnvironment environment;
    return k + write_scalars(o, rates, o.step_count() + 1, step.scalars.data() + k, step.single.data() + k);
  }

  // The step for these inputs, ready to run.
  Compiled& loaded(const std::vector<Tensor>& inputs, const std::string& variant) {
    for (std::size_t i = 0; i < inputs.size(); ++i)
      if (inputs[i].symbolic())
        fail<StateError>(who, "cannot be called inside a traced function",
                         "input " + std::to_string(i) + " has no values", "call it with arrays or tensors");
    Compiled& step = step_for(inputs, variant);
    counter[0] = static_cast<std::int64_t>(options.seed);
    limit = clipping.limit;
    load_scalars(step);
    for (std::size_t i = 0; i < inputs.size(); ++i) step.workspace->bind_input(i, inputs[i].raw_data());
    return step;
  }

  // One part guards everything before it updates anything; of several, the first may have moved when the second fails.
  template <class Visit> void each_target(const Visit& visit) {
    for (LossAndOptimizer& part : parts)
      for (std::size_t i = 0; i < part.optimizer.parameters().size(); ++i) {
        visit(part.optimizer.parameters()[i]);
        for (const Tensor& s : part.optimizer.states(i)) visit(s);
      }
  }
  void remember() {
    std::size_t at = 0;
    each_target([&](const Tensor& t) {
      if (before.size() == at) before.emplace_back();
      before[at].resize(static_cast<std::size_t>(t.size()) * size_of(t.dtype()));
      std::memcpy(before[at].data(), bytes_of(t), before[at].size());
      ++at;
    });
  }
  void put_back() {
    std::size_t at = 0;
    each_target([&](const Tensor& t) {
      std::memcpy(bytes_of(t), before[at].data(), before[at].size());
      ++at;
    });
  }
};

TrainingStep::TrainingStep(std::vector<LossAndOptimizer> parts, const TrainingStepOptions& options)
    : state_(std::make_shared<State>()) {
  if (parts.empty()) fail<ValueError>(who, "no loss was given", "", "give a loss and an optimizer");
  const Clipping clipping = clipping_of(who, options.clip_norm, options.clip_value);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (!parts[i].loss) fail<StateError>(who, "a loss is undefined", "loss " + std::to_string(i));
    if (parts[i].optimizer.driver())
      fail<ValueError>(who, "takes optimizers that move by one gradient", parts[i].optimizer.str(),
                       "call step(closure) of " + parts[i].optimizer.method().name() + ", or use a Trainer");
    if (parts[i].optimizer.is_recipe())
      fail<StateError>(who, "an optimizer has no parameters", parts[i].optimizer.str() + " is a recipe",
                       "pass the parameters that it may move, for instance Adam(model.parameters())");
    adopt_parameters(parts[i].optimizer.parameters());
  }
  named_precision(parts, options);
  state_->parts = std::move(parts);
  state_->options = options;
  state_->clipping = clipping;
}
TrainingStep::TrainingStep(Function loss, const optim::Optimizer& optimizer, const TrainingStepOptions& options)
    : TrainingStep(std::vector<LossAndOptimizer>{{std::move(loss), optimizer}}, options) {}

std::vector<double> TrainingStep::operator()(const std::vector<Tensor>& inputs, const std::string& variant) {
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  const NoGrad nothing;
  Compiled& step = s.loaded(inputs, variant);
  if (s.parts.size() > 1) s.remember();
  Workspace& workspace = *step.workspace;
  workspace.refresh();
  run_team(workspace.threads(), [&](int thread, Team& team) { workspace.run_as(thread, team); });
  if (workspace.failed()) {
    if (s.parts.size() > 1) s.put_back();
    try {
      workspace.throw_failure();
    } catch (const ValueError&) {
      fail<ValueError>(
          who, "a loss or a gradient is not finite", "step " + std::to_string(s.counter[1]),
          "nothing was changed; look for inf and NaN in the inputs, lower the learning rate or set clip_norm");
    }
  }
  workspace.count_versions(1);
  for (LossAndOptimizer& part : s.parts) part.optimizer.set_step_count(part.optimizer.step_count() + 1);
  ++s.counter[1];
  std::vector<double> losses;
  const GraphData& graph = workspace.program().graph;
  for (std::size_t i = 0; i < s.parts.size(); ++i) {
    const void* at = workspace.output(i);
    losses.push_back(graph.types[static_cast<std::size_t>(graph.outputs[i])].dtype == DType::float64
                         ? *static_cast<const double*>(at)
                         : static_cast<double>(*static_cast<const float*>(at)));
  }
  return losses;
}

Profile TrainingStep::profile(const std::vector<Tensor>& inputs, int runs, const std::string& variant) {
  State& s = *state_;
  const std::lock_guard lock(s.mutex);
  const NoGrad nothing;
  return profile_step(*s.loaded(inputs, variant).workspace, runs, [](int) {});
}

std::int64_t TrainingStep::step_count() const { return state_->counter[1]; }

}  // namespace chainrule
