// Samplers: the built-in ones, and those written in Python.
#include "sampling.hpp"

namespace chainrule::python {
namespace {

// Any Python object with order(seed, epoch); its length is that of its orders.
class PythonSampler : public data::Sampler {
 public:
  PythonSampler(const py::object& object, const char* who) : object_(hold(object)), who_(who) {
    size_ = py::hasattr(object, "__len__") ? static_cast<std::int64_t>(py::len(object))
                                           : static_cast<std::int64_t>(order(0, 0, 1).size());
  }
  std::vector<std::int64_t> order(std::uint64_t seed, std::uint64_t epoch, std::int64_t) const override {
    return with_gil([&] {
      const py::object order = call_method(held(object_), "order", seed, epoch);
      const py::object numbers = call_function("numpy", "asarray", order);
      if (py::array(numbers).dtype().kind() == 'b')
        throw DTypeError(std::string(who_) +
                         ": sampler.order(seed, epoch) must be row numbers, got booleans; give np.flatnonzero(mask)");
      return to_integers(order, who_, "sampler.order(seed, epoch)");
    });
  }
  std::int64_t size() const override { return size_; }
  std::shared_ptr<const data::Sampler> of_rows(std::span<const std::int64_t> rows) const override {
    return with_gil([&] {
      const py::object object = held(object_);
      if (!py::hasattr(object, "of_rows")) return Sampler::of_rows(rows);
      const py::object part = call_method(object, "of_rows", to_array({rows.begin(), rows.end()}));
      if (part.is_none())
        throw DTypeError(std::string(who_) + ": " + str() + ".of_rows(rows) must give a sampler, got None");
      return to_sampler(part, who_);
    });
  }
  std::string str() const override {
    return with_gil([&] { return "a " + type_name(held(object_)); });
  }

 private:
  std::shared_ptr<PyObject> object_;
  const char* who_;
  std::int64_t size_ = 0;
};

std::vector<double> to_weights(const py::object& weights) {
  const Tensor values = borrow(py::module_::import("numpy").attr("asarray")(weights, "float64"), "WeightedSampler");
  if (values.rank() != 1)
    throw ShapeError("WeightedSampler: weights must be one number per row: they are " + values.shape().str());
  const auto span = values.span<double>();
  return {span.begin(), span.end()};
}

}  // namespace

std::shared_ptr<const data::Sampler> to_sampler(const py::object& sampler, const char* who) {
  if (sampler.is_none()) return nullptr;
  if (py::isinstance<data::Sampler>(sampler)) return sampler.cast<std::shared_ptr<data::Sampler>>();
  if (PyType_Check(sampler.ptr()) != 0)
    throw DTypeError(std::string(who) + ": sampler is a class; write " +
                     std::string(py::str(sampler.attr("__name__"))) + "(...)");
  if (!py::hasattr(sampler, "order"))
    throw DTypeError(std::string(who) +
                     ": sampler must be a data.WeightedSampler, a data.StratifiedSampler or an object with a method "
                     "order(seed, epoch), got " +
                     type_name(sampler));
  return std::make_shared<PythonSampler>(sampler, who);
}

void bind_samplers(py::module_& m) {
  using data::Sampler;
  py::class_<Sampler, std::shared_ptr<Sampler>>(
      m, "Sampler",
      "Which rows an epoch takes, and in which order: `sampler` of Trainer.fit and data.batches. One of your own is "
      "any "
      "object\n"
      "with a method order(seed, epoch) that returns row numbers, as many in every epoch and the same for the same "
      "arguments; where a part of the rows is held out, its method of_rows(rows) gives the sampler of the others,\n"
      "counted from 0.")
      .def(
          "order",
          [](const Sampler& s, const py::object& seed, std::uint64_t epoch, std::int64_t batch_size) {
            return to_array(s.order(to_seed(seed, "order"), epoch, batch_size));
          },
          "seed"_a, "epoch"_a, "batch_size"_a = FitOptions{}.batch_size,
          "The rows of pass `epoch` as an int64 array; batches are cut off from it in order.")
      .def(
          "of_rows",
          [](const Sampler& s, const py::object& rows) -> std::shared_ptr<const Sampler> {
            return s.of_rows(to_integers(rows, "of_rows", "rows"));
          },
          "rows"_a,
          "The sampler of these rows, counted from 0: what training takes where others are held out.\n\n"
          ">>> import numpy as np\n"
          ">>> odd = cr.data.StratifiedSampler([0, 1] * 50).of_rows(np.arange(1, 100, 2))\n"
          ">>> len(odd)\n50")
      .def("__len__", &Sampler::size)
      .def("__repr__", &Sampler::str);
  const data::WeightedSamplerOptions d;
  py::class_<data::WeightedSampler, Sampler, std::shared_ptr<data::WeightedSampler>>(
      m, "WeightedSampler", py::is_final(),
      "Draws rows with probabilities proportional to their weights: with replacement each time from all rows, without "
      "it from\n"
      "those not drawn yet.\n\n"
      "weights: one number per row, 0 or more. num_samples: how many an epoch has; None: as many as there are rows, or "
      "without\n"
      "replacement as many as have a weight above 0. Raises ValueError for weights that are negative, NaN, infinite or "
      "all 0.\n\n"
      ">>> import numpy as np\n"
      ">>> labels = np.array([0] * 90 + [1] * 10)\n"
      ">>> sampler = cr.data.WeightedSampler(1 / np.bincount(labels)[labels], num_samples=1000)\n"
      ">>> bool(450 < labels[sampler.order(seed=0, epoch=0)].sum() < 550)\nTrue")
      .def(py::init([d](const py::object& weights, std::optional<std::int64_t> num_samples, bool replacement) {
             if (num_samples && *num_samples < 1)
               throw ValueError("WeightedSampler: num_samples must be at least 1: " + std::to_string(*num_samples));
             return std::make_shared<data::WeightedSampler>(
                 to_weights(weights), data::WeightedSamplerOptions{num_samples.value_or(d.num_samples), replacement});
           }),
           "weights"_a, "num_samples"_a = py::none(), "replacement"_a = d.replacement);
  py::class_<data::StratifiedSampler, Sampler, std::shared_ptr<data::StratifiedSampler>>(
      m, "StratifiedSampler", py::is_final(),
      "Every row once, such that each batch holds every class by its share: rows of each class in random order, class "
      "after\n"
      "class, are dealt to the batches like cards. Batches of one size differ by at most one row of a class.\n\n"
      "labels: one per row, integers or text.\n\n"
      ">>> labels = [0] * 90 + [1] * 10\n"
      ">>> order = cr.data.StratifiedSampler(labels).order(seed=0, epoch=0, batch_size=20)\n"
      ">>> [sum(labels[row] for row in batch) for batch in order.reshape(5, 20)]\n[2, 2, 2, 2, 2]")
      .def(py::init([](const py::object& labels) {
             return std::make_shared<data::StratifiedSampler>(to_labels(labels, "StratifiedSampler", "labels"));
           }),
           "labels"_a);
}

}  // namespace chainrule::python
