// MultiLoss in C++: targets as columns, losses remade by name, a Trainer with two heads.
#include "../nn/close.hpp"
#include "chainrule/chainrule.hpp"
#include "losses/loss_kinds.hpp"

using namespace chainrule;
using namespace close_test;

TEST_CASE("targets are joined as columns in float64") {
  const Tensor y = nn::join_targets({ints({2, 0}), f32({1, 2, 3, 4}, {2, 2})});
  CHECK(y.shape() == Shape{2, 3});
  check_close(y, {2, 1, 2, 0, 3, 4});
  CHECK_THROWS_WITH_AS(nn::join_targets({ints({2, 0}), f64({1})}),
                       "targets: numbers of samples differ: target 1 is (1,), target 0 is (2,)", ShapeError);
  CHECK_THROWS_AS(nn::join_targets({}), ValueError);
  CHECK_THROWS_AS(nn::join_targets({f64({1}, {1, 1, 1})}), ShapeError);
}

TEST_CASE("several losses add up, also when made by name") {
  const Tensor scores = f64({1, 2, 0.5, -1, 0, 2}, {2, 3}), sizes = f64({1, 2, 3, 4}, {2, 2});
  const Tensor kind = ints({2, 0}), size = f64({0, 2, 3, 5}, {2, 2}), y = nn::join_targets({kind, size});
  const Loss loss = nn::MultiLoss({nn::CrossEntropyLoss(), nn::MSELoss()}, {.weights = {2, 0.5}, .columns = {1, 2}});
  const double wanted = 2 * nn::CrossEntropyLoss()(scores, kind).item() + 0.5 * nn::MSELoss()(sizes, size).item();
  check_close(loss({scores, sizes}, y), {wanted});
  // Without the losses themselves: from names and arguments alone.
  nn::Arguments arguments = loss.impl()->arguments();
  for (nn::Called& called : std::get<std::vector<nn::Called>>(arguments[0].second)) called.made = nullptr;
  check_close(make_loss("MultiLoss", arguments)({scores, sizes}, y), {wanted});
  CHECK(loss.str() == "MultiLoss(losses=[CrossEntropyLoss(), MSELoss()], weights=(2.0, 0.5), columns=(1, 2))");
  CHECK_THROWS_AS(make_loss("MultiLoss", {}), ValueError);
}

TEST_CASE("two heads are trained") {
  std::vector<float> values(400);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(1.7f * static_cast<float>(i));
  const Tensor x = Tensor::from(values, {100, 4});
  const Tensor kind = argmax(x, -1), size = mean(x, {-1});
  const nn::Sequential model(
      {nn::Linear(4, 8), nn::Tanh(), nn::MultiHead({{"kind", nn::Linear(8, 4)}, {"size", nn::Linear(8, 1)}})},
      {.seed = 0});
  Trainer trainer(model, nn::MultiLoss({nn::CrossEntropyLoss(), nn::MSELoss()}), optim::Adam({.lr = 0.02}));
  const History history = trainer.fit(x, nn::join_targets({kind, size}), {.epochs = 30});
  const std::vector<Tensor> outputs = predict(model, {x}, 32);
  REQUIRE(outputs.size() == 2);
  CHECK(outputs[1].shape() == Shape{100, 1});
  CHECK_THROWS_AS(model.predict(x), ValueError);
  CHECK(history["loss"].back() < 0.4 * history["loss"].front());
}
