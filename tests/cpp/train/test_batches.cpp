// The order of samples, mini-batches and splits.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

#include "chainrule/data.hpp"

using namespace chainrule;

namespace {

Tensor counting(const Shape& shape, DType dtype = DType::float32) {
  std::vector<float> values(static_cast<std::size_t>(shape.size()));
  std::iota(values.begin(), values.end(), 0.0f);
  const Tensor t = Tensor::from(values, shape);
  return dtype == DType::float32 ? t : t.astype(dtype);
}
Tensor labels_of(const std::vector<std::int64_t>& values) { return Tensor::from(values, {values.size()}); }
bool is_permutation_of_all(std::vector<std::int64_t> order) {
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i)
    if (order[i] != static_cast<std::int64_t>(i)) return false;
  return true;
}

}  // namespace

TEST_CASE("epoch_order: a permutation keyed by seed and epoch") {
  for (const std::int64_t n : {0, 1, 2, 3, 100, 4097}) {
    const auto order = data::epoch_order(n, 7, 3, true);
    CHECK(order.size() == static_cast<std::size_t>(n));
    CHECK(is_permutation_of_all(order));
    CHECK(data::epoch_order(n, 7, 3, true) == order);
  }
  const auto order = data::epoch_order(100, 0, 0, true);
  CHECK(order != data::epoch_order(100, 0, 1, true));
  CHECK(order != data::epoch_order(100, 1, 0, true));
  CHECK(order != data::epoch_order(100, 0, std::uint64_t{1} << 32, true));
  CHECK(data::epoch_order(4, 0, 0, false) == std::vector<std::int64_t>{0, 1, 2, 3});
  CHECK_THROWS_AS(data::epoch_order(-1, 0, 0, true), ValueError);
}

TEST_CASE("epoch_order: the bits are those of the definition") {
  // From a separate implementation of Philox4x32-10, Lemire's draw and Fisher-Yates, in Python.
  CHECK(data::epoch_order(10, 0, 0, true) == std::vector<std::int64_t>{0, 1, 9, 4, 3, 6, 5, 8, 2, 7});
  CHECK(data::epoch_order(10, (std::uint64_t{1} << 40) + 7, 5, true) ==
        std::vector<std::int64_t>{6, 5, 2, 9, 7, 0, 1, 3, 4, 8});
}

TEST_CASE("epoch_order: all orders equally often") {
  // 24 orders of four in 24,000 epochs: chi-square with 23 degrees of freedom; 49.7 is exceeded once in a thousand.
  std::vector<int> count(256, 0);
  constexpr int epochs = 24'000;
  for (int e = 0; e < epochs; ++e) {
    const auto o = data::epoch_order(4, 11, static_cast<std::uint64_t>(e), true);
    ++count[static_cast<std::size_t>(o[0] * 64 + o[1] * 16 + o[2] * 4 + o[3])];
  }
  double chi = 0.0;
  int orders = 0;
  for (const int c : count) {
    if (c == 0) continue;
    ++orders;
    chi += (c - epochs / 24.0) * (c - epochs / 24.0) / (epochs / 24.0);
  }
  CHECK(orders == 24);
  CHECK(chi < 49.7);
}

TEST_CASE("take_rows") {
  const Tensor x = counting({4, 2, 3});
  const std::int64_t rows[] = {3, 0, 3};
  const Tensor part = data::take_rows(x, rows);
  CHECK(part.shape() == Shape{3, 2, 3});
  CHECK(part.data<float>()[0] == 18.0f);
  CHECK(part.data<float>()[6] == 0.0f);
  CHECK(part.data<float>()[17] == 23.0f);
  CHECK(data::take_rows(x, {}).shape() == Shape{0, 2, 3});
  const std::int64_t outside[] = {4}, negative[] = {-1};
  CHECK_THROWS_WITH_AS(data::take_rows(x, outside), "take_rows: a row is out of range: 4 of 4", IndexError);
  CHECK_THROWS_AS(data::take_rows(x, negative), IndexError);
  CHECK_THROWS_AS(data::take_rows(Tensor::scalar(1.0), outside), ShapeError);
}

