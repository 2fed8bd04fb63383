// Derivatives of functions of tensors, and functions made from functions. All of them run f on values and nest in any
// order; vmap and compile trace it, and a derivative taken inside a traced function is traced with it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/graph.hpp"
#include "chainrule/profile.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule {

// Whether a function of one of these is running on this thread: what it computes may still be differentiated.
CHAINRULE_API bool differentiating() noexcept;

// --- functions of several tensors ------------------------------------------------------------------------------------
// f returns one tensor of one element; its value, and one gradient per argument. who: the name that errors begin with.
CHAINRULE_API std::pair<Tensor, std::vector<Tensor>> value_and_gradients(const Function& f,
                                                                         const std::vector<Tensor>& x,
                                                                         const char* who = "grad");

// The outputs, and the map from cotangents of the outputs (one each) to cotangents of the arguments. It can be called
// any number of times: f runs once.
using Pullback = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;
CHAINRULE_API std::pair<std::vector<Tensor>, Pullback> vjp(const Function& f, const std::vector<Tensor>& x);

// The outputs, and how they move when the arguments move along the tangents.
CHAINRULE_API std::pair<std::vector<Tensor>, std::vector<Tensor>> jvp(const Function& f, const std::vector<Tensor>& x,
                                                                      const std::vector<Tensor>& tangents);
// The outputs, and the map from tangents of the arguments to tangents of the outputs: jvp, with f run once.
using Pushforward = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;
CHAINRULE_API std::pair<std::vector<Tensor>, Pushforward> linearize(const Function& f, const std::vector<Tensor>& x);

// reverse: one sweep for all outputs; forward: one for all inputs; automatic: the smaller of the two.
enum class JacobianMode : std::uint8_t { automatic, reverse, forward };
// f returns one tensor y; one Jacobian of shape y.shape + x[i].shape per argument.
CHAINRULE_API std::pair<Tensor, std::vector<Tensor>> value_and_jacobians(const Function& f,
                                                                         const std::vector<Tensor>& x,
                                                                         JacobianMode mode = JacobianMode::automatic);
// The same for any number of outputs: the values, and Jacobian [k][i] of shape y[k].shape + x[i].shape.
using Jacobians = std::vector<std::vector<Tensor>>;
CHAINRULE_API std::pair<std::vector<Tensor>, Jacobians> values_and_jacobians(
    const Function& f, const std::vector<Tensor>& x, JacobianMode mode = JacobianMode::automatic,
    const char* who = "jacobian");
// Second derivatives of scalar-valued f, forward over reverse: block [i][j] has shape x[i].shape + x[j].shape.
CHAINRULE_API std::vector<std::vector<Tensor>> hessian(const Function& f, const std::vector<Tensor>& x);
// The same for every output of f, each a scalar: block [k][i][j].
CHAINRULE_API std::vector<std::vector<std::vector<Tensor>>> hessians(const Function& f, const std::vector<Tensor>& x);
// The Hessian of scalar-valued f times v, without the Hessian: the derivative of its gradient along v.
CHAINRULE_API std::vector<Tensor> hvp(const Function& f, const std::vector<Tensor>& x, const std::vector<Tensor>& v);
// How f's one output moves when x moves along v: <gradient, v> for scalar-valued f.
CHAINRULE_API Tensor directional_derivative(const Function& f, const std::vector<Tensor>& x,
                                            const std::vector<Tensor>& v);

// f, written for one sample, on a batch: in_axes says where the batch is in each argument (none: all samples share
// it), out_axes where it goes in the outputs, given their number. f is traced once per call, on one sample. Random
// draws and dropout's masks differ from sample to sample.
CHAINRULE_API std::vector<Tensor> vmap_call(const Function& f, const std::vector<Tensor>& x,
                                            const std::vector<std::optional<int>>& in_axes,
                                            const std::function<std::vector<int>(std::size_t outputs)>& out_axes);

// Derivatives of f in reverse and forward mode beside central differences, in float64: a table, one line per argument;
// throws ValueError with the table where an error exceeds tolerance * max(1, |derivative|).
CHAINRULE_API std::string check_gradients(const Function& f, const std::vector<Tensor>& x, double tolerance = 1e-6);

