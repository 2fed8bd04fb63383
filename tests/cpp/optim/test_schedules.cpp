// Schedules by hand-computed rates, in optimizers and in training; saved and read back; refused.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include "../nn/close.hpp"
#include "chainrule/chainrule.hpp"
#include "core/arguments.hpp"

using namespace chainrule;
using optim::Rate;
using optim::Schedule;

namespace {

void check_rates(const Schedule& schedule, const std::vector<double>& want) {
  CAPTURE(schedule.str());
  for (std::size_t t = 0; t < want.size(); ++t)
    CHECK(schedule(static_cast<std::int64_t>(t)) == doctest::Approx(want[t]).epsilon(1e-12));
  const Schedule again = optim::make_schedule(schedule.called());
  CHECK(again.str() == schedule.str());
  CHECK(again.per_epoch() == schedule.per_epoch());
  for (std::size_t t = 0; t < want.size(); ++t)
    CHECK(again(static_cast<std::int64_t>(t)) == schedule(static_cast<std::int64_t>(t)));
}

}  // namespace

TEST_CASE("schedules: the rates") {
  check_rates(schedules::Constant(0.5), {0.5, 0.5});
  check_rates(schedules::Step(1.0, 2, {.gamma = 0.5}), {1, 1, 0.5, 0.5, 0.25});
  check_rates(schedules::MultiStep(1.0, {1, 1, 3}, {.gamma = 0.5}), {1, 0.25, 0.25, 0.125});
  check_rates(schedules::Exponential(1.0, 0.5), {1, 0.5, 0.25});
  check_rates(schedules::Linear(1.0, 0.2, 4), {1, 0.8, 0.6, 0.4, 0.2, 0.2});
  check_rates(schedules::Polynomial(1.0, 2, {.power = 2, .end = 0.5}), {1, 0.625, 0.5, 0.5});
  check_rates(schedules::Cosine(1.0, 4, {.end = 0.5}),
              {1, 0.75 + std::sqrt(0.5) / 4, 0.75, 0.75 - std::sqrt(0.5) / 4, 0.5, 0.5});
  check_rates(schedules::CosineRestarts(1.0, 2, {.factor = 2}),
              {1, 0.5, 1, 0.5 + std::sqrt(0.5) / 2, 0.5, 0.5 - std::sqrt(0.5) / 2, 1});
  check_rates(schedules::CosineRestarts(1.0, 2), {1, 0.5, 1, 0.5, 1});
  check_rates(
      schedules::OneCycle(1.0, 11, {.pct_start = 4.0 / 11, .div_factor = 4, .final_div_factor = 5, .anneal = "linear"}),
      {0.25, 0.5, 0.75, 1, 1 - 0.95 / 7, 1 - 1.9 / 7, 1 - 2.85 / 7, 1 - 3.8 / 7, 1 - 4.75 / 7, 1 - 5.7 / 7, 0.05,
       0.05});
  check_rates(schedules::InverseSqrt(1.0, 4), {0.25, 0.5, 0.75, 1, std::sqrt(0.8)});
  check_rates(schedules::Warmup(schedules::Exponential(1.0, 0.5), 2, 0.5), {0.5, 0.75, 1, 0.5});
  check_rates(schedules::Chain({0.1, schedules::Exponential(1.0, 0.5), 0.3}, {2, 4}), {0.1, 0.1, 1, 0.5, 0.3, 0.3});
  check_rates(schedules::Step(1.0, 1, {.gamma = 0.1, .per = "epoch"}), {1, 0.1});
  check_rates(schedules::Chain({0.1, schedules::Exponential(1.0, 0.5, "epoch")}, {2}, "epoch"), {0.1, 0.1, 1, 0.5});
  check_rates(schedules::Warmup(schedules::Exponential(1.0, 0.5, "epoch"), 2), {0, 0.5, 1, 0.5});
}

