// Initializers: spread of the draws, orthogonality, bits by key, errors.
#include <cmath>

#include "chainrule/nn.hpp"
#include "close.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

struct Spread {
  double mean = 0, std = 0, most = 0;
};
Spread spread_of(const Tensor& w) {
  Spread s;
  const std::vector<double> all = values_of(w);
  for (double v : all) s.mean += v, s.most = std::max(s.most, std::abs(v));
  s.mean /= static_cast<double>(all.size());
  for (double v : all) s.std += (v - s.mean) * (v - s.mean);
  s.std = std::sqrt(s.std / static_cast<double>(all.size()));
  return s;
}

// (300, 200): 60000 draws, so a relative error of the standard deviation of about 0.3 %.
void check_spread(const char* name, void (*draw)(const Tensor&), double std, bool uniform) {
  CAPTURE(name);
  for (const DType dtype : {DType::float32, DType::float64}) {
    const Tensor w = Tensor::zeros({300, 200}, dtype);
    draw(w);
    const Spread s = spread_of(w);
    CHECK(std::abs(s.mean) < 0.02 * std);
    CHECK(s.std == doctest::Approx(std).epsilon(0.015));
    if (uniform) {
      CHECK(s.most <= std::sqrt(3.0) * std * (1 + 1e-6));
      CHECK(s.most > std::sqrt(3.0) * std * 0.999);
    } else {
      CHECK(s.most > 3.5 * std);
    }
  }
}

constexpr nn::init::Key key{42, 3};

}  // namespace

TEST_CASE("spreads of the initializers") {
  using namespace nn::init;
  check_spread("xavier_uniform", [](const Tensor& w) { xavier_uniform_(w, key); }, std::sqrt(2.0 / 500), true);
  check_spread("xavier_normal", [](const Tensor& w) { xavier_normal_(w, key, 2.0); }, 2 * std::sqrt(2.0 / 500), false);
  check_spread("kaiming_uniform", [](const Tensor& w) { kaiming_uniform_(w, key); }, std::sqrt(2.0 / 300), true);
  check_spread(
      "kaiming_normal", [](const Tensor& w) { kaiming_normal_(w, key, "relu", 0, "fan_out"); }, std::sqrt(2.0 / 200),
      false);
  check_spread(
      "kaiming leaky", [](const Tensor& w) { kaiming_normal_(w, key, "leaky_relu", 0.5); }, std::sqrt(2.0 / 1.25 / 300),
      false);
  check_spread("lecun_uniform", [](const Tensor& w) { lecun_uniform_(w, key); }, std::sqrt(1.0 / 300), true);
  check_spread("lecun_normal", [](const Tensor& w) { lecun_normal_(w, key); }, std::sqrt(1.0 / 300), false);
  check_spread("normal", [](const Tensor& w) { normal_(w, 0.0, 0.7, key); }, 0.7, false);
  check_spread("uniform", [](const Tensor& w) { uniform_(w, -0.5, 0.5, key); }, 0.5 / std::sqrt(3.0), true);
  const Tensor w = Tensor::zeros({1000});
  nn::init::normal_(w, 5.0, 0.1, key);
  CHECK(spread_of(w).mean == doctest::Approx(5.0).epsilon(0.01));
  nn::init::constant_(w, -2.5);
  CHECK(values_of(w)[999] == -2.5);
}

TEST_CASE("orthogonal rows or columns, whichever are fewer") {
  for (const auto& shape : {Shape{8, 8}, Shape{20, 6}, Shape{6, 20}, Shape{5, 2, 3}, Shape{7}}) {
    CAPTURE(shape.str());
    const Tensor w = Tensor::zeros(shape, DType::float64);
    nn::init::orthogonal_(w, key, 3.0);
    const std::vector<double> v = values_of(w);
    const std::size_t rows = static_cast<std::size_t>(shape[0]), columns = v.size() / rows;
    const std::size_t few = std::min(rows, columns), many = std::max(rows, columns);
    for (std::size_t i = 0; i < few; ++i)
      for (std::size_t j = 0; j < few; ++j) {
        double dot = 0;
        for (std::size_t k = 0; k < many; ++k)
          dot += rows >= columns ? v[k * columns + i] * v[k * columns + j] : v[i * columns + k] * v[j * columns + k];
        CHECK(dot == doctest::Approx(i == j ? 9.0 : 0.0).epsilon(1e-12));
      }
  }
}

TEST_CASE("bits depend on key and stream alone") {
  const Tensor a = Tensor::zeros({5, 4}), b = Tensor::zeros({5, 4});
  nn::init::orthogonal_(a, key), nn::init::orthogonal_(b, key);
  CHECK(same_bits(a, b));
  nn::init::normal_(a, 0, 1, {1, 2}), nn::init::normal_(b, 0, 1, {1, 2});
  CHECK(same_bits(a, b));
  nn::init::normal_(b, 0, 1, {1, 3});
  CHECK_FALSE(same_bits(a, b));
  nn::init::normal_(b, 0, 1, {2, 2});
  CHECK_FALSE(same_bits(a, b));
}

TEST_CASE("gains") {
  CHECK(nn::init::gain("relu") == doctest::Approx(std::sqrt(2.0)));
  CHECK(nn::init::gain("tanh") == doctest::Approx(5.0 / 3));
  CHECK(nn::init::gain("leaky_relu", 1.0) == doctest::Approx(1.0));
  CHECK(nn::init::gain("identity") == 1.0);
  CHECK_THROWS_AS(nn::init::gain("cube"), ValueError);
}

TEST_CASE("initializers' errors") {
  const Tensor scalar = Tensor::zeros({}), w = Tensor::zeros({2, 2});
  CHECK_THROWS_WITH_AS(nn::init::xavier_uniform_(scalar, key),
                       "xavier_uniform_: the parameter needs at least one axis: shape is (); use constant_ or normal_",
                       ShapeError);
  CHECK_THROWS_AS(nn::init::normal_(w, 0, -1, key), ValueError);
  CHECK_THROWS_AS(nn::init::uniform_(w, 1, 0, key), ValueError);
  CHECK_THROWS_AS(nn::init::kaiming_normal_(w, key, "relu", 0, "fan_avg"), ValueError);
  CHECK_THROWS_AS(nn::init::constant_(Tensor::zeros({2}, DType::int64), 1), DTypeError);
  CHECK_THROWS_AS(nn::init::constant_(Tensor(), 1), StateError);
  CHECK_NOTHROW(nn::init::xavier_normal_(Tensor::zeros({0, 3}), key));
}
