// Initializers: a draw into a private array, whose memory becomes the parameter's where that is free.
#include <cmath>

#include "chainrule/nn.hpp"
#include "chainrule/random.hpp"
#include "core/arguments.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule::nn::init {
namespace {

void check(const char* op, const Tensor& w, int least_rank = 0) {
  if (!w.defined()) fail<StateError>(op, "the parameter is undefined");
  if (!is_floating(w.dtype()))
    fail<DTypeError>(op, "the parameter must be floating", "dtype is " + std::string(name_of(w.dtype())));
  if (w.rank() < least_rank)
    fail<ShapeError>(op, "the parameter needs at least one axis", "shape is " + w.shape().str(),
                     "use constant_ or normal_");
}

void check_spread(const char* op, const char* name, double value) {
  if (!(value >= 0.0) || std::isinf(value))
    fail<ValueError>(op, std::string(name) + " must be finite and >= 0", std::string(name) + " is " + text_of(value));
}

struct Fans {
  double in, out;
};
Fans fans_of(const Shape& shape) {
  double behind = 1.0;
  for (int axis = 2; axis < shape.rank(); ++axis) behind *= static_cast<double>(shape[axis]);
  return {static_cast<double>(shape[0]) * behind, (shape.rank() > 1 ? static_cast<double>(shape[1]) : 1.0) * behind};
}

double xavier_std(const Shape& shape, double gain) {
  const Fans fans = fans_of(shape);
  return gain * std::sqrt(2.0 / (fans.in + fans.out));
}

double kaiming_std(const char* op, const Shape& shape, const std::string& nonlinearity, double a,
                   const std::string& mode) {
  if (mode != "fan_in" && mode != "fan_out")
    fail<ValueError>(op, "unknown mode", "'" + mode + "'", "use \"fan_in\" or \"fan_out\"");
  const Fans fans = fans_of(shape);
  return gain(nonlinearity, a) / std::sqrt(mode == "fan_in" ? fans.in : fans.out);
}

void put(const Tensor& w, const Tensor& drawn) {
  if (!take_values(w, drawn)) Tensor(w).copy_(drawn);
}

// U(-b, b) has the standard deviation b / sqrt(3).
void spread_uniform(const Tensor& w, double std, Key key) {
  if (w.size() == 0) return;
  const double bound = std::sqrt(3.0) * std;
  put(w, random::uniform(w.shape(), key.key, key.stream, -bound, bound, w.dtype()));
}
void spread_normal(const Tensor& w, double std, Key key) {
  if (w.size() == 0) return;
  put(w, random::normal(w.shape(), key.key, key.stream, 0.0, std, w.dtype()));
}

}  // namespace

double gain(const std::string& nonlinearity, double param) {
  if (nonlinearity == "linear" || nonlinearity == "identity" || nonlinearity == "sigmoid" || nonlinearity == "softmax")
    return 1.0;
  if (nonlinearity == "tanh") return 5.0 / 3.0;
  if (nonlinearity == "relu" || nonlinearity == "elu" || nonlinearity == "gelu" || nonlinearity == "silu" ||
      nonlinearity == "softplus")
    return std::sqrt(2.0);
  if (nonlinearity == "leaky_relu") return std::sqrt(2.0 / (1.0 + param * param));
  if (nonlinearity == "selu") return 0.75;
  fail<ValueError>("gain", "unknown nonlinearity", "'" + nonlinearity + "'",
                   "use linear, identity, sigmoid, softmax, tanh, relu, leaky_relu, elu, gelu, silu, softplus or selu");
}

void constant_(const Tensor& w, double value) {
  check("constant_", w);
  put(w, Tensor::full(w.shape(), value, w.dtype()));
}
void uniform_(const Tensor& w, double low, double high, Key key) {
  check("uniform_", w);
  if (!(low <= high) || !std::isfinite(low) || !std::isfinite(high))
    fail<ValueError>("uniform_", "bounds must be finite and in order",
                     "low is " + text_of(low) + ", high is " + text_of(high));
  put(w, random::uniform(w.shape(), key.key, key.stream, low, high, w.dtype()));
}
void normal_(const Tensor& w, double mean, double std, Key key) {
  check("normal_", w);
  check_spread("normal_", "std", std);
  put(w, random::normal(w.shape(), key.key, key.stream, mean, std, w.dtype()));
}
void xavier_uniform_(const Tensor& w, Key key, double gain) {
  check("xavier_uniform_", w, 1);
  check_spread("xavier_uniform_", "gain", gain);
  spread_uniform(w, xavier_std(w.shape(), gain), key);
}
void xavier_normal_(const Tensor& w, Key key, double gain) {
  check("xavier_normal_", w, 1);
  check_spread("xavier_normal_", "gain", gain);
  spread_normal(w, xavier_std(w.shape(), gain), key);
}
void kaiming_uniform_(const Tensor& w, Key key, const std::string& nonlinearity, double a, const std::string& mode) {
  check("kaiming_uniform_", w, 1);
  spread_uniform(w, kaiming_std("kaiming_uniform_", w.shape(), nonlinearity, a, mode), key);
}
void kaiming_normal_(const Tensor& w, Key key, const std::string& nonlinearity, double a, const std::string& mode) {
  check("kaiming_normal_", w, 1);
  spread_normal(w, kaiming_std("kaiming_normal_", w.shape(), nonlinearity, a, mode), key);
}
void lecun_uniform_(const Tensor& w, Key key) {
  check("lecun_uniform_", w, 1);
  spread_uniform(w, 1.0 / std::sqrt(fans_of(w.shape()).in), key);
}
void lecun_normal_(const Tensor& w, Key key) {
  check("lecun_normal_", w, 1);
  spread_normal(w, 1.0 / std::sqrt(fans_of(w.shape()).in), key);
}

}  // namespace chainrule::nn::init
