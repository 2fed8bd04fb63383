// Trainer: the same bits as by hand and for any thread count; failures that lose nothing; weights; metrics.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "chainrule/config.hpp"
#include "chainrule/data.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "chainrule/trainer.hpp"
#include "graph/tensor_data.hpp"
#include "train/parameter_arena.hpp"

using namespace chainrule;

namespace {

nn::Sequential network(std::uint64_t seed) {
  nn::Sequential model{nn::Linear(10, 48), nn::ReLU(), nn::Dropout(0.2), nn::BatchNorm1d(48), nn::Linear(48, 3)};
  model.init(seed);
  return model;
}
struct Task {
  Tensor x = random::normal({150, 10}, 5, 0);
  Tensor y;
  Task() {
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < 150; ++i) {
      const float* row = x.data<float>() + i * 10;
      labels.push_back(row[0] + row[1] > 0.5f ? 2 : row[2] > 0 ? 1 : 0);
    }
    y = Tensor::from(labels, {150});
  }
};
bool same_parameters(const nn::Module& a, const nn::Module& b) {
  const auto p = a.parameters(), q = b.parameters();
  for (std::size_t i = 0; i < p.size(); ++i)
    if (std::memcmp(p[i].raw_data(), q[i].raw_data(), static_cast<std::size_t>(p[i].size()) * size_of(p[i].dtype())) !=
        0)
      return false;
  return p.size() == q.size();
}

}  // namespace

TEST_CASE("the loop by hand gives the Trainer's bits, and threads change nothing") {
  const Task task;
  nn::Sequential reference = network(3);
  Trainer(reference, nn::CrossEntropyLoss(), optim::AdamW({.lr = 5e-3}))
      .fit(task.x, task.y, {.epochs = 3, .batch_size = 32});

  nn::Sequential by_hand = network(3);
  optim::AdamW opt(by_hand.parameters(), {.lr = 5e-3});
  auto batches = data::batches(task.x, task.y, {.batch_size = 32});
  for (int epoch = 0; epoch < 3; ++epoch)
    for (auto [xb, yb] : batches) {
      opt.zero_grad();
      Tensor loss = nn::CrossEntropyLoss()(by_hand(xb), yb);
      loss.backward();
      opt.step();
    }
  CHECK(same_parameters(reference, by_hand));

  const int before = num_threads();
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    nn::Sequential model = network(3);
    Trainer(model, nn::CrossEntropyLoss(), optim::AdamW({.lr = 5e-3}))
        .fit(task.x, task.y, {.epochs = 3, .batch_size = 32});
    CHECK(same_parameters(reference, model));
  }
  set_num_threads(before);
}

TEST_CASE("large enough for a team: still the same bits") {
  const Tensor x = random::normal({512, 200}, 1, 0), y = random::normal({512, 1}, 2, 0);
  const auto train = [&] {
    nn::MLP model({200, 256, 256, 1}, {.seed = 1});
    Trainer(model, nn::MSELoss(), optim::Adam({.lr = 1e-3})).fit(x, y, {.epochs = 2, .batch_size = 128});
    return model;
  };
  const int before = num_threads();
  set_num_threads(1);
  const nn::Module one = train();
  set_num_threads(2);
  const nn::Module two = train();
  set_num_threads(3);
  const nn::Module three = train();
  set_num_threads(before);
  CHECK(same_parameters(one, two));
  CHECK(same_parameters(one, three));
}

TEST_CASE("a second fit goes on; init and reset start again") {
  const Task task;
  nn::Sequential a = network(1), b = network(1);
  Trainer ta(a, nn::CrossEntropyLoss(), optim::SGD({.lr = 0.1, .momentum = 0.9})),
      tb(b, nn::CrossEntropyLoss(), optim::SGD({.lr = 0.1, .momentum = 0.9}));
  const History whole = ta.fit(task.x, task.y, {.epochs = 4, .batch_size = 16});
  tb.fit(task.x, task.y, {.epochs = 2, .batch_size = 16});
  const History rest = tb.fit(task.x, task.y, {.epochs = 2, .batch_size = 16});
  CHECK(same_parameters(a, b));
  CHECK(rest["loss"][1] == whole["loss"][3]);
  b.init(1);
  tb.reset();
  CHECK(tb.fit(task.x, task.y, {.epochs = 4, .batch_size = 16})["loss"] == whole["loss"]);
}

