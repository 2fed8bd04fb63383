// Reductions and sample weights of all losses, and losses of one's own.
#include "../nn/close.hpp"
#include "chainrule/losses.hpp"
#include "chainrule/ops.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

const Tensor& output() {
  static const Tensor t = f64({1, 2, 3, 4, 5, 6}, {3, 2});
  return t;
}
const Tensor& target() {
  static const Tensor t = f64({0, 0, 1, 1, 2, 2}, {3, 2});  // squares: 1 4, 4 9, 9 16
  return t;
}

}  // namespace

TEST_CASE("a weighted mean is sum(w l) / sum(w)") {
  const Tensor w = f64({1, 0, 3});
  check_close(nn::MSELoss()(output(), target(), w), {(1 * 2.5 + 3 * 12.5) / 4});
  check_close(nn::MSELoss()(output(), target(), f64({1, 0, 3}, {3, 1})), {(1 * 2.5 + 3 * 12.5) / 4});
  check_close(nn::MSELoss()(output(), target(), ints({1, 0, 3})), {(1 * 2.5 + 3 * 12.5) / 4});
  check_close(nn::MSELoss()(output(), target(), f64({2, 2, 2})), {43.0 / 6});
  check_close(nn::MSELoss({.reduction = "sum"})(output(), target(), w), {5 + 75});
  const Tensor none = nn::MSELoss({.reduction = "none"})(output(), target(), w);
  CHECK(none.shape() == Shape{3, 2});
  check_close(none, {1, 4, 0, 0, 27, 48});
  CHECK_THROWS_WITH_AS(
      nn::MSELoss()(output(), target(), f64({1, 2})),
      "MSELoss: sample_weight must hold one number per sample: sample_weight is (2,) for 3 samples; its shape "
      "must be (3,)",
      ShapeError);
  CHECK_THROWS_AS(nn::MSELoss()(output(), target(), target()), ShapeError);
}

TEST_CASE("a weight of 2 is the sample twice") {
  Tensor x = f64({1, 2, 3, 4}, {2, 2}), twice = f64({1, 2, 1, 2, 3, 4}, {3, 2});
  const Loss loss = nn::CrossEntropyLoss();
  CHECK(loss(x, ints({0, 1}), f64({2, 1})).item() ==
        doctest::Approx(loss(twice, ints({0, 0, 1})).item()).epsilon(1e-14));
}

TEST_CASE("sums add up over batches to the mean over samples") {
  const Loss loss = nn::MSELoss();
  const auto part = [&](std::int64_t from, std::int64_t to, const Tensor& w) {
    const Tensor weight = w.defined() ? slice(w, {{from, to}}) : Tensor();
    const auto [l, n] = loss.sums({slice(output(), {{from, to}})}, slice(target(), {{from, to}}), weight);
    return std::pair(l.item(), n.item());
  };
  for (const Tensor& w : {Tensor(), f64({1, 0.5, 3})}) {
    const auto [l1, n1] = part(0, 2, w);
    const auto [l2, n2] = part(2, 3, w);
    CHECK((l1 + l2) / (n1 + n2) == doctest::Approx(loss(output(), target(), w).item()).epsilon(1e-14));
  }
}

TEST_CASE("losses of one's own") {
  const Loss samples([](const Tensor& y, const Tensor& t) { return sum(square(y - t), {-1}); });
  check_close(samples(output(), target()), {(5 + 13 + 25) / 3.0});
  check_close(samples(output(), target(), f64({1, 0, 1})), {15});
  const Loss scalar([](const Tensor& y, const Tensor& t) { return mean(abs(y - t)); }, "my_loss");
  CHECK(scalar.str() == "my_loss()");
  check_close(scalar(output(), target()), {15.0 / 6});
  const auto [l, n] = scalar.sums({output()}, target(), {});
  check_close(l, {7.5});
  check_close(n, {3});
  CHECK_THROWS_WITH_AS(
      scalar(output(), target(), f64({1, 2, 3})),
      "my_loss: a loss that returns one scalar cannot be weighted: sample_weight is (3,); return one value "
      "per sample, shape (N,): the mean is taken for you",
      ValueError);
  const Loss wrong([](const Tensor& y, const Tensor&) { return sum(y, {0}); });
  CHECK_THROWS_WITH_AS(
      wrong(output(), target()),
      "custom loss: must return a scalar or one value per sample: it returned (2,) for 3 samples; reduce the "
      "other axes with mean(axis=...)",
      ShapeError);
  const Loss counts([](const Tensor& y, const Tensor&) { return argmax(y, 1); });
  CHECK_THROWS_AS(counts(output(), target()), DTypeError);
  const Loss several = Loss::of_outputs(
      [](const std::vector<Tensor>& y, const Tensor& t) { return mean(square(y[0] + y[1] - t), {-1}); });
  check_close(several(std::vector<Tensor>{output(), target()}, target()), {(2.5 + 12.5 + 30.5) / 3});
  CHECK_THROWS_AS(samples(std::vector<Tensor>{output(), output()}, target()), ValueError);
}
