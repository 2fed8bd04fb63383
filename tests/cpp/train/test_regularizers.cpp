// Balanced class weights, L1, max-norm and mixup of a Trainer, and GaussianNoise, from C++.
#include "train/regularizers.hpp"

#include <cmath>
#include <map>

#include "../nn/close.hpp"
#include "chainrule/chainrule.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

Tensor waves(const Shape& shape, double step) {
  std::vector<double> values(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(step * static_cast<double>(i));
  return Tensor::from(values, shape);
}

nn::Sequential network() {
  return {nn::Linear(3, 5, {.dtype = DType::float64, .seed = 1}), nn::Tanh(),
          nn::Linear(5, 2, {.dtype = DType::float64, .seed = 2})};
}

}  // namespace

TEST_CASE("class weights: given in braces, as a map, or balanced") {
  const std::map<std::int64_t, double> named{{0, 2.0 / 3}, {1, 2.0}};
  const FitOptions braces{.class_weight = {{0, 1.0}}}, map{.class_weight = named}, balanced{.class_weight = "balanced"};
  CHECK(braces.class_weight.weights().at(0) == 1.0);
  CHECK(balanced.class_weight.balanced());
  CHECK(FitOptions().class_weight.empty());
  CHECK_THROWS_WITH_AS(ClassWeight("even"),
                       "fit: unknown class_weight: \"even\"; use \"balanced\", or give weights by class, such as "
                       "{0: 1.0, 1: 5.0}",
                       ValueError);
  const Tensor x = waves({8, 3}, 0.7), y = Tensor::from(std::vector<std::int64_t>{0, 1, 0, 0, 0, 1, 0, 0}, {8});
  const auto loss_with = [&](const ClassWeight& weight) {
    nn::Sequential model = network();
    Trainer trainer(model, nn::CrossEntropyLoss(), optim::SGD({.lr = 0.1}));
    return trainer.fit(x, y, {.epochs = 3, .class_weight = weight})["loss"];
  };
  CHECK(loss_with("balanced") == loss_with({{0, 8.0 / 12}, {1, 8.0 / 4}}));
  CHECK(loss_with(named) != loss_with(braces.class_weight));
}

TEST_CASE("max-norm scales down what is above it, and nothing else") {
  const Tensor w = f64({3, 0.3, 0, 4, 0.4, 0}, {2, 3});
  check_close(limited_columns(w, 1.0), {0.6, 0.3, 0.0, 0.8, 0.4, 0.0});
  nn::Sequential model = network();
  Trainer trainer(model, nn::MSELoss(), optim::Adam({.lr = 0.3}), {.max_norm = 0.5});
  trainer.fit(waves({20, 3}, 0.7), waves({20, 2}, 0.3), {.epochs = 5});
  for (const Tensor& p : model.parameters()) {
    if (p.rank() != 2) continue;
    for (const double norm : values_of(sqrt(sum(square(p.detach()), {0})))) CHECK(norm <= 0.5 * (1 + 1e-15));
  }
}

TEST_CASE("mixup's share: of a beta distribution, by seed and step") {
  CHECK(mixup_share(0.3, 4, 9) == mixup_share(0.3, 4, 9));
  CHECK(mixup_share(0.3, 4, 9) != mixup_share(0.3, 4, 10));
  CHECK(mixup_share(0.3, 4, 9) != mixup_share(0.3, 5, 9));
  double sum = 0, squares = 0;
  const int n = 20000;
  for (int i = 0; i < n; ++i) {
    const double m = mixup_share(0.5, 1, static_cast<std::uint64_t>(i));
    REQUIRE((m >= 0 && m <= 1));
    sum += m, squares += m * m;
  }
  CHECK(sum / n == doctest::Approx(0.5).epsilon(0.02));
  CHECK(squares / n - 0.25 == doctest::Approx(0.125).epsilon(0.03));  // 1 / (4 (2 alpha + 1))
  for (const double alpha : {1e-308, 1e-9, 1e9}) {
    const double m = mixup_share(alpha, 1, 2);
    CHECK((m >= 0 && m <= 1));
  }
}

TEST_CASE("mixup and l1 train, and refuse what they cannot do") {
  nn::Sequential model = network();
  Trainer trainer(model, nn::MSELoss(), optim::Adam({.lr = 0.01}), {.l1 = 1e-4, .mixup = 0.2});
  const History history = trainer.fit(waves({20, 3}, 0.7), waves({20, 2}, 0.3), {.epochs = 30});
  CHECK(history["loss"].back() < history["loss"].front());
  CHECK_THROWS_AS(Trainer(model, nn::MSELoss(), optim::LBFGS(), {.mixup = 0.2}), ValueError);
  CHECK_THROWS_AS(Trainer(model, nn::MSELoss(), optim::SGD(), {.l1 = NAN}), ValueError);
}

TEST_CASE("Gaussian noise: in train mode only, drawn anew, repeated with the seed") {
  manual_seed(3);
  nn::GaussianNoise layer(0.5);
  const Tensor x = Tensor::zeros({200, 50}), y = layer(x), z = layer(x);
  CHECK_FALSE(same_bits(y, z));
  double squares = 0;
  for (const double v : values_of(y)) squares += v * v;
  CHECK(squares / 10000 == doctest::Approx(0.25).epsilon(0.05));
  manual_seed(3);
  CHECK(same_bits(nn::GaussianNoise(0.5)(x), y));
  manual_seed(0);
  layer.eval();
  CHECK(same_bits(layer(x), x));
  CHECK(layer.str() == "GaussianNoise(0.5)");
  CHECK_THROWS_WITH_AS(
      nn::GaussianNoise(-1.0),
      "GaussianNoise: std must be a finite number, 0 or more: std is -1.0; it is the standard deviation "
      "of the noise",
      ValueError);
}
