// Weighted and stratified sampling. Orders are keyed by (seed, epoch); nothing here depends on the number of threads.
#include "train/samplers.hpp"

#include <bit>
#include <cmath>
#include <map>

#include "chainrule/data.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "train/row_labels.hpp"
#include "train/shuffle.hpp"

namespace chainrule::data {
namespace {

using Rows = std::vector<std::int64_t>;

// The leaf in which the running sum of weights passes `at`; never one of weight 0.
[[gnu::noinline]] std::size_t find_leaf(const std::vector<double>& sums, double share) {
  const std::size_t leaves = sums.size() / 2;
  double at = share * sums[1];
  std::size_t node = 1;
  while (node < leaves) {
    const double left = sums[2 * node];
    node = 2 * node;
    if (at < left || !(sums[node + 1] > 0)) continue;
    at -= left;
    ++node;
  }
  return node - leaves;
}

// Sums are added anew from below, never subtracted from: without its last weight a tree sums up to 0, exactly.
[[gnu::noinline]] void take_out(std::vector<double>& sums, std::size_t leaf) {
  std::size_t node = sums.size() / 2 + leaf;
  sums[node] = 0;
  while (node > 1) {
    node /= 2;
    sums[node] = sums[2 * node] + sums[2 * node + 1];
  }
}

[[gnu::noinline]] std::vector<double> tree_of(const std::vector<double>& weights) {
  const std::size_t leaves = std::bit_ceil(weights.size());
  std::vector<double> sums(2 * leaves);
  std::copy(weights.begin(), weights.end(), sums.begin() + static_cast<std::ptrdiff_t>(leaves));
  for (std::size_t node = leaves; node-- > 1;) sums[node] = sums[2 * node] + sums[2 * node + 1];
  return sums;
}

// values[rows], for of_rows.
template <class T>
std::vector<T> taken(const std::vector<T>& values, std::span<const std::int64_t> rows, const Sampler& sampler) {
  std::vector<T> some;
  some.reserve(rows.size());
  for (const std::int64_t row : rows) {
    if (row < 0 || row >= static_cast<std::int64_t>(values.size()))
      fail<IndexError>("of_rows", "there is no such row", std::to_string(row) + " of " + sampler.str(),
                       "count them from 0");
    some.push_back(values[static_cast<std::size_t>(row)]);
  }
  return some;
}

}  // namespace

Sampler::~Sampler() = default;
std::int64_t Sampler::rows() const { return -1; }
std::shared_ptr<const Sampler> Sampler::of_rows(std::span<const std::int64_t>) const {
  fail<ValueError>("fit", "this sampler cannot be restricted to a part of the rows", str(),
                   "split the data first (data.split_data) and give validation_data, or give it of_rows");
}

WeightedSampler::WeightedSampler(std::vector<double> weights, const WeightedSamplerOptions& options)
    : weights_(std::move(weights)), options_(options) {
  constexpr const char* who = "WeightedSampler";
  const FloatEnvironment environment;
  if (weights_.empty()) fail<ValueError>(who, "there are no weights", "", "give one per row");
  std::int64_t positive = 0;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    if (!(weights_[i] >= 0) || !std::isfinite(weights_[i]))
      fail<ValueError>(who, "weights must be finite numbers, 0 or more",
                       std::to_string(weights_[i]) + " at position " + std::to_string(i));
    positive += weights_[i] > 0;
  }
  sums_ = tree_of(weights_);
  if (!(sums_[1] > 0)) fail<ValueError>(who, "all weights are 0", "", "give some rows a weight");
  if (!std::isfinite(sums_[1]))
    fail<ValueError>(who, "the sum of the weights overflows", "", "divide them by a number");
  if (options.num_samples < 0)
    fail<ValueError>(who, "num_samples must be at least 1", std::to_string(options.num_samples));
  if (!options.replacement && options.num_samples > positive)
    fail<ValueError>(who, "too few rows have a weight above 0 to draw without replacement",
                     std::to_string(positive) + " for num_samples=" + std::to_string(options.num_samples),
                     "draw fewer, or with replacement");
  samples_ = options.num_samples > 0 ? options.num_samples : options.replacement ? rows() : positive;
}

std::vector<std::int64_t> WeightedSampler::order(std::uint64_t seed, std::uint64_t epoch, std::int64_t) const {
  const FloatEnvironment environment;
  Words words(seed, epoch, sampler_stream);
  std::vector<double> left;
  if (!options_.replacement) left = sums_;
  Rows order(static_cast<std::size_t>(samples_));
  for (std::int64_t& row : order) {
    const std::size_t leaf = find_leaf(options_.replacement ? sums_ : left, words.fraction());
    if (!options_.replacement) take_out(left, leaf);
    row = static_cast<std::int64_t>(leaf);
  }
  return order;
}

