// grad, vjp, jvp, linearize and what is made of them in one line.
#include "core/fail.hpp"
#include "transforms/differentiation.hpp"

namespace chainrule {
namespace {

Tensor only_output(const Tensors& y, const char* who) {
  if (y.size() != 1)
    fail<ValueError>(who, "the function does not return one tensor", std::to_string(y.size()) + " were returned",
                     "return the one to differentiate");
  return y[0];
}

Tensors values_of(const Differentiation& d, const Tensors& y) {
  Tensors values;
  for (const Tensor& t : y) values.push_back(d.value(t));
  return values;
}

// Tangents that fit x, in its dtypes.
Tensors checked_tangents(const std::vector<Tensor>& x, const std::vector<Tensor>& tangents, const char* who) {
  if (x.size() != tangents.size())
    fail<ValueError>(who, "wrong number of tangents",
                     std::to_string(tangents.size()) + " for " + std::to_string(x.size()) + " arguments",
                     "give one tangent per argument");
  Tensors moves;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!(x[i].shape() == tangents[i].shape()))
      fail<ShapeError>(who, "a tangent does not fit its argument",
                       tangents[i].shape().str() + " for " + x[i].shape().str(), "give one value per element");
    moves.push_back(tangents[i].astype(x[i].dtype()));
  }
  return moves;
}

using Values = std::pair<std::vector<Tensor>, std::vector<Tensor>>;
Values push_along(const Function& f, const std::vector<Tensor>& x, const std::vector<Tensor>& tangents,
                  const char* who) {
  const Tensors moves = checked_tangents(x, tangents, who);
  Differentiation d(x, who);
  const Tensors y = d.call(f);
  return {values_of(d, y), d.push(y, moves)};
}

}  // namespace

std::pair<Tensor, std::vector<Tensor>> value_and_gradients(const Function& f, const std::vector<Tensor>& x,
                                                           const char* who) {
  Differentiation d(x, who);
  const Tensor y = only_output(d.call(f), who);
  const Tensor start = start_cotangent(y, {}, who);
  Tensors gradients = d.pull(std::span(&y, 1), std::span(&start, 1), false);
  return {d.value(y), std::move(gradients)};
}

std::pair<std::vector<Tensor>, Pullback> vjp(const Function& f, const std::vector<Tensor>& x) {
  Differentiation d(x, "vjp");
  const Tensors y = d.call(f);
  return {values_of(d, y), [d, y](const std::vector<Tensor>& gy) {
            if (gy.size() != y.size())
              fail<ValueError>("vjp", "wrong number of cotangents",
                               std::to_string(gy.size()) + " for " + std::to_string(y.size()) + " outputs",
                               "give one cotangent per output");
            Tensors starts;
            for (std::size_t i = 0; i < y.size(); ++i) starts.push_back(start_cotangent(y[i], gy[i], "vjp"));
            return d.pull(y, starts, true);
          }};
}

std::pair<std::vector<Tensor>, std::vector<Tensor>> jvp(const Function& f, const std::vector<Tensor>& x,
                                                        const std::vector<Tensor>& tangents) {
  return push_along(f, x, tangents, "jvp");
}

std::pair<std::vector<Tensor>, Pushforward> linearize(const Function& f, const std::vector<Tensor>& x) {
  Differentiation d(x, "linearize");
  const Tensors y = d.call(f);
  return {values_of(d, y),
          [d, y, x](const std::vector<Tensor>& tx) { return d.push(y, checked_tangents(x, tx, "linearize")); }};
}

std::vector<Tensor> hvp(const Function& f, const std::vector<Tensor>& x, const std::vector<Tensor>& v) {
  const Function gradient = [&](const std::vector<Tensor>& at) { return value_and_gradients(f, at, "hvp").second; };
  return push_along(gradient, x, v, "hvp").second;
}

Tensor directional_derivative(const Function& f, const std::vector<Tensor>& x, const std::vector<Tensor>& v) {
  const char* const who = "directional_derivative";
  return only_output(push_along(f, x, v, who).second, who);
}

}  // namespace chainrule
