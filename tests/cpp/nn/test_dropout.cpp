// Dropout: shares and scale of what is kept, masks per call and layer, modes.
#include "chainrule/nn.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "close.hpp"

using namespace chainrule;
using namespace close_test;

TEST_CASE("dropout keeps 1 - p of the elements, divided by 1 - p") {
  manual_seed(0);
  const nn::Dropout layer(0.2);
  const std::vector<double> y = values_of(layer(Tensor::ones({100, 1000})));
  double sum = 0;
  for (double v : y) {
    CHECK_MESSAGE((v == 0.0 || v == doctest::Approx(1.25).epsilon(1e-6)), v);
    sum += v;
  }
  CHECK(sum / static_cast<double>(y.size()) == doctest::Approx(1.0).epsilon(0.01));  // E[y] = x
}

TEST_CASE("dropout's masks differ between calls and between layers, and repeat with the seed") {
  const Tensor x = Tensor::ones({64, 64});
  nn::Sequential model{nn::Dropout(0.5), nn::Dropout(0.5)};
  manual_seed(3);
  const Tensor first = model(x), second = model(x);
  CHECK_FALSE(same_bits(first, second));
  double kept = 0;
  for (double v : values_of(first)) kept += v != 0;
  CHECK(kept / 4096 == doctest::Approx(0.25).epsilon(0.15));  // equal masks would keep a half
  nn::Sequential again{nn::Dropout(0.5), nn::Dropout(0.5)};
  CHECK(same_bits(first, again(x)));
  CHECK(same_bits(second, again(x)));
  manual_seed(0);
}

TEST_CASE("dropout infers as the identity") {
  nn::Dropout layer(0.5);
  const Tensor x = f64({1, 2, 3});
  layer.eval();
  CHECK(same_bits(layer(x), x));
  CHECK_FALSE(layer.training());
  CHECK(same_bits(nn::Dropout(0.0)(x), x));
  check_close(nn::Dropout(1.0)(x), {0, 0, 0});
}

TEST_CASE("dropout's gradient goes through the same mask") {
  const nn::Dropout layer(0.5);
  Tensor x = Tensor::ones({1000});
  x.requires_grad_();
  const Tensor y = layer(x);
  sum(y).backward();
  CHECK(same_bits(y.detach(), x.grad()));
}

TEST_CASE("dropout's p") {
  CHECK(nn::Dropout().str() == "Dropout(0.5)");
  CHECK_THROWS_WITH_AS(nn::Dropout(1.5), "Dropout: p must lie in [0, 1]: p is 1.5; p is the probability of dropping",
                       ValueError);
  CHECK_THROWS_AS(nn::Dropout(-0.1), ValueError);
  CHECK_THROWS_AS(nn::Dropout(NAN), ValueError);
}
