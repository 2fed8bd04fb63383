// Layers without parameters: each against its formula, its text, its arguments.
#include <cmath>

#include "chainrule/nn.hpp"
#include "close.hpp"
#include "nn/layer_kinds.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

const std::vector<double> points{-3.0, -0.5, 0.0, 0.75, 2.0};

void check_formula(const nn::Module& layer, const std::string& text, double (*formula)(double)) {
  CAPTURE(text);
  std::vector<double> want;
  for (double x : points) want.push_back(formula(x));
  check_close(layer(f64(points)), want, 1e-14);
  CHECK(layer.str() == text);
  CHECK(layer.parameters().empty());
}

double sigmoid_of(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

TEST_CASE("activations") {
  check_formula(nn::ReLU(), "ReLU()", [](double x) { return std::max(x, 0.0); });
  check_formula(nn::Sigmoid(), "Sigmoid()", sigmoid_of);
  check_formula(nn::Tanh(), "Tanh()", [](double x) { return std::tanh(x); });
  check_formula(nn::SiLU(), "SiLU()", [](double x) { return x * sigmoid_of(x); });
  check_formula(nn::Softplus(), "Softplus()", [](double x) { return std::log1p(std::exp(x)); });
  check_formula(nn::Identity(), "Identity()", [](double x) { return x; });
  check_formula(nn::LeakyReLU(), "LeakyReLU()", [](double x) { return x > 0 ? x : 0.01 * x; });
  check_formula(nn::LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)", [](double x) { return x > 0 ? x : 0.2 * x; });
  check_formula(nn::ELU(), "ELU()", [](double x) { return x > 0 ? x : std::expm1(x); });
  check_formula(nn::ELU(2.0), "ELU(alpha=2.0)", [](double x) { return x > 0 ? x : 2 * std::expm1(x); });
  check_formula(nn::GELU(), "GELU()", [](double x) { return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))); });
  check_formula(nn::GELU("tanh"), "GELU(approximate='tanh')", [](double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x)));
  });
}

TEST_CASE("softmax layers") {
  const Tensor x = f64({1, 2, 4, -1, 0, 1}, {2, 3});
  std::vector<double> rows, logs, columns;
  for (int i = 0; i < 6; ++i) {
    const std::vector<double> v = values_of(x);
    const int row = i / 3;
    double sum = 0;
    for (int j = 0; j < 3; ++j) sum += std::exp(v[static_cast<std::size_t>(row * 3 + j)]);
    const double e = std::exp(v[static_cast<std::size_t>(i)]);
    rows.push_back(e / sum);
    logs.push_back(std::log(e / sum));
    columns.push_back(
        e / (std::exp(v[static_cast<std::size_t>(i % 3)]) + std::exp(v[static_cast<std::size_t>(i % 3 + 3)])));
  }
  check_close(nn::Softmax()(x), rows, 1e-14);
  check_close(nn::LogSoftmax()(x), logs, 1e-14);
  check_close(nn::Softmax(0)(x), columns, 1e-14);
  CHECK(nn::Softmax().str() == "Softmax()");
  CHECK(nn::LogSoftmax(0).str() == "LogSoftmax(axis=0)");
  CHECK_THROWS_WITH_AS(nn::Softmax(9), "Softmax: axis out of range: axis is 9", IndexError);
}

TEST_CASE("flatten keeps the batch axis") {
  const nn::Flatten flatten;
  CHECK(flatten(Tensor::zeros({5, 2, 3, 4})).shape() == Shape{5, 24});
  CHECK(flatten(Tensor::zeros({5, 2})).shape() == Shape{5, 2});
  CHECK(flatten(Tensor::zeros({5})).shape() == Shape{5, 1});
  CHECK(flatten(Tensor::zeros({0, 2, 3})).shape() == Shape{0, 6});
  CHECK_THROWS_WITH_AS(flatten(Tensor::zeros({})), "Flatten(): the input has no batch axis: x is (); pass (batch, ...)",
                       ShapeError);
}

TEST_CASE("arguments out of range") {
  CHECK_THROWS_WITH_AS(nn::GELU("fast"), "GELU: unknown approximation: 'fast'; use \"none\" or \"tanh\"", ValueError);
  CHECK_THROWS_WITH_AS(nn::LeakyReLU(NAN), "LeakyReLU: negative_slope must be finite: nan", ValueError);
  CHECK_THROWS_AS(nn::ELU{INFINITY}, ValueError);
}

TEST_CASE("layers by kind and arguments") {
  CHECK(nn::Module(nn::make_layer("LeakyReLU", {{"negative_slope", 0.3}})).str() == "LeakyReLU(negative_slope=0.3)");
  CHECK(nn::Module(nn::make_layer("Linear", {{"in_features", std::int64_t{2}}, {"out_features", std::int64_t{3}}}))
            .str() == "Linear(2, 3)");
  CHECK_THROWS_AS(nn::make_layer("Conv9d", {}), IndexError);
  CHECK_THROWS_WITH_AS(nn::make_layer("Linear", {{"in_features", std::int64_t{2}}}),
                       "Linear: an argument is missing: out_features", ValueError);
  CHECK_THROWS_WITH_AS(nn::make_layer("Dropout", {{"p", std::string("much")}}),
                       "Dropout: p has the wrong type: 'much'; it must be a number", ValueError);
  CHECK_THROWS_WITH_AS(nn::make_layer("ReLU", {{"slope", 1.0}}), "ReLU: unknown argument: slope=1.0", ValueError);
}
