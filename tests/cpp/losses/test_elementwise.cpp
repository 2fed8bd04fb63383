// MSELoss, L1Loss and HuberLoss: values, gradients, shapes that match and shapes that do not.
#include "../nn/close.hpp"
#include "chainrule/losses.hpp"
#include "chainrule/ops.hpp"
#include "losses/loss_kinds.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

const std::vector<double> out{1, -2, 0.5, 3, 0, 4}, want{0, 1, 0.5, 1, 0.25, 4.5};  // d = 1 -3 0 2 -0.25 -0.5

std::vector<double> gradient(const Loss& loss, const Shape& shape) {
  Tensor x = f64(out, shape);
  x.requires_grad_();
  loss(x, f64(want, shape)).backward();
  return values_of(x.grad());
}

}  // namespace

TEST_CASE("mean squared error") {
  const Tensor x = f64(out, {3, 2}), t = f64(want, {3, 2});
  const double total = 1 + 9 + 0 + 4 + 0.0625 + 0.25;
  check_close(nn::MSELoss()(x, t), {total / 6});
  check_close(nn::MSELoss({.half = true})(x, t), {total / 12});
  check_close(nn::MSELoss({.reduction = "sum"})(x, t), {total});
  check_close(nn::MSELoss({.reduction = "none"})(x, t), {1, 9, 0, 4, 0.0625, 0.25});
  check_close(gradient(nn::MSELoss({.half = true, .reduction = "sum"}), {3, 2}), {1, -3, 0, 2, -0.25, -0.5});  // y - f
  check_close(gradient(nn::MSELoss(), {6}), {2 / 6.0, -6 / 6.0, 0, 4 / 6.0, -0.5 / 6, -1 / 6.0});
}

TEST_CASE("absolute error") {
  const Tensor x = f64(out, {6}), t = f64(want, {6});
  check_close(nn::L1Loss()(x, t), {6.75 / 6});
  check_close(nn::L1Loss({.reduction = "none"})(x, t), {1, 3, 0, 2, 0.25, 0.5});
  check_close(gradient(nn::L1Loss({.reduction = "sum"}), {6}), {1, -1, 0, 1, -1, -1});
}

TEST_CASE("huber") {
  const Tensor x = f64(out, {6}), t = f64(want, {6});
  check_close(nn::HuberLoss({.reduction = "none"})(x, t), {0.5, 2.5, 0, 1.5, 0.03125, 0.125});
  check_close(nn::HuberLoss({.delta = 2.0, .reduction = "none"})(x, t), {0.5, 4, 0, 2, 0.03125, 0.125});
  check_close(gradient(nn::HuberLoss({.reduction = "sum"}), {6}), {1, -1, 0, 1, -0.25, -0.5});
  check_close(gradient(nn::HuberLoss({.delta = 2.0, .reduction = "sum"}), {6}), {1, -2, 0, 2, -0.25, -0.5});
  const Tensor large = f64({1e200, -1e200}), zero = f64({0, 0});
  check_close(nn::HuberLoss({.reduction = "none"})(large, zero), {1e200, 1e200});
  CHECK_THROWS_WITH_AS(nn::HuberLoss({.delta = 0}), "HuberLoss: delta must be finite and > 0: delta is 0.0",
                       ValueError);
}

TEST_CASE("shapes match up to one trailing axis of size 1, and nothing broadcasts") {
  const Loss loss = nn::MSELoss();
  const Tensor flat = f64({1, 2, 3}), column = f64({1, 2, 3}, {3, 1});
  check_close(loss(flat, column), {0});
  check_close(loss(column, flat), {0});
  CHECK(nn::MSELoss({.reduction = "none"})(column, flat).shape() == Shape{3, 1});
  CHECK_THROWS_WITH_AS(
      loss(f64({1, 2, 3, 4, 5, 6}, {3, 2}), flat),
      "MSELoss: output and target differ in shape: output is (3, 2), target is (3,); they must be equal up to "
      "one trailing axis of size 1; a loss never broadcasts",
      ShapeError);
  CHECK_THROWS_AS(loss(flat, f64({1, 2, 3}, {1, 3})), ShapeError);
  CHECK_THROWS_AS(loss(flat, f64({1})), ShapeError);
  CHECK_THROWS_AS(loss(flat, Tensor(1.0)), ShapeError);
  for (const Loss& other : {nn::L1Loss(), nn::HuberLoss(), nn::BCELoss(), nn::BCEWithLogitsLoss()})
    CHECK_THROWS_AS(other(column, f64({1, 2, 3}, {1, 3})), ShapeError);
}

