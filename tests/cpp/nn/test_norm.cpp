// LayerNorm and BatchNorm1d against their formulas, in both modes, with gradients by differences.
#include <cmath>

#include "chainrule/graph.hpp"
#include "chainrule/nn.hpp"
#include "chainrule/ops.hpp"
#include "close.hpp"
#include "graph/graph.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

const std::vector<double> data{1, 2, 3, -1, 0.5, 4, 2, 2, 0, 1.5, -3, 1};  // (4, 3)
Tensor batch() { return f64(data, {4, 3}); }

struct Columns {
  double mean[3] = {}, var[3] = {}, unbiased[3] = {};
  Columns() {
    for (int c = 0; c < 3; ++c) {
      for (int n = 0; n < 4; ++n) mean[c] += data[static_cast<std::size_t>(n * 3 + c)] / 4;
      for (int n = 0; n < 4; ++n) var[c] += std::pow(data[static_cast<std::size_t>(n * 3 + c)] - mean[c], 2) / 4;
      unbiased[c] = var[c] * 4 / 3;
    }
  }
};

// Central differences of sum(g * layer(x)) in every element of x.
void check_input_gradient(const nn::Module& layer, const Tensor& at) {
  const Tensor g = f64({0.3, -1, 2, 0.7, 0.1, -0.4, 1, 1, -2, 0.5, 0.25, 1.5}, {4, 3});
  Tensor x = f64(values_of(at), at.shape());
  x.requires_grad_();
  layer(x).backward(g);
  std::vector<double> numeric;
  const NoGrad no_grad;
  for (std::size_t i = 0; i < values_of(at).size(); ++i) {
    double value[2];
    for (int side = 0; side < 2; ++side) {
      std::vector<double> moved = values_of(at);
      moved[i] += side ? 1e-6 : -1e-6;
      value[side] = sum(g * layer(f64(moved, at.shape()))).item();
    }
    numeric.push_back((value[1] - value[0]) / 2e-6);
  }
  check_close(x.grad(), numeric, 1e-7);
}

}  // namespace

TEST_CASE("layer norm") {
  nn::LayerNorm layer(3, {.eps = 1e-3, .dtype = DType::float64});
  layer->own_parameters()[0].tensor.copy_(f64({1, 2, 0.5}));
  layer->own_parameters()[1].tensor.copy_(f64({0, -1, 3}));
  const double weight[3] = {1, 2, 0.5}, bias[3] = {0, -1, 3};
  std::vector<double> want;
  for (std::size_t n = 0; n < 4; ++n) {
    double mean = 0, var = 0;
    for (std::size_t c = 0; c < 3; ++c) mean += data[n * 3 + c] / 3;
    for (std::size_t c = 0; c < 3; ++c) var += std::pow(data[n * 3 + c] - mean, 2) / 3;
    for (std::size_t c = 0; c < 3; ++c)
      want.push_back((data[n * 3 + c] - mean) / std::sqrt(var + 1e-3) * weight[c] + bias[c]);
  }
  check_close(layer(batch()), want);
  check_input_gradient(layer, batch());
  CHECK(layer.str() == "LayerNorm(3, eps=0.001, dtype='float64')");
  CHECK(nn::LayerNorm(3, {.affine = false}).parameters().empty());
  CHECK(nn::LayerNorm(3, {.affine = false}).str() == "LayerNorm(3, elementwise_affine=False)");
  CHECK_THROWS_AS(layer(Tensor::zeros({4, 2})), ShapeError);
  CHECK_THROWS_WITH_AS(nn::LayerNorm(0), "LayerNorm: features must be at least 1: features is 0", ValueError);
  CHECK_THROWS_WITH_AS(nn::LayerNorm(3, {.eps = -1}), "LayerNorm: eps must be finite and >= 0: eps is -1.0",
                       ValueError);
}

