// CrossEntropyLoss and NLLLoss: labels and probabilities, class weights, ignored labels, smoothing, extreme logits.
#include <cmath>

#include "../nn/close.hpp"
#include "chainrule/graph.hpp"
#include "chainrule/losses.hpp"
#include "chainrule/ops.hpp"
#include "graph/graph.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

const std::vector<double> logits{1, 2, 0.5, -1, 0, 3, 2, 2, 2, 0.1, -0.2, 0.3};  // (4, 3)
const std::vector<std::int64_t> labels{2, 0, 1, 1};
const std::vector<double> weights{0.5, 2, 1};
constexpr std::size_t rows = 4, classes = 3;

Tensor x() { return f64(logits, {4, 3}); }

std::vector<double> log_probabilities() {
  std::vector<double> all;
  for (std::size_t n = 0; n < rows; ++n) {
    double total = 0;
    for (std::size_t c = 0; c < classes; ++c) total += std::exp(logits[n * classes + c]);
    for (std::size_t c = 0; c < classes; ++c) all.push_back(logits[n * classes + c] - std::log(total));
  }
  return all;
}

// The definition with everything in it; the weight a sample counts for goes to `counts`.
std::vector<double> expected(double smoothing, bool weighted, std::int64_t ignored, std::vector<double>& counts) {
  const std::vector<double> logp = log_probabilities();
  std::vector<double> losses;
  for (std::size_t n = 0; n < rows; ++n) {
    const auto label = static_cast<std::size_t>(labels[n]);
    const double keep = labels[n] == ignored ? 0 : 1, w = weighted ? weights[label] : 1;
    double loss = -(1 - smoothing) * w * logp[n * classes + label];
    for (std::size_t c = 0; c < classes; ++c)
      loss -= smoothing / 3 * (weighted ? weights[c] : 1) * logp[n * classes + c];
    losses.push_back(keep * loss);
    counts.push_back(keep * w);
  }
  return losses;
}

double total(const std::vector<double>& values) {
  double t = 0;
  for (double v : values) t += v;
  return t;
}

}  // namespace

TEST_CASE("cross-entropy with every combination of weights, ignored labels and smoothing") {
  for (const double smoothing : {0.0, 0.1, 1.0})
    for (const bool weighted : {false, true})
      for (const std::int64_t ignored : {-100, 1}) {
        CAPTURE(smoothing);
        CAPTURE(weighted);
        CAPTURE(ignored);
        std::vector<double> counts;
        const std::vector<double> losses = expected(smoothing, weighted, ignored, counts);
        nn::CrossEntropyOptions options{.label_smoothing = smoothing};
        if (weighted) options.weight = f64(weights);
        if (ignored >= 0) options.ignore_index = ignored;
        check_close(nn::CrossEntropyLoss(options)(x(), ints(labels)), {total(losses) / total(counts)});
        options.reduction = "sum";
        check_close(nn::CrossEntropyLoss(options)(x(), ints(labels)), {total(losses)});
        options.reduction = "none";
        check_close(nn::CrossEntropyLoss(options)(x(), ints(labels)), losses);
        const auto [sum_loss, sum_weight] = nn::CrossEntropyLoss(options).sums({x()}, ints(labels), {});
        check_close(sum_loss, {total(losses)});
        check_close(sum_weight, {total(counts)});
        const Tensor s = f64({1, 2, 0.5, 3});
        double top = 0, bottom = 0;
        for (std::size_t n = 0; n < rows; ++n)
          top += values_of(s)[n] * losses[n], bottom += values_of(s)[n] * counts[n];
        options.reduction = "mean";
        check_close(nn::CrossEntropyLoss(options)(x(), ints(labels), s), {top / bottom});
      }
}

TEST_CASE("the gradient of cross-entropy is p - q") {
  Tensor at = x();
  at.requires_grad_();
  nn::CrossEntropyLoss({.reduction = "sum"})(at, ints(labels)).backward();
  std::vector<double> want;
  for (double logp : log_probabilities()) want.push_back(std::exp(logp));
  for (std::size_t n = 0; n < rows; ++n) want[n * classes + static_cast<std::size_t>(labels[n])] -= 1;
  check_close(at.grad(), want);
}