TEST_CASE("targets take the output's dtype") {
  const Tensor x = f32({1, 2, 3}, {3});
  CHECK(nn::MSELoss()(x, f64({0, 0, 0})).dtype() == DType::float32);
  check_close(nn::MSELoss()(x, ints({1, 2, 4})), {1.0 / 3}, 1e-6);
  CHECK_THROWS_WITH_AS(nn::MSELoss()(ints({1, 2, 3}), ints({1, 2, 3})),
                       "MSELoss: the output must be floating: output is int64; use astype(\"float32\")", DTypeError);
}

TEST_CASE("what no loss takes") {
  const Tensor none = Tensor::zeros({0, 2});
  CHECK_THROWS_WITH_AS(nn::MSELoss()(none, none),
                       "MSELoss: the batch is empty: output is (0, 2); pass at least one sample", ShapeError);
  const Tensor x = f64({1, 2});
  CHECK_THROWS_WITH_AS(nn::L1Loss()(std::vector<Tensor>{x, x}, x),
                       "L1Loss: takes one output: the model gave 2; write a loss of your own for several", ValueError);
  CHECK_THROWS_AS(nn::MSELoss()(x, Tensor()), StateError);
  CHECK_THROWS_AS(nn::MSELoss()(Tensor(), x), StateError);
  CHECK_THROWS_WITH_AS(nn::MSELoss({.reduction = "average"}),
                       "MSELoss: unknown reduction: 'average'; use \"mean\", \"sum\" or \"none\"", ValueError);
  CHECK_THROWS_AS(Loss()(x, x), StateError);
}

TEST_CASE("losses by name and arguments") {
  CHECK(nn::MSELoss().str() == "MSELoss()");
  for (const Loss& loss :
       {nn::MSELoss({.half = true, .reduction = "sum"}), nn::L1Loss(), nn::HuberLoss({.delta = 0.5}), nn::BCELoss(),
        nn::BCEWithLogitsLoss({.pos_weight = f64({2, 3})}), nn::NLLLoss({.weight = f64({1, 2}), .ignore_index = -100}),
        nn::CrossEntropyLoss({.weight = f64({1, 0.5}), .ignore_index = 0, .label_smoothing = 0.1}),
        nn::PoissonNLLLoss({.log_input = false, .full = true, .eps = 1e-4}),
        nn::GaussianNLLLoss({.log_variance = false, .full = true, .eps = 1e-3}),
        nn::QuantileLoss({.quantiles = {0.2, 0.7}}), nn::CosineSimilarityLoss({.eps = 1e-3}),
        nn::HingeLoss({.squared = true}), nn::MultiMarginLoss({.p = 2, .margin = 0.5, .weight = f64({1, 2})}),
        nn::FocalLoss({.gamma = 1.0, .alpha = f64({1, 2})}), nn::BinaryFocalLoss({.gamma = 1.0, .alpha = 0.5}),
        nn::KLDivLoss({.log_target = true}),
        nn::MultiLoss({nn::CrossEntropyLoss({.ignore_index = 3}), nn::MSELoss()},
                      {.weights = {1, 0.5}, .columns = {1, 2}})}) {
    nn::Arguments arguments = loss.impl()->arguments();
    arguments.emplace_back("reduction", loss.reduction());
    CHECK(make_loss(loss.impl()->name(), arguments).str() == loss.str());
  }
  CHECK(nn::MSELoss({.half = true, .reduction = "sum"}).str() == "MSELoss(half=True, reduction='sum')");
  CHECK(nn::CrossEntropyLoss({.weight = f64({1, 0.5}), .ignore_index = 0}).str() ==
        "CrossEntropyLoss(weight=(1.0, 0.5), ignore_index=0)");
  CHECK_THROWS_AS(make_loss("TripletLoss", {}), IndexError);
  CHECK_THROWS_AS(make_loss("MSELoss", {{"delta", 1.0}}), ValueError);
}
