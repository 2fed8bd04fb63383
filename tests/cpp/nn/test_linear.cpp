// Linear: values and gradients against the sums written out, its start, its errors.
#include "chainrule/nn.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "close.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

nn::Linear linear64(std::int64_t in, std::int64_t out, bool bias = true) {
  return nn::Linear(in, out, {.bias = bias, .dtype = DType::float64, .seed = 1});
}

}  // namespace

TEST_CASE("linear is x W + b") {
  nn::Linear layer = linear64(2, 3);
  layer.weight().copy_(f64({1, 2, 3, 4, 5, 6}, {2, 3}));
  layer.bias().copy_(f64({0.5, -0.5, 0.25}));
  const Tensor x = f64({1, -1, 2, 0.5}, {2, 2});
  check_close(layer(x), {1 - 4 + 0.5, 2 - 5 - 0.5, 3 - 6 + 0.25, 2 + 2 + 0.5, 4 + 2.5 - 0.5, 6 + 3 + 0.25});
  CHECK(layer(f64({1, 1})).shape() == Shape{3});
  CHECK(layer(Tensor::zeros({4, 5, 2}, DType::float64)).shape() == Shape{4, 5, 3});
  CHECK(layer(Tensor::zeros({0, 2}, DType::float64)).shape() == Shape{0, 3});
}

TEST_CASE("linear's gradients are x'g, the sum of g and g W'") {
  nn::Linear layer = linear64(2, 3);
  Tensor x = f64({1, -1, 2, 0.5}, {2, 2});
  x.requires_grad_();
  const Tensor g = f64({1, 2, 3, 4, 5, 6}, {2, 3});
  layer(x).backward(g);
  check_close(layer.weight().grad(), {1 * 1 + 2 * 4, 2 + 2 * 5, 3 + 2 * 6, -1 + 0.5 * 4, -2 + 0.5 * 5, -3 + 0.5 * 6});
  check_close(layer.bias().grad(), {5, 7, 9});
  const std::vector<double> w = values_of(layer.weight());
  check_close(x.grad(), {w[0] + 2 * w[1] + 3 * w[2], w[3] + 2 * w[4] + 3 * w[5], 4 * w[0] + 5 * w[1] + 6 * w[2],
                         4 * w[3] + 5 * w[4] + 6 * w[5]});
}

TEST_CASE("linear without a bias") {
  nn::Linear layer = linear64(4, 3, false);
  CHECK_FALSE(layer.bias().defined());
  CHECK(layer.parameters().size() == 1);
  CHECK(layer.str() == "Linear(4, 3, bias=False, dtype='float64')");
}

TEST_CASE("linear starts in U(-1/sqrt(in), 1/sqrt(in))") {
  const nn::Linear layer(100, 200, {.seed = 3});
  for (const Tensor& parameter : layer.parameters()) {
    double low = 1, high = -1, sum = 0, squares = 0;
    for (double v : values_of(parameter)) low = std::min(low, v), high = std::max(high, v), sum += v, squares += v * v;
    const double n = static_cast<double>(parameter.size());
    CHECK(low >= -0.1);
    CHECK(high <= 0.1);
    CHECK(high > 0.095);
    CHECK(low < -0.095);
    CHECK(std::abs(sum / n) < 0.012);
    CHECK(squares / n == doctest::Approx(0.01 / 3).epsilon(0.15));
    CHECK(parameter.requires_grad());
  }
  CHECK_FALSE(values_of(layer.weight())[0] == values_of(layer.bias())[0]);
}

TEST_CASE("linear's keys") {
  manual_seed(5);
  const nn::Linear a(3, 3), b(3, 3);
  CHECK_FALSE(same_bits(a.weight(), b.weight()));
  manual_seed(5);
  const nn::Linear c(3, 3);
  CHECK(same_bits(a.weight(), c.weight()));
  nn::Linear d(3, 3);
  d.init(7);
  CHECK(same_bits(d.weight(), nn::Linear(3, 3, {.seed = 7}).weight()));
  manual_seed(0);
}

TEST_CASE("linear's errors") {
  const nn::Linear layer(784, 10, {.seed = 0});
  CHECK_THROWS_WITH_AS(
      layer(Tensor::zeros({32, 100})),
      "Linear(784, 10): last axis must have 784 features: x is (32, 100); pass (batch, 784), or build the "
      "layer for 100 features",
      ShapeError);
  CHECK_THROWS_WITH_AS(
      layer(Tensor::zeros({784, 32})),
      "Linear(784, 10): last axis must have 784 features: x is (784, 32); samples are rows: did you mean x.T?",
      ShapeError);
  CHECK_THROWS_WITH_AS(
      layer(Tensor::zeros({32, 28, 28})),
      "Linear(784, 10): last axis must have 784 features: x is (32, 28, 28); put nn.Flatten() before it", ShapeError);
  CHECK_THROWS_WITH_AS(layer(Tensor::zeros({})),
                       "Linear(784, 10): last axis must have 784 features: x is (); pass (batch, 784)", ShapeError);
  CHECK_THROWS_WITH_AS(layer(Tensor()), "Linear(784, 10): an input is undefined: number 0; give it a value",
                       StateError);
  const Tensor x = Tensor::zeros({1, 784});
  CHECK_THROWS_WITH_AS(layer(std::vector<Tensor>{x, x}), "Linear(784, 10): takes one input: 2 were given", ValueError);
  CHECK_THROWS_WITH_AS(nn::Linear(0, 3), "Linear: sizes must be at least 1: in_features is 0, out_features is 3",
                       ValueError);
  CHECK_THROWS_AS(nn::Linear(3, -1), ValueError);
  CHECK_THROWS_WITH_AS(nn::Linear(3, 3, {.dtype = DType::int64}),
                       "Linear: parameters must be float32 or float64: dtype is int64", DTypeError);
}

TEST_CASE("a model converts its numeric inputs to its dtype") {
  const nn::Linear layer(2, 1, {.seed = 0});
  CHECK(layer(f64({1, 2}, {1, 2})).dtype() == DType::float32);
  CHECK(layer(ints({1, 2}, {1, 2})).dtype() == DType::float32);
  CHECK(same_bits(layer(f64({1, 2}, {1, 2})), layer(f32({1, 2}, {1, 2}))));
  CHECK(nn::ReLU()(f64({1, -2})).dtype() == DType::float64);  // no parameters, no dtype
}