TEST_CASE("batch norm trains on the batch's statistics and keeps running ones") {
  nn::BatchNorm1d layer(3, {.momentum = 0.25, .dtype = DType::float64});
  const Columns columns;
  std::vector<double> want;
  for (std::size_t i = 0; i < data.size(); ++i)
    want.push_back((data[i] - columns.mean[i % 3]) / std::sqrt(columns.var[i % 3] + 1e-5));
  check_close(layer(batch()), want);
  const auto buffers = layer.named_buffers();
  REQUIRE(buffers.size() == 3);
  CHECK(buffers[0].name == "running_mean");
  CHECK(buffers[1].name == "running_var");
  CHECK(buffers[2].name == "num_batches_tracked");
  std::vector<double> mean, var;
  for (int c = 0; c < 3; ++c) {
    mean.push_back(0.25 * columns.mean[c]);
    var.push_back(0.75 + 0.25 * columns.unbiased[c]);
  }
  check_close(buffers[0].tensor, mean);
  check_close(buffers[1].tensor, var);
  CHECK(buffers[2].tensor.item() == 1);
  CHECK(buffers[2].tensor.dtype() == DType::int64);

  layer.eval();
  std::vector<double> inferred;
  for (std::size_t i = 0; i < data.size(); ++i)
    inferred.push_back((data[i] - mean[i % 3]) / std::sqrt(var[i % 3] + 1e-5));
  check_close(layer(batch()), inferred);
  CHECK(layer(f64({1, 2, 3}, {1, 3})).shape() == Shape{1, 3});
  CHECK(buffers[2].tensor.item() == 1);
  check_input_gradient(layer, batch());
  layer.train();
  check_input_gradient(layer, batch());

  layer.init(0);
  check_close(buffers[0].tensor, {0, 0, 0});
  check_close(buffers[1].tensor, {1, 1, 1});
  CHECK(buffers[2].tensor.item() == 0);
}

TEST_CASE("batch norm when traced records the new running statistics") {
  nn::BatchNorm1d layer(3, {.dtype = DType::float64});
  const Graph graph =
      trace([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{layer(in[0])}; }, {batch()});
  const auto buffers = layer.named_buffers();
  CHECK(buffers[2].tensor.item() == 0);  // nothing moves while tracing
  CHECK(graph.data().updates.size() == 3);
  const Tensor x = batch();
  for (int run = 1; run <= 2; ++run) {
    const auto y = replay(graph.data(), std::span(&x, 1));
    CHECK(buffers[2].tensor.item() == run);
  }
  const Columns columns;
  check_close(buffers[0].tensor, {0.19 * columns.mean[0], 0.19 * columns.mean[1], 0.19 * columns.mean[2]});

  layer.eval();
  const Graph inference = trace([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{layer(in[0])}; }, {x});
  CHECK(inference.data().updates.empty());
  const Tensor before = replay(inference.data(), std::span(&x, 1))[0];
  CHECK(same_bits(before, layer(x).detach()));
  Tensor(buffers[1].tensor).copy_(f64({4, 4, 4}));  // a graph reads buffers when it runs
  CHECK(same_bits(replay(inference.data(), std::span(&x, 1))[0], layer(x).detach()));
}

TEST_CASE("batch norm's errors") {
  const nn::BatchNorm1d layer(3);
  CHECK_THROWS_WITH_AS(
      layer(Tensor::zeros({1, 3})),
      "BatchNorm1d(3): train mode needs more than one sample per batch: x is (1, 3); use a larger batch, or "
      "call model.eval()",
      ValueError);
  CHECK_THROWS_WITH_AS(layer(Tensor::zeros({2, 2, 3})),
                       "BatchNorm1d(3): input must have two axes (batch, features): x is (2, 2, 3); reshape it first",
                       ShapeError);
  CHECK_THROWS_AS(layer(Tensor::zeros({4, 2})), ShapeError);
  CHECK_THROWS_AS(nn::BatchNorm1d(3, {.momentum = 1.5}), ValueError);
  CHECK(nn::BatchNorm1d(3, {.affine = false, .momentum = 0.01}).str() == "BatchNorm1d(3, momentum=0.01, affine=False)");
}
