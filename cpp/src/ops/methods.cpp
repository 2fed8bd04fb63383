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

Tensor Tensor::detach() const { return stop_gradient(*this); }

void Tensor::copy_(const Tensor& source) {
  if (!(shape() == source.shape()) && !(source.weak() && size() == 1))
    fail<ShapeError>("copy_", "shapes differ", "source is " + source.shape().str() + ", this is " + shape().str());
  if (symbolic() || source.symbolic())
    fail<StateError>("copy_", "not recorded in a traced function", "",
                     "return the new value, or use a module's buffer");
  if (data_->node && grad_enabled())
    fail<StateError>("copy_",
                     "the tensor is the result of a recorded op, so its gradient would be that of the old values",
                     std::string(data_->node->op->name) + " of shape " + shape().str(),
                     "compute a new tensor, or copy under no_grad()");
  const NoGrad nothing;
  Tensor values = source;
  if (!source.weak())
    values = with_shape(source, source.shape()).freeze();  // read now, even while a function is traced
  write_values(*this, cast(values, dtype()));
}

}  // namespace chainrule
