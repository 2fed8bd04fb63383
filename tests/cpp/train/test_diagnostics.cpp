// Diagnostics: what they find, and that they leave the training as it was.
#include <doctest/doctest.h>

#include <cmath>

#include "chainrule/chainrule.hpp"

using namespace chainrule;

namespace {

struct Task {
  Tensor x = random::normal({60, 3}, 1, 0), y = random::normal({60, 1}, 2, 0);
};

std::vector<double> numbers(const std::vector<nn::NamedTensor>& state) {
  std::vector<double> all;
  for (const nn::NamedTensor& t : state) {
    const Tensor wide = t.tensor.detach().astype(DType::float64);
    all.insert(all.end(), wide.data<double>(), wide.data<double>() + wide.size());
  }
  return all;
}

Trainer trainer_of(std::uint64_t seed = 0) {
  nn::Sequential model{nn::Linear(3, 8), nn::Tanh(), nn::Linear(8, 1)};
  model.init(seed);
  return {model, nn::MSELoss(), optim::Adam({.lr = 1e-2})};
}

}  // namespace

TEST_CASE("gradients are those of backward, by name") {
  const Task task;
  Trainer trainer = trainer_of();
  const std::vector<nn::NamedTensor> found = gradients(trainer, {task.x}, task.y);
  nn::MSELoss()(trainer.model()(task.x), task.y).backward();
  const std::vector<nn::NamedTensor> parameters = trainer.model().named_parameters();
  REQUIRE(found.size() == parameters.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CHECK(found[i].name == parameters[i].name);
    const Tensor own = parameters[i].tensor.grad();
    for (std::int64_t k = 0; k < own.size(); ++k)
      CHECK(found[i].tensor.data<float>()[k] == doctest::Approx(own.data<float>()[k]).epsilon(1e-5));
  }
}

TEST_CASE("diagnose names the layer of dead units") {
  const Task task;
  nn::Linear first(3, 4);
  nn::Sequential model{first, nn::ReLU(), nn::Linear(4, 1)};
  model.init(0);
  first.bias().copy_(Tensor::full({4}, -1e3, DType::float32));
  const Trainer trainer(model, nn::MSELoss(), optim::SGD());
  const Diagnosis found = diagnose(trainer, {task.x}, task.y);
  REQUIRE(!found.warnings.empty());
  CHECK(found.warnings[0].starts_with("0.weight: "));
  CHECK(found.parameters[0].dead == 4);
  CHECK(found.loss == doctest::Approx(trainer.evaluate(task.x, task.y).at("loss")));
}

TEST_CASE("overfit_one_batch and lr_find put everything back") {
  const Task task;
  Trainer trainer = trainer_of();
  trainer.fit(task.x, task.y, {.epochs = 2});
  const auto model = numbers(trainer.model().state_dict()), state = numbers(trainer.state_dict());
  CHECK(overfit_one_batch(trainer, {task.x}, task.y, {.batch_size = 4, .steps = 600}).passed);
  const RateRange range = lr_find(trainer, {task.x}, task.y);
  CHECK(range.rates.front() == doctest::Approx(1e-7));
  CHECK(range.suggestion > 1e-7);
  CHECK(range.suggestion < 10);
  CHECK(numbers(trainer.model().state_dict()) == model);
  CHECK(numbers(trainer.state_dict()) == state);
  CHECK(trainer.optimizer().lr() == 1e-2);
}

TEST_CASE("on_step ends them") {
  const Task task;
  Trainer trainer = trainer_of();
  const auto model = numbers(trainer.model().state_dict());
  int steps = 0;
  const auto three = [&] { return ++steps < 3; };
  CHECK(overfit_one_batch(trainer, {task.x}, task.y, {.on_step = three}).losses.size() == 3);
  steps = 0;
  CHECK(lr_find(trainer, {task.x}, task.y, {.on_step = three}).rates.size() == 3);
  CHECK(numbers(trainer.model().state_dict()) == model);
}

TEST_CASE("what they refuse") {
  const Task task;
  Trainer trainer = trainer_of();
  CHECK_THROWS_WITH_AS(overfit_one_batch(trainer, {task.x}, task.y, {.steps = 1}),
                       "overfit_one_batch: steps must be at least 2: 1", ValueError);
  CHECK_THROWS_WITH_AS(lr_find(trainer, {task.x}, task.y, {.start = 1.0, .end = 0.5}),
                       "lr_find: rates must rise from above 0: start is 1, end is 0.5", ValueError);
  nn::Linear model(3, 1);
  Trainer driven(model, nn::MSELoss(), optim::LBFGS());
  CHECK_THROWS_AS(lr_find(driven, {task.x}, task.y), StateError);
}