TEST_CASE("batches: every sample once per pass, in the order of that epoch") {
  const Tensor x = counting({10, 2}), y = counting({10}, DType::int64);
  data::Batches batches = data::batches(x, y, {.batch_size = 4, .seed = 5});
  CHECK(batches.size() == 3);
  for (std::uint64_t pass = 0; pass < 3; ++pass) {
    std::vector<std::int64_t> seen;
    std::vector<std::int64_t> sizes;
    for (const auto& [xb, yb] : batches) {
      sizes.push_back(xb.shape(0));
      for (std::int64_t i = 0; i < yb.size(); ++i) {
        seen.push_back(yb.data<std::int64_t>()[i]);
        CHECK(xb.data<float>()[2 * i] == 2.0f * static_cast<float>(seen.back()));
      }
    }
    CHECK(sizes == std::vector<std::int64_t>{4, 4, 2});
    CHECK(seen == data::epoch_order(10, 5, pass, true));
  }
}

TEST_CASE("batches: in order, without targets, larger than the data") {
  const Tensor x = counting({3, 1});
  data::Batches plain = data::batches(x, {}, {.batch_size = 2, .shuffle = false});
  std::vector<float> seen;
  for (const auto& [xb, yb] : plain) {
    CHECK_FALSE(yb.defined());
    for (const float v : xb.span<float>()) seen.push_back(v);
  }
  CHECK(seen == std::vector<float>{0, 1, 2});
  CHECK(data::batches(x, {}, {.batch_size = std::int64_t{1} << 62}).size() == 1);
}

TEST_CASE("batches: what is refused") {
  const Tensor x = counting({3, 1});
  CHECK_THROWS_WITH_AS(data::batches(x, counting({4})),
                       "batches: x and y differ in length: x is (3, 1), y is (4,); give one target per row",
                       ShapeError);
  CHECK_THROWS_AS(data::batches(x, x, {.batch_size = 0}), ValueError);
  CHECK_THROWS_AS(data::batches(counting({0, 2}), {}), ValueError);
  CHECK_THROWS_AS(data::batches(Tensor::scalar(1.0), {}), ShapeError);
}

TEST_CASE("split_rows: sizes, determinism, disjoint parts") {
  const auto [train, held] = data::split_rows(100, 0.2, 3);
  CHECK(train.size() == 80);
  CHECK(held.size() == 20);
  std::vector<std::int64_t> all = train;
  all.insert(all.end(), held.begin(), held.end());
  CHECK(is_permutation_of_all(all));
  CHECK(std::is_sorted(held.begin(), held.end()));
  CHECK(data::split_rows(100, 0.2, 3).second == held);
  CHECK(data::split_rows(100, 0.2, 4).second != held);
  CHECK(data::split_rows(2, 0.01, 0).second.size() == 1);
  CHECK(data::split_rows(2, 0.99, 0).first.size() == 1);
  CHECK_THROWS_AS(data::split_rows(1, 0.5, 0), ValueError);
  for (const double fraction : {0.0, 1.0, -1.0, std::nan("")})
    CHECK_THROWS_AS(data::split_rows(10, fraction, 0), ValueError);
}

TEST_CASE("split_rows: stratified") {
  std::vector<std::int64_t> labels;
  for (int i = 0; i < 100; ++i) labels.push_back(i < 70 ? 0 : i < 95 ? 1 : i < 99 ? 2 : 3);
  const auto [train, held] = data::split_rows(100, 0.2, 0, labels_of(labels));
  CHECK(held.size() == 20);
  std::vector<int> count(4, 0);
  for (const std::int64_t row : held) ++count[static_cast<std::size_t>(labels[static_cast<std::size_t>(row)])];
  CHECK(count == std::vector<int>{14, 5, 1, 0});  // a class of one stays in training
  CHECK(data::split_rows(100, 0.2, 0, labels_of(labels)).second == held);
  CHECK(data::split_rows(4, 0.5, 0, labels_of({0, 0, 1, 1}).astype(DType::int32)).second.size() == 2);
  CHECK_THROWS_AS(data::split_rows(3, 0.5, 0, labels_of({0, 1})), ShapeError);
  CHECK_THROWS_AS(data::split_rows(3, 0.5, 0, counting({3})), DTypeError);
  CHECK_THROWS_AS(data::split_rows(3, 0.4, 0, labels_of({0, 1, 2})), ValueError);
}
