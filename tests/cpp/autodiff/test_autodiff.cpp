// Reverse and forward mode against each other and against differences; forks; depth; in-place changes; any order.
#include <doctest/doctest.h>

#include <cmath>

#include "autodiff/rules.hpp"
#include "autodiff/tape.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "chainrule/transforms.hpp"
#include "graph/tensor_data.hpp"

using namespace chainrule;

namespace {

Tensor wave(Shape shape, double phase) {
  Tensor t = Tensor::empty(shape, DType::float64);
  for (std::int64_t i = 0; i < t.size(); ++i)
    reinterpret_cast<double*>(bytes_of(t))[i] = std::sin(1.3 * static_cast<double>(i) + phase);
  return t;
}
Tensor sin_like(const Tensor& x) { return tanh(x) * x + sigmoid(x * x); }
double pairing(const Tensor& a, const Tensor& b) { return sum(a * b).item(); }

// A function with forks, broadcasting, a product, softmax, slices and picks.
Tensors busy(const Tensors& in) {
  const Tensor h = tanh(matmul(in[0], in[1]) + in[2]);
  const Tensor s = softmax(h * in[2], -1) + log_softmax(h, 0);
  const Tensor part = slice(concat({s, h}, 1), {Slice{}, Slice{1, {}, 2}});
  const Tensor picked = take_along(h, Tensor::from(std::vector<std::int64_t>{0, 2, -1}, {3}), -1);
  return {logsumexp(part, {1}) * max(h, {1}) + picked + mean(square(h) / (2.0 + in[2] * in[2])) + gelu(part).sum() +
          var(s, {1}, false, 1)};
}

}  // namespace

TEST_CASE("eager, graph and numeric derivatives agree in both modes") {
  const Tensors x = {wave({3, 4}, 0.1), wave({4, 3}, 0.7), wave({3}, 1.9)},
                tx = {wave({3, 4}, 2.0), wave({4, 3}, 3.0), wave({3}, 4.0)};
  const auto [y, pullback] = vjp(busy, x);
  const Tensor u = wave({3}, 5.0);
  const Tensors gx = pullback({u});
  const auto [y2, ty] = jvp(busy, x, tx);
  double reverse = 0;
  for (std::size_t i = 0; i < 3; ++i) reverse += pairing(gx[i], tx[i]);
  CHECK(pairing(u, ty[0]) == doctest::Approx(reverse).epsilon(1e-12));

  const double h = 1e-6;
  Tensors up, down;
  for (std::size_t i = 0; i < 3; ++i) {
    up.push_back(x[i] + h * tx[i]);
    down.push_back(x[i] - h * tx[i]);
  }
  CHECK(pairing(u, busy(up)[0] - busy(down)[0]) / (2 * h) == doctest::Approx(reverse).epsilon(1e-7));

  const Graph graph = trace(busy, x);
  Tensors with_u = x, with_t = x;
  with_u.push_back(u);
  with_t.insert(with_t.end(), tx.begin(), tx.end());
  const Tensors by_graph = replay(vjp(graph.data()), with_u);
  for (std::size_t i = 0; i < 3; ++i)
    for (std::int64_t k = 0; k < gx[i].size(); ++k) CHECK(by_graph[i + 1].data<double>()[k] == gx[i].data<double>()[k]);
  CHECK(pairing(u, replay(jvp(graph.data()), with_t)[1]) == doctest::Approx(reverse).epsilon(1e-12));
}

TEST_CASE("graph transforms compose: the Hessian-vector product is symmetric and right") {
  const auto f = [](const Tensors& in) {
    return Tensors{
        sum(tanh(square(in[0]) * sigmoid(in[0])) * softplus(in[0])) +
        softmax_cross_entropy(reshape(in[0], {1, 5}), Tensor::from(std::vector<std::int64_t>{2}, {1}), 0.1).sum()};
  };
  const Tensor x = wave({5}, 0.3), a = wave({5}, 1.0), b = wave({5}, 2.0), one = Tensor::ones({}, DType::float64);
  const GraphData gradient = vjp(trace(f, {x}).data());
  const GraphData second = jvp(gradient);  // x, 1, tx, t1 -> y, g, ty, tg
  const Tensor zero = Tensor::zeros({}, DType::float64);
  const auto times = [&](const Tensor& v) { return replay(second, Tensors{x, one, v, zero})[3]; };
  CHECK(pairing(a, times(b)) == doctest::Approx(pairing(b, times(a))).epsilon(1e-12));
  const double h = 1e-5;
  const Tensor numeric =
      (replay(gradient, Tensors{x + h * b, one})[1] - replay(gradient, Tensors{x - h * b, one})[1]) / (2 * h);
  const Tensor exact = times(b);
  for (std::int64_t i = 0; i < 5; ++i)
    CHECK(exact.data<double>()[i] == doctest::Approx(numeric.data<double>()[i]).epsilon(1e-7));
  // vjp of vjp, too.
  const GraphData third = vjp(gradient);
  const Tensor from_reverse = replay(third, Tensors{x, one, zero, b})[2];
  for (std::int64_t i = 0; i < 5; ++i)
    CHECK(from_reverse.data<double>()[i] == doctest::Approx(exact.data<double>()[i]).epsilon(1e-12));
}

