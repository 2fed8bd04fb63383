// Losses: the built-in ones with PyTorch's names, and any Python function of (output, target) where a loss is wanted.
#include "common.hpp"

namespace chainrule::python {
namespace {

std::vector<Tensor> outputs_of(py::handle output) { return to_tensors(output, "loss"); }

Tensor optional_tensor(const py::object& value, const char* op) { return to_tensor_or_undefined(value, op); }

// A loss written in Python, found again when it is pickled.
struct PythonLoss {
  std::shared_ptr<PyObject> function;
  std::string name;
  Tensor operator()(const std::vector<Tensor>& outputs, const Tensor& target) const {
    const py::gil_scoped_acquire locked;
    const py::object result = held(function)(from_tensors(outputs), target);
    if (result.is_none()) throw ValueError(name + ": the loss returned None; return a scalar or one value per sample");
    return to_tensor(result, name.c_str());
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
  py::dict arguments = to_kwargs(loss.impl()->arguments());
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
            const Tensor y = to_tensor(target, "target"), w = optional_tensor(weight, "sample_weight");
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
}

}  // namespace chainrule::python
