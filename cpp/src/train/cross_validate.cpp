// Cross-validation: one model per fold, each measured on the rows it has not seen.
#include <cmath>

#include "graph/view_table.hpp"
#include "train/selection.hpp"

namespace chainrule {

CrossValidation cross_validate(const Recipe& recipe, const Tensor& x, const Tensor& y,
                               const CrossValidationOptions& options) {
  return cross_validate(recipe, std::vector<Tensor>{x}, y, options);
}

CrossValidation cross_validate(const Recipe& recipe, const std::vector<Tensor>& x, const Tensor& y,
                               const CrossValidationOptions& options) {
  Selection selection("cross_validate", x, y, options);
  CrossValidation result;
  result.score = selection.check(recipe);
  const std::size_t count = selection.folds();
  SelectionProgress progress{0, count + (options.retrain ? 1 : 0), std::nan("")};
  const auto go_on = [&] { return !options.on_progress || options.on_progress(progress); };
  std::vector<FoldResult> folds(count);
  std::vector<char> finished(count, 0);
  const bool whole = run_models(
      count, options.workers,
      [&](std::size_t fold, std::function<bool()> on_slice) {
        return selection.train_fold(recipe, fold, folds[fold], std::move(on_slice));
      },
      [&](std::size_t fold) {
        finished[fold] = 1;
        ++progress.done;
      },
      go_on);
  for (std::size_t f = 0; f < count; ++f) {
    if (finished[f] == 0) continue;
    result.scores.push_back(value_of(folds[f], result.score));
    result.folds.push_back(std::move(folds[f]));
  }
  std::tie(result.mean, result.std) = mean_and_std(result.scores);
  progress.best = result.mean;
  if (!whole) {
    result.stopped =
        "interrupted after " + std::to_string(result.folds.size()) + " of " + std::to_string(count) + " folds";
  } else if (options.retrain) {
    std::tie(result.model, result.history) = selection.train_all(recipe, mean_epochs(result.folds), go_on);
    ++progress.done;
    if (options.on_progress) options.on_progress(progress);
  }
  return result;
}

std::string CrossValidation::str() const {
  ViewTable table;
  table.header = {"fold", "trained on", "held out", "epochs"};
  std::vector<std::string> means{"mean", "", "", ""}, spreads{"std", "", "", ""};
  if (!folds.empty())
    for (std::size_t c = 0; c < folds.front().values.size(); ++c) {
      table.header.push_back(folds.front().values[c].first);
      std::vector<double> column;
      for (const FoldResult& fold : folds) column.push_back(fold.values[c].second);
      const auto [center, width] = mean_and_std(column);
      means.push_back(shown(center));
      spreads.push_back(shown(width));
    }
  table.right.assign(table.header.size(), 1);
  table.lines = true;
  for (std::size_t f = 0; f < folds.size(); ++f) {
    const FoldResult& fold = folds[f];
    std::vector<std::string> row{std::to_string(f + 1), std::to_string(fold.train_rows),
                                 std::to_string(fold.validation_rows), std::to_string(fold.epochs)};
    for (const auto& [name, value] : fold.values) row.push_back(shown(value));
    table.rows.push_back(std::move(row));
  }
  table.rows.push_back(std::move(means));
  table.rows.push_back(std::move(spreads));
  std::string text = table.text();
  if (model.impl()) text += "retrained on all rows for " + std::to_string(history.epochs()) + " epochs\n";
  if (!stopped.empty()) text += "stopped: " + stopped + "\n";
  return text;
}

}  // namespace chainrule
