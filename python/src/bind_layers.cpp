// The layers, initializers and containers of chainrule.nn: constructors with their C++ defaults, nothing else.
#include "py_module.hpp"

namespace chainrule::python {
namespace {

using nn::Module;
using nn::ModuleImpl;

template <class H> using LayerClass = py::class_<Kind<H>, ModuleImpl, py::smart_holder>;

// The layer's own implementation, filed under the stand-in type of its Python class.
template <class H> std::shared_ptr<Kind<H>> as_kind(const H& layer) {
  const auto& impl = layer.impl();
  return {impl, reinterpret_cast<Kind<H>*>(impl.get())};
}

template <class H> LayerClass<H> layer(py::module_& m, const char* name, const char* doc) {
  register_kind(name, typeid(Kind<H>));
  return LayerClass<H>(m, name, doc);
}

std::optional<std::uint64_t> optional_seed(const py::object& seed, const char* op) {
  if (seed.is_none()) return {};
  return to_seed(seed, op);
}

template <class H> void simple_layer(py::module_& m, const char* name, const char* doc) {
  layer<H>(m, name, doc).def(py::init([] { return as_kind(H()); }));
}

void bind_activations(py::module_& m) {
  simple_layer<nn::ReLU>(m, "ReLU", "max(x, 0).");
  simple_layer<nn::Sigmoid>(m, "Sigmoid", "1 / (1 + e^-x).");
  simple_layer<nn::Tanh>(m, "Tanh", "Hyperbolic tangent.");
  simple_layer<nn::SiLU>(m, "SiLU", "x sigmoid(x).");
  simple_layer<nn::Softplus>(m, "Softplus", "log(1 + e^x).");
  simple_layer<nn::Identity>(m, "Identity", "x as it is.");
  simple_layer<nn::Flatten>(m, "Flatten", "(batch, ...) to (batch, product of the rest).");
  layer<nn::LeakyReLU>(m, "LeakyReLU", "x where positive, else negative_slope * x.")
      .def(py::init([](double slope) { return as_kind(nn::LeakyReLU(slope)); }), "negative_slope"_a = 0.01);
  layer<nn::ELU>(m, "ELU", "x where positive, else alpha (e^x - 1).")
      .def(py::init([](double alpha) { return as_kind(nn::ELU(alpha)); }), "alpha"_a = 1.0);
  layer<nn::GELU>(m, "GELU", "x Phi(x), exact, or by its tanh approximation with approximate=\"tanh\".")
      .def(py::init([](const std::string& approximate) { return as_kind(nn::GELU(approximate)); }),
           "approximate"_a = "none");
  layer<nn::Softmax>(m, "Softmax", "e^x / sum(e^x) along an axis.")
      .def(py::init([](int axis) { return as_kind(nn::Softmax(axis)); }), "axis"_a = -1);
  layer<nn::LogSoftmax>(m, "LogSoftmax", "log(softmax(x)) along an axis.")
      .def(py::init([](int axis) { return as_kind(nn::LogSoftmax(axis)); }), "axis"_a = -1);
  layer<nn::Dropout>(m, "Dropout", "In train mode zeroes each value with probability p and divides the rest by 1 - p.")
      .def(py::init([](double p) { return as_kind(nn::Dropout(p)); }), "p"_a = 0.5);
}

void bind_weighted(py::module_& m) {
  const nn::LinearOptions linear;
  layer<nn::Linear>(m, "Linear",
                    "y = x W + b with W (in_features, out_features), drawn from U(-1/sqrt(in), 1/sqrt(in)).")
      .def(py::init([](std::int64_t in, std::int64_t out, bool bias, const py::object& dtype, const py::object& seed) {
             return as_kind(nn::Linear(in, out, {bias, to_dtype(dtype), optional_seed(seed, "Linear")}));
           }),
           "in_features"_a, "out_features"_a, py::kw_only(), "bias"_a = linear.bias,
           "dtype"_a = std::string(name_of(linear.dtype)), "seed"_a = py::none())
      .def_property_readonly(
          "bias",
          [](const py::object& self) -> py::object {
            for (const auto& [name, tensor] : self.cast<ModuleImpl&>().own_parameters())
              if (name == "bias") return py::cast(Parameter(tensor));
            return py::none();
          },
          "The bias, or None.");
  const nn::NormOptions norm;
  const std::string dtype(name_of(norm.dtype));
  layer<nn::LayerNorm>(m, "LayerNorm", "Normalizes the last axis: (x - mean) / sqrt(var + eps) * weight + bias.")
      .def(py::init([](std::int64_t features, double eps, bool affine, const py::object& type) {
             nn::NormOptions options;
             options.eps = eps, options.affine = affine, options.dtype = to_dtype(type);
             return as_kind(nn::LayerNorm(features, options));
           }),
           "normalized_shape"_a, py::kw_only(), "eps"_a = norm.eps, "elementwise_affine"_a = norm.affine,
           "dtype"_a = dtype);
  layer<nn::BatchNorm1d>(
      m, "BatchNorm1d",
      "Normalizes each feature of (N, C) over the batch; in eval mode by running statistics, which move by\n"
      "`momentum` per batch.")
      .def(py::init([](std::int64_t features, double eps, double momentum, bool affine, const py::object& type) {
             return as_kind(nn::BatchNorm1d(features, {eps, affine, momentum, to_dtype(type)}));
           }),
           "num_features"_a, py::kw_only(), "eps"_a = norm.eps, "momentum"_a = norm.momentum, "affine"_a = norm.affine,
           "dtype"_a = dtype);
}

template <class C> void bind_list(C& c) {
  c.def("__len__", [](const py::object& self) { return self.cast<ModuleImpl&>().children().size(); });
  c.def(
      "__getitem__",
      [](const py::object& self, std::int64_t i) {
        const auto& children = self.cast<ModuleImpl&>().children();
        const auto n = static_cast<std::int64_t>(children.size());
        if (i < -n || i >= n)
          throw IndexError("Sequential: index " + std::to_string(i) + " is out of range; it has " + std::to_string(n) +
                           " layers");
        return children[static_cast<std::size_t>(i < 0 ? i + n : i)].second;
      },
      "index"_a);
}

void bind_containers(py::module_& m) {
  auto sequential =
      layer<nn::Sequential>(m, "Sequential", "Layers one after another; the sizes of neighbours are checked.");
  sequential.def(py::init([](const py::args& layers, const py::object& seed) {
                   std::vector<Module> modules;
                   const bool one_list = layers.size() == 1 &&
                                         (py::isinstance<py::list>(layers[0]) || py::isinstance<py::tuple>(layers[0]));
                   for (py::handle item : one_list ? py::list(layers[0]) : py::list(layers)) {
                     if (py::isinstance<py::type>(item) && py::hasattr(item, "__name__"))
                       throw DTypeError("Sequential: got the class " + item.attr("__name__").cast<std::string>() +
                                        "; write " + item.attr("__name__").cast<std::string>() + "()");
                     modules.push_back(unwrap_module(item, "Sequential"));
                   }
                   return as_kind(nn::Sequential(modules, {.seed = optional_seed(seed, "Sequential")}));
                 }),
                 py::kw_only(), "seed"_a = py::none());
  bind_list(sequential);
  layer<nn::Residual>(m, "Residual", "x + inner(x).")
      .def(py::init([](const py::object& inner) { return as_kind(nn::Residual(unwrap_module(inner, "Residual"))); }),
           "inner"_a);
  const nn::MLPOptions mlp;
  const auto make = [](const std::vector<std::int64_t>& sizes, const std::string& activation, double dropout,
                       const py::object& dtype, const py::object& seed) {
    return wrap_module(nn::MLP(sizes, {activation, dropout, to_dtype(dtype), optional_seed(seed, "MLP")}));
  };
  m.def("MLP", make, "sizes"_a, py::kw_only(), "activation"_a = mlp.activation, "dropout"_a = mlp.dropout,
        "dtype"_a = std::string(name_of(mlp.dtype)), "seed"_a = py::none(),
        "A Sequential of Linear layers of the given sizes, with the activation (and dropout) between them; weights are "
        "drawn\n"
        "as suits the activation: Kaiming for the relu family, Xavier for sigmoid, tanh and the output; biases are 0.\n"
        "activation: relu, leaky_relu, sigmoid, tanh, gelu, silu, elu, softplus, identity.");
}

void bind_initializers(py::module_& m) {
  namespace init = nn::init;
  const auto key = [](const py::object& seed) {
    return init::Key{seed.is_none() ? next_layer_key() : to_seed(seed, "init"), 0};
  };
  const auto seeded = [&](const char* name, auto f, const char* doc) {
    m.def(
        name,
        [f, key](py::object w, const py::object& seed) {
          f(w.cast<const Tensor&>(), key(seed));
          return w;
        },
        "weight"_a, py::kw_only(), "seed"_a = py::none(), doc);
  };
  m.def("gain", &init::gain, "nonlinearity"_a, "param"_a = 0.01,
        "The factor that keeps variances level behind this activation.");
  m.def(
      "constant_",
      [](py::object w, double value) {
        init::constant_(w.cast<const Tensor&>(), value);
        return w;
      },
      "weight"_a, "value"_a, "The same value everywhere.");
  m.def(
      "uniform_",
      [key](py::object w, double low, double high, const py::object& seed) {
        init::uniform_(w.cast<const Tensor&>(), low, high, key(seed));
        return w;
      },
      "weight"_a, "low"_a = 0.0, "high"_a = 1.0, py::kw_only(), "seed"_a = py::none(), "U(low, high).");
  m.def(
      "normal_",
      [key](py::object w, double mean, double std, const py::object& seed) {
        init::normal_(w.cast<const Tensor&>(), mean, std, key(seed));
        return w;
      },
      "weight"_a, "mean"_a = 0.0, "std"_a = 1.0, py::kw_only(), "seed"_a = py::none(), "N(mean, std^2).");
  const auto with_gain = [&](const char* name, auto f, const char* doc) {
    m.def(
        name,
        [f, key](py::object w, double gain, const py::object& seed) {
          f(w.cast<const Tensor&>(), key(seed), gain);
          return w;
        },
        "weight"_a, "gain"_a = 1.0, py::kw_only(), "seed"_a = py::none(), doc);
  };
  with_gain("xavier_uniform_", &init::xavier_uniform_,
            "U(-a, a), a = gain sqrt(6 / (in + out)) (Glorot and Bengio, 2010).");
  with_gain("xavier_normal_", &init::xavier_normal_, "N(0, 2 gain^2 / (in + out)) (Glorot and Bengio, 2010).");
  with_gain("orthogonal_", &init::orthogonal_, "An orthogonal matrix times gain (Saxe et al., 2013).");
  const auto kaiming = [&](const char* name, auto f, const char* doc) {
    m.def(
        name,
        [f, key](py::object w, const std::string& nonlinearity, double a, const std::string& mode,
                 const py::object& seed) {
          f(w.cast<const Tensor&>(), key(seed), nonlinearity, a, mode);
          return w;
        },
        "weight"_a, "nonlinearity"_a = "relu", "a"_a = 0.0, "mode"_a = "fan_in", py::kw_only(), "seed"_a = py::none(),
        doc);
  };
  kaiming("kaiming_uniform_", &init::kaiming_uniform_, "U(-b, b), b = gain sqrt(3 / fan) (He et al., 2015).");
  kaiming("kaiming_normal_", &init::kaiming_normal_, "N(0, gain^2 / fan) (He et al., 2015).");
  seeded("lecun_uniform_", &init::lecun_uniform_, "U(-b, b), b = sqrt(3 / in) (LeCun et al., 1998).");
  seeded("lecun_normal_", &init::lecun_normal_, "N(0, 1 / in) (LeCun et al., 1998).");
}

}  // namespace

void bind_layers(py::module_& m) {
  bind_activations(m);
  bind_weighted(m);
  bind_containers(m);
  bind_initializers(m);
}

}  // namespace chainrule::python
