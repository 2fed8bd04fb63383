// Search: candidates cross-validated on the same folds, the best trained on all data.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/arguments.hpp"
#include "core/fail.hpp"
#include "graph/view_table.hpp"
#include "train/selection.hpp"

namespace chainrule {
namespace {

// What is known of a candidate while it trains.
struct Running {
  Recipe recipe;
  std::vector<FoldResult> folds;
  std::size_t left = 0;
};

bool maximizes(const std::string& score, const SearchOptions& options) {
  if (options.maximize) return *options.maximize;
  try {
    return greater_is_better(score);
  } catch (const ValueError&) {
    fail<ValueError>("search", "whether greater is better cannot be told from the score's name", "\"" + score + "\"",
                     "write maximize=True or maximize=False");
  }
}

std::string cell(const nn::ArgumentValue& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<double>(&value)) return shown(*number);
  return nn::text_of(value);
}

}  // namespace

Search search(const std::vector<nn::Arguments>& candidates, const std::function<Recipe(std::size_t)>& make,
              const std::vector<Tensor>& x, const Tensor& y, const SearchOptions& options) {
  if (candidates.empty())
    fail<ValueError>("search", "there are no candidates", "", "give every parameter at least one value");
  Selection selection("search", x, y, options);
  Search result;
  const std::size_t folds = selection.folds(), count = candidates.size();
  SelectionProgress progress{0, count * folds + (options.retrain ? 1 : 0), std::nan("")};
  const auto go_on = [&] { return !options.on_progress || options.on_progress(progress); };
  std::vector<Running> running(count);
  std::vector<Candidate> all(count);
  std::vector<std::size_t> finished;
  // A NaN is behind everything.
  const auto better = [&](double a, double b) {
    return std::isnan(b) ? !std::isnan(a) : result.maximize ? a > b : a < b;
  };
  for (std::size_t c = 0; c < count; ++c) {  // what can be told of them is told before one trains
    running[c].recipe = make(c);
    const std::string score = selection.check(running[c].recipe);
    if (c == 0) {
      result.score = score;
      result.maximize = maximizes(score, options);
    } else if (score != result.score) {
      fail<ValueError>("search", "candidates have different scores", result.score + " and " + score,
                       "name one as score");
    }
  }
  const bool whole = run_models(
      count * folds, options.workers,
      [&](std::size_t job, std::function<bool()> on_slice) {
        const std::size_t c = job / folds, fold = job % folds;
        Running& candidate = running[c];
        if (fold == 0) {
          candidate.folds.resize(folds);
          candidate.left = folds;
        }
        return selection.train_fold(candidate.recipe, fold, candidate.folds[fold], std::move(on_slice));
      },
      [&](std::size_t job) {
        const std::size_t c = job / folds;
        ++progress.done;
        running[c].folds[job % folds].model = {};
        if (--running[c].left > 0) return;
        Candidate& candidate = all[c];
        candidate.parameters = candidates[c];
        for (const FoldResult& fold : running[c].folds) candidate.scores.push_back(value_of(fold, result.score));
        std::tie(candidate.mean, candidate.std) = mean_and_std(candidate.scores);
        candidate.epochs = mean_epochs(running[c].folds);
        running[c] = {};
        finished.push_back(c);
        if (better(candidate.mean, progress.best)) progress.best = candidate.mean;
      },
      go_on);
  std::sort(finished.begin(), finished.end());  // in which order they end depends on time
  std::stable_sort(finished.begin(), finished.end(),
                   [&](std::size_t a, std::size_t b) { return better(all[a].mean, all[b].mean); });
  result.order = finished;
  for (const std::size_t c : finished) result.candidates.push_back(std::move(all[c]));
  if (!whole) {
    result.stopped =
        "interrupted after " + std::to_string(finished.size()) + " of " + std::to_string(count) + " candidates";
  } else if (options.retrain) {
    std::tie(result.best_model, result.history) =
        selection.train_all(make(result.order.front()), result.candidates.front().epochs, go_on);
    ++progress.done;
    if (options.on_progress) options.on_progress(progress);
  }
  return result;
}

Search grid_search(const RecipeOf& make, const ParameterGrid& grid, const Tensor& x, const Tensor& y,
                   const SearchOptions& options) {
  const std::vector<nn::Arguments> points = grid_points(grid);
  return search(points, [&](std::size_t i) { return make(points[i]); }, {x}, y, options);
}

Search random_search(const RecipeOf& make, const Distributions& distributions, std::int64_t n_iter, const Tensor& x,
                     const Tensor& y, const SearchOptions& options) {
  const std::vector<nn::Arguments> points = random_points(distributions, n_iter, options.seed);
  return search(points, [&](std::size_t i) { return make(points[i]); }, {x}, y, options);
}

std::string Search::str() const {
  ViewTable table;
  table.lines = true;
  table.header = {"rank"};
  table.right = {1};
  if (!candidates.empty())
    for (const auto& [name, value] : candidates.front().parameters) {
      table.header.push_back(name);
      table.right.push_back(!std::holds_alternative<std::string>(value));
    }
  for (const char* name : {"mean", "std", "epochs"}) {
    table.header.push_back(name);
    table.right.push_back(1);
  }
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const Candidate& candidate = candidates[i];
    std::vector<std::string> row{std::to_string(i + 1)};
    for (const auto& [name, value] : candidate.parameters) row.push_back(cell(value));
    row.insert(row.end(), {shown(candidate.mean), shown(candidate.std), std::to_string(candidate.epochs)});
    table.rows.push_back(std::move(row));
  }
  return "mean " + score + " over " + std::to_string(candidates.empty() ? 0 : candidates.front().scores.size()) +
         " folds, " + (maximize ? "highest" : "lowest") + " first\n" + table.text() +
         (stopped.empty() ? "" : "stopped: " + stopped + "\n");
}

}  // namespace chainrule
