// Callbacks: when they are called, what they may change, and how they end a fit.
#include <doctest/doctest.h>

#include <cmath>

#include "chainrule/chainrule.hpp"

using namespace chainrule;

namespace {

struct Task {
  Tensor x = random::normal({50, 4}, 1, 0), y = random::normal({50, 1}, 2, 0);
};

Trainer trainer_of(const nn::Module& model, double lr = 0.01) {
  return {model, nn::MSELoss(), optim::SGD({.lr = lr, .momentum = 0.9})};
}

struct Recorder : Callback {
  std::vector<std::string> calls;
  std::int64_t batches = 0;
  void on_fit_begin(FitState&) override { calls.push_back("begin"); }
  std::int64_t every() const override { return batches; }
  void on_batch_end(FitState& fit) override {
    calls.push_back("batch " + std::to_string(fit.epoch) + "." + std::to_string(fit.batch));
  }
  void on_epoch_end(FitState& fit) override { calls.push_back("epoch " + std::to_string(fit.epoch)); }
  void on_fit_end(FitState&) override { calls.push_back("end"); }
};

struct At : Callback {
  std::int64_t batch = 0;
  std::function<void(FitState&)> act;
  std::int64_t every() const override { return batch; }
  void on_batch_end(FitState& fit) override { act(fit); }
};

std::vector<float> weights(const nn::Module& model) {
  std::vector<float> all;
  for (const Tensor& p : model.parameters())
    for (const float v : p.span<float>()) all.push_back(v);
  return all;
}

}  // namespace

TEST_CASE("calls come in order, batches counted over the epochs of a fit") {
  const Task task;
  const auto recorder = std::make_shared<Recorder>();
  recorder->batches = 3;
  Trainer trainer = trainer_of(nn::MLP({4, 8, 1}, {.seed = 0}));
  trainer.fit(task.x, task.y, {.epochs = 2, .batch_size = 10, .callbacks = {recorder}});
  CHECK(recorder->calls ==
        std::vector<std::string>{"begin", "batch 1.3", "epoch 1", "batch 2.1", "batch 2.4", "epoch 2", "end"});
}

TEST_CASE("callbacks that change nothing leave the bits as they are") {
  const Task task;
  const auto trained = [&](std::vector<std::shared_ptr<Callback>> callbacks) {
    nn::MLP model({4, 8, 1}, {.seed = 0});
    trainer_of(model).fit(task.x, task.y, {.epochs = 30, .batch_size = 7, .callbacks = std::move(callbacks)});
    return weights(model);
  };
  const auto recorder = std::make_shared<Recorder>();
  recorder->batches = 1;
  CHECK(trained({}) == trained({recorder}));
}

TEST_CASE("a learning rate set by a callback trains as one set between fits") {
  const Task task;
  nn::MLP one({4, 8, 1}, {.seed = 0}), other({4, 8, 1}, {.seed = 0});
  Trainer first = trainer_of(one), second = trainer_of(other);
  const auto lower = std::make_shared<At>();
  lower->batch = 5;
  lower->act = [](FitState& fit) { fit.trainer().optimizer().set_lr(fit.trainer().optimizer().lr() / 2); };
  first.fit(task.x, task.y, {.epochs = 3, .batch_size = 10, .callbacks = {lower}});
  for (int epoch = 0; epoch < 3; ++epoch) {
    second.fit(task.x, task.y, {.epochs = 1, .batch_size = 10});
    second.optimizer().set_lr(second.optimizer().lr() / 2);
  }
  CHECK(weights(one) == weights(other));
}

TEST_CASE("after a divergence what a callback has written stays") {
  const Task task;
  nn::Linear model(4, 1, {.seed = 0});
  Trainer trainer = trainer_of(model);
  const auto break_it = std::make_shared<At>();
  break_it->batch = 7;
  break_it->act = [&](FitState& fit) {
    model.parameters()[0].copy_(Tensor::full({4, 1}, 1e30));
    fit.trainer().optimizer().set_lr(1e30);
  };
  const History h = trainer.fit(task.x, task.y, {.epochs = 3, .batch_size = 10, .callbacks = {break_it}});
  CHECK(h.stopped.find("not finite in epoch 2, batch 3; the parameters are those before that batch") !=
        std::string::npos);
  CHECK(model.parameters()[0].span<float>()[0] == 1e30f);
  CHECK(trainer.global_step() == 7);
}

TEST_CASE("stop ends training and says why") {
  const Task task;
  const auto stop = std::make_shared<At>();
  stop->batch = 8;
  stop->act = [](FitState& fit) { fit.stop("enough"); };
  Trainer trainer = trainer_of(nn::Linear(4, 1));
  History h = trainer.fit(task.x, task.y, {.epochs = 9, .batch_size = 10, .callbacks = {stop}});
  CHECK(h.stopped == "enough (epoch 2 after batch 3)");
  CHECK(h.epochs() == 1);
  stop->batch = 10;
  h = trainer.fit(task.x, task.y, {.epochs = 9, .batch_size = 10, .callbacks = {stop}});
  CHECK(h.stopped == "enough");
  CHECK(h.epochs() == 2);
}

