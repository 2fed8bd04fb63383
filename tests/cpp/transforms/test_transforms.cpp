// Transforms from C++: the words of the Python interface, the same order.
#include <doctest/doctest.h>

#include <cmath>

#include "chainrule/chainrule.hpp"

using namespace chainrule;

namespace {

const Tensor A = Tensor::from(std::vector{0.5, -1.0, 2.0, 0.25, 1.5, -0.75}, {2, 3});
const Tensor x0 = Tensor::from(std::vector{0.1, -0.4, 0.7}, {3});
const auto h = [](const Tensor& x) { return tanh(matmul(A, x)); };
const auto f = [](const Tensor& x) { return sum(square(tanh(matmul(A, x)))); };

void check_close(const Tensor& a, const Tensor& b, double tolerance = 1e-12) {
  REQUIRE(a.shape() == b.shape());
  for (std::int64_t i = 0; i < a.size(); ++i) CHECK(std::abs(a.data<double>()[i] - b.data<double>()[i]) <= tolerance);
}

}  // namespace

TEST_CASE("jacobian in both modes is diag(1 - tanh^2) A") {
  const Tensor t = tanh(matmul(A, x0));
  const Tensor expected = expand_dims(1.0 - square(t), 1) * A;
  check_close(jacobian(h)(x0), expected);
  check_close(jacobian(h, JacobianMode::reverse)(x0), expected);
  check_close(jacobian(h, JacobianMode::forward)(x0), expected);
}

TEST_CASE("hessian, hvp and higher orders agree") {
  const Tensor H = hessian(f)(x0), v = Tensor::from(std::vector{1.0, 0.0, -2.0}, {3});
  check_close(H, jacobian(grad(f), JacobianMode::reverse)(x0));
  check_close(hvp(f, x0, v), matmul(H, v));
  check_close(grad([&](const Tensor& x) { return sum(grad(f)(x) * v); })(x0), matmul(H, v));
  check_close(directional_derivative(as_function(f), {x0}, {v}), sum(grad(f)(x0) * v));
}

TEST_CASE("Jacobians and Hessians of several outputs are those of each") {
  const Function both = [](const std::vector<Tensor>& x) {
    return std::vector<Tensor>{h(x[0]) * x[1], sum(square(x[0])) * x[1]};
  };
  const std::vector<Tensor> at{x0, Tensor::scalar(1.5, DType::float64)};
  for (const JacobianMode mode : {JacobianMode::automatic, JacobianMode::reverse, JacobianMode::forward}) {
    const auto [y, j] = values_and_jacobians(both, at, mode);
    REQUIRE(j.size() == 2);
    for (std::size_t k = 0; k < 2; ++k) {
      const Function one = [&](const std::vector<Tensor>& x) { return std::vector<Tensor>{both(x)[k]}; };
      const auto [value, single] = value_and_jacobians(one, at, mode);
      check_close(y[k], value);
      for (std::size_t i = 0; i < 2; ++i) check_close(j[k][i], single[i]);
    }
  }
  CHECK_THROWS_WITH_AS(value_and_jacobians(both, at),
                       "jacobian: the function does not return one tensor: 2 were returned; return one, or call "
                       "values_and_jacobians",
                       ValueError);
  const Function scalars = [](const std::vector<Tensor>& x) {
    return std::vector<Tensor>{f(x[0]) * x[1], sum(x[0] * x[0]) * x[1]};
  };
  const auto blocks = hessians(scalars, at);
  REQUIRE(blocks.size() == 2);
  for (std::size_t k = 0; k < 2; ++k) {
    const auto single = hessian([&](const std::vector<Tensor>& x) { return std::vector<Tensor>{scalars(x)[k]}; }, at);
    for (std::size_t i = 0; i < 2; ++i)
      for (std::size_t l = 0; l < 2; ++l) check_close(blocks[k][i][l], single[i][l]);
  }
  CHECK_THROWS_AS(hessian(scalars, at), ValueError);
}

TEST_CASE("vmap is a loop, and composes with jacobian and compile") {
  const Tensor batch = random::normal({4, 3}, 1, 0, 0, 1, DType::float64);
  const Tensor all = vmap(jacobian(h))(batch);
  const Compiled compiled = compile(as_function(vmap(jacobian(h))));
  check_close(compiled(batch), all, 0);
  for (std::int64_t i = 0; i < 4; ++i) {
    const Tensor row = reshape(slice(batch, {Slice{i, i + 1, 1}}), {3});
    check_close(reshape(slice(all, {Slice{i, i + 1, 1}}), {2, 3}), jacobian(h)(row));
  }
}

