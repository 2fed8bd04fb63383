// The checks of layer_checks.hpp.
#include "nn/layer_checks.hpp"

#include "core/fail.hpp"

namespace chainrule::nn {

void check_parameter_dtype(const char* kind, DType dtype) {
  if (dtype != DType::float32 && dtype != DType::float64)
    fail<DTypeError>(kind, "parameters must be float32 or float64", "dtype is " + std::string(name_of(dtype)));
}

void check_last_axis(const ModuleImpl& layer, const Tensor& x, std::int64_t features) {
  const Shape& shape = x.shape();
  if (shape.rank() > 0 && shape.back() == features) return;
  std::string todo;
  if (shape.rank() == 2 && shape[0] == features) {
    todo = "samples are rows: did you mean x.T?";
  } else if (shape.rank() > 2 &&
             Shape(std::span<const std::int64_t>(shape.begin() + 1, shape.end())).size() == features) {
    todo = "put nn.Flatten() before it";
  } else {
    todo = "pass (batch, " + std::to_string(features) + ")";
    if (shape.rank() > 0) todo += ", or build the layer for " + std::to_string(shape.back()) + " features";
  }
  fail<ShapeError>(layer.repr(), "last axis must have " + std::to_string(features) + " features", "x is " + shape.str(),
                   todo);
}

}  // namespace chainrule::nn
