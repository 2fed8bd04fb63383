// The binary losses: formula, extreme logits and probabilities, gradients, weights of positives.
#include <cmath>

#include "../nn/close.hpp"
#include "chainrule/losses.hpp"
#include "chainrule/ops.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

Tensor leaf(const std::vector<double>& values, const Shape& shape) {
  Tensor x = f64(values, shape);
  x.requires_grad_();
  return x;
}
double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

TEST_CASE("binary cross-entropy of logits") {
  const std::vector<double> logits{-2, 0, 0.5, 3}, targets{0, 1, 0.3, 1};
  std::vector<double> want, slope;
  for (std::size_t i = 0; i < 4; ++i) {
    const double p = sigmoid_of(logits[i]), t = targets[i];
    want.push_back(-(t * std::log(p) + (1 - t) * std::log(1 - p)));
    slope.push_back(p - t);
  }
  Tensor x = leaf(logits, {4});
  check_close(nn::BCEWithLogitsLoss({.reduction = "none"})(x, f64(targets)), want);
  nn::BCEWithLogitsLoss({.reduction = "sum"})(x, f64(targets)).backward();
  check_close(x.grad(), slope);  // at 0, too
  CHECK(nn::BCEWithLogitsLoss().impl()->link() == "sigmoid");
}

TEST_CASE("logits of +-1e4 are exact, and so are the small losses behind them") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    Tensor x = f64({1e4, -1e4, 1e4, -1e4, 30, -30}).astype(dtype);
    x.requires_grad_();
    const Tensor t = f64({1, 0, 0, 1, 1, 0});
    const Tensor l = nn::BCEWithLogitsLoss({.reduction = "none"})(x, t);
    check_close(l, {0, 0, 1e4, 1e4, std::exp(-30.0), std::exp(-30.0)}, 1e-6);
    CHECK(values_of(l)[4] == doctest::Approx(std::exp(-30.0)).epsilon(1e-5));
    sum(l).backward();
    check_close(x.grad(), {0, 0, 1, -1, -std::exp(-30.0), std::exp(-30.0)}, 1e-6);
  }
}

TEST_CASE("weights of positives") {
  const Tensor x = f64({1, -1, 0.5, 2}, {2, 2}), t = f64({1, 0, 0, 1}, {2, 2});
  const auto term = [](double logit, double target, double weight) {
    return -(weight * target * std::log(sigmoid_of(logit)) + (1 - target) * std::log(1 - sigmoid_of(logit)));
  };
  check_close(nn::BCEWithLogitsLoss({.pos_weight = f64({2, 3}), .reduction = "none"})(x, t),
              {term(1, 1, 2), term(-1, 0, 3), term(0.5, 0, 2), term(2, 1, 3)});
  check_close(nn::BCEWithLogitsLoss({.pos_weight = Tensor(5.0), .reduction = "none"})(x, t),
              {term(1, 1, 5), term(-1, 0, 5), term(0.5, 0, 5), term(2, 1, 5)});
  CHECK(nn::BCEWithLogitsLoss({.pos_weight = f64({2, 3})})(x.astype(DType::float32), t).dtype() == DType::float32);
  CHECK_THROWS_WITH_AS(
      nn::BCEWithLogitsLoss({.pos_weight = f64({1, 2, 3})})(x, t),
      "BCEWithLogitsLoss: pos_weight must be one number, or one per column of the output: 3 numbers for an "
      "output of (2, 2)",
      ShapeError);
  CHECK_THROWS_AS(nn::BCEWithLogitsLoss({.pos_weight = f64({2, 3})})(f64({1, 2}), f64({0, 1})), ShapeError);
  CHECK_THROWS_AS(nn::BCEWithLogitsLoss({.pos_weight = f64({-1})}), ValueError);
}

TEST_CASE("binary cross-entropy of probabilities") {
  const std::vector<double> p{0.1, 0.5, 0.9, 0.3}, t{0, 1, 1, 0.25};
  std::vector<double> want, slope;
  for (std::size_t i = 0; i < 4; ++i) {
    want.push_back(-(t[i] * std::log(p[i]) + (1 - t[i]) * std::log(1 - p[i])));
    slope.push_back((p[i] - t[i]) / (p[i] * (1 - p[i])));
  }
  Tensor x = leaf(p, {4});
  check_close(nn::BCELoss({.reduction = "none"})(x, f64(t)), want);
  nn::BCELoss({.reduction = "sum"})(x, f64(t)).backward();
  check_close(x.grad(), slope);
  CHECK(nn::BCELoss().impl()->link() == "probability");
}

TEST_CASE("probabilities of 0 and 1 cost at most 100 and have finite gradients") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    Tensor x = f64({0, 1, 0, 1}).astype(dtype);
    x.requires_grad_();
    const Tensor l = nn::BCELoss({.reduction = "none"})(x, f64({0, 1, 1, 0}));
    check_close(l, {0, 0, 100, 100}, 1e-6);
    sum(l).backward();
    for (double g : values_of(x.grad())) CHECK(std::isfinite(g));
  }
  check_close(nn::BCELoss()(f64({1e-300}), f64({1})), {100});
  CHECK(std::isnan(nn::BCELoss()(f64({-0.5}), f64({1})).item()));  // no probability: seen, not hidden
  CHECK(std::isnan(nn::BCELoss()(f64({NAN}), f64({1})).item()));
}

TEST_CASE("binary labels of any dtype") {
  const Tensor x = f32({1, -1}, {2, 1});
  const std::vector<std::uint8_t> bytes{1, 0};
  const double want = nn::BCEWithLogitsLoss()(x, f32({1, 0}, {2})).item();
  CHECK(nn::BCEWithLogitsLoss()(x, ints({1, 0})).item() == want);
  CHECK(nn::BCEWithLogitsLoss()(x, Tensor::from(bytes, {2})).item() == want);
  CHECK(nn::BCEWithLogitsLoss()(x, ints({1, 0}).astype(DType::boolean)).item() == want);
}
