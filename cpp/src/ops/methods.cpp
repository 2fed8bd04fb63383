// Tensor's ops as methods.
#include "core/fail.hpp"
#include "ops/operands.hpp"

namespace chainrule {

Tensor Tensor::astype(DType dtype) const { return cast(*this, dtype); }
Tensor Tensor::reshape(const Dims& shape) const { return chainrule::reshape(*this, shape); }
Tensor Tensor::transpose(const Dims& axes) const { return chainrule::transpose(*this, axes); }
Tensor Tensor::sum(const Dims& axes, bool keepdims) const { return chainrule::sum(*this, axes, keepdims); }
Tensor Tensor::mean(const Dims& axes, bool keepdims) const { return chainrule::mean(*this, axes, keepdims); }
Tensor Tensor::max(const Dims& axes, bool keepdims) const { return chainrule::max(*this, axes, keepdims); }
Tensor Tensor::min(const Dims& axes, bool keepdims) const { return chainrule::min(*this, axes, keepdims); }
Tensor Tensor::tanh() const { return chainrule::tanh(*this); }
Tensor Tensor::exp() const { return chainrule::exp(*this); }
Tensor Tensor::log() const { return chainrule::log(*this); }
Tensor Tensor::relu() const { return chainrule::relu(*this); }
Tensor Tensor::sigmoid() const { return chainrule::sigmoid(*this); }

void Tensor::copy_(const Tensor& source) {
  if (!(shape() == source.shape()) && !(source.weak() && size() == 1))
    fail<ShapeError>("copy_", "shapes differ", "source is " + source.shape().str() + ", this is " + shape().str());
  if (symbolic() || source.symbolic())
    fail<StateError>("copy_", "not recorded in a traced function", "",
                     "return the new value, or use a module's buffer");
  const NoGrad nothing;
  write_values(*this, cast(source.detach(), dtype()));
}

}  // namespace chainrule
