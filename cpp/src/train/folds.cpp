// Folds for cross-validation. Without shuffling they are scikit-learn's: KFold, StratifiedKFold, GroupKFold,
// StratifiedGroupKFold and TimeSeriesSplit.
#include <algorithm>
#include <cmath>
#include <map>

#include "chainrule/data_splits.hpp"
#include "core/fail.hpp"
#include "train/row_labels.hpp"
#include "train/shuffle.hpp"

namespace chainrule::data {
namespace {

using Labels = std::vector<std::int64_t>;
using FoldOfRow = std::vector<std::size_t>;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// The same labels as 0, 1, ...: in the order of first occurrence, or of value.
struct Numbered {
  std::vector<std::size_t> number;  // of each row
  std::vector<std::int64_t> size;   // of each number: its rows
};
Numbered numbered(const Labels& labels, bool by_value) {
  std::map<std::int64_t, std::size_t> numbers;
  if (by_value) {
    for (const std::int64_t label : labels) numbers[label] = 0;
    std::size_t next = 0;
    for (auto& [label, number] : numbers) number = next++;
  }
  Numbered result;
  for (const std::int64_t label : labels) {
    const std::size_t number = numbers.try_emplace(label, numbers.size()).first->second;
    result.number.push_back(number);
    if (result.size.size() <= number) result.size.resize(number + 1, 0);
    ++result.size[number];
  }
  return result;
}

FoldOfRow plain(const Rows& order, std::size_t k) {
  FoldOfRow fold(order.size());
  const std::size_t n = order.size();
  for (std::size_t f = 0, i = 0; f < k; ++f)
    for (const std::size_t end = i + n / k + (f < n % k ? 1 : 0); i < end; ++i) fold[at(order[i])] = f;
  return fold;
}

// With the rows sorted by class, fold f would take every k-th one from f on: so many of each class it gets.
FoldOfRow stratified(const Rows& order, std::size_t k, const Labels& labels) {
  const Numbered classes = numbered(labels, false);
  std::vector<std::vector<std::size_t>> folds_of(classes.size.size());  // of a class's rows, in turn
  std::size_t sorted = 0;
  for (std::size_t c = 0; c < classes.size.size(); ++c) {
    for (std::int64_t i = 0; i < classes.size[c]; ++i) folds_of[c].push_back(sorted++ % k);
    std::sort(folds_of[c].begin(), folds_of[c].end());
  }
  FoldOfRow fold(order.size());
  std::vector<std::size_t> next(classes.size.size(), 0);
  for (const std::int64_t row : order) {
    const std::size_t c = classes.number[at(row)];
    fold[at(row)] = folds_of[c][next[c]++];
  }
  return fold;
}

std::vector<std::size_t> group_order(std::size_t groups, bool shuffled, Words& words) {
  std::vector<std::size_t> order(groups);
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (shuffled) shuffle(order, words);
  return order;
}

FoldOfRow spread(const Numbered& groups, const std::vector<std::size_t>& fold_of_group) {
  FoldOfRow fold;
  for (const std::size_t g : groups.number) fold.push_back(fold_of_group[g]);
  return fold;
}

FoldOfRow grouped(const Numbered& groups, std::size_t k, bool shuffled, Words& words) {
  std::vector<std::size_t> order = group_order(groups.size.size(), shuffled, words);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return groups.size[a] > groups.size[b]; });
  std::vector<std::int64_t> rows_in(k, 0);
  std::vector<std::size_t> fold_of_group(groups.size.size());
  for (const std::size_t g : order) {
    const auto lightest = static_cast<std::size_t>(std::min_element(rows_in.begin(), rows_in.end()) - rows_in.begin());
    fold_of_group[g] = lightest;
    rows_in[lightest] += groups.size[g];
  }
  return spread(groups, fold_of_group);
}

double spread_of(const std::vector<double>& values) {
  double mean = 0, squares = 0;
  for (const double v : values) mean += v;
  mean /= static_cast<double>(values.size());
  for (const double v : values) squares += (v - mean) * (v - mean);
  return std::sqrt(squares / static_cast<double>(values.size()));
}

// Groups whose classes are most uneven first, each to the fold where the shares of classes then differ least among the
// folds; of equals to the one with the fewest rows.
FoldOfRow stratified_grouped(const Numbered& groups, std::size_t k, const Labels& labels, bool shuffled, Words& words) {
  const Numbered classes = numbered(labels, true);
  const std::size_t kinds = classes.size.size();
  std::vector<std::vector<double>> of_group(groups.size.size(), std::vector<double>(kinds, 0.0));
  for (std::size_t row = 0; row < labels.size(); ++row) ++of_group[groups.number[row]][classes.number[row]];
  std::vector<std::size_t> order = group_order(groups.size.size(), shuffled, words);
  std::vector<double> unevenness;
  for (const auto& counts : of_group) unevenness.push_back(spread_of(counts));
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return unevenness[a] > unevenness[b]; });
  std::vector<std::vector<double>> in_fold(kinds, std::vector<double>(k, 0.0));  // shares of each class
  std::vector<std::int64_t> rows_in(k, 0);
  std::vector<double> share_spread(kinds, 0.0);  // as it is; only that of the classes in the group changes
  std::vector<std::size_t> fold_of_group(groups.size.size());
  for (const std::size_t g : order) {
    std::size_t best = 0;
    double least = HUGE_VAL;
    for (std::size_t f = 0; f < k; ++f) {
      double total = 0;
      for (std::size_t c = 0; c < kinds; ++c) {
        const double more = of_group[g][c] / static_cast<double>(classes.size[c]);
        if (more > 0) {
          in_fold[c][f] += more;
          total += spread_of(in_fold[c]);
          in_fold[c][f] -= more;
        } else {
          total += share_spread[c];
        }
      }
      const double mean = total / static_cast<double>(kinds);
      const bool equal = std::abs(mean - least) <= 1e-8 + 1e-5 * least;
      if (f == 0 || (equal ? rows_in[f] < rows_in[best] : mean < least)) {
        best = f;
        least = mean;
      }
    }
    fold_of_group[g] = best;
    rows_in[best] += groups.size[g];
    for (std::size_t c = 0; c < kinds; ++c)
      if (of_group[g][c] > 0) {
        in_fold[c][best] += of_group[g][c] / static_cast<double>(classes.size[c]);
        share_spread[c] = spread_of(in_fold[c]);
      }
  }
  return spread(groups, fold_of_group);
}

