// Checkpoints from C++: a fit goes on to the same bits, and what is no checkpoint of it is refused.
#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "chainrule/chainrule.hpp"

using namespace chainrule;

namespace {

namespace fs = std::filesystem;

struct Folder {
  fs::path path = fs::temp_directory_path() / ("chainrule-" + std::to_string(std::random_device{}()));
  ~Folder() { fs::remove_all(path); }
  std::string operator/(const std::string& name) const { return (path / name).string(); }
};

struct Task {
  Tensor x = random::normal({53, 4}, 1, 0), y = random::normal({53, 1}, 2, 0);
};

nn::Sequential model_of() {
  nn::Sequential model{nn::Standardizer(4), nn::Linear(4, 8), nn::Tanh(), nn::Dropout(0.2), nn::Linear(8, 1)};
  model.init(0);
  return model;
}

Trainer trainer_of(const nn::Module& model) {
  return {model,
          nn::MSELoss(),
          optim::Adam({.lr = schedules::ReduceOnPlateau(0.05, {.monitor = "loss", .patience = 0})}),
          {.metrics = {"mae"}}};
}

std::vector<unsigned char> bits(const Trainer& trainer) {
  std::vector<unsigned char> all;
  const auto add = [&](const std::vector<nn::NamedTensor>& state) {
    for (const auto& [name, tensor] : state) {
      const auto* from = static_cast<const unsigned char*>(tensor.raw_data());
      all.insert(all.end(), from, from + static_cast<std::size_t>(tensor.size()) * size_of(tensor.dtype()));
    }
  };
  add(trainer.model().state_dict());
  add(trainer.state_dict());
  for (const auto& [name, values] : trainer.history().columns())
    for (const double v : values) add({{name, Tensor::scalar(v, DType::float64)}});
  return all;
}

struct Interrupt : Callback {
  std::int64_t batch = 0;
  std::int64_t every() const override { return batch; }
  void on_batch_end(FitState&) override { throw std::runtime_error("interrupted"); }
};

FitOptions options_of(const std::string& folder, std::int64_t epochs) {
  FitOptions options;
  options.epochs = epochs;
  options.batch_size = 10;
  options.validation_split = 0.1;
  options.callbacks = {std::make_shared<callbacks::EarlyStopping>(callbacks::EarlyStoppingOptions{.patience = 50}),
                       std::make_shared<callbacks::Checkpoint>(
                           callbacks::CheckpointOptions{.folder = folder, .every_batches = 3, .keep_last = 2})};
  return options;
}

}  // namespace

TEST_CASE("an interrupted fit goes on to the bits of a whole one") {
  const Task task;
  const Folder folder;
  Trainer whole = trainer_of(model_of()), cut = trainer_of(model_of()), rest = trainer_of(model_of());
  whole.fit(task.x, task.y, options_of(folder / "whole", 8));
  FitOptions options = options_of(folder / "cut", 8);
  const auto interrupt = std::make_shared<Interrupt>();
  interrupt->batch = 23;
  options.callbacks.push_back(interrupt);
  CHECK_THROWS_AS(cut.fit(task.x, task.y, options), std::runtime_error);
  options = options_of(folder / "cut", 8);
  options.resume_from = "auto";
  rest.fit(task.x, task.y, options);
  CHECK(bits(rest) == bits(whole));
  CHECK(rest.history().epochs() == 8);
  CHECK(fs::exists(folder / "cut/checkpoint-00008-0000000.safetensors"));
  const Model best = load(folder / "cut/best.safetensors");
  CHECK(best.predict(task.x).shape() == Shape{53, 1});
}

TEST_CASE("a fit that is over is resumed at its end, and with more epochs goes on") {
  const Task task;
  const Folder folder;
  Trainer whole = trainer_of(model_of()), other = trainer_of(model_of()), longer = trainer_of(model_of());
  whole.fit(task.x, task.y, options_of(folder / "a", 3));
  FitOptions options = options_of(folder / "a", 3);
  options.resume_from = folder / "a";
  other.fit(task.x, task.y, options);
  CHECK(bits(other) == bits(whole));
  options = options_of(folder / "a", 5);
  options.resume_from = folder / "a";
  CHECK(longer.fit(task.x, task.y, options).epochs() == 5);
  whole = trainer_of(model_of());
  whole.fit(task.x, task.y, options_of(folder / "b", 5));
  CHECK(bits(longer) == bits(whole));
}

