// Schedules of the learning rate. Their names carry "Schedule" here and are without it in chainrule.schedules.
#include "rate.hpp"

namespace chainrule::python {
namespace {

using optim::Rate;
using optim::Schedule;
namespace schedules = chainrule::schedules;

// Called from compiled training, without the GIL at first.
struct PythonSchedule {
  std::shared_ptr<PyObject> function;
  double operator()(std::int64_t t) const {
    return with_gil([&] {
      const py::object rate = call_python(held(function), t);
      const double value = outlives_python([&] { return PyFloat_AsDouble(rate.ptr()); });
      if (value == -1.0 && PyErr_Occurred() != nullptr) {
        PyErr_Clear();
        throw DTypeError("schedule: the function must return a number, for step " + std::to_string(t) + " it gave " +
                         std::string(py::repr(rate)));
      }
      return value;
    });
  }
};

Schedule of_function(const py::object& function, const std::string& per) {
  if (PyCallable_Check(function.ptr()) == 0)
    throw DTypeError("Schedule: expected a function of the step, got " + type_name(function));
  Schedule schedule(PythonSchedule{hold(function)}, per);
  schedule(0);  // says now what would stop a training later
  return schedule;
}

py::tuple reduce(const Schedule& s) {
  const py::module_ core = py::module_::import("chainrule._core");
  const nn::Called called = s.called();
  if (const optim::ScheduleImpl::Function* function = s.impl()->function()) {
    const auto* own = function->target<PythonSchedule>();
    if (own == nullptr)
      throw StateError("pickle: the schedule " + s.str() + " is a C++ function; only Python can pickle its own");
    return py::make_tuple(core.attr("Schedule"), py::make_tuple(held(own->function), s.per_epoch() ? "epoch" : "step"));
  }
  return py::make_tuple(core.attr("_make_schedule"), py::make_tuple(called.name, to_kwargs(called.arguments)));
}

}  // namespace

std::optional<Rate> to_rate(py::handle value) {
  if (py::isinstance<Schedule>(value)) return Rate(value.cast<const Schedule&>());
  if (PyBool_Check(value.ptr()) != 0) return {};
  if (PyCallable_Check(value.ptr()) != 0) return Rate(of_function(py::reinterpret_borrow<py::object>(value), "step"));
  const double number = PyFloat_AsDouble(value.ptr());
  if (number != -1.0 || PyErr_Occurred() == nullptr) return Rate(number);
  PyErr_Clear();
  return {};
}

py::object from_rate(const Rate& rate) {
  return rate.schedule().defined() ? py::cast(rate.schedule()) : py::object(py::float_(rate.at(0, 0)));
}

void bind_schedules(py::module_& m) {
  py::class_<Schedule>(
      m, "Schedule", py::is_final(),
      "A learning rate for every step, or with per=\"epoch\" for every epoch, counted from 0: s(t).\n\n"
      ">>> from chainrule import schedules\n"
      ">>> s = schedules.Cosine(0.1, steps=100)\n"
      ">>> s(0), round(s(50), 3), s(100)\n"
      "(0.1, 0.05, 0.0)\n"
      ">>> optimizer = optim.SGD(lr=s, momentum=0.9)")
      .def(py::init(&of_function), "function"_a, "per"_a = "step",
           "A schedule from any function of the step, or of the epoch with per=\"epoch\". An optimizer takes the "
           "function itself,\ntoo. It is called once for t = 0 when made, and before each stretch of training.")
      .def(
          "__call__", [](const Schedule& s, std::int64_t t) { return s(t); }, "t"_a,
          "The rate of step or epoch t. ValueError: t is negative, or the rate is negative or not finite.")
      .def_property_readonly(
          "per", [](const Schedule& s) { return s.per_epoch() ? "epoch" : "step"; },
          "What it counts: \"step\" or \"epoch\".")
      .def("__copy__", [](const Schedule& s) { return s; })
      .def("__reduce__", &reduce)
      .def("__eq__",
           [](const Schedule& a, const py::object& other) {
             if (!py::isinstance<Schedule>(other)) return false;
             return a.called() == other.cast<const Schedule&>().called();
           })
      .def("__hash__", [](const Schedule& s) { return py::hash(py::str(s.str())); })
      .def("__repr__", &Schedule::str);
  m.def(
      "_make_schedule",
      [](const std::string& name, const py::dict& arguments) {
        return py::module_::import("chainrule._core").attr((name + "Schedule").c_str())(**arguments);
      },
      "name"_a, "arguments"_a);

  m.def("ConstantSchedule", &schedules::Constant, "lr"_a, "Always lr.");
  m.def(
      "StepSchedule",
      [](double lr, std::int64_t step_size, double gamma, const std::string& per) {
        return schedules::Step(lr, step_size, {gamma, per});
      },
      "lr"_a, "step_size"_a, "gamma"_a = schedules::StepOptions{}.gamma, py::kw_only(), "per"_a = "step",
      "lr gamma^floor(t / step_size).");
  m.def(
      "MultiStepSchedule",
      [](double lr, const std::vector<std::int64_t>& milestones, double gamma, const std::string& per) {
        return schedules::MultiStep(lr, milestones, {gamma, per});
      },
      "lr"_a, "milestones"_a, "gamma"_a = schedules::StepOptions{}.gamma, py::kw_only(), "per"_a = "step",
      "lr, multiplied by gamma at each milestone.");
  m.def("ExponentialSchedule", &schedules::Exponential, "lr"_a, "gamma"_a, py::kw_only(), "per"_a = "step",
        "lr gamma^t.");
  m.def("LinearSchedule", &schedules::Linear, "lr"_a, "end"_a, "steps"_a, py::kw_only(), "per"_a = "step",
        "From lr along a line to `end` at t = steps, where it stays.");
  m.def(
      "PolynomialSchedule",
      [](double lr, std::int64_t steps, double power, double end, const std::string& per) {
        return schedules::Polynomial(lr, steps, {power, end, per});
      },
      "lr"_a, "steps"_a, "power"_a = schedules::PolynomialOptions{}.power, "end"_a = schedules::PolynomialOptions{}.end,
      py::kw_only(), "per"_a = "step", "end + (lr - end) (1 - t / steps)^power, then end.");
  m.def(
      "CosineSchedule",
      [](double lr, std::int64_t steps, double end, const std::string& per) {
        return schedules::Cosine(lr, steps, {end, per});
      },
      "lr"_a, "steps"_a, "end"_a = schedules::CosineOptions{}.end, py::kw_only(), "per"_a = "step",
      "end + (lr - end) (1 + cos(pi t / steps)) / 2, then end (Loshchilov and Hutter, 2017).");
  m.def(
      "CosineRestartsSchedule",
      [](double lr, std::int64_t steps, std::int64_t factor, double end, const std::string& per) {
        return schedules::CosineRestarts(lr, steps, {factor, end, per});
      },
      "lr"_a, "steps"_a, "factor"_a = schedules::RestartOptions{}.factor, "end"_a = schedules::RestartOptions{}.end,
      py::kw_only(), "per"_a = "step",
      "Cosines again and again, each `factor` times as long as the one before (Loshchilov and Hutter, 2017).");
  const schedules::OneCycleOptions cycle;
  m.def(
      "OneCycleSchedule",
      [](double max_lr, std::int64_t steps, double pct_start, double div_factor, double final_div_factor,
         const std::string& anneal, const std::string& per) {
        return schedules::OneCycle(max_lr, steps, {pct_start, div_factor, final_div_factor, anneal, per});
      },
      "max_lr"_a, "steps"_a, "pct_start"_a = cycle.pct_start, "div_factor"_a = cycle.div_factor,
      "final_div_factor"_a = cycle.final_div_factor, "anneal"_a = cycle.anneal, py::kw_only(), "per"_a = "step",
      "From max_lr / div_factor up to max_lr in the first pct_start of the steps, then down to the start divided by\n"
      "final_div_factor; anneal: \"cos\" or \"linear\" (Smith and Topin, 2018).");
  m.def("InverseSqrtSchedule", &schedules::InverseSqrt, "lr"_a, "warmup"_a, py::kw_only(), "per"_a = "step",
        "lr min((t + 1) / warmup, sqrt(warmup / (t + 1))) (Vaswani et al., 2017).");
  m.def("WarmupSchedule", &schedules::Warmup, "then"_a, "steps"_a, "start"_a = 0.0, py::kw_only(), "per"_a = "",
        "Along a line from `start` times the first rate of `then` up to that rate at t = steps, where `then`, a number "
        "or\na schedule, begins. It counts as `then` does; per is for numbers.");
  m.def("ChainSchedule", &schedules::Chain, "parts"_a, "milestones"_a, py::kw_only(), "per"_a = "step",
        "Schedules or numbers behind each other: parts[i] from milestones[i - 1] on, where it begins at 0.");
  const schedules::PlateauOptions plateau;
  m.def(
      "ReduceOnPlateauSchedule",
      [](const Rate& lr, const std::string& monitor, const std::string& mode, double factor, std::int64_t patience,
         double threshold, const std::string& threshold_mode, std::int64_t cooldown, double min_lr) {
        return schedules::ReduceOnPlateau(
            lr, {monitor, mode, factor, patience, threshold, threshold_mode, cooldown, min_lr});
      },
      "lr"_a, py::kw_only(), "monitor"_a = plateau.monitor, "mode"_a = plateau.mode, "factor"_a = plateau.factor,
      "patience"_a = plateau.patience, "threshold"_a = plateau.threshold, "threshold_mode"_a = plateau.threshold_mode,
      "cooldown"_a = plateau.cooldown, "min_lr"_a = plateau.min_lr,
      "lr, a number or a schedule, times `factor` whenever `monitor`, a column of the history, has not got better for "
      "more than\n`patience` epochs, by `threshold` at least (\"rel\": of the best, \"abs\"). By hand: "
      "optimizer.observe(value).");
}

}  // namespace chainrule::python
