// Sources in C++: windows give the bits of tensors, threads end with the fit, errors arrive.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <stdexcept>
#include <thread>

#include "chainrule/chainrule.hpp"
#include "train/window_reader.hpp"

using namespace chainrule;

namespace {

Tensor ramp(std::int64_t rows, std::int64_t columns) {
  std::vector<float> values(static_cast<std::size_t>(rows * columns));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * 37 % 101) / 101.0f;
  return Tensor::from(values, {rows, columns});
}

std::vector<float> weights(const Trainer& trainer) {
  std::vector<float> all;
  for (const Tensor& p : trainer.model().parameters())
    all.insert(all.end(), p.span<float>().begin(), p.span<float>().end());
  return all;
}

Trainer new_trainer() {
  const nn::MLP model({3, 4, 1}, {.seed = 1});
  return Trainer(model, nn::MSELoss(), optim::SGD({.lr = 0.1}), {.seed = 5});
}

data::GeneratorSource::Next pieces(const Tensor& x, const Tensor& y, std::int64_t size) {
  return [x, y, size, at = std::int64_t{0}](data::SourceRows& piece) mutable {
    if (at >= x.shape(0)) return false;
    std::vector<std::int64_t> rows;
    for (; rows.size() < static_cast<std::size_t>(size) && at < x.shape(0); ++at) rows.push_back(at);
    piece = {{data::take_rows(x, rows)}, data::take_rows(y, rows)};
    return true;
  };
}

class Failing : public data::Source {
 public:
  std::int64_t rows() override { return 100; }
  data::SourceRows read(std::int64_t first, std::int64_t count) override {
    if (first > 0) throw std::runtime_error("gone");
    return {{ramp(count, 3)}, ramp(count, 1)};
  }
  std::int64_t window_rows() const override { return 40; }
  std::string str() const override { return "Failing"; }
};

}  // namespace

TEST_CASE("sources: one window, and windows in order, give the bits of tensors") {
  const Tensor x = ramp(50, 3), y = ramp(50, 1);
  for (const bool shuffle : {true, false})
    for (const std::int64_t window : {0, 50, 20}) {
      if (shuffle && window == 20) continue;
      Trainer expected = new_trainer();
      const FitOptions options{.epochs = 3, .batch_size = 10, .shuffle = shuffle};
      expected.fit(x, y, options);
      Trainer arrays = new_trainer(), made = new_trainer();
      arrays.fit(std::make_shared<data::ArraySource>(data::SourceRows{{x}, y}, data::SourceOptions{window}), options);
      CHECK(weights(arrays) == weights(expected));
      const auto source = std::make_shared<data::GeneratorSource>([&] { return pieces(x, y, 7); },
                                                                  data::GeneratorSourceOptions{0, window});
      made.fit(source, options);
      CHECK(weights(made) == weights(expected));
      CHECK(made.evaluate(source) == expected.evaluate(x, y, window == 0 ? 1024 : window));
    }
}

TEST_CASE("sources: errors of the reading thread arrive in fit") {
  Trainer trainer = new_trainer();
  CHECK_THROWS_WITH_AS(trainer.fit(std::make_shared<Failing>(), {.batch_size = 10, .shuffle = false}), "gone",
                       std::runtime_error);
  CHECK(trainer.global_step() == 4);
}

TEST_CASE("sources: a read that hangs is left behind") {
  struct Gate {
    std::promise<void> open;
    std::shared_future<void> opened{open.get_future()};
  };
  struct Hanging : Failing {
    std::shared_future<void> opened;
    std::atomic<bool> hangs = false;
    data::SourceRows read(std::int64_t first, std::int64_t count) override {
      hangs = first > 0;
      if (hangs) opened.wait();
      return {{ramp(count, 3)}, ramp(count, 1)};
    }
  };
  Gate gate;
  const auto source = std::make_shared<Hanging>();
  source->opened = gate.opened;
  Trainer trainer = new_trainer();
  FitOptions options{.batch_size = 10, .shuffle = false};
  options.on_wait = [&] { return !source->hangs; };
  CHECK(trainer.fit(source, options).stopped == "interrupted in epoch 1 after batch 4");
  CHECK(trainer.global_step() == 4);
  CHECK_THROWS_WITH_AS(trainer.evaluate(source, 10, options.on_wait), "evaluate: stopped while it waited for Failing",
                       StateError);
  gate.open.set_value();
  options.on_wait = {};
  trainer.fit(source, options);
  CHECK(trainer.global_step() == 14);
}

TEST_CASE("sources: a fit that is stopped waits for its read where no on_wait was given") {
  struct Slow : Failing {
    std::atomic<bool> inside = false;
    data::SourceRows read(std::int64_t first, std::int64_t count) override {
      if (first > 0) {
        inside = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(300));
        inside = false;
      }
      return {{ramp(count, 3)}, ramp(count, 1)};
    }
  };
  for (const bool asks : {false, true}) {
    const auto source = std::make_shared<Slow>();
    FitOptions options{.epochs = 3, .batch_size = 40, .shuffle = false};
    options.on_progress = [&](const FitState&) { return !source->inside; };
    if (asks) options.on_wait = [&] { return !source->inside; };
    new_trainer().fit(source, options);
    CHECK(source->inside == asks);
    CHECK(data::count_rows(source, {}) == 100);
    CHECK(data::read_rows(source, 10, 20, [] { return true; }).y.shape(0) == 20);  // after the one left behind
    CHECK_FALSE(source->inside);
    CHECK_THROWS_WITH_AS(data::read_rows(source, 10, 20, [] { return false; }),
                         "read: stopped while it waited for Failing", StateError);
  }
}

TEST_CASE("windows: whole batches, the shorter one last, keyed by seed and epoch") {
  const auto source =
      std::make_shared<data::ArraySource>(data::SourceRows{{ramp(103, 3)}, ramp(103, 1)}, data::SourceOptions{25});
  const WindowReader windows("test", source, 10);
  CHECK(windows.window_rows() == 20);
  CHECK(windows.windows() == 6);
  CHECK(windows.rows_in(5) == 3);
  bool differs = false;
  for (std::uint64_t epoch = 0; epoch < 8; ++epoch) {
    const std::vector<std::int64_t> order = windows.order(1, epoch, true);
    CHECK(order == windows.order(1, epoch, true));
    CHECK(order.back() == 5);
    differs = differs || order != windows.order(1, 0, true);
  }
  CHECK(differs);
}