TEST_CASE("data that is not finite is an error, and nothing is lost") {
  Task task;
  nn::Sequential model = network(1), untouched = network(1);
  Trainer trainer(model, nn::CrossEntropyLoss(), optim::Adam());
  Tensor bad = task.x.detach() + 0.0;
  reinterpret_cast<float*>(bytes_of(bad))[700] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH_AS(
      trainer.fit(bad, task.y, {.epochs = 1, .batch_size = 150, .shuffle = false}),
      "fit: the data holds inf or NaN: X has nan in row 70, column 0; clean it first: nothing was trained", ValueError);
  CHECK_THROWS_AS(trainer.fit(bad, task.y, {.epochs = 1, .batch_size = 16, .shuffle = false}), ValueError);
  CHECK(same_parameters(model, untouched));
  for (std::size_t i = 0; i < model.named_buffers().size(); ++i)
    CHECK(std::memcmp(model.named_buffers()[i].tensor.raw_data(), untouched.named_buffers()[i].tensor.raw_data(), 8) ==
          0);
  CHECK(std::isfinite(trainer.fit(task.x, task.y)["loss"][0]));
}

TEST_CASE("a Trainer goes on from its state_dict, bit by bit") {
  const Task task;
  nn::Sequential a = network(1), b = network(1);
  Trainer ta(a, nn::CrossEntropyLoss(), optim::Adam()), tb(b, nn::CrossEntropyLoss(), optim::Adam(), {.seed = 9});
  ta.fit(task.x, task.y, {.epochs = 2, .batch_size = 16});
  b.load_state_dict(a.state_dict());
  tb.load_state_dict(ta.state_dict());
  CHECK(ta.fit(task.x, task.y, {.epochs = 2, .batch_size = 16})["loss"] ==
        tb.fit(task.x, task.y, {.epochs = 2, .batch_size = 16})["loss"]);
  CHECK(same_parameters(a, b));
  auto state = ta.state_dict();
  state.back().name = "epoch";
  CHECK_THROWS_WITH_AS(tb.load_state_dict(state),
                       "load_state_dict: the state is not a Trainer's: epoch is unknown; give what "
                       "trainer.state_dict() returned",
                       ValueError);
}

TEST_CASE("memory of the caller is never written") {
  std::vector<float> mine = {1, 2, 3, 4};
  Tensor view = Tensor::view(mine.data(), {4});
  const char* text =
      "copy_: the tensor shares memory of the caller, which is never written: shape is (4,); make a copy first";
  CHECK_THROWS_WITH_AS(view.copy_(Tensor::zeros({4})), text, StateError);
  CHECK_THROWS_AS(view.reshape({2, 2}).copy_(Tensor::zeros({2, 2})), StateError);
  CHECK_THROWS_AS(view.detach().copy_(Tensor::zeros({4})), StateError);
  CHECK_THROWS_AS(nn::init::constant_(view, 0.0), StateError);
  CHECK(mine == std::vector<float>{1, 2, 3, 4});
}

TEST_CASE("a run that diverges stops with the last good parameters") {
  const Tensor x = random::normal({64, 4}, 1, 0) * 100.0, y = random::normal({64, 1}, 2, 0) * 100.0;
  nn::MLP model({4, 16, 1}, {.seed = 0});
  Trainer trainer(model, nn::MSELoss(), optim::SGD({.lr = 1e6}));
  const History history = trainer.fit(x, y, {.epochs = 50, .batch_size = 64});
  CHECK(history.stopped.find("not finite in epoch") != std::string::npos);
  CHECK(std::isfinite(trainer.evaluate(x, y).at("loss")));
  for (const Tensor& p : model.parameters())
    for (const float v : p.span<float>()) CHECK(std::isfinite(v));
}

