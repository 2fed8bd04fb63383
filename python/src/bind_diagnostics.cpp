// The Trainer's gradients, diagnose, overfit_one_batch and lr_find, and what they give.
#include "chainrule/diagnostics.hpp"

#include "bind_diagnostics.hpp"
#include "sources.hpp"
#include "watcher.hpp"

namespace chainrule::python {
void bind_diagnostics(py::module_& m, py::class_<Trainer>& trainer) {
  py::class_<ParameterHealth>(m, "ParameterHealth", "A parameter in a Diagnosis.")
      .def_readonly("name", &ParameterHealth::name)
      .def_property_readonly("shape", [](const ParameterHealth& p) { return shape_tuple(p.shape); })
      .def_readonly("weight_norm", &ParameterHealth::weight_norm, "Its Euclidean norm.")
      .def_readonly("gradient_norm", &ParameterHealth::gradient_norm, "That of its gradient.")
      .def_readonly("units", &ParameterHealth::units, "Columns of a layer's matrix; 0 for other parameters.")
      .def_readonly("dead", &ParameterHealth::dead, "Those of them that no sample gives a gradient.")
      .def("__repr__", [](const ParameterHealth& p) { return "ParameterHealth(" + p.name + ")"; });
  py::class_<Diagnosis>(m, "Diagnosis", "What trainer.diagnose found. Prints as a table, with warnings under it.")
      .def_readonly("loss", &Diagnosis::loss)
      .def_readonly("parameters", &Diagnosis::parameters, "One ParameterHealth each.")
      .def_readonly("warnings", &Diagnosis::warnings, "One line each; it begins with the parameter's name.")
      .def("__str__", &Diagnosis::str)
      .def("__repr__", &Diagnosis::str)
      .def("_repr_html_", [](const Diagnosis& d) { return preformatted(d.str()); });
  py::class_<OverfitCheck>(m, "OverfitCheck", "What trainer.overfit_one_batch found.")
      .def_readonly("losses", &OverfitCheck::losses, "Before each step.")
      .def_readonly("passed", &OverfitCheck::passed, "Whether the last is below 5 % of the first.")
      .def("__repr__", &OverfitCheck::str);
  py::class_<RateRange>(m, "RateRange", "What trainer.lr_find found.")
      .def_readonly("rates", &RateRange::rates)
      .def_readonly("losses", &RateRange::losses, "Of the step at each rate.")
      .def_readonly("smoothed", &RateRange::smoothed, "Their running mean.")
      .def_readonly("suggestion", &RateRange::suggestion,
                    "Where the smoothed loss falls most steeply, before its lowest; NaN where it does not fall.")
      .def(
          "plot",
          [](const py::object& self, const py::object& path) {
            py::module_::import("chainrule.plots").attr("rate_range")(self, path);
          },
          "path"_a, "Write a PNG of the losses over the rates. ImportError where matplotlib is not installed.")
      .def("__repr__", &RateRange::str);
  trainer
      .def(
          "gradients",
          [](const Trainer& t, const py::object& x, const py::object& y, bool train) {
            const std::vector<Tensor> inputs = borrow_inputs(x, "gradients");
            const Tensor target = borrow_target(y, "gradients");
            std::vector<nn::NamedTensor> all;
            {
              const Unlocked unlocked;
              all = gradients(t, inputs, target, train);
            }
            return to_dict(all);
          },
          "X"_a, "y"_a, py::kw_only(), "train"_a = true,
          "The gradients of the mean loss over all rows, by parameter; nothing is updated. Frozen parameters and those "
          "the loss\n"
          "does not reach are not among them. train=False: as in eval mode, without dropout.\n\n"
          ">>> trainer = cr.Trainer(nn.Linear(2, 1, seed=0), nn.MSELoss(), optim.SGD(lr=0.1))\n"
          ">>> sorted(trainer.gradients([[0.0, 1.0], [1.0, 2.0]], [[1.0], [3.0]]))\n"
          "['bias', 'weight']")
      .def(
          "diagnose",
          [](const Trainer& t, const py::object& x, const py::object& y) {
            const std::vector<Tensor> inputs = borrow_inputs(x, "diagnose");
            const Tensor target = borrow_target(y, "diagnose");
            const Unlocked unlocked;
            return diagnose(t, inputs, target);
          },
          "X"_a, "y"_a,
          "Norms of all parameters and gradients, and dead units by layer: a Diagnosis, which prints as a table. It "
          "warns "
          "of inf and\n"
          "NaN, of layers with more than half of their units dead (no sample gives them a gradient), and of vanishing "
          "(below 1e-4 of\n"
          "the largest layer's) and exploding (100 times the parameter's norm) gradients.\n\n"
          ">>> trainer = cr.Trainer(nn.MLP([2, 8, 1], seed=0), nn.MSELoss(), optim.SGD(lr=0.1))\n"
          ">>> trainer.diagnose([[0.0, 1.0], [1.0, 2.0]], [[1.0], [3.0]]).warnings\n"
          "[]")
      .def(
          "overfit_one_batch",
          [](Trainer& t, const py::object& x, const py::object& y, std::int64_t batch_size, std::int64_t steps) {
            check_arrays(x, y, "overfit_one_batch");
            const std::vector<Tensor> inputs = borrow_inputs(x, "overfit_one_batch");
            const Tensor target = borrow_target(y, "overfit_one_batch");
            return interruptible([&](const std::function<bool()>& on_step) {
              return overfit_one_batch(t, inputs, target, {batch_size, steps, on_step});
            });
          },
          "X"_a, "y"_a = py::none(), py::kw_only(), "batch_size"_a = OverfitOptions{}.batch_size,
          "steps"_a = OverfitOptions{}.steps,
          "Train on the first rows only, and then put everything back: a model, loss and optimizer that belong "
          "together "
          "learn\n"
          "them by heart. The result says whether the loss fell below 5 % of the first. A step is an update; mixup "
          "stays on,\n"
          "which no model learns by heart.\n\n"
          ">>> trainer = cr.Trainer(nn.MLP([2, 16, 1], seed=0), nn.MSELoss(), optim.Adam(lr=0.02))\n"
          ">>> trainer.overfit_one_batch([[0.0, 1.0], [1.0, 2.0]], [[1.0], [3.0]]).passed\n"
          "True")
      .def(
          "lr_find",
          [](Trainer& t, const py::object& x, const py::object& y, double start, double end, std::int64_t steps,
             std::int64_t batch_size) {
            check_arrays(x, y, "lr_find");
            const std::vector<Tensor> inputs = borrow_inputs(x, "lr_find");
            const Tensor target = borrow_target(y, "lr_find");
            return interruptible([&](const std::function<bool()>& on_step) {
              return lr_find(t, inputs, target, {start, end, steps, batch_size, on_step});
            });
          },
          "X"_a, "y"_a = py::none(), py::kw_only(), "start"_a = RateRangeOptions{}.start,
          "end"_a = RateRangeOptions{}.end, "steps"_a = RateRangeOptions{}.steps,
          "batch_size"_a = RateRangeOptions{}.batch_size,
          "The range test (L. N. Smith, Cyclical learning rates, 2017): a step at each of `steps` rates from start to "
          "end, until\n"
          "the loss runs away; then everything is put back. The result has rates, losses, a suggestion (where the loss "
          "falls most\n"
          "steeply) and plot(path). A step is an update, of `accumulate` batches. StateError where a group of "
          "parameters has an "
          "lr of its own.\n\n"
          ">>> X, y = cr.datasets.load_digits(split=\"test\")\n"
          ">>> trainer = cr.Trainer(nn.MLP([64, 32, 10], seed=0), nn.CrossEntropyLoss(), optim.Adam())\n"
          ">>> found = trainer.lr_find(X, y)\n"
          ">>> 1e-4 < found.suggestion < 1\n"
          "True");
}

}  // namespace chainrule::python