// f with derivative rules of its own, one op wherever it is called: in eager code, in traces and in programs.
// vjp: (x..., gy...) -> one cotangent per argument, linear in gy; jvp: (x..., tx...) -> one tangent per output, linear
// in tx. One of the two is enough: the other is its transpose. Tensors that f captures get no gradient through it.
CHAINRULE_API Function custom_gradient(Function f, Function vjp, Function jvp = {});
// The same with the rule made by the call itself: f returns its outputs and the pullback.
using FunctionWithPullback = std::function<std::pair<std::vector<Tensor>, Pullback>(const std::vector<Tensor>&)>;
CHAINRULE_API Function custom_gradient(FunctionWithPullback f);

// --- functions of one tensor -----------------------------------------------------------------------------------------
template <class F>
concept TensorFunction = std::is_invocable_r_v<Tensor, F, const Tensor&>;

// f as a function of a list with one tensor in it.
template <TensorFunction F> Function as_function(F f) {
  return [f = std::move(f)](const std::vector<Tensor>& x) { return std::vector<Tensor>{f(x[0])}; };
}

// The gradient of a scalar-valued function.
template <TensorFunction F> auto grad(F f) {
  return [f = as_function(std::move(f))](const Tensor& x) { return value_and_gradients(f, {x}).second[0]; };
}
template <TensorFunction F> auto value_and_grad(F f) {
  return [f = as_function(std::move(f))](const Tensor& x) {
    auto [value, gradients] = value_and_gradients(f, {x}, "value_and_grad");
    return std::pair<Tensor, Tensor>(value, gradients[0]);
  };
}
// jacobian(f)(x) has shape f(x).shape + x.shape, hessian(f)(x) x.shape + x.shape.
template <TensorFunction F> auto jacobian(F f, JacobianMode mode = JacobianMode::automatic) {
  return [f = as_function(std::move(f)), mode](const Tensor& x) { return value_and_jacobians(f, {x}, mode).second[0]; };
}
template <TensorFunction F> auto hessian(F f) {
  return [f = as_function(std::move(f))](const Tensor& x) { return hessian(f, std::vector<Tensor>{x})[0][0]; };
}
template <TensorFunction F> Tensor hvp(F f, const Tensor& x, const Tensor& v) {
  return hvp(as_function(std::move(f)), std::vector<Tensor>{x}, std::vector<Tensor>{v})[0];
}
template <TensorFunction F> auto vmap(F f, int in_axis = 0, int out_axis = 0) {
  return [f = as_function(std::move(f)), in_axis, out_axis](const Tensor& x) {
    return vmap_call(f, {x}, {in_axis}, [&](std::size_t n) { return std::vector<int>(n, out_axis); })[0];
  };
}
template <TensorFunction F> std::string check_gradients(F f, const Tensor& x, double tolerance = 1e-6) {
  return check_gradients(as_function(std::move(f)), std::vector<Tensor>{x}, tolerance);
}

// --- compiled functions ----------------------------------------------------------------------------------------------
// Memory of the caller that an output is written to.
struct OutputView {
  void* data;
  Shape shape;
  DType dtype;
};

// f compiled: traced once per input shapes and dtypes, then run as a Program. Where a gradient is wanted, of an
// argument or of a tensor that f captured, a call is recorded as one op, whose derivatives are programs, too.
class CHAINRULE_API Compiled {
 public:
  explicit Compiled(Function f);
  std::vector<Tensor> operator()(const std::vector<Tensor>& inputs) const;
  Tensor operator()(const Tensor& x) const { return (*this)(std::vector<Tensor>{x})[0]; }
  // Writes the outputs where the caller wants them, and allocates nothing from the second run on.
  void operator()(const std::vector<Tensor>& inputs, const std::vector<OutputView>& outputs) const;
  Profile profile(const std::vector<Tensor>& inputs, int runs = 100) const;  // where the time of a call goes

 private:
  struct State;
  std::shared_ptr<State> state_;
};
CHAINRULE_API Compiled compile(Function f);

}  // namespace chainrule