TEST_CASE("a stop asked for between slices leaves a usable model") {
  const Task task;
  nn::Sequential model = network(1);
  Trainer trainer(model, nn::CrossEntropyLoss(), optim::Adam());
  int calls = 0;
  const History h = trainer.fit(
      task.x, task.y, {.epochs = 1000, .batch_size = 16, .on_progress = [&](const FitState&) { return ++calls < 3; }});
  CHECK(h.stopped.starts_with("interrupted"));
  CHECK(h.epochs() < 1000);
  CHECK(model.predict(task.x).shape() == Shape{150, 3});
}

TEST_CASE("weights act as repetition, and epoch losses average over samples") {
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3}, {3, 1}),
               y = Tensor::from(std::vector<float>{2, 1, 5}, {3, 1});
  const Tensor x2 = Tensor::from(std::vector<float>{1, 2, 2, 3}, {4, 1}),
               y2 = Tensor::from(std::vector<float>{2, 1, 1, 5}, {4, 1});
  const auto train = [](const Tensor& a, const Tensor& b, const Tensor& w) {
    nn::Linear model(1, 1, {.seed = 4});
    Trainer trainer(model, nn::MSELoss(), optim::SGD({.lr = 0.05}));
    return trainer.fit(a, b, {.epochs = 3, .batch_size = 8, .shuffle = false, .sample_weight = w})["loss"];
  };
  const auto weighted = train(x, y, Tensor::from(std::vector<float>{1, 2, 1}, {3})), repeated = train(x2, y2, {});
  for (std::size_t i = 0; i < 3; ++i) CHECK(weighted[i] == doctest::Approx(repeated[i]).epsilon(1e-5));

  nn::Linear model(1, 1, {.seed = 4});
  Trainer trainer(model, nn::MSELoss(), optim::SGD({.lr = 1e-9}));
  const double by_batches = trainer.fit(x, y, {.epochs = 1, .batch_size = 2, .shuffle = false})["loss"][0];
  CHECK(by_batches == doctest::Approx(trainer.evaluate(x, y).at("loss")).epsilon(1e-5));
}

TEST_CASE("metrics and what they refuse") {
  const Tensor t = Tensor::from(std::vector<double>{1, 2, 3, 4}, {4}),
               p = Tensor::from(std::vector<double>{1, 2, 3, 2}, {4, 1});
  CHECK(compute_metric("mae", p, t, "identity") == 0.5);
  CHECK(compute_metric("rmse", p, t, "identity") == 1.0);
  CHECK(compute_metric("r2", p, t, "identity") == doctest::Approx(1 - 4.0 / 5));
  const Tensor logits = Tensor::from(std::vector<float>{0, 1, 3, 2}, {2, 2});
  CHECK(compute_metric("accuracy", logits, Tensor::from(std::vector<std::int64_t>{1, 1}, {2}), "softmax") == 0.5);
  CHECK_THROWS_WITH_AS(
      Metric("auc"),
      "metric: no metric of this name: 'auc'; did you mean roc_auc? There are accuracy, balanced_accuracy, precision, "
      "recall, f1, roc_auc, average_precision, log_loss, mae, mse, rmse, r2, top_5_accuracy (any number), or a "
      "function of "
      "(output, target)",
      IndexError);
  CHECK_THROWS_AS(compute_metric("mae", p, Tensor::ones({3}), "identity"), ShapeError);
}

TEST_CASE("parameters share one block") {
  const nn::MLP model({10, 20, 3}, {.seed = 0});
  adopt_parameters(model.parameters());
  CHECK(memory_ranges(model.parameters()).size() == 1);
  for (const Tensor& p : model.parameters()) CHECK(reinterpret_cast<std::uintptr_t>(p.raw_data()) % 64 == 0);
}

