// Mini-batches and the order of samples. Nothing here depends on the number of threads.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "chainrule/data.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "train/samplers.hpp"
#include "train/shuffle.hpp"

namespace chainrule::data {

std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::uint64_t epoch, bool shuffled) {
  if (n < 0) fail<ValueError>("epoch_order", "n is negative", std::to_string(n));
  std::vector<std::int64_t> order = ascending(n);
  if (shuffled) {
    Words words(seed, epoch, shuffle_stream);
    shuffle(order, words);
  }
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
  check_sampler("batches", options.sampler.get(), x_.shape(0), options.shuffle);
}

Batches::Iterator Batches::begin() {
  std::shared_ptr<const std::vector<std::int64_t>> order;
  if (options_.shuffle)
    order = std::make_shared<const std::vector<std::int64_t>>(sampled_order("batches", options_.sampler.get(),
                                                                            x_.shape(0), options_.seed, pass_, true,
                                                                            std::min(options_.batch_size, samples())));
  ++pass_;
  return {this, 0, std::move(order)};
}

Batches::Iterator Batches::end() const { return {this, size(), nullptr}; }

std::int64_t Batches::samples() const { return options_.sampler ? options_.sampler->size() : x_.shape(0); }

std::int64_t Batches::size() const {
  const std::int64_t n = samples(), batch = std::min(options_.batch_size, n);
  return (n + batch - 1) / batch;
}

std::pair<Tensor, Tensor> Batches::Iterator::operator*() const {
  const std::int64_t n = owner_->samples(), size = std::min(owner_->options_.batch_size, n);
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

}  // namespace chainrule::data