TEST_CASE("linearize runs the function once") {
  int calls = 0;
  const Function counted = [&](const std::vector<Tensor>& x) {
    ++calls;
    return std::vector<Tensor>{h(x[0])};
  };
  const auto [y, push] = linearize(counted, {x0});
  const Tensor J = jacobian(h)(x0);
  for (int k = 0; k < 3; ++k) {
    std::vector<double> unit(3);
    unit[static_cast<std::size_t>(k)] = 1;
    const Tensor e = Tensor::from(unit, {3});
    check_close(push({e})[0], matmul(J, e));
  }
  CHECK(calls == 1);
}

TEST_CASE("custom_gradient replaces the rule everywhere; the missing one is the transpose") {
  const Function rule = [](const std::vector<Tensor>& in) { return std::vector<Tensor>{3.0 * in[1] * exp(in[0])}; };
  const Function plain = [](const std::vector<Tensor>& in) { return std::vector<Tensor>{exp(in[0])}; };
  const Tensor expected = 3.0 * exp(x0);
  for (const Function& triple : {custom_gradient(plain, rule), custom_gradient(plain, {}, rule)}) {
    const auto total = [&](const Tensor& x) { return sum(triple({x})[0]); };
    check_close(grad(total)(x0), expected);
    check_close(compile(as_function(grad(total)))(x0), expected);
    check_close(jvp(triple, {x0}, {x0}).second[0], expected * x0);
    check_close(vmap(grad(total))(x0), expected);
  }
  CHECK_THROWS_WITH_AS(custom_gradient(plain, {}, {}),
                       "custom_gradient: no derivative rule was given; give vjp, jvp or both", ValueError);
}

TEST_CASE("a compiled function is differentiable, also in what it captured") {
  const nn::Linear layer(3, 2, {.dtype = DType::float64, .seed = 0});
  const auto loss = [&](const Tensor& x) { return sum(square(layer(x))); };
  const Compiled compiled = compile(as_function(loss));
  const Tensor x = reshape(x0, {1, 3});
  check_close(grad([&](const Tensor& t) { return compiled(t); })(x), grad(loss)(x));
  check_close(hessian([&](const Tensor& t) { return compiled(t); })(x), hessian(loss)(x));
  compiled(x).backward();
  const std::vector<Tensor> parameters = layer.parameters();
  const Tensor by_program = parameters[0].grad();
  for (Tensor p : parameters) p.zero_grad();
  loss(x).backward();
  check_close(by_program, parameters[0].grad());
}

TEST_CASE("a compiled function writes into the caller's memory") {
  const Compiled twice = compile([](const std::vector<Tensor>& in) { return std::vector<Tensor>{in[0] * 2.0}; });
  double y[3] = {};
  twice({x0}, {OutputView{y, Shape{3}, DType::float64}});
  CHECK(y[2] == 1.4);
  CHECK_THROWS_WITH_AS(twice({x0}, {OutputView{y, Shape{2}, DType::float64}}),
                       "compile: out= does not fit: float64(2,) for float64(3,); give an array of the output's shape "
                       "and dtype",
                       ShapeError);
}

TEST_CASE("check_gradients prints a table, or throws it") {
  CHECK(check_gradients(f, x0).find("(3,)") != std::string::npos);
  const Function wrong =
      custom_gradient([](const std::vector<Tensor>& in) { return std::vector<Tensor>{exp(in[0])}; },
                      [](const std::vector<Tensor>& in) { return std::vector<Tensor>{1.01 * in[1] * exp(in[0])}; });
  CHECK_THROWS_AS(check_gradients(wrong, {x0}), ValueError);
}

TEST_CASE("functional_call computes with the tensors given") {
  const nn::Linear layer(3, 2, {.dtype = DType::float64, .seed = 0});
  const Tensor x = reshape(x0, {1, 3});
  const Tensor y = functional_call(layer, {{"weight", A.transpose()}}, {x})[0];
  check_close(y, matmul(x, A.transpose()) + layer.parameters()[1].detach());
  CHECK_THROWS_AS(functional_call(layer, {{"weights", A}}, {x}), ValueError);
}