TEST_CASE("fit refuses what does not fit") {
  const Task task;
  nn::Sequential model = network(1);
  Trainer trainer(model, nn::CrossEntropyLoss(), optim::Adam());
  CHECK_THROWS_WITH_AS(trainer.fit(task.x, Tensor::ones({3}, DType::int64)),
                       "fit: numbers of samples differ: y is (3,), the first input has 150 rows", ShapeError);
  CHECK_THROWS_WITH_AS(trainer.fit(Tensor::ones({0, 10}), Tensor::ones({0}, DType::int64)),
                       "fit: there are no samples: x is (0, 10); check for empty data", ShapeError);
  CHECK_THROWS_AS(trainer.fit(task.x, task.y, {.batch_size = 0}), ValueError);
  CHECK_THROWS_AS(trainer.fit(task.x, task.y, {.validation_split = 1.0}), ValueError);
  CHECK_THROWS_AS(trainer.fit(Tensor::ones({150, 9}), task.y), ShapeError);
  CHECK_THROWS_AS(Trainer(nn::ReLU(), nn::MSELoss(), optim::Adam()), ValueError);
}

namespace {
// A parameter that reaches the output only through an op on it alone.
struct Scaled final : nn::Layer {
  Scaled() { add_parameter("log_scale", Tensor::zeros({3})); }
  Tensor forward(const Tensor& x) override { return x * exp(own_parameters()[0].tensor); }
  std::string kind() const override { return "Scaled"; }
};
}  // namespace

TEST_CASE("an op on a parameter alone is traced, not frozen") {
  const nn::Module model = nn::make_module<Scaled>();
  const Tensor x = Tensor::ones({8, 3}), y = x * 2.0;
  Trainer(model, nn::MSELoss(), optim::SGD({.lr = 0.1})).fit(x, y, {.epochs = 40, .batch_size = 8});
  for (const float v : model.parameters()[0].span<float>()) CHECK(v == doctest::Approx(std::log(2.0)).epsilon(0.05));
}

TEST_CASE("what would train nothing, or on nonsense, is refused") {
  const Tensor x = random::normal({20, 4}, 1, 0), flat = random::normal({20}, 2, 0);
  const nn::Linear model(4, 1, {.seed = 0}), other(4, 1, {.seed = 0});
  Trainer elsewhere(model, nn::MSELoss(), optim::Adam(other.parameters()));
  CHECK_THROWS_WITH_AS(elsewhere.fit(x, flat),
                       "Trainer: the loss reaches no parameter the optimizer may move: 2 parameters in Adam(lr=0.001); "
                       "give the optimizer this "
                       "model's parameters, unfreeze one, or compute the loss from the model's output",
                       StateError);

  // (N,) beside (N, 1) in a loss of one's own is matched, never broadcast to N x N.
  const auto squared = [](const Tensor& output, const Tensor& target) { return square(output - target); };
  nn::Linear a(4, 1, {.seed = 3}), b(4, 1, {.seed = 3});
  const double own = Trainer(a, Loss(squared), optim::SGD({.lr = 0.1})).fit(x, flat, {.epochs = 5})["loss"][4];
  CHECK(own ==
        doctest::Approx(Trainer(b, nn::MSELoss(), optim::SGD({.lr = 0.1})).fit(x, flat, {.epochs = 5})["loss"][4])
            .epsilon(1e-6));

  Trainer binary(model, nn::BCEWithLogitsLoss(), optim::Adam());
  CHECK_THROWS_WITH_AS(binary.fit(x, Tensor::full({20}, 2.0)),
                       "BCEWithLogitsLoss: a target is not between 0 and 1: 2.0 at position 0; use 0 and 1, or "
                       "CrossEntropyLoss for more classes",
                       ValueError);
  Trainer plain(model, nn::MSELoss(), optim::Adam());
  CHECK_THROWS_AS(plain.fit(x, flat, {.sample_weight = Tensor::full({20}, -1.0)}), ValueError);

  const nn::Linear classes(4, 3, {.seed = 0});
  Trainer labels(classes, nn::CrossEntropyLoss(), optim::Adam());
  CHECK_THROWS_WITH_AS(
      labels.fit(x, Tensor::full({20}, 7, DType::int64)),
      "CrossEntropyLoss: a label is outside the classes: label 7 at position 0, 3 classes; labels must "
      "be 0 ... 2; or give the last layer more outputs",
      IndexError);
}
