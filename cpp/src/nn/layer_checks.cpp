// The checks of layer_checks.hpp.
#include "nn/layer_checks.hpp"

#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "nn/module_tree.hpp"

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

Tensor read_with(const Tensor& buffer, const Tensor& x) {
  return x.symbolic() ? x.data_handle()->tracer->present(buffer) : buffer;
}

void check_child_dtypes(const ModuleImpl& parent) {
  const std::pair<std::string, std::shared_ptr<ModuleImpl>>* first = nullptr;
  for (const auto& child : parent.children()) {
    const auto dtype = parameter_dtype(*child.second);
    if (!dtype) continue;
    if (!first) first = &child;
    const DType expected = *parameter_dtype(*first->second);
    if (*dtype != expected)
      fail<DTypeError>(parent.kind(), "layers have different dtypes",
                       place(*first) + " is " + std::string(name_of(expected)) + ", " + place(child) + " is " +
                           std::string(name_of(*dtype)),
                       "one model has one dtype: convert a layer with astype");
  }
}

}  // namespace chainrule::nn
