// Data sources: the order of samples, mini-batches, and splits. Nothing here depends on the number of threads.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

#include "chainrule/data.hpp"
#include "core/fail.hpp"
#include "core/philox.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule::data {
namespace {

// Streams of Philox kept apart from those of layers and dropout, which count from 0.
constexpr std::uint32_t shuffle_stream = 0xFFFF0001u, split_stream = 0xFFFF0002u;

// Words of one stream, in order.
class Words {
 public:
  Words(std::uint64_t seed, std::uint64_t pass, std::uint32_t stream)
      : seed_(seed), block_(pass >> 32 << 32), step_(static_cast<std::uint32_t>(pass)), stream_(stream) {}

  // Uniform in 0 .. bound - 1, without bias (Lemire: Fast random integer generation in an interval; ACM TOMACS 2019):
  // the high half of word * bound, drawn again where the low half falls into the 2^32 mod bound values too many.
  std::uint64_t below(std::uint64_t bound) {
    if (bound > 0xFFFFFFFFu) return below_wide(bound);
    std::uint64_t product = std::uint64_t{word()} * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint64_t excess = (std::uint64_t{1} << 32) % bound;
      while (static_cast<std::uint32_t>(product) < excess) product = std::uint64_t{word()} * bound;
    }
    return product >> 32;
  }

 private:
  std::uint64_t below_wide(std::uint64_t bound) {  // by rejection under the next power of two
    const std::uint64_t mask = ~std::uint64_t{0} >> __builtin_clzll(bound);
    for (;;) {
      const std::uint64_t high = word(), value = (high << 32 | word()) & mask;
      if (value < bound) return value;
    }
  }
  std::uint32_t word() {
    if (next_ == 4) {
      words_ = philox(seed_, block_++, step_, stream_);
      next_ = 0;
    }
    return words_.word[next_++];
  }

  std::uint64_t seed_, block_;
  std::uint32_t step_, stream_;
  PhiloxBlock words_{};
  int next_ = 4;
};

// Fisher and Yates, from the end.
void shuffle(std::vector<std::int64_t>& order, Words words) {
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[static_cast<std::size_t>(words.below(i))]);
}

std::vector<std::int64_t> ascending(std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return order;
}

std::vector<std::int64_t> labels_of(const Tensor& stratify, std::int64_t n) {
  if (stratify.rank() != 1 || stratify.shape(0) != n)
    fail<ShapeError>("split_rows", "stratify is not one label per row",
                     "its shape is " + stratify.shape().str() + ", there are " + std::to_string(n) + " rows");
  const auto copy = [&](auto zero) {
    const auto values = stratify.span<decltype(zero)>();
    return std::vector<std::int64_t>(values.begin(), values.end());
  };
  switch (stratify.dtype()) {
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
  fail<DTypeError>("split_rows", "stratify holds no integer labels",
                   "its dtype is " + std::string(chainrule::name_of(stratify.dtype())), "use astype(\"int64\")");
}

}  // namespace

std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::uint64_t epoch, bool shuffled) {
  if (n < 0) fail<ValueError>("epoch_order", "n is negative", std::to_string(n));
  std::vector<std::int64_t> order = ascending(n);
  if (shuffled) shuffle(order, Words(seed, epoch, shuffle_stream));
  return order;
}

Tensor take_rows(const Tensor& x, std::span<const std::int64_t> rows) {
  if (x.rank() == 0)
    fail<ShapeError>("take_rows", "x has no rows", "its shape is ()", "give an array of at least one axis");
  const std::int64_t n = x.shape(0);
  Shape shape = x.shape();
  shape[0] = static_cast<std::int64_t>(rows.size());
  Tensor result = Tensor::empty(shape, x.dtype());
  const auto* from = static_cast<const std::byte*>(x.raw_data());
  std::byte* to = bytes_of(result);
  shape[0] = 1;
  const std::size_t width = static_cast<std::size_t>(shape.size()) * size_of(x.dtype());
  for (const std::int64_t row : rows) {
    if (row < 0 || row >= n)
      fail<IndexError>("take_rows", "a row is out of range", std::to_string(row) + " of " + std::to_string(n));
    if (width > 0) std::memcpy(to, from + static_cast<std::size_t>(row) * width, width);
    to += width;
  }
  return result;
}

