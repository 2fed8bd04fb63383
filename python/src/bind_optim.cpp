// Optimizers, with PyTorch's argument names; every default is read from the C++ options.
#include "optim_arguments.hpp"
#include "rate.hpp"

namespace chainrule::python {
namespace {

using optim::Optimizer;

template <class O, class Options>
O make(const py::object& params, const Options& options, const char* name, const py::object& by_name,
       bool decay_bias_and_norm) {
  const optim::GroupOptions groups = group_options(name, by_name, decay_bias_and_norm);
  if (params.is_none()) return O(options, groups);
  if (are_groups(params)) return O(to_groups(name, params), options, groups);
  const std::vector<nn::NamedTensor> named = parameters_of(params, name);
  const bool alike = groups.groups.empty() && groups.decay_bias_and_norm;
  if (alike || named.empty() || named[0].name.empty()) return O(tensors_of(named), options, groups);
  O made(options, groups);
  static_cast<Optimizer&>(made) = made.with(named);
  return made;
}

// Drivers move all parameters together.
template <class O, class Options> O make(const py::object& params, const Options& options, const char* name) {
  if (params.is_none()) return O(options);
  if (are_groups(params))
    throw ValueError(std::string(name) +
                     ": moves all parameters together, groups do not go with it; write model.parameters()");
  return O(tensors_of(parameters_of(params, name)), options);
}

// A recipe is its arguments. One with parameters is refused: copies of them would belong to no model.
py::tuple reduce(const Optimizer& o, const char* what) {
  const std::string name = o.method().name();
  if (!o.is_recipe())
    throw StateError(std::string(what) + ": " + name +
                     " moves parameters, of which a copy would belong to no model; keep opt.state_dict() and load it "
                     "into a new " +
                     name + "(model.parameters()), or take a Trainer, which goes with its model");
  const py::module_ core = py::module_::import("chainrule._core");
  if (!py::hasattr(core, name.c_str()))
    throw StateError(std::string(what) + ": " + name + " is written in C++ and unknown to Python");
  py::dict arguments = to_kwargs(o.method().arguments());
  if (!o.group_options().groups.empty()) arguments["groups"] = from_groups(o.group_options().groups);
  if (!o.group_options().decay_bias_and_norm) arguments["decay_bias_and_norm"] = false;
  return py::make_tuple(core.attr("_make_optimizer"), py::make_tuple(name, arguments));
}

py::object make_optimizer(const std::string& name, const py::dict& arguments) {
  return py::module_::import("chainrule._core").attr(name.c_str())(**arguments);
}

py::object copy_of(const Optimizer& o, const char* what) {
  const py::tuple made = reduce(o, what);
  return made[0](*made[1].cast<py::tuple>());
}

// A closure gets the gradients of its loss even where the caller has turned them off, as in PyTorch.
py::object step_with(Optimizer& o, const py::object& closure) {
  if (closure.is_none()) {
    const Unlocked unlocked;
    o.step();
    return py::none();
  }
  const std::string name = o.method().name();
  if (PyCallable_Check(closure.ptr()) == 0)
    throw DTypeError(name + ": step takes a function, got " + type_name(closure));
  const double loss = o.step([&]() -> Tensor {
    const py::object value = closure();
    if (value.is_none()) return {};
    return to_tensor(value, name.c_str());
  });
  return py::float_(loss);
}

void bind_group(py::module_& m) {
  using optim::ParameterGroup;
  py::class_<ParameterGroup>(m, "ParameterGroup",
                             "Parameters that move by the same arguments: one of optimizer.groups.")
      .def_property_readonly("name", &ParameterGroup::name,
                             "The patterns that its parameters fit, or the group's place in the list; empty for all "
                             "others.")
      .def_property("lr", &ParameterGroup::lr, &ParameterGroup::set_lr,
                    "The learning rate of the next step. Set to a number or a schedule, the group has a rate of its "
                    "own from then on,\n"
                    "which no lr_scale multiplies.")
      .def_property_readonly(
          "arguments", [](const ParameterGroup& g) { return to_kwargs(g.arguments()); },
          "All arguments that these parameters move by, as a dict.")
      .def_property_readonly(
          "parameters",
          [](const ParameterGroup& g) {
            py::list list;
            for (const Tensor& p : g.parameters()) list.append(py::cast(Parameter(p)));
            return list;
          },
          "What it moves.")
      .def("__repr__", &ParameterGroup::str);
}

void bind_optimizer_class(py::module_& m) {
  bind_group(m);
  m.def("_make_optimizer", &make_optimizer, "name"_a, "arguments"_a);
  py::class_<Optimizer>(
      m, "Optimizer",
      "Moves parameters against their gradients. Without parameters it is a recipe that a Trainer copies.\n\n"
      "Some parameters may move by other arguments: those of a Trainer's model by groups={\"*.bias\": "
      "{\"weight_decay\": 0.0}}, patterns\n"
      "of their names as shells have them, of which all that fit count, the later ones more; by hand by a list of "
      "dicts "
      "in the place\n"
      "of params, [{\"params\": [...], \"lr\": 1e-4}, ...]. Beside the optimizer's own arguments a group takes "
      "lr_scale, a "
      "factor of the\n"
      "rate, and freeze=True, which is requires_grad_(False). decay_bias_and_norm=False: no weight_decay for "
      "parameters "
      "of fewer than\n"
      "two axes.\n\n"
      ">>> model = nn.MLP([2, 8, 1], seed=0)\n"
      ">>> recipe = optim.AdamW(lr=1e-2, groups={\"0.*\": {\"freeze\": True}}, decay_bias_and_norm=False)\n"
      ">>> trainer = cr.Trainer(model, nn.MSELoss(), recipe)\n"
      ">>> [p.requires_grad for p in model.parameters()]\n"
      "[False, False, True, True]")
      .def("step", &step_with, "closure"_a = py::none(),
           "Move every parameter that has a gradient. closure, which LBFGS needs and others take: a function that "
           "computes the\n"
           "loss, calls backward() on it and returns it; for LevenbergMarquardt one that returns the residuals. The "
           "loss before\n"
           "the update is then returned.")
      .def("zero_grad", &Optimizer::zero_grad, "Forget the gradients.")
      .def_property("lr", &Optimizer::lr, &Optimizer::set_lr,
                    "The learning rate of the next step. Can be set at any time, to a number, a schedule or a function "
                    "of the step.")
      .def_property_readonly(
          "schedule",
          [](const Optimizer& o) { return o.schedule().defined() ? py::cast(o.schedule()) : py::object(py::none()); },
          "The schedule that lr follows, or None.")
      .def_property("epoch", &Optimizer::epoch, &Optimizer::set_epoch,
                    "What schedules with per=\"epoch\" count; a Trainer sets it, by hand it is yours to set.")
      .def_property_readonly("groups", &Optimizer::groups,
                             "The parameters by the arguments they move by, a list of ParameterGroups; one where "
                             "groups were not given.\n\n"
                             ">>> model = nn.MLP([2, 8, 1], seed=0)\n"
                             ">>> opt = optim.AdamW([{\"params\": model[0].parameters(), \"lr\": 1e-4},\n"
                             "...                    {\"params\": model[2].parameters()}], lr=1e-2)\n"
                             ">>> [group.lr for group in opt.groups]\n"
                             "[0.0001, 0.01]\n"
                             ">>> opt.groups[0].lr = 1e-3")
      .def("observe", py::overload_cast<double>(&Optimizer::observe), "value"_a,
           "Show ReduceOnPlateau the value it watches, at the end of an epoch; a Trainer does so by itself.")
      .def_property_readonly(
          "is_driver", [](const Optimizer& o) { return o.driver() != nullptr; },
          "Whether a step looks at the loss more than once: LBFGS and LevenbergMarquardt. They want the whole set as "
          "one batch.")
      .def_property_readonly("step_count", &Optimizer::step_count, "Steps taken.")
      .def_property_readonly(
          "parameters",
          [](const Optimizer& o) {
            py::list list;
            for (const Tensor& p : o.parameters()) list.append(py::cast(Parameter(p)));
            return list;
          },
          "What it moves.")
      .def(
          "state_dict", [](const Optimizer& o) { return to_dict(o.state_dict()); }, "Copies of its state, by name.")
      .def(
          "load_state_dict",
          [](Optimizer& o, const py::dict& state) { o.load_state_dict(from_dict(state, "load_state_dict")); },
          "state"_a, "Put back what state_dict() gave.")
      .def("recipe", py::overload_cast<>(&Optimizer::recipe, py::const_),
           "The same arguments without parameters and state.")
      .def("__reduce__", [](const Optimizer& o) { return reduce(o, "pickle"); })
      .def("__copy__", [](const Optimizer& o) { return copy_of(o, "copy"); })
      .def(
          "__deepcopy__", [](const Optimizer& o, const py::dict&) { return copy_of(o, "deepcopy"); }, "memo"_a)
      .def("__repr__", &Optimizer::str);
}

using optim::Betas;
Betas to_betas(const std::pair<double, double>& betas) { return {betas.first, betas.second}; }
std::pair<double, double> pair_of(const Betas& betas) { return {betas.first, betas.second}; }

template <class O, class Options> void bind_adam(py::module_& m, const char* name, const char* doc) {
  const Options d;
  py::class_<O, Optimizer>(m, name, doc)
      .def(py::init([name](const py::object& params, const optim::Rate& lr, const std::pair<double, double>& betas,
                           double eps, double weight_decay, bool amsgrad, bool maximize, const py::object& groups,
                           bool decay_bias_and_norm) {
             Options options;
             options.lr = lr, options.betas = to_betas(betas), options.eps = eps, options.weight_decay = weight_decay;
             options.amsgrad = amsgrad, options.maximize = maximize;
             return make<O>(params, options, name, groups, decay_bias_and_norm);
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = d.lr, "betas"_a = pair_of(d.betas), "eps"_a = d.eps,
           "weight_decay"_a = d.weight_decay, "amsgrad"_a = d.amsgrad, "maximize"_a = d.maximize,
           "groups"_a = py::none(), "decay_bias_and_norm"_a = optim::GroupOptions{}.decay_bias_and_norm);
}

void bind_adaptive(py::module_& m) {
  const optim::AdadeltaOptions adadelta;
  py::class_<optim::Adadelta, Optimizer>(
      m, "Adadelta",
      "Steps as long as the running mean of earlier ones: it knows no unit and needs no rate (Zeiler, 2012).")
      .def(py::init([](const py::object& params, const optim::Rate& lr, double rho, double eps, double weight_decay,
                       bool maximize, const py::object& groups, bool decay_bias_and_norm) {
             return make<optim::Adadelta>(params, optim::AdadeltaOptions{lr, rho, eps, weight_decay, maximize},
                                          "Adadelta", groups, decay_bias_and_norm);
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = adadelta.lr, "rho"_a = adadelta.rho, "eps"_a = adadelta.eps,
           "weight_decay"_a = adadelta.weight_decay, "maximize"_a = adadelta.maximize, "groups"_a = py::none(),
           "decay_bias_and_norm"_a = optim::GroupOptions{}.decay_bias_and_norm);
  const optim::AdamaxOptions adamax;
  py::class_<optim::Adamax, Optimizer>(
      m, "Adamax",
      "Adam with the largest gradient, slowly forgotten, in place of the root mean square (Kingma and Ba, 2015).")
      .def(py::init([](const py::object& params, const optim::Rate& lr, const std::pair<double, double>& betas,
                       double eps, double weight_decay, bool maximize, const py::object& groups,
                       bool decay_bias_and_norm) {
             return make<optim::Adamax>(params, optim::AdamaxOptions{lr, to_betas(betas), eps, weight_decay, maximize},
                                        "Adamax", groups, decay_bias_and_norm);
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = adamax.lr, "betas"_a = pair_of(adamax.betas),
           "eps"_a = adamax.eps, "weight_decay"_a = adamax.weight_decay, "maximize"_a = adamax.maximize,
           "groups"_a = py::none(), "decay_bias_and_norm"_a = optim::GroupOptions{}.decay_bias_and_norm);
  const optim::NAdamOptions nadam;
  py::class_<optim::NAdam, Optimizer>(
      m, "NAdam", "Adam with Nesterov's momentum (Dozat, 2016); weight_decay is L2 unless decoupled_weight_decay.")
      .def(py::init([](const py::object& params, const optim::Rate& lr, const std::pair<double, double>& betas,
                       double eps, double weight_decay, double momentum_decay, bool decoupled_weight_decay,
                       bool maximize, const py::object& groups, bool decay_bias_and_norm) {
             return make<optim::NAdam>(params,
                                       optim::NAdamOptions{lr, to_betas(betas), eps, weight_decay, momentum_decay,
                                                           decoupled_weight_decay, maximize},
                                       "NAdam", groups, decay_bias_and_norm);
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = nadam.lr, "betas"_a = pair_of(nadam.betas),
           "eps"_a = nadam.eps, "weight_decay"_a = nadam.weight_decay, "momentum_decay"_a = nadam.momentum_decay,
           "decoupled_weight_decay"_a = nadam.decoupled_weight_decay, "maximize"_a = nadam.maximize,
           "groups"_a = py::none(), "decay_bias_and_norm"_a = optim::GroupOptions{}.decay_bias_and_norm);
  const optim::RAdamOptions radam;
  py::class_<optim::RAdam, Optimizer>(
      m, "RAdam",
      "Adam that warms up by itself: rates adapt once their variance is known (Liu et al., 2020); weight_decay is L2\n"
      "unless decoupled_weight_decay.")
      .def(py::init([](const py::object& params, const optim::Rate& lr, const std::pair<double, double>& betas,
                       double eps, double weight_decay, bool decoupled_weight_decay, bool maximize,
                       const py::object& groups, bool decay_bias_and_norm) {
             return make<optim::RAdam>(
                 params, optim::RAdamOptions{lr, to_betas(betas), eps, weight_decay, decoupled_weight_decay, maximize},
                 "RAdam", groups, decay_bias_and_norm);
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = radam.lr, "betas"_a = pair_of(radam.betas),
           "eps"_a = radam.eps, "weight_decay"_a = radam.weight_decay,
           "decoupled_weight_decay"_a = radam.decoupled_weight_decay, "maximize"_a = radam.maximize,
           "groups"_a = py::none(), "decay_bias_and_norm"_a = optim::GroupOptions{}.decay_bias_and_norm);
  const optim::LionOptions lion;
  py::class_<optim::Lion, Optimizer>(
      m, "Lion",
      "Steps of length lr by the sign of an interpolated momentum, one state per weight (Chen et al., 2023). Wants a "
      "lr\n"
      "3 to 10 times smaller than AdamW's and a weight_decay, decoupled, as much larger.")
      .def(py::init([](const py::object& params, const optim::Rate& lr, const std::pair<double, double>& betas,
                       double weight_decay, bool maximize, const py::object& groups, bool decay_bias_and_norm) {
             return make<optim::Lion>(params, optim::LionOptions{lr, to_betas(betas), weight_decay, maximize}, "Lion",
                                      groups, decay_bias_and_norm);
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = lion.lr, "betas"_a = pair_of(lion.betas),
           "weight_decay"_a = lion.weight_decay, "maximize"_a = lion.maximize, "groups"_a = py::none(),
           "decay_bias_and_norm"_a = optim::GroupOptions{}.decay_bias_and_norm);
}

void bind_drivers(py::module_& m) {
  const optim::LBFGSOptions lbfgs;
  py::class_<optim::LBFGS, Optimizer>(
      m, "LBFGS",
      "Quasi-Newton steps from the last gradients (Liu and Nocedal, 1989), for the whole set as one batch; step takes "
      "a\n"
      "closure. line_search_fn=\"strong_wolfe\" finds the length of each step; without it, it is lr.\n\n"
      ">>> p = cr.tensor([-1.2, 1.0], dtype=\"float64\", requires_grad=True)\n"
      ">>> opt = optim.LBFGS([p], line_search_fn=\"strong_wolfe\")\n"
      ">>> def closure():\n"
      "...     opt.zero_grad()\n"
      "...     loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2\n"
      "...     loss.backward()\n"
      "...     return loss\n"
      ">>> losses = [opt.step(closure) for _ in range(3)]\n"
      ">>> bool(np.abs(p.numpy() - 1).max() < 1e-3)\nTrue")
      .def(py::init([](const py::object& params, const optim::Rate& lr, std::int64_t max_iter,
                       std::optional<std::int64_t> max_eval, double tolerance_grad, double tolerance_change,
                       std::int64_t history_size, const std::optional<std::string>& line_search_fn) {
             return make<optim::LBFGS>(params,
                                       optim::LBFGSOptions{lr, max_iter, max_eval, tolerance_grad, tolerance_change,
                                                           history_size, line_search_fn.value_or("")},
                                       "LBFGS");
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = lbfgs.lr, "max_iter"_a = lbfgs.max_iter,
           "max_eval"_a = py::none(), "tolerance_grad"_a = lbfgs.tolerance_grad,
           "tolerance_change"_a = lbfgs.tolerance_change, "history_size"_a = lbfgs.history_size,
           "line_search_fn"_a = py::none());
  const optim::LevenbergMarquardtOptions lm;
  py::class_<optim::LevenbergMarquardt, Optimizer>(
      m, "LevenbergMarquardt",
      "Damped Gauss-Newton steps on a sum of squares (Hagan and Menhaj, 1994), for up to a few thousand parameters in\n"
      "float64: with a Trainer and MSELoss, or by hand with a function of the residuals.\n\n"
      ">>> t = np.linspace(0, 2, 20)\n"
      ">>> p = cr.tensor([1.0, 1.0], dtype=\"float64\", requires_grad=True)\n"
      ">>> opt = optim.LevenbergMarquardt([p])\n"
      ">>> for _ in range(10):\n"
      "...     loss = opt.step(lambda: p[0] * cr.exp(-p[1] * t) - 3 * np.exp(-0.5 * t))\n"
      ">>> print(np.round(p.numpy(), 6))\n[3.  0.5]")
      .def(py::init([](const py::object& params, double damping, double increase, double decrease, double max_damping) {
             return make<optim::LevenbergMarquardt>(
                 params, optim::LevenbergMarquardtOptions{damping, increase, decrease, max_damping},
                 "LevenbergMarquardt");
           }),
           "params"_a = py::none(), py::kw_only(), "damping"_a = lm.damping, "increase"_a = lm.increase,
           "decrease"_a = lm.decrease, "max_damping"_a = lm.max_damping);
}

}  // namespace

void bind_optim(py::module_& m) {
  bind_optimizer_class(m);
  const optim::SGDOptions sgd;
  py::class_<optim::SGD, Optimizer>(m, "SGD", "Gradient descent, with momentum and Nesterov's step if wanted.")
      .def(py::init([](const py::object& params, const optim::Rate& lr, double momentum, double dampening,
                       double weight_decay, bool nesterov, bool maximize, const py::object& groups,
                       bool decay_bias_and_norm) {
             return make<optim::SGD>(params,
                                     optim::SGDOptions{lr, momentum, dampening, weight_decay, nesterov, maximize},
                                     "SGD", groups, decay_bias_and_norm);
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = sgd.lr, "momentum"_a = sgd.momentum,
           "dampening"_a = sgd.dampening, "weight_decay"_a = sgd.weight_decay, "nesterov"_a = sgd.nesterov,
           "maximize"_a = sgd.maximize, "groups"_a = py::none(),
           "decay_bias_and_norm"_a = optim::GroupOptions{}.decay_bias_and_norm);
  const optim::AdagradOptions adagrad;
  py::class_<optim::Adagrad, Optimizer>(
      m, "Adagrad", "Steps divided by the root of all squared gradients so far (Duchi et al., 2011).")
      .def(py::init([](const py::object& params, const optim::Rate& lr, double lr_decay, double weight_decay,
                       double initial, double eps, bool maximize, const py::object& groups, bool decay_bias_and_norm) {
             return make<optim::Adagrad>(params,
                                         optim::AdagradOptions{lr, lr_decay, weight_decay, initial, eps, maximize},
                                         "Adagrad", groups, decay_bias_and_norm);
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = adagrad.lr, "lr_decay"_a = adagrad.lr_decay,
           "weight_decay"_a = adagrad.weight_decay, "initial_accumulator_value"_a = adagrad.initial_accumulator_value,
           "eps"_a = adagrad.eps, "maximize"_a = adagrad.maximize, "groups"_a = py::none(),
           "decay_bias_and_norm"_a = optim::GroupOptions{}.decay_bias_and_norm);
  const optim::RMSpropOptions rms;
  py::class_<optim::RMSprop, Optimizer>(
      m, "RMSprop", "Steps divided by the root of a running mean of squared gradients (Hinton, 2012).")
      .def(py::init([](const py::object& params, const optim::Rate& lr, double alpha, double eps, double weight_decay,
                       double momentum, bool centered, bool maximize, const py::object& groups,
                       bool decay_bias_and_norm) {
             return make<optim::RMSprop>(
                 params, optim::RMSpropOptions{lr, alpha, eps, weight_decay, momentum, centered, maximize}, "RMSprop",
                 groups, decay_bias_and_norm);
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = rms.lr, "alpha"_a = rms.alpha, "eps"_a = rms.eps,
           "weight_decay"_a = rms.weight_decay, "momentum"_a = rms.momentum, "centered"_a = rms.centered,
           "maximize"_a = rms.maximize, "groups"_a = py::none(),
           "decay_bias_and_norm"_a = optim::GroupOptions{}.decay_bias_and_norm);
  bind_adam<optim::Adam, optim::AdamOptions>(m, "Adam",
                                             "Adam (Kingma and Ba, 2015); weight_decay is L2, added to the gradient.");
  bind_adam<optim::AdamW, optim::AdamWOptions>(m, "AdamW",
                                               "Adam with decoupled weight decay (Loshchilov and Hutter, 2019).");
  bind_adaptive(m);
  bind_drivers(m);
}

}  // namespace chainrule::python
