// A compiled step for any loss: the bits of the loop by hand.
#include <doctest/doctest.h>

#include "chainrule/chainrule.hpp"

using namespace chainrule;

TEST_CASE("training_step gives the bits of the loop by hand") {
  nn::Sequential model{nn::Linear(3, 8), nn::Tanh(), nn::Linear(8, 2)};
  model.init(0);
  const nn::Module by_hand = model.clone();
  const Tensor x = random::normal({16, 3}, 1, 0), y = random::normal({16, 2}, 2, 0);
  TrainingStep step(
      [&](const std::vector<Tensor>& in) { return std::vector<Tensor>{mean(square(model(in[0]) - in[1]))}; },
      optim::AdamW(model.parameters(), {.lr = 1e-2}));
  optim::AdamW opt(by_hand.parameters(), {.lr = 1e-2});
  for (int i = 0; i < 5; ++i) {
    const double loss = step({x, y})[0];
    opt.zero_grad();
    const Tensor expected = mean(square(by_hand(x) - y));
    expected.backward();
    opt.step();
    CHECK(loss == expected.item());
  }
  for (std::size_t i = 0; i < model.parameters().size(); ++i)
    CHECK(model.parameters()[i].str() == by_hand.parameters()[i].str());
  CHECK(step.step_count() == 5);
}

TEST_CASE("target networks follow") {
  nn::Sequential model{nn::Linear(2, 2)}, target{nn::Linear(2, 2)};
  model.init(0);
  target.init(1);
  target.copy_(model);
  CHECK(target.parameters()[0].str() == model.parameters()[0].str());
  CHECK_THROWS_AS(target.lerp_(nn::Sequential{nn::Linear(2, 3)}, 0.5), ValueError);
}