void check(std::int64_t n, const KFoldOptions& options) {
  const std::string given = "k=" + std::to_string(options.k);
  if (options.k < 2) fail<ValueError>("k_fold", "k must be at least 2", given, "one part trains, another is held out");
  if (options.k > n)
    fail<ValueError>("k_fold", "folds would be empty", given + " for " + std::to_string(n) + " rows",
                     "give at most as many folds as rows");
  if (options.repeats < 1) fail<ValueError>("k_fold", "repeats must be at least 1", std::to_string(options.repeats));
  if (options.repeats > 1 && !options.shuffle)
    fail<ValueError>("k_fold", "repeats without shuffling would all be the same",
                     "repeats=" + std::to_string(options.repeats) + ", shuffle=False", "shuffle, or leave repeats out");
}

}  // namespace

std::vector<Fold> k_fold(std::int64_t n, const KFoldOptions& options) {
  check(n, options);
  const auto k = static_cast<std::size_t>(options.k);
  Labels labels;
  if (options.stratify.defined()) {
    labels = row_labels(options.stratify, n, "k_fold", "stratify");
    const Numbered classes = numbered(labels, false);
    const std::int64_t largest = *std::max_element(classes.size.begin(), classes.size.end());
    if (largest < options.k)
      fail<ValueError>("k_fold", "no class has a row for every fold",
                       "the largest has " + std::to_string(largest) + ", k=" + std::to_string(options.k),
                       "give fewer folds, or split without stratify");
  }
  Numbered groups;
  if (options.groups.defined()) {
    groups = numbered(row_labels(options.groups, n, "k_fold", "groups"), true);
    if (groups.size.size() < k)
      fail<ValueError>("k_fold", "there are fewer groups than folds",
                       std::to_string(groups.size.size()) + " groups, k=" + std::to_string(k),
                       "a group is held out as a whole: give fewer folds");
  }
  std::vector<Fold> folds(k * static_cast<std::size_t>(options.repeats));
  for (std::size_t repeat = 0; repeat < static_cast<std::size_t>(options.repeats); ++repeat) {
    Words words(options.seed, repeat, fold_stream);
    FoldOfRow fold_of;
    if (groups.size.empty()) {
      Rows order = ascending(n);
      if (options.shuffle) shuffle(order, words);
      fold_of = labels.empty() ? plain(order, k) : stratified(order, k, labels);
    } else {
      fold_of = labels.empty() ? grouped(groups, k, options.shuffle, words)
                               : stratified_grouped(groups, k, labels, options.shuffle, words);
    }
    for (std::size_t f = 0; f < k; ++f) {
      Fold& fold = folds[repeat * k + f];
      for (std::int64_t row = 0; row < n; ++row) (fold_of[at(row)] == f ? fold.validation : fold.train).push_back(row);
      if (fold.validation.empty())
        fail<ValueError>("k_fold", "a fold would be empty",
                         std::to_string(groups.size.size()) + " groups, k=" + std::to_string(k),
                         "give fewer folds, or leave stratify out");
    }
  }
  return folds;
}

std::vector<Fold> time_series_folds(std::int64_t n, const TimeSeriesOptions& options) {
  const auto refuse = [](const std::string& wrong, const std::string& given, const std::string& todo = "") {
    fail<ValueError>("time_series_folds", wrong, given, todo);
  };
  if (options.k < 2) refuse("k must be at least 2", "k=" + std::to_string(options.k));
  for (const auto& [name, value] :
       {std::pair{"validation", options.validation}, {"gap", options.gap}, {"train", options.train}})
    if (value < 0) refuse(std::string(name) + " is a number of rows, 0 or more", std::to_string(value));
  if (options.k >= n)
    refuse("folds would be empty", "k=" + std::to_string(options.k) + " for " + std::to_string(n) + " rows",
           "k + 1 rows are the least");
  const std::int64_t held_out = options.validation > 0 ? options.validation : n / (options.k + 1);
  if (n - options.gap - held_out * options.k <= 0)
    refuse("no rows are left to train the first fold on",
           std::to_string(n) + " rows, k=" + std::to_string(options.k) + " times " + std::to_string(held_out) +
               " held out, gap=" + std::to_string(options.gap),
           "give fewer or smaller folds");
  std::vector<Fold> folds(at(options.k));
  for (std::int64_t f = 0; f < options.k; ++f) {
    const std::int64_t begin = n - (options.k - f) * held_out, end = begin - options.gap;
    const std::int64_t first = options.train > 0 ? std::max<std::int64_t>(0, end - options.train) : 0;
    Fold& fold = folds[at(f)];
    for (std::int64_t row = first; row < end; ++row) fold.train.push_back(row);
    for (std::int64_t row = begin; row < begin + held_out; ++row) fold.validation.push_back(row);
  }
  return folds;
}

}  // namespace chainrule::data