Batches::Batches(Tensor x, Tensor y, const BatchOptions& options)
    : x_(std::move(x)), y_(std::move(y)), options_(options) {
  if (!x_.defined() || x_.rank() == 0)
    fail<ShapeError>("batches", "x has no rows", x_.defined() ? "its shape is ()" : "it is undefined");
  if (x_.shape(0) == 0) fail<ValueError>("batches", "x is empty", "its shape is " + x_.shape().str());
  if (y_.defined() && (y_.rank() == 0 || y_.shape(0) != x_.shape(0)))
    fail<ShapeError>("batches", "x and y differ in length", "x is " + x_.shape().str() + ", y is " + y_.shape().str(),
                     "give one target per row");
  if (options.batch_size < 1) fail<ValueError>("batches", "batch_size is below 1", std::to_string(options.batch_size));
}

Batches::Iterator Batches::begin() {
  std::shared_ptr<const std::vector<std::int64_t>> order;
  if (options_.shuffle)
    order = std::make_shared<const std::vector<std::int64_t>>(epoch_order(x_.shape(0), options_.seed, pass_, true));
  ++pass_;
  return {this, 0, std::move(order)};
}

Batches::Iterator Batches::end() const { return {this, size(), nullptr}; }

std::int64_t Batches::size() const {
  const std::int64_t n = x_.shape(0), batch = std::min(options_.batch_size, n);
  return (n + batch - 1) / batch;
}

std::pair<Tensor, Tensor> Batches::Iterator::operator*() const {
  const std::int64_t n = owner_->x_.shape(0), size = std::min(owner_->options_.batch_size, n);
  const std::int64_t begin = batch_ * size, end = std::min(begin + size, n);
  if (begin >= n)
    fail<IndexError>("batches", "read past the last batch",
                     std::to_string(batch_) + " of " + std::to_string(owner_->size()));
  std::vector<std::int64_t> rows;
  if (order_) {
    rows.assign(order_->begin() + begin, order_->begin() + end);
  } else {
    rows.resize(static_cast<std::size_t>(end - begin));
    std::iota(rows.begin(), rows.end(), begin);
  }
  return {take_rows(owner_->x_, rows), owner_->y_.defined() ? take_rows(owner_->y_, rows) : Tensor()};
}

Batches batches(const Tensor& x, const Tensor& y, const BatchOptions& options) { return {x, y, options}; }

std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> split_rows(std::int64_t n, double fraction,
                                                                           std::uint64_t seed, const Tensor& stratify) {
  if (!(fraction > 0.0 && fraction < 1.0))
    fail<ValueError>("split_rows", "the fraction is not between 0 and 1", std::to_string(fraction));
  if (n < 2) fail<ValueError>("split_rows", "too few rows to split", std::to_string(n), "at least 2 are needed");
  const std::int64_t held_out = std::clamp<std::int64_t>(std::llround(fraction * static_cast<double>(n)), 1, n - 1);
  std::vector<std::int64_t> order = ascending(n);
  shuffle(order, Words(seed, 0, split_stream));

  std::vector<char> out(static_cast<std::size_t>(n), 0);
  if (!stratify.defined()) {
    for (std::int64_t i = 0; i < held_out; ++i) out[static_cast<std::size_t>(order[static_cast<std::size_t>(i)])] = 1;
  } else {
    const std::vector<std::int64_t> labels = labels_of(stratify, n);
    struct Class {
      std::vector<std::int64_t> rows;  // in shuffled order
      std::int64_t share = 0;
      double remainder = 0.0;
    };
    std::map<std::int64_t, Class> classes;
    for (const std::int64_t row : order) classes[labels[static_cast<std::size_t>(row)]].rows.push_back(row);
    // Whole shares first; what is left goes to the largest remainders, as long as a class keeps a row.
    std::int64_t left = held_out;
    std::vector<Class*> by_remainder;
    for (auto& [label, c] : classes) {
      const auto size = static_cast<std::int64_t>(c.rows.size());
      const double exact = static_cast<double>(held_out) * static_cast<double>(size) / static_cast<double>(n);
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
    for (const auto& [label, c] : classes)
      for (std::int64_t i = 0; i < c.share; ++i) out[static_cast<std::size_t>(c.rows[static_cast<std::size_t>(i)])] = 1;
  }
  std::pair<std::vector<std::int64_t>, std::vector<std::int64_t>> split;
  for (std::int64_t row = 0; row < n; ++row)
    (out[static_cast<std::size_t>(row)] ? split.second : split.first).push_back(row);
  if (split.second.empty())
    fail<ValueError>("split_rows", "no row can be held out: every class has one row", std::to_string(n) + " rows",
                     "split without stratify");
  return split;
}

}  // namespace chainrule::data
