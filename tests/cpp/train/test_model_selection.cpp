// Model selection from C++: recipes, candidates, workers. What results mean is tested in tests/test_model_selection.py.
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <filesystem>
#include <set>
#include <thread>

#include "chainrule/ensemble.hpp"
#include "chainrule/random.hpp"
#include "train/workers.hpp"

using namespace chainrule;

namespace {

struct Task {
  Tensor x = random::normal({120, 6}, 5, 0);
  Tensor y;
  Task() {
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < 120; ++i) labels.push_back(x.data<float>()[i * 6] > 0 ? 1 : 0);
    y = Tensor::from(labels, {120});
  }
};
Recipe recipe_of(std::int64_t width, double lr) {
  return {.model = [width] { return nn::MLP({6, width, 2}); },
          .loss = nn::CrossEntropyLoss(),
          .optimizer = optim::Adam({.lr = lr}),
          .trainer = {.metrics = {"accuracy"}},
          .fit = {.epochs = 4}};
}

}  // namespace

TEST_CASE("cross_validate: the same bits for any number of workers") {
  const Task task;
  const Recipe recipe = recipe_of(8, 0.02);
  const CrossValidation one = cross_validate(recipe, task.x, task.y, {.k = 4, .workers = 1});
  for (const int workers : {2, 5}) {
    const CrossValidation more = cross_validate(recipe, task.x, task.y, {.k = 4, .workers = workers});
    CHECK(more.scores == one.scores);
    CHECK(more.model.state_dict()[0].tensor.sum().item() == one.model.state_dict()[0].tensor.sum().item());
  }
  CHECK(one.score == "accuracy");
  CHECK(one.mean > 0.7);
  CHECK(one.folds.size() == 4);
  CHECK(one.str().find("retrained on all rows for 4 epochs") != std::string::npos);
}

TEST_CASE("cross_validate: on_progress ends it, and what is finished is there") {
  const Task task;
  for (const int workers : {1, 3}) {
    std::size_t seen = 0;
    const CrossValidation part = cross_validate(recipe_of(8, 0.02), task.x, task.y,
                                                {.k = 6, .workers = workers, .on_progress = [&](const auto& p) {
                                                   seen = p.done;
                                                   return p.done < 2;
                                                 }});
    CHECK(part.folds.size() == seen);
    CHECK(part.folds.size() < 6);
    CHECK(part.stopped.starts_with("interrupted after "));
    CHECK(!part.model.impl());
  }
}

TEST_CASE("search: factories of C++") {
  const Task task;
  const auto make = [](const nn::Arguments& p) {
    return recipe_of(parameter<std::int64_t>(p, "width"), parameter<double>(p, "lr"));
  };
  const ParameterGrid grid{{"width", {std::int64_t{1}, std::int64_t{16}}}, {"lr", {1e-5, 0.05}}};
  const Search found = grid_search(make, grid, task.x, task.y, SearchOptions{{.k = 3}});
  CHECK(found.candidates.size() == 4);
  CHECK(parameter<double>(found.candidates[0].parameters, "lr") == 0.05);
  CHECK(found.best_model.impl());
  CHECK_THROWS_AS(parameter_value(found.candidates[0].parameters, "depth"), IndexError);

  const Distributions from{{"width", distributions::Integer{2, 9}}, {"lr", distributions::LogUniform{1e-4, 1e-1}}};
  std::set<std::int64_t> widths;
  for (const nn::Arguments& point : random_points(from, 200, 0)) {
    widths.insert(parameter<std::int64_t>(point, "width"));
    const double lr = parameter<double>(point, "lr");
    CHECK(lr >= 1e-4);
    CHECK(lr <= 1e-1);
  }
  CHECK(widths == std::set<std::int64_t>{2, 3, 4, 5, 6, 7, 8, 9});
  CHECK(random_search(make, from, 2, task.x, task.y, SearchOptions{{.k = 2, .retrain = false}}).candidates.size() == 2);
}

TEST_CASE("Ensemble: mean and spread") {
  const Task task;
  const Ensemble five = Ensemble::train(recipe_of(8, 0.02), task.x, task.y, {.seeds = 3, .workers = 2});
  const EnsemblePrediction p = five.predict(task.x, 1024, "class");
  CHECK(p.mean.shape() == Shape{120});
  CHECK(p.spread.shape() == Shape{120});
  const auto folder = std::filesystem::temp_directory_path() / "chainrule_ensemble_test";
  std::filesystem::remove_all(folder);
  five.save(folder.string());
  CHECK(Ensemble::load(folder.string()).models().size() == 3);
  std::filesystem::remove_all(folder);
}

TEST_CASE("run_jobs: every job once; an error of a job is thrown") {
  for (const int workers : {1, 2, 7}) {
    Stop stop{false};
    std::vector<std::atomic<int>> ran(50);
    std::size_t done = 0;
    const Jobs jobs{.count = ran.size(),
                    .make = [&](std::size_t job) { return [&ran, job] { ++ran[job]; }; },
                    .done = [&](std::size_t) { ++done; },
                    .go_on = [] { return true; }};
    CHECK(run_jobs(jobs, workers, stop));
    CHECK(done == ran.size());
    for (const auto& count : ran) CHECK(count == 1);

    Stop failed{false};
    Jobs broken = jobs;
    broken.make = [](std::size_t job) -> std::function<void()> {
      if (job == 3) throw ValueError("making job 3");
      return [job] {
        if (job == 1) throw ValueError("job 1");
      };
    };
    // Several workers may not have come to job 1 when making job 3 fails, which ends what has not begun.
    if (workers == 1)
      CHECK_THROWS_WITH_AS(run_jobs(broken, workers, failed), "job 1", ValueError);
    else
      CHECK_THROWS_AS(run_jobs(broken, workers, failed), ValueError);
  }
}
