// Derivatives of functions of tensors.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "chainrule/graph.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule {

CHAINRULE_API std::pair<Tensor, std::vector<Tensor>> value_and_gradients(const Function& f,
                                                                         const std::vector<Tensor>& x);

// The outputs, and the map from cotangents of the outputs (one each) to cotangents of the arguments.
using Pullback = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;
CHAINRULE_API std::pair<std::vector<Tensor>, Pullback> vjp(const Function& f, const std::vector<Tensor>& x);

// The outputs, and how they move when the arguments move along the tangents.
CHAINRULE_API std::pair<std::vector<Tensor>, std::vector<Tensor>> jvp(const Function& f, const std::vector<Tensor>& x,
                                                                      const std::vector<Tensor>& tangents);

// The gradient of a scalar-valued function of one tensor.
template <class F>
  requires std::is_invocable_r_v<Tensor, F, const Tensor&>
auto grad(F f) {
  return [f = std::move(f)](const Tensor& x) {
    return value_and_gradients([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{f(in[0])}; }, {x})
        .second[0];
  };
}

template <class F>
  requires std::is_invocable_r_v<Tensor, F, const Tensor&>
auto value_and_grad(F f) {
  return [f = std::move(f)](const Tensor& x) {
    auto [value, gradients] =
        value_and_gradients([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{f(in[0])}; }, {x});
    return std::pair<Tensor, Tensor>(value, gradients[0]);
  };
}

// f compiled: traced once per input shapes and dtypes, then run as a Program.
class CHAINRULE_API Compiled {
 public:
  explicit Compiled(Function f);
  std::vector<Tensor> operator()(const std::vector<Tensor>& inputs) const;
  Tensor operator()(const Tensor& x) const { return (*this)(std::vector<Tensor>{x})[0]; }

 private:
  struct State;
  std::shared_ptr<State> state_;
};
CHAINRULE_API Compiled compile(Function f);

}  // namespace chainrule
