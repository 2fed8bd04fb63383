// Derivative rules, called in one place for eager tensors and symbols alike.
#include "autodiff/rules.hpp"

#include "core/fail.hpp"
#include "ops/operands.hpp"

namespace chainrule {

Tensors pull_back(const OpCall& call, std::span<const Tensor> gy, std::span<const char> needs) {
  const Op& op = *call.op;
  Tensors gx(call.x_types.size());
  bool flows = false;
  for (const Tensor& g : gy) flows |= g.defined();
  if (!flows || op.vjp == nullptr) return gx;
  gx = op.vjp({op, *call.attrs, call.x, call.y, call.x_types, call.y_types, gy, needs});
  for (std::size_t i = 0; i < gx.size(); ++i) {
    if (!needs[i] || !gx[i].defined())
      gx[i] = Tensor();
    else if (op.broadcasts)
      gx[i] = sum_to(gx[i], call.x_types[i].shape);
  }
  return gx;
}

Tensors push_forward(const OpCall& call, std::span<const Tensor> tx) {
  const Op& op = *call.op;
  Tensors ty(call.y_types.size());
  bool flows = false;
  for (const Tensor& t : tx) flows |= t.defined();
  if (!flows || op.jvp == nullptr) return ty;
  const std::vector<char> needs(call.x_types.size(), 1);
  const Tensors pushed = op.jvp({op, *call.attrs, call.x, call.y, call.x_types, call.y_types, tx, needs});
  for (std::size_t j = 0; j < pushed.size() && j < ty.size(); ++j) {
    ty[j] = pushed[j];
    if (ty[j].defined() && !(ty[j].shape() == call.y_types[j].shape))
      ty[j] = broadcast_to(ty[j], call.y_types[j].shape);
  }
  return ty;
}

void accumulate(Tensor& sum, Tensor&& g) {
  if (!g.defined()) return;
  if (!sum.defined()) {
    sum = std::move(g);
    return;
  }
  const auto& data = sum.data_handle();
  const bool own = !grad_enabled() && TraceScope::current() == nullptr && data.use_count() == 1 && !data->node &&
                   data->storage && data->storage.use_count() == 1 && !data->storage->borrowed;
  if (own && !g.symbolic() && type_of(sum) == type_of(g)) {  // nobody else sees it: add in place
    static const Op& op = find_op("add");
    const Tensor in[] = {sum, g};
    apply_into(op, in, {}, std::span(&sum, 1));
  } else {
    sum = sum + g;
  }
}

Tensor start_cotangent(const Tensor& output, const Tensor& given, const char* who) {
  if (!is_floating(output.dtype()))
    fail<DTypeError>(who, "the output has no gradient", "dtype is " + std::string(name_of(output.dtype())),
                     "differentiate a floating result");
  if (given.defined()) {
    if (!(given.shape() == output.shape()))
      fail<ShapeError>(who, "the cotangent does not fit",
                       "it is " + given.shape().str() + ", the output is " + output.shape().str(),
                       "give one value per output element");
    if (!given.weak() && is_floating(given.dtype()) && given.dtype() != output.dtype())
      fail<DTypeError>(
          who, "the cotangent has another dtype",
          "it is " + std::string(name_of(given.dtype())) + ", the output is " + std::string(name_of(output.dtype())),
          "use astype(\"" + std::string(name_of(output.dtype())) + "\")");
    return cast(given, output.dtype());
  }
  if (output.size() != 1)
    fail<ShapeError>(who, "the output is not a scalar", "shape is " + output.shape().str(),
                     "reduce it, for instance with .sum(), or give a cotangent of that shape");
  Tensor one = Tensor::ones(output.shape(), output.dtype());
  one.data_handle()->constant = true;
  return one;
}

}  // namespace chainrule