TEST_CASE("broken and foreign checkpoints are told and change nothing") {
  const Task task;
  const Folder folder;
  Trainer trainer = trainer_of(model_of());
  trainer.fit(task.x, task.y, options_of(folder / "a", 3));
  FitOptions options = options_of(folder / "a", 3);
  options.resume_from = "auto";
  options.batch_size = 9;
  Trainer other = trainer_of(model_of());
  const auto before = bits(other);
  CHECK_THROWS_WITH_AS(other.fit(task.x, task.y, options),
                       doctest::Contains("batch_size is 9 here, 10 in the checkpoint"), ValueError);
  CHECK(bits(other) == before);
  options.batch_size = 10;
  options.resume_from.clear();
  CHECK_THROWS_WITH_AS(other.fit(task.x, task.y, options), doctest::Contains("holds checkpoints of another fit"),
                       StateError);
  CHECK(bits(other) == before);

  std::ofstream(folder / "a/checkpoint-00003-0000000.safetensors") << "half";
  options.resume_from = "auto";
  std::string told;
  options.on_warning = [&](const std::string& text) { told += text; };
  other.fit(task.x, task.y, options);
  CHECK(told.find("went back to") != std::string::npos);
  CHECK(bits(other) == bits(trainer));
}

TEST_CASE("the statistics of a fitted layer are put back where the checkpoint is refused") {
  const Task task;
  const Folder folder;
  Trainer trainer = trainer_of(model_of());
  trainer.fit(task.x, task.y, options_of(folder / "a", 2));
  Trainer other = trainer_of(model_of());
  FitOptions options = options_of(folder / "a", 2);
  options.resume_from = "auto";
  options.shuffle = false;
  const auto before = bits(other);
  CHECK_THROWS_AS(other.fit(task.x, task.y, options), ValueError);
  CHECK(bits(other) == before);
}

namespace {

// Has a state from its second epoch on, and none when it is made.
struct Tracker : Callback {
  std::int64_t epochs = 0, taken = -1;
  void on_epoch_end(FitState&) override { ++epochs; }
  std::vector<nn::NamedTensor> state_dict() const override {
    ++asked;
    if (epochs < 2) return {};
    return {{"epochs", Tensor::from(std::vector{epochs}, {})}};
  }
  void load_state_dict(const std::vector<nn::NamedTensor>& state) override {
    taken = epochs = static_cast<std::int64_t>(state.at(0).tensor.item());
  }
  mutable std::int64_t asked = 0;
};

}  // namespace

TEST_CASE("callbacks of one's own have their state back, also where a fresh one has none yet") {
  const Task task;
  const Folder folder;
  const auto run = [&](std::int64_t epochs, std::vector<std::shared_ptr<Callback>> more) {
    Trainer trainer = trainer_of(model_of());
    FitOptions options = options_of(folder / "a", epochs);
    options.callbacks.insert(options.callbacks.begin(), more.begin(), more.end());
    options.resume_from = "auto";
    trainer.fit(task.x, task.y, options);
  };
  const auto one = std::make_shared<Tracker>(), other = std::make_shared<Tracker>(),
             third = std::make_shared<Tracker>();
  run(1, {one});           // nothing is kept yet, so it need not be there
  CHECK(one->asked == 2);  // once for the file within the epoch, once for that of its end
  run(3, {other});
  CHECK(other->taken == -1);
  run(4, {third});
  CHECK(third->taken == 2);
  CHECK_THROWS_WITH_AS(run(5, {}), doctest::Contains("callbacks lacks "), ValueError);
  CHECK_THROWS_WITH_AS(run(5, {}), doctest::Contains("Tracker of the checkpoint"), ValueError);
  CHECK(Tracker().str().ends_with("::Tracker"));
}
