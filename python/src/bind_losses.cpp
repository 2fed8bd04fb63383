// Losses: the built-in ones with PyTorch's names, and any Python function of (output, target) where a loss is wanted.
#include "common.hpp"

namespace chainrule::python {
namespace {

std::vector<Tensor> outputs_of(py::handle output) { return to_tensors(output, "loss"); }

Tensor optional_tensor(const py::object& value, const char* op) { return to_tensor_or_undefined(value, op); }

// One array, or a tuple of arrays for the parts of a MultiLoss.
Tensor to_target(const py::object& target) {
  return PyTuple_Check(target.ptr()) ? borrow_target(target, "target") : to_tensor(target, "target");
}

// A loss written in Python, found again when it is pickled.
struct PythonLoss {
  std::shared_ptr<PyObject> function;
  std::string name;
  Tensor operator()(const std::vector<Tensor>& outputs, const Tensor& target) const {
    return with_gil([&] {
      const py::object result = call_python(held(function), from_tensors(outputs), target);
      if (result.is_none())
        throw ValueError(name + ": the loss returned None; return a scalar or one value per sample");
      return to_tensor(result, name.c_str());
    });
  }
};

py::tuple reduce(const Loss& loss) {
  const py::module_ core = py::module_::import("chainrule._core");
  if (const LossImpl::Function* function = loss.impl()->function()) {
    const auto* own = function->target<PythonLoss>();
    if (own == nullptr)
      throw StateError("pickle: the loss " + loss.str() + " is a C++ function; only Python can pickle its own");
    return py::make_tuple(core.attr("Loss"), py::make_tuple(held(own->function)));
  }
  nn::Arguments plain = loss.impl()->arguments();
  std::erase_if(plain, [](const auto& argument) { return argument.first == "losses"; });
  py::dict arguments = to_kwargs(plain);
  if (const std::vector<Loss> parts = loss.impl()->parts(); !parts.empty()) arguments["losses"] = parts;
  arguments["reduction"] = loss.reduction();
  return py::make_tuple(core.attr("_make_loss"), py::make_tuple(loss.impl()->name(), arguments));
}

void bind_loss_class(py::module_& m) {
  m.def(
      "_make_loss",
      [](const std::string& name, const py::dict& arguments) {
        return py::module_::import("chainrule._core").attr(name.c_str())(**arguments);
      },
      "name"_a, "arguments"_a);
  py::class_<Loss>(m, "Loss",
                   "A loss: loss(output, target) is a scalar tensor, or one value per sample with reduction=\"none\".")
      .def(py::init([](const py::object& function) { return to_loss(function); }), "function"_a,
           "A loss from any function of (output, target) that returns a scalar or one value per sample.")
      .def(
          "__call__",
          [](const Loss& loss, const py::object& output, const py::object& target, const py::object& weight) {
            const std::vector<Tensor> out = outputs_of(output);
            const Tensor y = to_target(target);
            const Tensor w = optional_tensor(weight, "sample_weight");
            return released_if(out[0].size() > release_threshold, [&] { return loss(out, y, w); });
          },
          "output"_a, "target"_a, "sample_weight"_a = py::none(),
          "The loss of these outputs, class axis last; with sample_weight the mean is sum(w l) / sum(w).")
      .def_property_readonly("reduction", &Loss::reduction, "\"mean\", \"sum\" or \"none\".")
      .def_property_readonly(
          "link", [](const Loss& loss) { return loss.impl()->link(); }, "How outputs become probabilities or classes.")
      .def("__copy__", [](const Loss& loss) { return loss; })
      .def("__reduce__", &reduce)
      .def("__repr__", &Loss::str);
}

void bind_likelihoods(py::module_& m) {
  const nn::PoissonNLLOptions poisson;
  m.def(
      "PoissonNLLLoss",
      [](bool log_input, bool full, double eps, const std::string& reduction) {
        return nn::PoissonNLLLoss({log_input, full, eps, reduction});
      },
      py::kw_only(), "log_input"_a = poisson.log_input, "full"_a = poisson.full, "eps"_a = poisson.eps,
      "reduction"_a = poisson.reduction,
      "Counts y >= 0 whose log rate is the output f: e^f - y f. The rate is np.exp(model.predict(X)).\n\n"
      "log_input=False: f is the rate itself, f - y log(f + eps). full=True adds Stirling's formula for log y! where\n"
      "y > 1, which no gradient depends on.\n\n"
      ">>> float(nn.PoissonNLLLoss()(np.array([[0.0]]), np.array([3])))\n"
      "1.0");
  const nn::GaussianNLLOptions gaussian;
  m.def(
      "GaussianNLLLoss",
      [](bool log_variance, bool full, double eps, const std::string& reduction) {
        return nn::GaussianNLLLoss({log_variance, full, eps, reduction});
      },
      py::kw_only(), "log_variance"_a = gaussian.log_variance, "full"_a = gaussian.full, "eps"_a = gaussian.eps,
      "reduction"_a = gaussian.reduction,
      "A mean and a variance for each target (Nix and Weigend, 1994): (log v + (y - f)^2 / v) / 2.\n\n"
      "The output is (N, 2 K) for K targets, all means first and then log v of each; or a tuple of two outputs (N, "
      "K).\n"
      "log_variance=False: they are v itself, as in PyTorch, which must come out positive. v is held to eps at least,\n"
      "while its gradient passes. full=True adds log(2 pi) / 2. With a tuple metrics see the means.\n\n"
      ">>> float(nn.GaussianNLLLoss()(np.array([[1.0, 0.0]]), np.array([3.0])))\n"
      "2.0");
  m.def(
      "QuantileLoss",
      [](const std::vector<double>& quantiles, const std::string& reduction) {
        return nn::QuantileLoss({quantiles, reduction});
      },
      "quantiles"_a = nn::QuantileOptions{}.quantiles, py::kw_only(), "reduction"_a = nn::QuantileOptions{}.reduction,
      "Several quantiles at once (Koenker and Bassett, 1978): max(q (y - f), (q - 1) (y - f)) for each q.\n\n"
      "The output is (N, Q), one column per quantile, the target (N,) or (N, 1). Nothing keeps the columns in "
      "order.\n\n"
      ">>> float(nn.QuantileLoss([0.9])(np.array([[0.0]]), np.array([2.0])))\n"
      "1.8");
  m.def(
      "KLDivLoss", [](bool log_target, const std::string& reduction) { return nn::KLDivLoss({log_target, reduction}); },
      py::kw_only(), "log_target"_a = nn::KLDivOptions{}.log_target, "reduction"_a = nn::KLDivOptions{}.reduction,
      "Kullback-Leibler divergence: sum of q (log q - f) over the last axis, f being log-probabilities.\n\n"
      "One value per sample, so that reduction=\"mean\" is the divergence itself, what PyTorch calls \"batchmean\".\n"
      "log_target=True: targets are log q.\n\n"
      ">>> f, q = np.log([[0.5, 0.5]]), np.array([[1.0, 0.0]])\n"
      ">>> round(float(nn.KLDivLoss()(f, q)), 6)\n"
      "0.693147");
}

void bind_margins(py::module_& m) {
  const nn::CosineOptions cosine;
  m.def(
      "CosineSimilarityLoss",
      [](double eps, const std::string& reduction) { return nn::CosineSimilarityLoss({eps, reduction}); },
      py::kw_only(), "eps"_a = cosine.eps, "reduction"_a = cosine.reduction,
      "1 - cos of the angle between output and target (N, D), one value per sample; lengths are at least eps.\n\n"
      ">>> float(nn.CosineSimilarityLoss()(np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])))\n"
      "1.0");
  m.def(
      "HingeLoss", [](bool squared, const std::string& reduction) { return nn::HingeLoss({squared, reduction}); },
      py::kw_only(), "squared"_a = nn::HingeOptions{}.squared, "reduction"_a = nn::HingeOptions{}.reduction,
      "max(0, 1 - s f) of a score f, or its square; s is 1 for a target of 1 and -1 for one of 0 (or -1).\n\n"
      "Scores have classes, f >= 0 or not, but no probabilities.\n\n"
      ">>> float(nn.HingeLoss()(np.array([0.5, -2.0]), np.array([1, 0])))\n"
      "0.25");
  const nn::MultiMarginOptions margin;
  m.def(
      "MultiMarginLoss",
      [](std::int64_t p, double at, const py::object& weight, const std::string& reduction) {
        return nn::MultiMarginLoss({p, at, optional_tensor(weight, "MultiMarginLoss"), reduction});
      },
      py::kw_only(), "p"_a = margin.p, "margin"_a = margin.margin, "weight"_a = py::none(),
      "reduction"_a = margin.reduction,
      "Hinge loss of C classes (Crammer and Singer, 2001): the sum of max(0, margin - f[y] + f[c])^p over the other\n"
      "classes c, divided by C. p is 1 or 2; weight multiplies by w[y], which the mean does not divide by, as in "
      "PyTorch.\n\n"
      ">>> float(nn.MultiMarginLoss()(np.array([[1.0, 0.5, 0.25, 0.0]]), np.array([0])))\n"
      "0.1875");
  const nn::FocalOptions focal;
  m.def(
      "FocalLoss",
      [](double gamma, const py::object& alpha, const std::string& reduction) {
        return nn::FocalLoss({gamma, optional_tensor(alpha, "FocalLoss"), reduction});
      },
      py::kw_only(), "gamma"_a = focal.gamma, "alpha"_a = py::none(), "reduction"_a = focal.reduction,
      "Focal loss of logits (N, C) and classes (N,): -alpha[y] (1 - p)^gamma log p with p = softmax(f)[y] (Lin et "
      "al.,\n"
      "2017). alpha holds one factor per class, by which the mean does not divide.\n\n"
      ">>> round(float(nn.FocalLoss()(np.zeros((1, 2)), np.array([0]))), 6)\n"
      "0.173287");
  const nn::BinaryFocalOptions binary;
  m.def(
      "BinaryFocalLoss",
      [](double gamma, const std::optional<double>& alpha, const std::string& reduction) {
        return nn::BinaryFocalLoss({gamma, alpha.value_or(-1.0), reduction});
      },
      py::kw_only(), "gamma"_a = binary.gamma, "alpha"_a = binary.alpha, "reduction"_a = binary.reduction,
      "Focal loss of logits and targets 0 or 1 of the same shape, for one class or several labels (Lin et al., "
      "2017).\n\n"
      "alpha weights class 1 and 1 - alpha class 0; None (or -1) neither. As sigmoid_focal_loss of torchvision.\n\n"
      ">>> round(float(nn.BinaryFocalLoss()(np.zeros(1), np.array([1]))), 6)\n"
      "0.043322");
  m.def(
      "MultiLoss",
      [](const py::object& losses, const std::optional<std::vector<double>>& weights,
         const std::optional<std::vector<std::int64_t>>& columns, const std::string& reduction) {
        if (!is_sequence(losses))
          throw DTypeError("MultiLoss: losses must be a list of losses, got " + type_name(losses));
        std::vector<Loss> parts;
        for (py::handle loss : losses) parts.push_back(to_loss(loss));
        return nn::MultiLoss(
            parts, {weights.value_or(std::vector<double>{}), columns.value_or(std::vector<std::int64_t>{}), reduction});
      },
      "losses"_a, py::kw_only(), "weights"_a = py::none(), "columns"_a = py::none(),
      "reduction"_a = nn::MultiLossOptions{}.reduction,
      "The sum of weights[i] times losses[i] of output i, for a model that returns a tuple (nn.MultiHead makes "
      "one).\n\n"
      "Targets are a tuple (y1, y2, ...), one for each loss, wherever y is given: fit, evaluate, step, the loss "
      "itself.\n"
      "They travel as the columns of one float64 array (N, T), which may be given in place of the tuple; columns=[1, "
      "3]\n"
      "tells how many each loss has, by default 1. Labels are integers again when they reach their loss. Each loss\n"
      "counts by its mean, class weights by their mean in the batch. Metrics are functions of the first output and "
      "all\n"
      "columns; functions in place of losses get their columns as floats.\n\n"
      ">>> loss = nn.MultiLoss([nn.CrossEntropyLoss(), nn.MSELoss()], weights=[1, 0.5])\n"
      ">>> outputs = np.zeros((2, 3)), np.array([[1.0], [3.0]])\n"
      ">>> round(float(loss(outputs, (np.array([0, 2]), np.zeros(2)))), 4)\n"
      "3.5986");
}

}  // namespace

Loss to_loss(py::handle value) {
  if (py::isinstance<Loss>(value)) return value.cast<const Loss&>();
  if (py::isinstance<py::type>(value))
    throw DTypeError("loss: got a class; write " + std::string(py::str(value.attr("__name__"))) + "()");
  if (PyCFunction_Check(value.ptr()) != 0) {  // nn.MSELoss, which makes losses, in place of nn.MSELoss()
    const std::string made = py::str(value.attr("__name__"));
    if (made.ends_with("Loss")) throw DTypeError("loss: got " + made + " itself; write " + made + "()");
  }
  if (PyCallable_Check(value.ptr()) == 0)
    throw DTypeError("loss: expected a loss or a function of (output, target), got " + type_name(value));
  const std::string name =
      py::hasattr(value, "__name__") ? value.attr("__name__").cast<std::string>() : type_name(value);
  // It may run long after this call, without the GIL at first. A tuple of outputs reaches it as one.
  return Loss::of_outputs(PythonLoss{hold(py::reinterpret_borrow<py::object>(value)), name}, name);
}

void bind_losses(py::module_& m) {
  bind_loss_class(m);
  m.def(
      "MSELoss", [](bool half, const std::string& reduction) { return nn::MSELoss({half, reduction}); }, py::kw_only(),
      "half"_a = nn::MSEOptions{}.half, "reduction"_a = nn::MSEOptions{}.reduction,
      "Mean squared error (y - f)^2; half=True multiplies by 1/2, so that the gradient is f - y.");
  m.def(
      "L1Loss", [](const std::string& reduction) { return nn::L1Loss({reduction}); }, py::kw_only(),
      "reduction"_a = nn::LossOptions{}.reduction, "Mean absolute error |y - f|.");
  m.def(
      "HuberLoss", [](double delta, const std::string& reduction) { return nn::HuberLoss({delta, reduction}); },
      py::kw_only(), "delta"_a = nn::HuberOptions{}.delta, "reduction"_a = nn::HuberOptions{}.reduction,
      "Squared where |y - f| <= delta, linear beyond (Huber, 1964).");
  m.def(
      "BCELoss", [](const std::string& reduction) { return nn::BCELoss({reduction}); }, py::kw_only(),
      "reduction"_a = nn::LossOptions{}.reduction, "Binary cross-entropy of probabilities.");
  m.def(
      "BCEWithLogitsLoss",
      [](const py::object& pos_weight, const std::string& reduction) {
        return nn::BCEWithLogitsLoss({optional_tensor(pos_weight, "BCEWithLogitsLoss"), reduction});
      },
      py::kw_only(), "pos_weight"_a = py::none(), "reduction"_a = nn::BCEOptions{}.reduction,
      "Binary cross-entropy of logits, stable for large ones; pos_weight multiplies the positive term.");
  m.def(
      "NLLLoss",
      [](const py::object& weight, std::optional<std::int64_t> ignore_index, const std::string& reduction) {
        return nn::NLLLoss({optional_tensor(weight, "NLLLoss"), ignore_index, reduction});
      },
      py::kw_only(), "weight"_a = py::none(), "ignore_index"_a = py::none(), "reduction"_a = nn::NLLOptions{}.reduction,
      "Negative log-likelihood of log-probabilities (N, C) and classes (N,).");
  m.def(
      "CrossEntropyLoss",
      [](const py::object& weight, std::optional<std::int64_t> ignore_index, double label_smoothing,
         const std::string& reduction) {
        return nn::CrossEntropyLoss(
            {optional_tensor(weight, "CrossEntropyLoss"), ignore_index, label_smoothing, reduction});
      },
      py::kw_only(), "weight"_a = py::none(), "ignore_index"_a = py::none(),
      "label_smoothing"_a = nn::CrossEntropyOptions{}.label_smoothing,
      "reduction"_a = nn::CrossEntropyOptions{}.reduction,
      "Cross-entropy of logits (N, C) with classes (N,) or probabilities (N, C); weight holds one factor per class.");
  bind_likelihoods(m);
  bind_margins(m);
}

}  // namespace chainrule::python
