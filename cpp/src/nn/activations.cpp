// Layers without parameters that apply one op, and the two that only shape: Identity and Flatten.
#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

using Apply = Tensor (*)(const Tensor&);

// A layer that is one op without arguments.
class OpLayer final : public Layer {
 public:
  OpLayer(const char* kind, Apply apply, bool flattens) : kind_(kind), apply_(apply), flattens_(flattens) {}
  using Layer::forward;
  Tensor forward(const Tensor& x) override { return apply_(x); }
  std::string kind() const override { return kind_; }
  bool keeps_features() const override { return !flattens_; }
  bool only_reshapes() const override { return flattens_; }

 private:
  const char* kind_;
  Apply apply_;
  bool flattens_;
};

// A layer that is one op with one argument.
template <class Value> class ArgumentLayer final : public Layer {
 public:
  using ApplyWith = Tensor (*)(const Tensor&, const Value&);
  ArgumentLayer(const char* kind, const char* argument, Value value, Value usual, ApplyWith apply)
      : kind_(kind), argument_(argument), value_(std::move(value)), usual_(std::move(usual)), apply_(apply) {}
  using Layer::forward;
  Tensor forward(const Tensor& x) override { return apply_(x, value_); }
  std::string kind() const override { return kind_; }
  Arguments arguments() const override { return {{argument_, value_}}; }
  std::string repr_arguments() const override { return text_of(arguments(), 0, {{argument_, usual_}}); }
  bool keeps_features() const override { return true; }

 private:
  const char *kind_, *argument_;
  Value value_, usual_;
  ApplyWith apply_;
};

class HardtanhImpl final : public Layer {
 public:
  HardtanhImpl(double low, double high) : low_(low), high_(high) {
    if (!(low < high))
      fail<ValueError>("Hardtanh", "min_val must be below max_val",
                       "min_val is " + text_of(low) + ", max_val is " + text_of(high));
  }
  using Layer::forward;
  Tensor forward(const Tensor& x) override { return clip(x, low_, high_); }
  std::string kind() const override { return "Hardtanh"; }
  Arguments arguments() const override { return {{"min_val", low_}, {"max_val", high_}}; }
  std::string repr_arguments() const override { return text_of(arguments(), 0, {{"min_val", -1.0}, {"max_val", 1.0}}); }
  bool keeps_features() const override { return true; }

 private:
  double low_, high_;
};

Tensor same(const Tensor& x) { return x; }

// (batch, ...) -> (batch, product)
Tensor flatten_samples(const Tensor& x) {
  const Shape& shape = x.shape();
  if (shape.rank() == 0)
    fail<ShapeError>("Flatten", "the input has no batch axis", "x is " + shape.str(), "pass (batch, ...)");
  std::int64_t features = 1;
  for (int axis = 1; axis < shape.rank(); ++axis) features *= shape[axis];
  return reshape(x, {shape[0], features});
}

std::shared_ptr<ModuleImpl> layer(const char* kind, Apply apply, bool flattens = false) {
  return std::make_shared<OpLayer>(kind, apply, flattens);
}

std::shared_ptr<ModuleImpl> real_layer(const char* kind, const char* argument, double value, double usual,
                                       ArgumentLayer<double>::ApplyWith apply) {
  if (!std::isfinite(value)) fail<ValueError>(kind, std::string(argument) + " must be finite", text_of(value));
  return std::make_shared<ArgumentLayer<double>>(kind, argument, value, usual, apply);
}

std::shared_ptr<ModuleImpl> axis_layer(const char* kind, std::int64_t axis,
                                       ArgumentLayer<std::int64_t>::ApplyWith apply) {
  if (axis < -Shape::max_rank || axis >= Shape::max_rank)
    fail<IndexError>(kind, "axis out of range", "axis is " + std::to_string(axis));
  return std::make_shared<ArgumentLayer<std::int64_t>>(kind, "axis", axis, std::int64_t{-1}, apply);
}

}  // namespace

