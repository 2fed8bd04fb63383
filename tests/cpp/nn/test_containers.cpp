// Sequential and Residual: order, names, sharing, sizes of neighbours, and errors that name the layer.
#include "chainrule/nn.hpp"
#include "chainrule/ops.hpp"
#include "close.hpp"

using namespace chainrule;
using namespace close_test;

TEST_CASE("sequential applies its layers in order") {
  const nn::Linear a(2, 3, {.seed = 1}), b(3, 2, {.seed = 2});
  const nn::Sequential model{a, nn::Tanh(), b};
  const Tensor x = f32({1, -1, 0.5f, 2}, {2, 2});
  CHECK(same_bits(model(x).detach(), b(tanh(a(x))).detach()));
  CHECK(model.size() == 3);
  CHECK(model[2].impl() == b.impl());
  CHECK(model.str() == "Sequential(Linear(2, 3), Tanh(), Linear(3, 2))");
  CHECK_THROWS_WITH_AS(model[3], "Sequential: no such layer: number 3 of 3; they count from 0", IndexError);
  const nn::Sequential empty(std::vector<nn::Module>{});
  CHECK(same_bits(empty(x), x));
  CHECK(empty.str() == "Sequential()");
}

TEST_CASE("sizes of neighbours are checked when built") {
  CHECK_THROWS_WITH_AS(
      (nn::Sequential{nn::Linear(64, 128), nn::ReLU(), nn::Linear(64, 10)}),
      "Sequential: sizes of neighbours differ: 0 Linear(64, 128) gives 128 features, 2 Linear(64, 10) takes "
      "64; make the two equal",
      ShapeError);
  CHECK_THROWS_AS((nn::Sequential{nn::Linear(4, 5), nn::LayerNorm(4)}), ShapeError);
  CHECK_THROWS_AS((nn::Sequential{nn::Linear(4, 5), nn::Sequential{nn::ReLU(), nn::Linear(4, 2)}}), ShapeError);
  CHECK_THROWS_AS((nn::Sequential{nn::Sequential{nn::Linear(4, 5), nn::ReLU()}, nn::Linear(4, 2)}), ShapeError);
  CHECK_NOTHROW((nn::Sequential{nn::Linear(4, 5), nn::Flatten(), nn::Linear(20, 2)}));
  CHECK_THROWS_WITH_AS((nn::Sequential{nn::Linear(4, 5), nn::Linear(5, 3, {.dtype = DType::float64})}),
                       "Sequential: layers have different dtypes: 0 Linear(4, 5) is float32, 1 Linear(5, 3, "
                       "dtype='float64') is float64; one model has one dtype: convert a layer with astype",
                       DTypeError);
  CHECK_THROWS_WITH_AS((nn::Sequential{nn::ReLU(), nn::Module()}),
                       "Sequential: a layer is undefined: number 1; give it a layer first", StateError);
}

TEST_CASE("an error inside a model names the layer's path once") {
  const nn::Sequential inner{nn::Flatten(), nn::Linear(6, 10)};
  const nn::Sequential model{nn::ReLU(), inner};
  CHECK_THROWS_WITH_AS(
      model(Tensor::zeros({2, 5})),
      "model.1.1 Linear(6, 10): last axis must have 6 features: x is (2, 5); pass (batch, 6), or build the "
      "layer for 5 features",
      ShapeError);
  const nn::Sequential softmax{nn::Identity(), nn::Softmax(1)};
  try {
    softmax(f32({1, 2}, {2}));
    FAIL("accepted");
  } catch (const Error& error) { CHECK(std::string(error.what()).starts_with("model.1 Softmax(axis=1): softmax: ")); }
}

TEST_CASE("a layer used twice is shared") {
  const nn::Linear layer(3, 3, {.dtype = DType::float64, .seed = 1});
  const nn::Sequential model{layer, nn::Tanh(), layer};
  REQUIRE(model.named_parameters().size() == 2);
  CHECK(model.named_parameters()[0].name == "0.weight");
  CHECK(model.state_dict().size() == 2);
  sum(model(f64({1, 2, 3}, {1, 3}))).backward();
  CHECK(layer.weight().grad().shape() == Shape{3, 3});
  const nn::Sequential other{layer, nn::ReLU()};
  CHECK(other.parameters()[0].data_handle() == model.parameters()[0].data_handle());
}

TEST_CASE("sequential with a seed equals init") {
  const auto layers = [] {
    return std::vector<nn::Module>{nn::Linear(3, 4), nn::ReLU(), nn::LayerNorm(4), nn::Linear(4, 2)};
  };
  const nn::Sequential seeded(layers(), {.seed = 11});
  nn::Sequential drawn(layers());
  drawn.init(11);
  const auto a = seeded.parameters(), b = drawn.parameters();
  REQUIRE(a.size() == 6);
  for (std::size_t i = 0; i < a.size(); ++i) CHECK(same_bits(a[i], b[i]));
  CHECK_FALSE(same_bits(nn::Sequential(layers(), {.seed = 12}).parameters()[0], a[0]));
  nn::Linear first(3, 4);
  first.init(11);
  CHECK(same_bits(first.weight(), a[0]));
}