TEST_CASE("schedules: one in an optimizer's options, and what it reads as") {
  const optim::Adam number({.lr = 1});
  CHECK(number.lr() == 1.0);
  CHECK_FALSE(number.schedule().defined());
  const optim::Adam adam({.lr = schedules::Cosine(0.1, 10)});
  CHECK(adam.str() == "Adam(lr=Cosine(lr=0.1, steps=10, end=0.0))");
  CHECK(adam.lr() == 0.1);
  CHECK(adam.lr_at(5) == doctest::Approx(0.05));
  const optim::Optimizer copy = adam.recipe();
  CHECK(copy.lr_at(5) == adam.lr_at(5));
}

TEST_CASE("schedules: steps by hand follow the rate, by step and by epoch") {
  for (const bool by_epoch : {false, true}) {
    Tensor p = Tensor::from(std::vector{1.0}, {1});
    p.requires_grad_();
    optim::SGD sgd(std::vector{p}, {.lr = schedules::Exponential(0.5, 0.5, by_epoch ? "epoch" : "step")});
    double want = 1.0;
    for (int t = 0; t < 4; ++t) {
      if (by_epoch) sgd.set_epoch(t / 2);
      sgd.zero_grad();
      sum(p).backward();
      sgd.step();
      want -= 0.5 * std::pow(0.5, by_epoch ? t / 2 : t);
      CHECK(p.item() == doctest::Approx(want).epsilon(1e-15));
    }
    sgd.set_lr(0.25);
    CHECK(sgd.lr() == 0.25);
    CHECK_FALSE(sgd.schedule().defined());
  }
}

TEST_CASE("schedules: ReduceOnPlateau waits, lowers, cools down and keeps to its least") {
  optim::SGD sgd({.lr = schedules::ReduceOnPlateau(
                      1.0, {.factor = 0.5, .patience = 1, .threshold = 0.1, .cooldown = 1, .min_lr = 0.3})});
  const double values[] = {1.0, 0.95, 0.8, 0.79, 0.79, 0.79, 0.79, 0.79, 0.1, 0.1, 0.1, 0.1};
  const double rates[] = {1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3, 0.3, 0.3};
  for (std::size_t i = 0; i < std::size(values); ++i) {
    sgd.observe(values[i]);
    CAPTURE(i);
    CHECK(sgd.lr() == doctest::Approx(rates[i]));
  }
  sgd.reset();
  CHECK(sgd.lr() == 1.0);
}

TEST_CASE("schedules: the state goes with the optimizer") {
  const auto made = [] {
    Tensor p = Tensor::from(std::vector{1.0}, {1});
    p.requires_grad_();
    return optim::SGD(std::vector{p}, {.lr = schedules::ReduceOnPlateau(1.0, {.factor = 0.5, .patience = 0})});
  };
  optim::SGD first = made(), second = made();
  first.set_epoch(7);
  for (const double value : {1.0, 2.0}) first.observe(value);
  CHECK(first.lr() == 0.5);
  second.load_state_dict(first.state_dict());
  CHECK(second.lr() == 0.5);
  CHECK(second.epoch() == 7);
  for (optim::SGD* each : {&first, &second}) each->observe(3.0);
  CHECK(second.lr() == first.lr());
}

