// Optimizers, with PyTorch's argument names; every default is read from the C++ options.
#include "rate.hpp"

namespace chainrule::python {
namespace {

using optim::Optimizer;

// The parameters of Adam(params): None for a recipe. A number there is a learning rate in the wrong place.
std::optional<std::vector<Tensor>> parameters_of(const py::object& params, const char* name) {
  if (params.is_none()) return {};
  if (PyFloat_Check(params.ptr()) || PyLong_Check(params.ptr()))
    throw DTypeError(std::string(name) + ": the first argument is the parameters, got " +
                     std::string(py::repr(params)) + "; write lr=" + std::string(py::repr(params)));
  if (py::isinstance<nn::ModuleImpl>(params))
    throw DTypeError(std::string(name) + ": expected a list of parameters, got a module; write model.parameters()");
  std::vector<Tensor> tensors;
  if (is_tensor(params)) {
    tensors.push_back(params.cast<const Tensor&>());
    return tensors;
  }
  for (py::handle item : params) {
    py::handle value = item;
    if (PyTuple_Check(item.ptr()) && PyTuple_GET_SIZE(item.ptr()) == 2)
      value = PyTuple_GET_ITEM(item.ptr(), 1);  // (name, p)
    if (!is_tensor(value))
      throw DTypeError(std::string(name) + ": parameters must be tensors, got " + type_name(item) +
                       "; write model.parameters(), or cr.tensor(a, requires_grad=True)");
    tensors.push_back(value.cast<const Tensor&>());
  }
  return tensors;
}

template <class O, class Options> O make(const py::object& params, const Options& options, const char* name) {
  const auto parameters = parameters_of(params, name);
  return parameters ? O(*parameters, options) : O(options);
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
  return py::make_tuple(core.attr("_make_optimizer"), py::make_tuple(name, to_kwargs(o.method().arguments())));
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
    const py::gil_scoped_release unlocked;
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

void bind_optimizer_class(py::module_& m) {
  m.def("_make_optimizer", &make_optimizer, "name"_a, "arguments"_a);
  py::class_<Optimizer>(
      m, "Optimizer",
      "Moves parameters against their gradients. Without parameters it is a recipe that a Trainer copies.")
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
      .def("observe", &Optimizer::observe, "value"_a,
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
      .def("recipe", &Optimizer::recipe, "The same arguments without parameters and state.")
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
                           double eps, double weight_decay, bool amsgrad, bool maximize) {
             Options options;
             options.lr = lr, options.betas = to_betas(betas), options.eps = eps, options.weight_decay = weight_decay;
             options.amsgrad = amsgrad, options.maximize = maximize;
             return make<O>(params, options, name);
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = d.lr, "betas"_a = pair_of(d.betas), "eps"_a = d.eps,
           "weight_decay"_a = d.weight_decay, "amsgrad"_a = d.amsgrad, "maximize"_a = d.maximize);
}

void bind_adaptive(py::module_& m) {
  const optim::AdadeltaOptions adadelta;
  py::class_<optim::Adadelta, Optimizer>(
      m, "Adadelta",
      "Steps as long as the running mean of earlier ones: it knows no unit and needs no rate (Zeiler, 2012).")
      .def(py::init([](const py::object& params, const optim::Rate& lr, double rho, double eps, double weight_decay,
                       bool maximize) {
             return make<optim::Adadelta>(params, optim::AdadeltaOptions{lr, rho, eps, weight_decay, maximize},
                                          "Adadelta");
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = adadelta.lr, "rho"_a = adadelta.rho, "eps"_a = adadelta.eps,
           "weight_decay"_a = adadelta.weight_decay, "maximize"_a = adadelta.maximize);
  const optim::AdamaxOptions adamax;
  py::class_<optim::Adamax, Optimizer>(
      m, "Adamax",
      "Adam with the largest gradient, slowly forgotten, in place of the root mean square (Kingma and Ba, 2015).")
      .def(py::init([](const py::object& params, const optim::Rate& lr, const std::pair<double, double>& betas,
                       double eps, double weight_decay, bool maximize) {
             return make<optim::Adamax>(params, optim::AdamaxOptions{lr, to_betas(betas), eps, weight_decay, maximize},
                                        "Adamax");
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = adamax.lr, "betas"_a = pair_of(adamax.betas),
           "eps"_a = adamax.eps, "weight_decay"_a = adamax.weight_decay, "maximize"_a = adamax.maximize);
  const optim::NAdamOptions nadam;
  py::class_<optim::NAdam, Optimizer>(
      m, "NAdam", "Adam with Nesterov's momentum (Dozat, 2016); weight_decay is L2 unless decoupled_weight_decay.")
      .def(py::init([](const py::object& params, const optim::Rate& lr, const std::pair<double, double>& betas,
                       double eps, double weight_decay, double momentum_decay, bool decoupled_weight_decay,
                       bool maximize) {
             return make<optim::NAdam>(params,
                                       optim::NAdamOptions{lr, to_betas(betas), eps, weight_decay, momentum_decay,
                                                           decoupled_weight_decay, maximize},
                                       "NAdam");
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = nadam.lr, "betas"_a = pair_of(nadam.betas),
           "eps"_a = nadam.eps, "weight_decay"_a = nadam.weight_decay, "momentum_decay"_a = nadam.momentum_decay,
           "decoupled_weight_decay"_a = nadam.decoupled_weight_decay, "maximize"_a = nadam.maximize);
  const optim::RAdamOptions radam;
  py::class_<optim::RAdam, Optimizer>(
      m, "RAdam",
      "Adam that warms up by itself: rates adapt once their variance is known (Liu et al., 2020); weight_decay is L2\n"
      "unless decoupled_weight_decay.")
      .def(py::init([](const py::object& params, const optim::Rate& lr, const std::pair<double, double>& betas,
                       double eps, double weight_decay, bool decoupled_weight_decay, bool maximize) {
             return make<optim::RAdam>(
                 params, optim::RAdamOptions{lr, to_betas(betas), eps, weight_decay, decoupled_weight_decay, maximize},
                 "RAdam");
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = radam.lr, "betas"_a = pair_of(radam.betas),
           "eps"_a = radam.eps, "weight_decay"_a = radam.weight_decay,
           "decoupled_weight_decay"_a = radam.decoupled_weight_decay, "maximize"_a = radam.maximize);
  const optim::LionOptions lion;
  py::class_<optim::Lion, Optimizer>(
      m, "Lion",
      "Steps of length lr by the sign of an interpolated momentum, one state per weight (Chen et al., 2023). Wants a "
      "lr\n"
      "3 to 10 times smaller than AdamW's and a weight_decay, decoupled, as much larger.")
      .def(py::init([](const py::object& params, const optim::Rate& lr, const std::pair<double, double>& betas,
                       double weight_decay, bool maximize) {
             return make<optim::Lion>(params, optim::LionOptions{lr, to_betas(betas), weight_decay, maximize}, "Lion");
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = lion.lr, "betas"_a = pair_of(lion.betas),
           "weight_decay"_a = lion.weight_decay, "maximize"_a = lion.maximize);
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
                       double weight_decay, bool nesterov, bool maximize) {
             return make<optim::SGD>(
                 params, optim::SGDOptions{lr, momentum, dampening, weight_decay, nesterov, maximize}, "SGD");
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = sgd.lr, "momentum"_a = sgd.momentum,
           "dampening"_a = sgd.dampening, "weight_decay"_a = sgd.weight_decay, "nesterov"_a = sgd.nesterov,
           "maximize"_a = sgd.maximize);
  const optim::AdagradOptions adagrad;
  py::class_<optim::Adagrad, Optimizer>(
      m, "Adagrad", "Steps divided by the root of all squared gradients so far (Duchi et al., 2011).")
      .def(py::init([](const py::object& params, const optim::Rate& lr, double lr_decay, double weight_decay,
                       double initial, double eps, bool maximize) {
             return make<optim::Adagrad>(
                 params, optim::AdagradOptions{lr, lr_decay, weight_decay, initial, eps, maximize}, "Adagrad");
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = adagrad.lr, "lr_decay"_a = adagrad.lr_decay,
           "weight_decay"_a = adagrad.weight_decay, "initial_accumulator_value"_a = adagrad.initial_accumulator_value,
           "eps"_a = adagrad.eps, "maximize"_a = adagrad.maximize);
  const optim::RMSpropOptions rms;
  py::class_<optim::RMSprop, Optimizer>(
      m, "RMSprop", "Steps divided by the root of a running mean of squared gradients (Hinton, 2012).")
      .def(py::init([](const py::object& params, const optim::Rate& lr, double alpha, double eps, double weight_decay,
                       double momentum, bool centered, bool maximize) {
             return make<optim::RMSprop>(
                 params, optim::RMSpropOptions{lr, alpha, eps, weight_decay, momentum, centered, maximize}, "RMSprop");
           }),
           "params"_a = py::none(), py::kw_only(), "lr"_a = rms.lr, "alpha"_a = rms.alpha, "eps"_a = rms.eps,
           "weight_decay"_a = rms.weight_decay, "momentum"_a = rms.momentum, "centered"_a = rms.centered,
           "maximize"_a = rms.maximize);
  bind_adam<optim::Adam, optim::AdamOptions>(m, "Adam",
                                             "Adam (Kingma and Ba, 2015); weight_decay is L2, added to the gradient.");
  bind_adam<optim::AdamW, optim::AdamWOptions>(m, "AdamW",
                                               "Adam with decoupled weight decay (Loshchilov and Hutter, 2019).");
  bind_adaptive(m);
  bind_drivers(m);
}

}  // namespace chainrule::python
