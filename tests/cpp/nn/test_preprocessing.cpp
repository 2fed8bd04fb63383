// Fitted layers in C++: Trainer::fit fits them, errors name what to do, values are those of Python's formula.
#include "chainrule/chainrule.hpp"
#include "close.hpp"

using namespace chainrule;
using namespace close_test;

TEST_CASE("a layer is fitted by hand") {
  const nn::Standardizer layer(2);
  CHECK(!layer.fitted());
  CHECK_THROWS_WITH_AS(
      layer(f64({1, 2}, {1, 2})),
      "Standardizer(2): is not fitted: it has seen no data yet; call its fit(X), or Trainer.fit, which "
      "fits it on the training rows",
      StateError);
  layer.fit(f64({1, 5, 3, 5}, {2, 2}));
  CHECK(layer.fitted());
  check_close(layer(f64({1, 5, 5, 7}, {2, 2})), {-1, 0, 3, 2});
  check_close(layer(f32({1, 5, 5, 7}, {2, 2})), {-1, 0, 3, 2});
  CHECK_THROWS_WITH_AS(layer.fit(f64({1, NAN}, {1, 2})),
                       "Standardizer(2): cannot be fitted on inf or NaN: nan in row 0, column 1; put nn.Imputer before "
                       "it, or clean the data",
                       ValueError);
  CHECK_THROWS_AS(nn::FittedLayer(nn::Linear(2, 2).impl()).fit(f64({1, 2}, {1, 2})), StateError);
}

TEST_CASE("Trainer::fit fits what is not fitted, and forgets it where it fails") {
  const nn::Standardizer first(2), second(2);
  first.fit(f64({0, 0, 2, 4}, {2, 2}));
  const nn::Sequential model{first, second, nn::Linear(2, 1, {.seed = 0})};
  const Tensor x = f32({1, 2, 3, 4, 5, 6}, {3, 2}), y = f32({1, 2, 3}, {3});
  Trainer trainer(model, nn::MSELoss(), optim::SGD({.lr = 0.01}));
  CHECK_THROWS_AS(trainer.fit(x, f32({1, 2, 3, 4, 5, 6}, {3, 2})), ShapeError);
  CHECK(!second.fitted());
  trainer.fit(x, y);
  CHECK(second.fitted());
  check_close(first->own_buffers()[0].tensor, {1, 2});
  check_close(second->own_buffers()[0].tensor, {2, 1}, 1e-6);
}
