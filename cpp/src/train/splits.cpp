// Rows held out for validation and test: by shares, stratified or by whole groups. Folds are in folds.cpp.
#include <algorithm>
#include <cmath>
#include <map>

#include "chainrule/data_splits.hpp"
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "train/row_labels.hpp"
#include "train/shuffle.hpp"

namespace chainrule::data {
namespace {

// The first of each class's rows, so many that its share of `count` is kept; at least one row per class stays.
Rows stratified_choice(const Rows& order, std::int64_t count, const std::vector<std::int64_t>& labels) {
  struct Class {
    Rows rows;  // in the order given
    std::int64_t share = 0;
    double remainder = 0.0;
  };
  std::map<std::int64_t, Class> classes;
  for (const std::int64_t row : order) classes[labels[static_cast<std::size_t>(row)]].rows.push_back(row);
  // Whole shares first; what is left goes to the largest remainders, as long as a class keeps a row.
  std::int64_t left = count;
  std::vector<Class*> by_remainder;
  for (auto& [label, c] : classes) {
    const auto size = static_cast<std::int64_t>(c.rows.size());
    const double exact = static_cast<double>(count) * static_cast<double>(size) / static_cast<double>(order.size());
    c.share = std::min(static_cast<std::int64_t>(exact), size - 1);
    c.remainder = exact - static_cast<double>(c.share);
    left -= c.share;
    by_remainder.push_back(&c);
  }
  std::stable_sort(by_remainder.begin(), by_remainder.end(),
                   [](const Class* a, const Class* b) { return a->remainder > b->remainder; });
  for (bool given = true; left > 0 && given;) {
    given = false;
    for (Class* c : by_remainder) {
      if (left == 0 || c->share + 1 >= static_cast<std::int64_t>(c->rows.size())) continue;
      ++c->share;
      --left;
      given = true;
    }
  }
  Rows chosen;
  for (const auto& [label, c] : classes) chosen.insert(chosen.end(), c.rows.begin(), c.rows.begin() + c.share);
  return chosen;
}

// Whole groups in the order in which they first come, each taken where that brings the number of rows nearer to count.
Rows grouped_choice(const Rows& order, std::int64_t count, const std::vector<std::int64_t>& groups) {
  std::map<std::int64_t, Rows> rows;
  std::vector<std::int64_t> first_seen;
  for (const std::int64_t row : order) {
    Rows& group = rows[groups[static_cast<std::size_t>(row)]];
    if (group.empty()) first_seen.push_back(groups[static_cast<std::size_t>(row)]);
    group.push_back(row);
  }
  Rows chosen;
  for (std::size_t i = 0; i < first_seen.size(); ++i) {
    const Rows& group = rows[first_seen[i]];
    const auto have = static_cast<std::int64_t>(chosen.size()), size = static_cast<std::int64_t>(group.size());
    const bool last_chance = chosen.empty() && i + 2 == first_seen.size();  // one group must stay, too
    if (i + 1 == first_seen.size()) break;
    if (last_chance || std::abs(have + size - count) < std::abs(have - count))
      chosen.insert(chosen.end(), group.begin(), group.end());
  }
  return chosen;
}

void remove_from(Rows& order, const Rows& chosen, std::int64_t n) {
  std::vector<char> gone(static_cast<std::size_t>(n), 0);
  for (const std::int64_t row : chosen) gone[static_cast<std::size_t>(row)] = 1;
  std::erase_if(order, [&](std::int64_t row) { return gone[static_cast<std::size_t>(row)] != 0; });
}

void check_share(const char* op, const char* name, double share) {
  if (!(share >= 0.0 && share < 1.0))
    fail<ValueError>(op, std::string(name) + " is no share of the rows", std::to_string(share),
                     "give a number from 0 to 1");
}

Parts split_as(const char* op, std::int64_t n, const SplitOptions& options) {
  check_share(op, "test", options.test);
  check_share(op, "validation", options.validation);
  if (options.test + options.validation >= 1.0)
    fail<ValueError>(op, "no rows are left to train on",
                     "test=" + std::to_string(options.test) + " and validation=" + std::to_string(options.validation));
  if (options.stratify.defined() && options.groups.defined())
    fail<ValueError>(op, "stratify and groups were both given", "",
                     "give one of them: whole groups do not keep the shares of classes; k_fold balances both");
  const int parts = 1 + (options.test > 0) + (options.validation > 0);
  if (n < parts)
    fail<ValueError>(op, "too few rows to split", std::to_string(n),
                     "at least " + std::to_string(parts) + " are needed");
  const bool stratified = options.stratify.defined(), grouped = options.groups.defined();
  std::vector<std::int64_t> labels;
  if (stratified) labels = row_labels(options.stratify, n, op, "stratify");
  if (grouped) labels = row_labels(options.groups, n, op, "groups");
  if (grouped) {
    std::vector<std::int64_t> different = labels;
    std::sort(different.begin(), different.end());
    different.erase(std::unique(different.begin(), different.end()), different.end());
    if (static_cast<int>(different.size()) < parts)
      fail<ValueError>(op, "there are fewer groups than parts",
                       std::to_string(different.size()) + " for " + std::to_string(parts) + " parts",
                       "a group goes to one part as a whole");
  }
  Rows order = ascending(n);
  Words words(options.seed, 0, split_stream);
  shuffle(order, words);

  const auto hold_out = [&](double share, std::int64_t keep) {
    Rows chosen;
    if (share == 0) return chosen;
    const auto left = static_cast<std::int64_t>(order.size());
    const std::int64_t count = std::clamp<std::int64_t>(std::llround(share * static_cast<double>(n)), 1, left - keep);
    chosen = stratified ? stratified_choice(order, count, labels)
             : grouped  ? grouped_choice(order, count, labels)
                        : Rows(order.begin(), order.begin() + count);
    if (chosen.empty())
      fail<ValueError>(op, "no row can be held out: every class has one row", std::to_string(left) + " rows",
                       "split without stratify");
    remove_from(order, chosen, n);
    std::sort(chosen.begin(), chosen.end());
    return chosen;
  };
  Parts split;
  split.test = hold_out(options.test, parts - 1);
  if (grouped && options.test > 0 && options.validation > 0) {
    const std::int64_t first = labels[static_cast<std::size_t>(order[0])];
    if (std::all_of(order.begin(), order.end(),
                    [&](std::int64_t row) { return labels[static_cast<std::size_t>(row)] == first; }))
      fail<ValueError>(op, "the groups are too large to be split",
                       "after test=" + std::to_string(options.test) + " one group of " + std::to_string(order.size()) +
                           " rows is left",
                       "give smaller shares, or more groups");
  }
  split.validation = hold_out(options.validation, 1);
  split.train = std::move(order);
  std::sort(split.train.begin(), split.train.end());
  return split;
}

}  // namespace

Parts split_parts(std::int64_t n, const SplitOptions& options) { return split_as("split_parts", n, options); }

std::pair<Rows, Rows> split_rows(std::int64_t n, double fraction, std::uint64_t seed, const Tensor& stratify) {
  if (!(fraction > 0.0 && fraction < 1.0))
    fail<ValueError>("split_rows", "the fraction is not between 0 and 1", std::to_string(fraction));
  Parts parts = split_as("split_rows", n, {.test = fraction, .stratify = stratify, .seed = seed});
  return {std::move(parts.train), std::move(parts.test)};
}

Tensor labels_to_stratify(const Tensor& y, std::int64_t rows) {
  if (!y.defined() || is_floating(y.dtype()) || y.rank() == 0 || y.size() != y.shape(0)) return {};
  const Tensor labels = reshape(y, {-1});
  std::map<std::int64_t, std::int64_t> size;
  for (const std::int64_t label : row_labels(labels, y.size(), "labels_to_stratify", "y"))
    if (++size[label] >= rows) return labels;
  return {};
}

std::vector<std::int64_t> row_labels(const Tensor& values, std::int64_t n, const char* op, const std::string& what) {
  if (values.rank() != 1 || values.shape(0) != n)
    fail<ShapeError>(op, what + " is not one label per row",
                     "its shape is " + values.shape().str() + ", there are " + std::to_string(n) + " rows");
  const auto copy = [&](auto zero) {
    const auto span = values.span<decltype(zero)>();
    return std::vector<std::int64_t>(span.begin(), span.end());
  };
  switch (values.dtype()) {
    case DType::int64:
      return copy(std::int64_t{});
    case DType::int32:
      return copy(std::int32_t{});
    case DType::uint8:
      return copy(std::uint8_t{});
    case DType::boolean:
      return copy(bool{});
    default:
      break;
  }
  fail<DTypeError>(op, what + " holds no integer labels",
                   "its dtype is " + std::string(chainrule::name_of(values.dtype())), "use astype(\"int64\")");
}

}  // namespace chainrule::data