TEST_CASE("probabilities as targets") {
  const std::vector<double> q{0.2, 0.3, 0.5, 1, 0, 0, 0.25, 0.25, 0.5, 0, 0, 1};
  const std::vector<double> logp = log_probabilities();
  for (const double smoothing : {0.0, 0.3})
    for (const bool weighted : {false, true}) {
      std::vector<double> losses(rows);
      for (std::size_t i = 0; i < q.size(); ++i)
        losses[i / 3] -= (weighted ? weights[i % 3] : 1) * ((1 - smoothing) * q[i] + smoothing / 3) * logp[i];
      nn::CrossEntropyOptions options{.label_smoothing = smoothing};
      if (weighted) options.weight = f64(weights);
      check_close(nn::CrossEntropyLoss(options)(x(), f64(q, {4, 3})), {total(losses) / 4});
    }
  CHECK_THROWS_WITH_AS(
      nn::CrossEntropyLoss({.ignore_index = 0})(x(), f64(q, {4, 3})),
      "CrossEntropyLoss: ignore_index goes with labels only: target is (4, 3) of float64; give integer labels, "
      "or weight the samples with sample_weight",
      ValueError);
}

TEST_CASE("logits of +-1e4") {
  for (const DType dtype : {DType::float32, DType::float64}) {
    Tensor at = f64({1e4, -1e4, -1e4, 1e4, 1e4, 1e4}, {3, 2}).astype(dtype);
    at.requires_grad_();
    const Tensor l = nn::CrossEntropyLoss({.reduction = "none"})(at, ints({0, 0, 1}));
    check_close(l, {0, 2e4, std::log(2.0)}, 1e-6);
    sum(l).backward();
    check_close(at.grad(), {0, 0, -1, 1, 0.5, -0.5}, dtype == DType::float32 ? 1e-6 : 1e-12);
  }
}

TEST_CASE("labels of more axes, of any integer dtype, with a trailing 1") {
  const Tensor wide = f64(logits, {2, 2, 3});
  const double want = nn::CrossEntropyLoss()(x(), ints(labels)).item();
  CHECK(nn::CrossEntropyLoss()(wide, ints(labels, {2, 2})).item() == want);
  CHECK(nn::CrossEntropyLoss({.reduction = "none"})(wide, ints(labels, {2, 2})).shape() == Shape{2, 2});
  CHECK(nn::CrossEntropyLoss()(x(), ints(labels, {4, 1})).item() == want);
  CHECK(nn::CrossEntropyLoss()(x(), ints(labels).astype(DType::int32)).item() == want);
  CHECK(nn::CrossEntropyLoss()(x(), ints(labels).astype(DType::uint8)).item() == want);
}

TEST_CASE("nll of log-probabilities") {
  const Tensor logp = f64(log_probabilities(), {4, 3});
  CHECK(nn::NLLLoss().impl()->link() == "exp");
  for (const bool weighted : {false, true})
    for (const std::int64_t ignored : {-100, 1}) {
      std::vector<double> counts;
      const std::vector<double> losses = expected(0, weighted, ignored, counts);
      nn::NLLOptions options;
      if (weighted) options.weight = f64(weights);
      if (ignored >= 0) options.ignore_index = ignored;
      check_close(nn::NLLLoss(options)(logp, ints(labels)), {total(losses) / total(counts)});
      options.reduction = "none";
      check_close(nn::NLLLoss(options)(logp, ints(labels)), losses);
    }
  // log 0 in an ignored sample does no harm
  check_close(nn::NLLLoss({.ignore_index = 0})(f64({-INFINITY, 0, -1, -2}, {2, 2}), ints({0, 1})), {2});
}