std::shared_ptr<const Sampler> WeightedSampler::of_rows(std::span<const std::int64_t> rows) const {
  return std::make_shared<WeightedSampler>(taken(weights_, rows, *this), options_);
}

std::string WeightedSampler::str() const {
  return "WeightedSampler(" + std::to_string(samples_) + " samples of " + std::to_string(rows()) + " rows, with" +
         (options_.replacement ? "" : "out") + " replacement)";
}

StratifiedSampler::StratifiedSampler(const Tensor& labels)
    : StratifiedSampler(row_labels(labels, labels.defined() ? labels.size() : 0, "StratifiedSampler", "labels")) {}

StratifiedSampler::StratifiedSampler(std::vector<std::int64_t> labels) : labels_(std::move(labels)) {
  if (labels_.empty()) fail<ValueError>("StratifiedSampler", "there are no labels", "", "give one per row");
  std::map<std::int64_t, Rows> classes;
  for (std::size_t i = 0; i < labels_.size(); ++i) classes[labels_[i]].push_back(static_cast<std::int64_t>(i));
  for (auto& [label, rows] : classes) rows_of_.push_back(std::move(rows));
}

std::vector<std::int64_t> StratifiedSampler::order(std::uint64_t seed, std::uint64_t epoch,
                                                   std::int64_t batch_size) const {
  if (batch_size < 1) fail<ValueError>("StratifiedSampler", "batch_size is below 1", std::to_string(batch_size));
  Words words(seed, epoch, sampler_stream);
  const std::int64_t n = size(), batch = std::min(batch_size, n), full = n / batch, rest = n % batch;
  // The batches in the order in which they get their cards, round by round; the smaller one at the end gets its `rest`
  // cards spread over the rounds.
  Rows dealt = ascending(full), receiver;
  shuffle(dealt, words);
  receiver.reserve(static_cast<std::size_t>(n));
  for (std::int64_t round = 1, given = 0; round <= batch; ++round) {
    receiver.insert(receiver.end(), dealt.begin(), dealt.end());
    for (; (2 * given + 1) * batch <= 2 * round * rest; ++given) receiver.push_back(full);
  }
  std::vector<Rows> batches(static_cast<std::size_t>(full + (rest > 0 ? 1 : 0)));
  auto next = receiver.begin();
  for (Rows rows : rows_of_) {
    shuffle(rows, words);
    for (const std::int64_t row : rows) batches[static_cast<std::size_t>(*next++)].push_back(row);
  }
  Rows order;
  order.reserve(static_cast<std::size_t>(n));
  for (Rows& rows : batches) {
    shuffle(rows, words);
    order.insert(order.end(), rows.begin(), rows.end());
  }
  return order;
}

std::shared_ptr<const Sampler> StratifiedSampler::of_rows(std::span<const std::int64_t> rows) const {
  return std::shared_ptr<const Sampler>(new StratifiedSampler(taken(labels_, rows, *this)));
}

std::string StratifiedSampler::str() const {
  return "StratifiedSampler(" + std::to_string(size()) + " rows, " + std::to_string(rows_of_.size()) + " classes)";
}

void check_sampler(const char* who, const Sampler* sampler, std::int64_t rows, bool shuffle) {
  if (sampler == nullptr) return;
  if (!shuffle)
    fail<ValueError>(who, "shuffle=False was given with a sampler", sampler->str(),
                     "leave one of them out: the sampler makes the order");
  if (sampler->rows() >= 0 && sampler->rows() != rows)
    fail<ShapeError>(who, "the sampler was made for another number of rows",
                     sampler->str() + " for " + std::to_string(rows) + " samples", "make it of these rows");
  if (sampler->size() < 1) fail<ValueError>(who, "the sampler gives no samples", sampler->str());
}

std::vector<std::int64_t> sampled_order(const char* who, const Sampler* sampler, std::int64_t rows, std::uint64_t seed,
                                        std::uint64_t epoch, bool shuffle, std::int64_t batch_size) {
  if (sampler == nullptr) return epoch_order(rows, seed, epoch, shuffle);
  Rows order = sampler->order(seed, epoch, batch_size);
  if (static_cast<std::int64_t>(order.size()) != sampler->size())
    fail<ValueError>(who, "the sampler's order has another length than it told",
                     std::to_string(order.size()) + " in epoch " + std::to_string(epoch) + ", " +
                         std::to_string(sampler->size()) + " before",
                     "give as many rows in every epoch");
  for (const std::int64_t row : order)
    if (row < 0 || row >= rows)
      fail<IndexError>(who, "the sampler gives a row that is not there",
                       std::to_string(row) + " of " + std::to_string(rows));
  return order;
}

}  // namespace chainrule::data