TEST_CASE("an exception of a callback ends fit and reaches its caller; the others hear the end") {
  const Task task;
  const auto bad = std::make_shared<At>();
  bad->batch = 2;
  bad->act = [](FitState&) { throw std::runtime_error("mine"); };
  const auto recorder = std::make_shared<Recorder>();
  nn::Linear model(4, 1);
  Trainer trainer = trainer_of(model);
  CHECK_THROWS_WITH(trainer.fit(task.x, task.y, {.epochs = 2, .batch_size = 10, .callbacks = {bad, recorder}}), "mine");
  CHECK(recorder->calls == std::vector<std::string>{"begin", "end"});
  CHECK(trainer.global_step() == 2);
  CHECK_NOTHROW(trainer.fit(task.x, task.y, {.batch_size = 10}));
}

TEST_CASE("a fit within a fit is refused") {
  const Task task;
  Trainer trainer = trainer_of(nn::Linear(4, 1));
  const auto again = std::make_shared<At>();
  again->batch = 1;
  again->act = [&](FitState& fit) { fit.trainer().fit(task.x, task.y); };
  CHECK_THROWS_WITH_AS(trainer.fit(task.x, task.y, {.callbacks = {again}}),
                       "fit: this Trainer is in the middle of a fit; call it after the fit, not from a callback",
                       StateError);
}

TEST_CASE("logged values are columns, NaN where there is none") {
  const Task task;
  struct Log : Callback {
    void on_epoch_end(FitState& fit) override {
      if (fit.epoch == 2) fit.log("mine", 5);
      if (fit.epoch == 2) CHECK(fit.value("mine") == 5);
    }
  };
  Trainer trainer = trainer_of(nn::Linear(4, 1));
  const History h = trainer.fit(task.x, task.y, {.epochs = 3, .callbacks = {std::make_shared<Log>()}});
  CHECK(std::isnan(h["mine"][0]));
  CHECK(h["mine"][1] == 5);
  CHECK(std::isnan(h["mine"][2]));
  const auto own = std::make_shared<At>();
  own->batch = 1;
  own->act = [](FitState& fit) { fit.log("loss", 1); };
  CHECK_THROWS_WITH_AS(trainer.fit(task.x, task.y, {.callbacks = {own}}),
                       "log: the column is fit's own: loss; take another name", ValueError);
}

TEST_CASE("early stopping ends at the patience and brings back the best weights") {
  const Task task;
  nn::MLP model({4, 32, 1}, {.seed = 0});
  Trainer trainer(model, nn::MSELoss(), optim::Adam({.lr = 0.03}));
  const auto stop = std::make_shared<callbacks::EarlyStopping>(callbacks::EarlyStoppingOptions{.patience = 4});
  const ValidationData held_out{random::normal({20, 4}, 5, 0), random::normal({20, 1}, 6, 0)};
  const History h =
      trainer.fit(task.x, task.y, {.epochs = 200, .batch_size = 10, .validation_data = held_out, .callbacks = {stop}});
  const auto& losses = h["val_loss"];
  const auto best = std::min_element(losses.begin(), losses.end());
  CHECK(h.epochs() < 200);
  CHECK(losses.end() - best == 5);
  CHECK(stop->best_epoch() == best - losses.begin() + 1);
  CHECK(trainer.evaluate(held_out.x, held_out.y).at("loss") == *best);
  CHECK(h.stopped.starts_with("val_loss has not improved for 4 epochs; it was best in epoch "));
}

TEST_CASE("early stopping: bad settings, and columns that are not there") {
  using callbacks::EarlyStopping;
  CHECK_THROWS_WITH_AS(EarlyStopping({.patience = -1}), "EarlyStopping: patience must be 0 or more: -1", ValueError);
  CHECK_THROWS_WITH_AS(EarlyStopping({.mode = "up"}),
                       "EarlyStopping: unknown mode: \"up\"; use \"auto\", \"min\" or \"max\"", ValueError);
  CHECK_THROWS_WITH_AS(EarlyStopping({.monitor = "mine"}),
                       "EarlyStopping: whether greater is better cannot be told from the name: monitor=\"mine\"; write "
                       "mode=\"min\" or mode=\"max\"",
                       ValueError);
  CHECK_THROWS_WITH_AS(callbacks::Checkpoint({.folder = "kept", .monitor = "mine"}),
                       "Checkpoint: whether greater is better cannot be told from the name: monitor=\"mine\"; write "
                       "mode=\"min\" or mode=\"max\"",
                       ValueError);
  const Task task;
  Trainer trainer = trainer_of(nn::Linear(4, 1));
  CHECK_THROWS_WITH_AS(trainer.fit(task.x, task.y, {.callbacks = {std::make_shared<EarlyStopping>()}}),
                       "EarlyStopping: watches a value that no epoch gives: monitor=\"val_loss\", there are loss; give "
                       "validation_data or "
                       "validation_split",
                       ValueError);
  CHECK(trainer.global_step() == 0);
}
