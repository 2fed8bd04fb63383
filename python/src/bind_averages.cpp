// Callbacks that average the weights: EMA and SWA.
#include "callbacks.hpp"

namespace chainrule::python {
namespace {

template <class A> void bind_weight_average(py::class_<A, Callback, std::shared_ptr<A>>& c) {
  c.def_property_readonly(
       "model",
       [](const A& a) -> py::object {
         const nn::Module model = a.model();
         return model.impl() ? wrap_module(model) : py::none();
       },
       "The averages of the last fit, a model of their own in eval mode; None before there are any.")
      .def_property_readonly("updates", &A::updates, "How many weights were averaged in the last fit.");
}

constexpr const char* averages_doc =
    "From the first average on, fit validates the averages in place of the weights that are trained; fit.model is the "
    "averaged\n"
    "model (what EarlyStopping keeps as the best), and when fit ends, the model gets its parameters and buffers; where "
    "the fit\n"
    "diverges or an exception ends it, it keeps the trained ones. An object is in one fit at a time. replace=False: "
    "the averages are only kept, in `model`. One callback of a "
    "fit may\nreplace the model.\n\n";

}  // namespace

void bind_ema(py::module_& m) {
  using callbacks::EMA;
  using Options = callbacks::EMAOptions;
  const Options d;
  const auto make = [](double decay, std::int64_t every, bool average_buffers, bool replace) {
    return std::make_shared<EMA>(Options{decay, every, average_buffers, replace});
  };
  py::class_<EMA, Callback, std::shared_ptr<EMA>> c(
      m, "EMA", py::is_final(),
      (std::string(
           "The exponential moving average of the weights: after every `every` batches, average = decay average "
           "+ (1 - decay) weights;\n"
           "at the first, the weights themselves. Buffers such as BatchNorm1d's running statistics are those of "
           "the trained model, or\n"
           "averaged as well (average_buffers). Polyak and Juditsky (1992), Acceleration of stochastic "
           "approximation by averaging.\n\n") +
       averages_doc +
       ">>> X, y = cr.datasets.load_digits(split=\"train\")\n"
       ">>> trainer = cr.Trainer(nn.MLP([64, 32, 10], seed=0), nn.CrossEntropyLoss(), optim.Adam(lr=0.01))\n"
       ">>> ema = cr.callbacks.EMA(decay=0.99)\n"
       ">>> history = trainer.fit(X, y, epochs=2, validation_split=0.2, callbacks=[ema])\n"
       ">>> ema.updates, bool(np.array_equal(trainer.predict(X), ema.model.predict(X)))\n"
       "(72, True)")
          .c_str());
  c.def(py::init(make), "decay"_a = d.decay, py::kw_only(), "every"_a = d.every,
        "average_buffers"_a = d.average_buffers, "replace"_a = d.replace,
        "Raises ValueError for a decay outside [0, 1).")
      .def(py::pickle(
          [](const EMA& e) {
            const Options& o = e.options();
            return py::make_tuple(o.decay, o.every, o.average_buffers, o.replace);
          },
          [make](const py::tuple& t) {
            return make(t[0].cast<double>(), t[1].cast<std::int64_t>(), t[2].cast<bool>(), t[3].cast<bool>());
          }))
      .def("__repr__", [](const EMA& e) {
        return "EMA(decay=" + std::string(py::repr(py::float_(e.options().decay))) +
               ", every=" + std::to_string(e.options().every) + ")";
      });
  bind_weight_average(c);
}

void bind_swa(py::module_& m) {
  using callbacks::SWA;
  using Options = callbacks::SWAOptions;
  const Options d;
  const auto make = [](double start, std::optional<double> lr, bool replace) {
    return std::make_shared<SWA>(Options{start, lr, replace});
  };
  py::class_<SWA, Callback, std::shared_ptr<SWA>> c(
      m, "SWA", py::is_final(),
      (std::string(
           "Stochastic weight averaging: the mean of the weights at the ends of the epochs from `start` on (an "
           "epoch, from 1; below 1:\n"
           "after this share of the epochs), where the learning rate is lr, if that is given, in place of a "
           "schedule and also after the\n"
           "fit. BatchNorm1d's running statistics are computed anew for the averages at the end of each of these "
           "epochs, by another\n"
           "pass over its batches in train mode. A fit that ends before `start` keeps the trained weights. "
           "Izmailov et al. (2018),\n"
           "Averaging weights leads to wider optima and better generalization.\n\n") +
       averages_doc +
       ">>> X, y = cr.datasets.load_digits(split=\"train\")\n"
       ">>> trainer = cr.Trainer(nn.MLP([64, 32, 10], seed=0), nn.CrossEntropyLoss(), optim.SGD(lr=0.1))\n"
       ">>> swa = cr.callbacks.SWA(start=0.5, lr=0.05)\n"
       ">>> history = trainer.fit(X, y, epochs=4, callbacks=[swa])\n"
       ">>> swa.updates, trainer.optimizer.lr\n"
       "(2, 0.05)")
          .c_str());
  c.def(py::init(make), "start"_a = d.start, py::kw_only(), "lr"_a = py::none(), "replace"_a = d.replace,
        "Raises ValueError for a start above 1 that is no whole number, and for an lr of 0 or less.")
      .def(py::pickle(
          [](const SWA& s) {
            const Options& o = s.options();
            return py::make_tuple(o.start, o.lr, o.replace);
          },
          [make](const py::tuple& t) {
            return make(t[0].cast<double>(), t[1].cast<std::optional<double>>(), t[2].cast<bool>());
          }))
      .def("__repr__", [](const SWA& s) {
        const Options& o = s.options();
        return "SWA(start=" + std::string(py::repr(py::float_(o.start))) +
               (o.lr ? ", lr=" + std::string(py::repr(py::float_(*o.lr))) : std::string()) + ")";
      });
  bind_weight_average(c);
}

}  // namespace chainrule::python