TEST_CASE("wrong targets say what to do") {
  const Loss loss = nn::CrossEntropyLoss();
  CHECK_THROWS_WITH_AS(
      loss(x(), ints({0, 1, 3, 2})),
      "CrossEntropyLoss: a label is outside the classes: label 3 at position 2, 3 classes; labels must be 0 ... "
      "2; or give the last layer more outputs",
      IndexError);
  CHECK_THROWS_WITH_AS(
      nn::CrossEntropyLoss({.ignore_index = 9})(x(), ints({0, 1, 3, 9})),
      "CrossEntropyLoss: a label is outside the classes: label 3 at position 2, 3 classes; labels must "
      "be 0 ... 2, or equal to ignore_index",
      IndexError);
  const char* rows_must =
      "; each row must be 0 or more and add up to 1; for labels give integers, for several classes at "
      "once use BCEWithLogitsLoss";
  const auto refused = [&](const std::vector<float>& second, const std::string& what) {
    std::vector<float> q = {1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1};
    std::copy(second.begin(), second.end(), q.begin() + 3);
    CHECK_THROWS_WITH_AS(
        loss(x(), f32(q, {4, 3})),
        ("CrossEntropyLoss: a target is no probability distribution: row 1 " + what + rows_must).c_str(), ValueError);
  };
  refused({0.5f, -0.5f, 1}, "holds -0.5");
  refused({0.5f, NAN, 0.5f}, "holds nan");
  refused({0.5f, 0.25f, 0.5f}, "adds up to 1.25");
  refused({0, 0, 0}, "adds up to 0.0");
  CHECK_THROWS_AS(loss(x(), ints({0, -1, 1, 2})), IndexError);
  CHECK_THROWS_AS(nn::NLLLoss()(x(), ints({0, -1, 1, 2})), IndexError);
  CHECK_THROWS_WITH_AS(
      loss(x(), f32({0, 1, 2, 1}, {4})),
      "CrossEntropyLoss: class labels must be integers: output is (4, 3), target is (4,) of float32; convert "
      "them with astype(\"int64\"), or give probabilities of shape (4, 3)",
      DTypeError);
  CHECK_THROWS_WITH_AS(
      nn::NLLLoss()(x(), f32({0, 1, 2, 1}, {4, 1})),
      "NLLLoss: class labels must be integers: output is (4, 3), target is (4, 1) of float32; convert them "
      "with astype(\"int64\")",
      DTypeError);
  CHECK_THROWS_WITH_AS(
      loss(x(), ints({1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0}, {4, 3})),
      "CrossEntropyLoss: a target of the output's shape is not class labels: output is (4, 3), target is (4, "
      "3) of int64; convert one-hot rows with astype(\"float32\") to use them as probabilities",
      DTypeError);
  CHECK_THROWS_WITH_AS(
      loss(x(), ints({0, 1})),
      "CrossEntropyLoss: output and target do not fit: output is (4, 3), target is (2,) of int64; labels must "
      "be (4,), probabilities (4, 3), classes last",
      ShapeError);
  CHECK_THROWS_WITH_AS(nn::CrossEntropyLoss({.weight = f64({1, 2})})(x(), ints(labels)),
                       "CrossEntropyLoss: weight must hold one number per class: 2 numbers for 3 classes", ShapeError);
  CHECK_THROWS_AS(nn::CrossEntropyLoss({.weight = f64({1, -2, 1})}), ValueError);
  CHECK_THROWS_AS(nn::CrossEntropyLoss({.weight = f64({1, 2}, {1, 2})}), ShapeError);
  CHECK_THROWS_WITH_AS(nn::CrossEntropyLoss({.label_smoothing = 1.5}),
                       "CrossEntropyLoss: label_smoothing must lie in [0, 1]: label_smoothing is 1.5", ValueError);
  CHECK_THROWS_AS(loss(Tensor::zeros({0, 3}), Tensor::zeros({0}, DType::int64)), ShapeError);
  CHECK_THROWS_AS(loss(f64({}, {}), ints({0}, {})), Error);
}

TEST_CASE("traced losses leave labels to the kernels, which refuse wrong ones") {
  const std::vector<Tensor> good{x(), ints(labels)};
  const Tensor logp = f64(log_probabilities(), {4, 3});
  for (const Loss& loss : {nn::CrossEntropyLoss(), nn::NLLLoss(), nn::CrossEntropyLoss({.weight = f64(weights)}),
                           nn::NLLLoss({.weight = f64(weights), .ignore_index = 2}),
                           nn::CrossEntropyLoss({.weight = f64(weights), .label_smoothing = 0.1})}) {
    CAPTURE(loss.str());
    const Graph graph =
        trace([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{loss(in[0], in[1])}; }, good);
    CHECK(same_bits(replay(graph.data(), good)[0], loss(good[0], good[1])));
    CHECK(graph.data().captures.empty());  // class weights are constants
    for (const std::int64_t bad : {-1, 3}) {
      const std::vector<Tensor> wrong{x(), ints({0, bad, 1, 1})};
      CHECK_THROWS_AS(replay(graph.data(), wrong), IndexError);
    }
  }
}