namespace read {

std::shared_ptr<ModuleImpl> relu(ArgumentReader&) { return layer("ReLU", chainrule::relu); }
std::shared_ptr<ModuleImpl> sigmoid(ArgumentReader&) { return layer("Sigmoid", chainrule::sigmoid); }
std::shared_ptr<ModuleImpl> tanh(ArgumentReader&) { return layer("Tanh", chainrule::tanh); }
std::shared_ptr<ModuleImpl> silu(ArgumentReader&) { return layer("SiLU", chainrule::silu); }
std::shared_ptr<ModuleImpl> softplus(ArgumentReader&) { return layer("Softplus", chainrule::softplus); }
std::shared_ptr<ModuleImpl> selu(ArgumentReader&) { return layer("SELU", chainrule::selu); }
std::shared_ptr<ModuleImpl> mish(ArgumentReader&) { return layer("Mish", chainrule::mish); }
std::shared_ptr<ModuleImpl> softsign(ArgumentReader&) { return layer("Softsign", chainrule::softsign); }
std::shared_ptr<ModuleImpl> identity(ArgumentReader&) { return layer("Identity", same); }
std::shared_ptr<ModuleImpl> flatten(ArgumentReader&) { return layer("Flatten", flatten_samples, true); }

std::shared_ptr<ModuleImpl> leaky_relu(ArgumentReader& arguments) {
  return real_layer("LeakyReLU", "negative_slope", arguments.real("negative_slope", 0.01), 0.01,
                    [](const Tensor& x, const double& slope) { return chainrule::leaky_relu(x, slope); });
}
std::shared_ptr<ModuleImpl> hardtanh(ArgumentReader& arguments) {
  const double low = arguments.real("min_val", -1.0);
  return std::make_shared<HardtanhImpl>(low, arguments.real("max_val", 1.0));
}
std::shared_ptr<ModuleImpl> elu(ArgumentReader& arguments) {
  return real_layer("ELU", "alpha", arguments.real("alpha", 1.0), 1.0,
                    [](const Tensor& x, const double& alpha) { return chainrule::elu(x, alpha); });
}
std::shared_ptr<ModuleImpl> gelu(ArgumentReader& arguments) {
  const std::string approximate = arguments.text("approximate", "none");
  if (approximate != "none" && approximate != "tanh")
    fail<ValueError>("GELU", "unknown approximation", "'" + approximate + "'", "use \"none\" or \"tanh\"");
  return std::make_shared<ArgumentLayer<std::string>>(
      "GELU", "approximate", approximate, std::string("none"),
      [](const Tensor& x, const std::string& how) { return how == "tanh" ? gelu_tanh(x) : chainrule::gelu(x); });
}
std::shared_ptr<ModuleImpl> softmax(ArgumentReader& arguments) {
  return axis_layer("Softmax", arguments.integer("axis", -1), [](const Tensor& x, const std::int64_t& axis) {
    return chainrule::softmax(x, static_cast<int>(axis));
  });
}
std::shared_ptr<ModuleImpl> log_softmax(ArgumentReader& arguments) {
  return axis_layer("LogSoftmax", arguments.integer("axis", -1), [](const Tensor& x, const std::int64_t& axis) {
    return chainrule::log_softmax(x, static_cast<int>(axis));
  });
}

}  // namespace read

ReLU::ReLU() : Module(make_layer("ReLU", {})) {}
Sigmoid::Sigmoid() : Module(make_layer("Sigmoid", {})) {}
Tanh::Tanh() : Module(make_layer("Tanh", {})) {}
SiLU::SiLU() : Module(make_layer("SiLU", {})) {}
Softplus::Softplus() : Module(make_layer("Softplus", {})) {}
SELU::SELU() : Module(make_layer("SELU", {})) {}
Mish::Mish() : Module(make_layer("Mish", {})) {}
Softsign::Softsign() : Module(make_layer("Softsign", {})) {}
Hardtanh::Hardtanh(double min_val, double max_val)
    : Module(make_layer("Hardtanh", {{"min_val", min_val}, {"max_val", max_val}})) {}
Identity::Identity() : Module(make_layer("Identity", {})) {}
Flatten::Flatten() : Module(make_layer("Flatten", {})) {}
LeakyReLU::LeakyReLU(double negative_slope) : Module(make_layer("LeakyReLU", {{"negative_slope", negative_slope}})) {}
ELU::ELU(double alpha) : Module(make_layer("ELU", {{"alpha", alpha}})) {}
GELU::GELU(const std::string& approximate) : Module(make_layer("GELU", {{"approximate", approximate}})) {}
Softmax::Softmax(int axis) : Module(make_layer("Softmax", {{"axis", std::int64_t{axis}}})) {}
LogSoftmax::LogSoftmax(int axis) : Module(make_layer("LogSoftmax", {{"axis", std::int64_t{axis}}})) {}

}  // namespace chainrule::nn
