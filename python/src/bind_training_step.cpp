// training_step: a compiled step for any loss.
#include "common.hpp"

namespace chainrule::python {
namespace {

optim::Optimizer to_optimizer(const py::object& value) {
  if (!py::isinstance<optim::Optimizer>(value))
    throw DTypeError("training_step: expected an optimizer, got " + type_name(value) +
                     "; write training_step(loss, optimizer) or training_step([(loss, optimizer), ...])");
  return value.cast<optim::Optimizer>();
}

std::vector<LossAndOptimizer> to_parts(const py::object& loss, const py::object& optimizer) {
  std::vector<LossAndOptimizer> parts;
  if (!optimizer.is_none()) {
    parts.push_back({to_function(loss), to_optimizer(optimizer)});
    return parts;
  }
  if (!PyList_Check(loss.ptr()) && !PyTuple_Check(loss.ptr()))
    throw DTypeError("training_step: an optimizer is missing; write training_step(loss, optimizer)");
  for (py::handle item : loss) {
    if (!PyTuple_Check(item.ptr()) || py::len(item) != 2)
      throw DTypeError("training_step: expected (loss, optimizer) pairs, got " + type_name(item));
    parts.push_back({to_function(item[py::int_(0)]), to_optimizer(item[py::int_(1)])});
  }
  return parts;
}

}  // namespace

void bind_training_step(py::module_& m) {
  py::class_<TrainingStep>(m, "TrainingStep", "A compiled step: call it with the inputs of its losses.")
      .def("__call__",
           [](TrainingStep& step, const py::args& args) -> py::object {
             std::vector<Tensor> inputs;
             for (py::handle arg : args) {
               inputs.push_back(borrow(arg, "training_step"));
               if (inputs.back().weak()) inputs.back() = new_tensor(arg, py::none());
             }
             std::vector<double> losses;
             {
               const py::gil_scoped_release unlocked;
               losses = step(inputs);
             }
             if (losses.size() == 1) return py::float_(losses[0]);
             py::tuple all(losses.size());
             for (std::size_t i = 0; i < losses.size(); ++i) all[i] = py::float_(losses[i]);
             return all;
           })
      .def_property_readonly("step_count", &TrainingStep::step_count, "Steps taken.");
  m.def(
      "training_step",
      [](const py::object& loss, const py::object& optimizer, const std::optional<double>& clip_norm,
         const py::object& seed) {
        TrainingStepOptions options;
        options.clip_norm = clip_norm;
        options.seed = to_seed(seed, "training_step");
        return TrainingStep(to_parts(loss, optimizer), options);
      },
      "loss"_a, "optimizer"_a = py::none(), py::kw_only(), "clip_norm"_a = py::none(), "seed"_a = 0,
      "A step that lowers loss(*inputs), any function of tensors and modules that returns one number, by moving the "
      "optimizer's parameters and no others. The step is traced once per shapes of its inputs and runs as one program; "
      "calling it gives the loss before the update, a float. A list of (loss, optimizer) pairs runs in order, each "
      "loss "
      "seeing what the optimizers before it have done, and gives a tuple. Modules compute in the mode, train or eval, "
      "that "
      "they are in. A step whose loss or gradients are not finite changes nothing and raises ValueError. clip_norm: "
      "the "
      "largest norm of an optimizer's gradients; seed: keys dropout.\n\n"
      ">>> model = nn.Linear(2, 1, seed=0)\n"
      ">>> step = cr.training_step(lambda x, y: ((model(x) - y) ** 2).mean(), optim.SGD(model.parameters(), lr=0.1))\n"
      ">>> x = np.ones((4, 2), dtype=np.float32)\n"
      ">>> step(x, x[:, :1]) > step(x, x[:, :1])\n"
      "True");
}

}  // namespace chainrule::python