TEST_CASE("joining modules draws nothing anew") {
  const nn::Linear layer(3, 3, {.seed = 4});
  const std::vector<double> before = values_of(layer.weight());
  const nn::Sequential model{nn::Sequential{layer, nn::ReLU()}, nn::Residual(layer)};
  CHECK(values_of(layer.weight()) == before);
}

TEST_CASE("residual adds its input") {
  const nn::Linear layer(3, 3, {.dtype = DType::float64, .seed = 1});
  const nn::Residual block(nn::Sequential{layer, nn::Tanh()});
  Tensor x = f64({1, -2, 0.5}, {1, 3});
  x.requires_grad_();
  const Tensor y = block(x);
  const std::vector<double> inner = values_of(tanh(layer(x)));
  check_close(y, {1 + inner[0], -2 + inner[1], 0.5 + inner[2]});
  sum(y).backward();
  std::vector<double> want;  // 1 + W tanh'
  const std::vector<double> w = values_of(layer.weight());
  for (std::size_t i = 0; i < 3; ++i) {
    double g = 1;
    for (std::size_t j = 0; j < 3; ++j) g += w[i * 3 + j] * (1 - inner[j] * inner[j]);
    want.push_back(g);
  }
  check_close(x.grad(), want);
  CHECK(block.str() == "Residual(inner=Sequential(Linear(3, 3, dtype='float64'), Tanh()))");
  CHECK(block.named_parameters()[0].name == "inner.0.weight");
  CHECK_THROWS_WITH_AS(nn::Residual(nn::Linear(3, 4)),
                       "Residual: inner must give as many features as it takes: Linear(3, 4) takes 3 and gives 4",
                       ShapeError);
  const nn::Sequential model{nn::Residual(nn::Flatten())};
  CHECK_THROWS_WITH_AS(
      model(Tensor::zeros({2, 3, 4})),
      "model.0 Residual: inner(x) and x must have the same shape: inner(x) is (2, 12), x is (2, 3, 4); end "
      "inner with a layer that gives as many features as come in",
      ShapeError);
}

TEST_CASE("mlp") {
  const nn::MLP model({4, 8, 8, 2}, {.activation = "tanh", .dropout = 0.1, .seed = 0});
  CHECK(model.str() ==
        "Sequential(Linear(4, 8), Tanh(), Dropout(0.1), Linear(8, 8), Tanh(), Dropout(0.1), Linear(8, 2))");
  CHECK(nn::MLP({4, 2}).str() == "Sequential(Linear(4, 2))");
  for (const auto& [name, parameter] : model.named_parameters())
    if (name.ends_with("bias"))
      for (double v : values_of(parameter)) CHECK(v == 0.0);
  // The same seed draws the same, through the constructor, init and a clone.
  nn::Module copy = model.clone();
  copy.init(1);
  CHECK_FALSE(same_bits(copy.parameters()[0], model.parameters()[0]));
  copy.init(0);
  CHECK(same_bits(copy.parameters()[0], model.parameters()[0]));
  CHECK_THROWS_WITH_AS(
      nn::MLP({4}),
      "MLP: needs at least two sizes: 1 were given; give those of the input, the hidden layers and the output",
      ValueError);
  CHECK_THROWS_WITH_AS(nn::MLP({4, 3, 2}, {.activation = "step"}),
                       "MLP: unknown activation: 'step'; use one of relu, leaky_relu, gelu, silu, elu, selu, mish, "
                       "softsign, softplus, sigmoid, tanh, "
                       "identity",
                       ValueError);
}

TEST_CASE("mlp draws as suits the activation") {
  const auto bound = [](const nn::MLP& model, std::size_t layer) {
    double most = 0;
    for (double v : values_of(model[layer]->own_parameters()[0].tensor)) most = std::max(most, std::abs(v));
    return most;
  };
  const nn::MLP relu({100, 300, 50}, {.seed = 1}), tanh({100, 300, 50}, {.activation = "tanh", .seed = 1});
  CHECK(bound(relu, 0) == doctest::Approx(std::sqrt(6.0 / 100)).epsilon(0.01));  // sqrt(3) sqrt(2 / in)
  CHECK(bound(tanh, 0) == doctest::Approx(std::sqrt(6.0 / 400)).epsilon(0.01));  // sqrt(6 / (in + out))
  CHECK(bound(relu, 2) == doctest::Approx(std::sqrt(6.0 / 350)).epsilon(0.01));
}
