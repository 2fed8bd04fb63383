// Counts allocations: a step of a compiled program makes none after the first, an eager op three.
#include <doctest/doctest.h>

#include "allocations.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "chainrule/trainer.hpp"
#include "core/storage.hpp"
#include "workloads.hpp"

using namespace chainrule;

namespace {
Tensor labels(std::int64_t n, std::int64_t classes) {
  std::vector<std::int64_t> y(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) y[static_cast<std::size_t>(i)] = i % classes;
  return Tensor::from(y, {n});
}
}  // namespace

TEST_CASE("a recorded op on small tensors allocates its tensor, its storage and its record, and no more") {
  Tensor a = random::normal({8, 8}, 1, 0), b = random::normal({8, 8}, 2, 0);
  a.requires_grad_();
  b.requires_grad_();
  const auto counted = [](const auto& f) {
    f();  // blocks of memory of that size are kept from here on
    const std::uint64_t before = allocations();
    for (int i = 0; i < 100; ++i) f();
    return allocations() - before;
  };
  CHECK(counted([&] { add(a, b); }) == 300);
  CHECK(counted([&] { multiply(a, b); }) == 300);
  CHECK(counted([&] { matmul(a, b); }) == 300);
  CHECK(counted([&] { tanh(a); }) == 300);
  CHECK(counted([&] { sum(a); }) <= 400);  // the axes are attributes
  const NoGrad nothing;
  CHECK(counted([&] { add(a, b); }) == 200);
}

namespace {

std::uint64_t of_epoch(Trainer& trainer, const Tensor& x, const Tensor& y, std::int64_t batch) {
  const std::uint64_t before = allocations();
  trainer.fit(x, y, {.epochs = 1, .batch_size = batch});
  return allocations() - before;
}

void check_steps(Trainer& trainer, std::int64_t batch, std::int64_t width, std::int64_t classes) {
  const Tensor x = random::normal({batch, width}, 1, 0), y = labels(batch, classes);
  for (int i = 0; i < 2; ++i) trainer.step(x, y);
  const std::uint64_t before = allocations();
  for (int i = 0; i < 5; ++i) trainer.step(x, y);
  CHECK(allocations() - before == 0);

  // fit: a fixed number per epoch for its own lists, however many steps it has.
  const Tensor few = random::normal({batch * 5, width}, 2, 0), few_y = labels(batch * 5, classes);
  const Tensor many = random::normal({batch * 20, width}, 2, 0), many_y = labels(batch * 20, classes);
  of_epoch(trainer, few, few_y, batch);
  const std::uint64_t epoch_of_5 = of_epoch(trainer, few, few_y, batch);
  CHECK(of_epoch(trainer, many, many_y, batch) == epoch_of_5);
}

}  // namespace

TEST_CASE("a training step allocates nothing after the first, by step and by fit") {
  const int threads = num_threads();
  for (const int team : {1, 2}) {
    set_num_threads(team);
    CAPTURE(team);
    nn::Sequential model{nn::Linear(20, 64, {.seed = 1}), nn::ReLU(), nn::Dropout(0.2), nn::Linear(64, 5, {.seed = 2})};
    Trainer clipped(model, nn::CrossEntropyLoss(), optim::AdamW({.lr = 1e-3}), {.clip_norm = 1.0});
    check_steps(clipped, 32, 20, 5);
    Trainer grouped(
        model, nn::CrossEntropyLoss(),
        optim::AdamW({.lr = 1e-3}, {.groups = {{{"*.bias"}, {{"lr_scale", 0.5}}}}, .decay_bias_and_norm = false}),
        {.clip_value = 1.0});
    check_steps(grouped, 32, 20, 5);
    Trainer collecting(model, nn::CrossEntropyLoss(), optim::AdamW({.lr = 1e-3}), {.accumulate = 2});
    check_steps(collecting, 32, 20, 5);
    for (const Workload& w : workloads()) {
      if (w.name == "wide") continue;  // seconds a step; no code of its own
      CAPTURE(w.name);
      Trainer trainer(w.model(), nn::CrossEntropyLoss(), w.optimizer());
      check_steps(trainer, w.batch, w.sizes.front(), w.sizes.back());
    }
  }
  set_num_threads(threads);
}

TEST_CASE("fit copies what it may go back to where a second batch comes, and into the same memory each time") {
  const nn::Sequential model{nn::Linear(20, 64, {.seed = 1}), nn::ReLU(), nn::Linear(64, 5, {.seed = 2})};
  Trainer trainer(model, nn::CrossEntropyLoss(), optim::Adam());
  const Tensor x = random::normal({64, 20}, 1, 0), y = labels(64, 5);
  const auto blocks = [&](std::int64_t batch, std::int64_t epochs) {
    const std::uint64_t before = aligned_allocations();
    trainer.fit(x, y, {.epochs = epochs, .batch_size = batch});
    return aligned_allocations() - before;
  };
  blocks(64, 1);
  CHECK(blocks(64, 1) == 0);  // a batch that fails changes nothing
  CHECK(blocks(64, 2) == 1);
  CHECK(blocks(64, 2) == 0);
  blocks(32, 1);
  CHECK(blocks(32, 1) == 0);
}