TEST_CASE("at a fork the gradients add, and backward accumulates into grad") {
  Tensor x = Tensor::from(std::vector<float>{3}, {1});
  x.requires_grad_();
  const Tensor y = x * x + x;
  y.backward();
  CHECK(x.grad().item() == 7.0);
  (x * 2.0).backward();
  CHECK(x.grad().item() == 9.0);
  x.zero_grad();
  CHECK_FALSE(x.grad().defined());
  CHECK_THROWS_WITH_AS(
      y.backward(),
      "add: what was recorded for it was freed by an earlier backward; pass retain_graph=True to that backward, or "
      "compute the result again",
      StateError);
}

TEST_CASE("backward refuses what it cannot do") {
  Tensor x = Tensor::from(std::vector<float>{1, 2}, {2});
  CHECK_THROWS_AS((x * 2.0).backward(), StateError);
  x.requires_grad_();
  CHECK_THROWS_WITH_AS((x * 2.0).backward(),
                       "backward: the output is not a scalar: shape is (2,); reduce it, for instance with .sum(), or "
                       "give a cotangent of that shape",
                       ShapeError);
  CHECK_THROWS_AS(Tensor::ones({2}, DType::int64).requires_grad_(), DTypeError);
  const Tensor y = (x * x).sum();
  x.copy_(Tensor::zeros({2}));
  CHECK_THROWS_WITH_AS(y.backward(),
                       "multiply: an operand that backward needs was changed in place after it was used: operand 0 of "
                       "shape (2,); change it after backward, or change a copy",
                       StateError);
  const NoGrad nothing;
  CHECK_FALSE((x * x).requires_grad());
}

TEST_CASE("a chain of 100 000 ops neither overflows the stack nor leaks") {
  Tensor x = Tensor::from(std::vector<float>{1}, {1});
  x.requires_grad_();
  {
    Tensor y = x;
    for (int i = 0; i < 100000; ++i) y = y + 1.0;
    y.backward();
    CHECK(x.grad().item() == 1.0);
  }
  CHECK(x.data_handle().use_count() == 1);
  {
    Tensor y = x;  // freed without a backward
    for (int i = 0; i < 100000; ++i) y = y * 1.0;
  }
  CHECK(x.data_handle().use_count() == 1);
}

TEST_CASE("transforms of values nest: third derivative, forward over reverse, reverse over forward") {
  const auto f = [](const Tensor& t) { return exp(t) * t * t; };
  const Tensor x = Tensor::scalar(0.5, DType::float64), one = Tensor::scalar(1.0, DType::float64);
  const double e = std::exp(0.5);
  CHECK(grad(grad(grad(f)))(x).item() == doctest::Approx(e * (0.25 + 6 * 0.5 + 6)).epsilon(1e-12));
  const auto gradient = [&](const Tensors& in) { return Tensors{grad(f)(in[0])}; };
  const double second = e * (0.25 + 4 * 0.5 + 2);
  CHECK(jvp(gradient, {x}, {one}).second[0].item() == doctest::Approx(second).epsilon(1e-12));
  const auto along = [&](const Tensor& t) {
    return jvp([&](const Tensors& in) { return Tensors{f(in[0])}; }, {t}, {one}).second[0];
  };
  CHECK(grad(along)(x).item() == doctest::Approx(second).epsilon(1e-12));
  // A derivative with respect to what an inner derivative only captures.
  const auto mixed = [&](const Tensor& t) { return grad([&](const Tensor& s) { return sin_like(s * t); })(x); };
  const double h = 1e-6;
  CHECK(grad(mixed)(one).item() ==
        doctest::Approx((mixed(one + h).item() - mixed(one - h).item()) / (2 * h)).epsilon(1e-6));
}