TEST_CASE("schedules: a Trainer counts steps and epochs, and shows ReduceOnPlateau its value") {
  const std::int64_t n = 24;
  const Tensor x = random::normal({n, 3}), y = random::normal({n, 1});
  const auto trained = [&](const Rate& lr, const std::function<void(Trainer&)>& train) {
    nn::Sequential model{nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 1)};
    model.init(3);
    Trainer trainer(model, nn::MSELoss(), optim::SGD({.lr = lr}));
    train(trainer);
    return model.state_dict();
  };
  const auto same = [](const auto& a, const auto& b) {
    for (std::size_t i = 0; i < a.size(); ++i) CHECK(close_test::same_bits(a[i].tensor, b[i].tensor));
  };
  const Schedule by_step = schedules::Exponential(0.1, 0.9), by_epoch = schedules::Exponential(0.1, 0.5, "epoch");
  const FitOptions one{.epochs = 1, .batch_size = 8, .shuffle = false};
  const FitOptions three{.epochs = 3, .batch_size = 8, .shuffle = false};
  same(trained(by_step, [&](Trainer& t) { t.fit(x, y, three); }), trained(0.0, [&](Trainer& t) {
         for (int step = 0; step < 9; ++step) {
           t.optimizer().set_lr(by_step(step));
           const auto rows = std::vector<std::int64_t>{step % 3 * 8LL,     step % 3 * 8LL + 1, step % 3 * 8LL + 2,
                                                       step % 3 * 8LL + 3, step % 3 * 8LL + 4, step % 3 * 8LL + 5,
                                                       step % 3 * 8LL + 6, step % 3 * 8LL + 7};
           t.step(data::take_rows(x, rows), data::take_rows(y, rows));
         }
       }));
  same(trained(by_epoch, [&](Trainer& t) { t.fit(x, y, three); }), trained(0.0, [&](Trainer& t) {
         for (int epoch = 0; epoch < 3; ++epoch) {
           t.optimizer().set_lr(by_epoch(epoch));
           t.fit(x, y, one);
         }
       }));
  const Schedule plateau =
      schedules::ReduceOnPlateau(0.1, {.monitor = "loss", .factor = 0.5, .patience = 0, .threshold = 10});
  same(trained(plateau, [&](Trainer& t) { t.fit(x, y, three); }), trained(0.0, [&](Trainer& t) {
         for (int epoch = 0; epoch < 3; ++epoch) {  // nothing gets better by 1000 %
           t.optimizer().set_lr(epoch == 0 ? 0.1 : 0.1 * std::pow(0.5, epoch - 1));
           t.fit(x, y, one);
         }
       }));
  nn::Sequential model{nn::Linear(3, 1)};
  Trainer trainer(model, nn::MSELoss(), optim::SGD({.lr = schedules::ReduceOnPlateau(0.1)}));
  CHECK_THROWS_WITH_AS(
      trainer.fit(x, y, one),
      "ReduceOnPlateau: watches a value that no epoch gives: monitor=\"val_loss\", there are loss; give "
      "validation_data or validation_split",
      ValueError);
}

TEST_CASE("schedules: a loss that was infinite once does not lower the rate for ever") {
  optim::SGD sgd({.lr = schedules::ReduceOnPlateau(1.0, {.patience = 0})});
  for (const double value : {std::numeric_limits<double>::infinity(), 2.0, 1.0}) sgd.observe(value);
  CHECK(sgd.lr() == 1.0);
}

TEST_CASE("schedules: restarts of any length end") {
  const Schedule s = schedules::CosineRestarts(0.1, 4, {.factor = std::int64_t{1} << 62});
  CHECK(s(4) == 0.1);
  CHECK(s(std::numeric_limits<std::int64_t>::max()) >= 0.0);
}

TEST_CASE("schedules: a function's own goes where it goes, and is itself only") {
  const auto half = [](std::int64_t t) { return t == 0 ? 0.5 : 0.25; };
  const Schedule own(half), other(half), by_epoch(half, "epoch");
  CHECK(own.called() == Schedule(own).called());
  CHECK_FALSE(own.called() == other.called());
  CHECK(optim::make_schedule(by_epoch.called()).per_epoch());
  const Schedule warm = schedules::Warmup(own, 2);
  CHECK(optim::make_schedule(warm.called())(2) == 0.5);
  CHECK(schedules::Warmup(0.1, 5, 0.0, "epoch").per_epoch());
  CHECK(optim::make_schedule(schedules::Warmup(0.1, 5, 0.0, "epoch").called()).per_epoch());
  CHECK_THROWS_AS(schedules::Warmup(own, 5, 0.0, "epoch"), ValueError);
}

