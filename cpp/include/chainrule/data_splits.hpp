// Splits: which rows train and which are held out. Parts of the data, and folds for cross-validation.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "chainrule/tensor.hpp"

namespace chainrule::data {

using Rows = std::vector<std::int64_t>;

// (train rows, held-out rows), both ascending, round(fraction * n) of them held out, chosen by seed. stratify: integer
// labels; each class then keeps its share (by largest remainders) and at least one row in training.
CHAINRULE_API std::pair<Rows, Rows> split_rows(std::int64_t n, double fraction, std::uint64_t seed,
                                               const Tensor& stratify = {});

struct SplitOptions {
  double test = 0.2, validation = 0.0;  // shares of all rows; 0: no such part
  Tensor stratify{};                    // integer labels: every part keeps each class's share
  Tensor groups{};                      // integers: rows of one group go to one part
  std::uint64_t seed = 0;
};
struct Parts {
  Rows train, validation, test;  // ascending
};
// split_rows for two parts held out: round(test * n) rows, and round(validation * n) of the others. With groups, whole
// groups are added in random order while that brings a part nearer to its share.
CHAINRULE_API Parts split_parts(std::int64_t n, const SplitOptions& options = {});

struct Fold {
  Rows train, validation;  // ascending
};
struct KFoldOptions {
  std::int64_t k = 5;
  Tensor stratify{};         // integer labels: each class spread evenly, to within one row, over the folds
  Tensor groups{};           // integers: rows of one group are held out together
  std::int64_t repeats = 1;  // k folds each time, of another order
  bool shuffle = true;       // false: in the order of rows
  std::uint64_t seed = 0;
};
// Every row is held out once (in each repeat); sizes differ by one row at most. Groups: the largest first, each to the
// fold with the fewest rows so far; with stratify as well, to the fold that keeps the shares of classes most even.
CHAINRULE_API std::vector<Fold> k_fold(std::int64_t n, const KFoldOptions& options = {});

// What stratify="auto" takes for labels: y where it holds integers, one per row, and a class has `rows` rows or more;
// else undefined.
CHAINRULE_API Tensor labels_to_stratify(const Tensor& y, std::int64_t rows);

struct TimeSeriesOptions {
  std::int64_t k = 5;
  std::int64_t validation = 0;  // rows held out in each fold; 0: n / (k + 1)
  std::int64_t gap = 0;         // rows left out between training and validation
  std::int64_t train = 0;       // the latest so many rows train; 0: all before
};
// Rows are in order of time: fold by fold, what comes later is held out and what comes before trains.
CHAINRULE_API std::vector<Fold> time_series_folds(std::int64_t n, const TimeSeriesOptions& options = {});

}  // namespace chainrule::data
