// training_step: a compiled step for any loss.
#include <algorithm>

#include "tree_call.hpp"

namespace chainrule::python {
namespace {

// A step, and the names of the inputs that the present call gives by name: the last ones, in the order of their names.
struct NamedStep {
  std::shared_ptr<std::vector<std::string>> names;
  TrainingStep step;
};

Function to_loss_function(const py::object& loss, const std::shared_ptr<std::vector<std::string>>& names) {
  check_function(loss, "training_step");
  return [held_loss = hold(loss), names](const std::vector<Tensor>& inputs) {
    const py::gil_scoped_acquire locked;
    const std::size_t positional = inputs.size() - names->size();
    py::tuple arguments(positional);
    for (std::size_t i = 0; i < positional; ++i) arguments[i] = py::cast(inputs[i]);
    py::dict named;
    for (std::size_t i = positional; i < inputs.size(); ++i)
      named[py::str((*names)[i - positional])] = py::cast(inputs[i]);
    const py::object result = held(held_loss)(*arguments, **named);
    if (result.is_none()) throw ValueError("training_step: the loss returned None; return a tensor of one element");
    return to_tensors(result, "training_step");
  };
}

// The inputs of a call, those given by name behind the others; and the name of that choice.
struct StepCall {
  std::vector<Tensor> inputs;
  std::string variant;

  StepCall(const NamedStep& s, const py::args& args, const py::kwargs& kwargs) {
    for (py::handle value : args) inputs.push_back(borrow(value, "training_step"));
    std::vector<std::string> names;
    for (auto [name, value] : kwargs) names.push_back(name.cast<std::string>());
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      inputs.push_back(borrow(kwargs[name.c_str()], "training_step"));
      variant += name + ",";
    }
    *s.names = std::move(names);
  }
};

py::object take_step(NamedStep& s, const py::args& args, const py::kwargs& kwargs) {
  const StepCall call(s, args, kwargs);
  std::vector<double> losses;
  {
    const Unlocked unlocked;
    losses = s.step(call.inputs, call.variant);
  }
  if (losses.size() == 1) return py::float_(losses[0]);
  py::tuple all(losses.size());
  for (std::size_t i = 0; i < losses.size(); ++i) all[i] = py::float_(losses[i]);
  return all;
}

Profile profile_step(NamedStep& s, const py::args& args, int runs, const py::kwargs& kwargs) {
  const StepCall call(s, args, kwargs);
  const Unlocked unlocked;
  return s.step.profile(call.inputs, runs, call.variant);
}

optim::Optimizer to_optimizer(const py::object& value) {
  if (!py::isinstance<optim::Optimizer>(value))
    throw DTypeError("training_step: expected an optimizer, got " + type_name(value) +
                     "; write training_step(loss, optimizer) or training_step([(loss, optimizer), ...])");
  return value.cast<optim::Optimizer>();
}

std::vector<LossAndOptimizer> to_parts(const py::object& loss, const py::object& optimizer,
                                       const std::shared_ptr<std::vector<std::string>>& names) {
  std::vector<LossAndOptimizer> parts;
  if (!optimizer.is_none()) {
    parts.push_back({to_loss_function(loss, names), to_optimizer(optimizer)});
    return parts;
  }
  if (!PyList_Check(loss.ptr()) && !PyTuple_Check(loss.ptr()))
    throw DTypeError("training_step: an optimizer is missing; write training_step(loss, optimizer)");
  for (py::handle item : loss) {
    if (!PyTuple_Check(item.ptr()) || py::len(item) != 2)
      throw DTypeError("training_step: expected (loss, optimizer) pairs, got " + type_name(item));
    parts.push_back({to_loss_function(item[py::int_(0)], names), to_optimizer(item[py::int_(1)])});
  }
  return parts;
}

}  // namespace

void bind_training_step(py::module_& m) {
  py::class_<NamedStep>(m, "TrainingStep", "A compiled step: call it with the inputs of its losses.")
      .def("__call__", &take_step)
      .def("profile", &profile_step, py::kw_only(), "runs"_a = 100,
           "Where the time of a step on these inputs goes: a Profile, which prints as a table. Nothing is changed by "
           "it.")
      .def_property_readonly("step_count", [](const NamedStep& s) { return s.step.step_count(); }, "Steps taken.");
  m.def(
      "training_step",
      [](const py::object& loss, const py::object& optimizer, const std::optional<double>& clip_norm,
         const std::optional<double>& clip_value, const py::object& seed, const std::string& precision) {
        const auto names = std::make_shared<std::vector<std::string>>();
        TrainingStepOptions options;
        options.clip_norm = clip_norm;
        options.clip_value = clip_value;
        options.seed = to_seed(seed, "training_step");
        options.precision = precision;
        return NamedStep{names, TrainingStep(to_parts(loss, optimizer, names), options)};
      },
      "loss"_a, "optimizer"_a = py::none(), py::kw_only(), "clip_norm"_a = py::none(), "clip_value"_a = py::none(),
      "seed"_a = 0, "precision"_a = TrainingStepOptions{}.precision,
      "A step that lowers loss(*inputs), any function of tensors and modules that returns one number, by moving the "
      "optimizer's parameters and no others. The step is traced once per shapes of its inputs and runs as one program; "
      "calling it, with arguments by position or by name, gives the loss before the update, a float. A list of (loss, "
      "optimizer) pairs runs in order, each "
      "loss "
      "seeing what the optimizers before it have done, and gives a tuple. Modules compute in the mode, train or eval, "
      "that "
      "they are in. A step whose loss or gradients are not finite changes nothing and raises ValueError. clip_norm: "
      "the "
      "largest norm of an optimizer's gradients; clip_value: the largest element of each; seed: keys dropout; "
      "precision: \"float32\", or \"bf16\" on processors "
      "with AMX, as in Trainer.\n\n"
      ">>> model = nn.Linear(2, 1, seed=0)\n"
      ">>> step = cr.training_step(lambda x, y: ((model(x) - y) ** 2).mean(), optim.SGD(model.parameters(), lr=0.1))\n"
      ">>> x = np.ones((4, 2), dtype=np.float32)\n"
      ">>> step(x, x[:, :1]) > step(x, x[:, :1])\n"
      "True");
}

}  // namespace chainrule::python