TEST_CASE("schedules: states go between numbers and schedules; impossible ones change nothing") {
  const auto made = [](const Rate& lr) {
    Tensor p = Tensor::from(std::vector{1.0}, {1});
    p.requires_grad_();
    return optim::SGD(std::vector{p}, {.lr = lr, .momentum = 0.5});
  };
  optim::SGD number = made(0.1), cosine = made(schedules::Cosine(0.1, 10, {.per = "epoch"}));
  cosine.set_epoch(5);
  number.load_state_dict(cosine.state_dict());
  cosine.load_state_dict(made(0.2).state_dict());
  CHECK(cosine.epoch() == 5);
  auto state = cosine.state_dict();
  for (nn::NamedTensor& entry : state) {
    if (entry.name == "step") entry.tensor = Tensor::from(std::vector<std::int64_t>{3}, {});
    if (entry.name == "schedule") entry.tensor = Tensor::from(std::vector{2.0, 0.0, 0.0, 0.0}, {4});
  }
  CHECK_THROWS_AS(cosine.load_state_dict(state), ValueError);
  CHECK(cosine.step_count() == 0);
}

TEST_CASE("schedules: an epoch goes on over fits, also where the stream begins anew") {
  const Tensor x = random::normal({8, 3}), y = random::normal({8, 1});
  nn::Sequential model{nn::Linear(3, 1)};
  Trainer trainer(model, nn::MSELoss(), optim::SGD({.lr = schedules::Exponential(0.1, 0.5, "epoch")}));
  trainer.fit(x, y, {.epochs = 2, .batch_size = 4});
  trainer.fit(x, y, {.epochs = 1, .batch_size = 4, .seed = 1});
  CHECK(trainer.optimizer().epoch() == 3);
  CHECK(trainer.optimizer().lr() == doctest::Approx(0.0125));
  trainer.reset();
  CHECK(trainer.optimizer().lr() == 0.1);
}

TEST_CASE("schedules: refused") {
  CHECK_THROWS_WITH_AS(schedules::Cosine(-1, 10), "Cosine: lr must be finite and >= 0: lr is -1.0", ValueError);
  CHECK_THROWS_WITH_AS(schedules::Cosine(1, 0), "Cosine: steps must be at least 1: steps is 0", ValueError);
  CHECK_THROWS_WITH_AS(schedules::Cosine(1, 5, {.per = "batch"}), "Cosine: per must be \"step\" or \"epoch\": 'batch'",
                       ValueError);
  CHECK_THROWS_AS(schedules::MultiStep(1, {3, 2}), ValueError);
  CHECK_THROWS_AS(schedules::Chain({0.1, 0.2}, {}), ValueError);
  CHECK_THROWS_AS(schedules::Chain({0.1, schedules::Step(1, 2, {.per = "epoch"})}, {3}), ValueError);
  CHECK_THROWS_AS(schedules::Chain({0.1, schedules::ReduceOnPlateau(0.1)}, {3}, "epoch"), ValueError);
  CHECK_THROWS_AS(schedules::ReduceOnPlateau(0.1, {.mode = "least"}), ValueError);
  CHECK_THROWS_AS(schedules::ReduceOnPlateau(schedules::ReduceOnPlateau(0.1)), ValueError);
  CHECK_THROWS_AS(schedules::OneCycle(0.1, 10, {.anneal = "square"}), ValueError);
  CHECK_THROWS_WITH_AS(
      optim::make_schedule({"Cosinus", {}}),
      doctest::Contains("make_schedule: no schedule of this name is built in: Cosinus; known are Constant, Step"),
      IndexError);
  CHECK_THROWS_AS(optim::make_schedule({"Constant", {}}), ValueError);
  CHECK_THROWS_AS(optim::make_schedule({"Constant", {{"lr", 0.1}, {"stepsize", 2.0}}}), ValueError);
  const Schedule falling([](std::int64_t t) { return 1.0 - static_cast<double>(t); });
  CHECK(falling(1) == 0.0);
  CHECK_THROWS_WITH_AS(
      falling(2),
      "function: gave a learning rate that is negative or not finite: -1.0 for step 2; rates must be finite "
      "and >= 0",
      ValueError);
}
