// Models for the tests of the model file: built-in ones and some of our own.
#pragma once

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "chainrule/chainrule.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule::test {

inline Tensor numbers(const Shape& shape) {
  std::vector<float> values(static_cast<std::size_t>(shape.size()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(0.7f * static_cast<float>(i) + 0.3f);
  return Tensor::from(values, shape);
}

inline void check_same(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  REQUIRE(a.dtype() == b.dtype());
  CHECK(std::memcmp(a.raw_data(), b.raw_data(), static_cast<std::size_t>(a.size()) * size_of(a.dtype())) == 0);
}

inline Model loads_of(const std::string& bytes) {
  return loads({reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()});
}
inline Model reload(const nn::Module& model) { return loads_of(model.to_bytes()); }

// A fork: two ways of the same input, joined; and a parameter of its own.
class Fork final : public nn::Layer {
 public:
  Fork() {
    left_ = std::make_shared<nn::Linear>(6, 4, nn::LinearOptions{.seed = 1});
    right_ = std::make_shared<nn::Linear>(6, 4, nn::LinearOptions{.seed = 2});
    add_child("left", left_->impl());
    add_child("right", right_->impl());
    add_parameter("mix", Tensor::full({4}, 0.25));
  }
  using nn::Layer::forward;
  Tensor forward(const Tensor& x) override {
    const Tensor mix = own_parameters()[0].tensor;
    return concat({tanh((*left_)(x)) * mix, (*right_)(x)}, -1) + mean(x, {-1}, true);
  }
  std::string kind() const override { return "Fork"; }
  std::optional<std::int64_t> in_features() const override { return 6; }
  std::shared_ptr<ModuleImpl> clone_structure(const CloneChild&) const override { return std::make_shared<Fork>(); }

 private:
  std::shared_ptr<nn::Linear> left_, right_;
};

// One weight under two names.
class Tied final : public nn::Layer {
 public:
  Tied() {
    const Tensor w = add_parameter("encode", numbers({6, 6}));
    add_parameter("decode", w);
  }
  using nn::Layer::forward;
  Tensor forward(const Tensor& x) override {
    return matmul(tanh(matmul(x, own_parameters()[0].tensor)), own_parameters()[1].tensor, false, true);
  }
  std::string kind() const override { return "Tied"; }
  std::optional<std::int64_t> in_features() const override { return 6; }
};

class Pair final : public nn::ModuleImpl {
 public:
  std::vector<Tensor> forward(const std::vector<Tensor>& x) override {
    return {x[0] * x[1], x[0] + Tensor(2.0) * x[1]};
  }
  std::string kind() const override { return "Pair"; }
};

// Arrays that are no parameters, numbers of several kinds, infinities.
class Constants final : public nn::Layer {
 public:
  using nn::Layer::forward;
  Tensor forward(const Tensor& x) override {
    const Tensor masked = where(greater(x, Tensor(0.1)), x, Tensor(-1.0));
    return clip(masked + table_, -0.9, INFINITY) * Tensor(3) + half_;
  }
  std::string kind() const override { return "Constants"; }
  std::optional<std::int64_t> in_features() const override { return 6; }

 private:
  Tensor table_ = numbers({6}), half_ = Tensor::scalar(0.5);
};

// Does what a file cannot hold, each in a way of its own.
class Leaky final : public nn::Layer {
 public:
  explicit Leaky(std::string what) : what_(std::move(what)) { stray_.requires_grad_(true); }
  using nn::Layer::forward;
  Tensor forward(const Tensor& x) override {
    const std::int64_t n = x.shape(0);
    if (what_ == "sum / n") return sum(x, {0}) / Tensor(static_cast<double>(n));
    if (what_ == "zeros") return x + Tensor::zeros(x.shape());
    if (what_ == "square") return reshape(broadcast_to(expand_dims(x, 0), {n, n, 6}), {n * n, 6});
    if (what_ == "clip") return clip(x, 0.0, static_cast<double>(n));
    if (what_ == "branch") return n == 3 ? tanh(x) : exp(x);
    if (what_ == "random") return x + Tensor(0.1 * static_cast<double>(++calls_));
    if (what_ == "stray") return x * stray_;
    if (what_ == "mean") return mean(x, {0});
    if (what_ == "reshape") return reshape(x, {2 * n, 3});
    Tensor y = x;
    for (std::int64_t i = 0; i < n; ++i) y = tanh(y);
    return y;
  }
  std::string kind() const override { return "Leaky"; }
  std::optional<std::int64_t> in_features() const override { return 6; }

 private:
  std::string what_;
  Tensor stray_ = Tensor::ones({6});
  int calls_ = 0;
};

// Registers its layers in another order than it calls them.
class Swapped final : public nn::Layer {
 public:
  Swapped() : second_(3, 2), first_(6, 3) {
    add_child("second", second_.impl());
    add_child("first", first_.impl());
  }
  using nn::Layer::forward;
  Tensor forward(const Tensor& x) override { return second_(first_(x)); }
  std::string kind() const override { return "Swapped"; }

 private:
  nn::Linear second_, first_;
};

// Fitted to columns of numbers(), some of them missing.
template <class L> L fitted(L layer, std::int64_t features) {
  std::vector<float> values(static_cast<std::size_t>(7 * features));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::cos(1.3f * static_cast<float>(i)) * 5.0f;
  layer.fit(Tensor::from(values, {7, features}));
  return layer;
}

inline std::vector<nn::Module> all_models() {
  return {
      nn::Sequential{nn::Linear(6, 5, {.seed = 1}), nn::ReLU(), nn::Linear(5, 3, {.seed = 2})},
      nn::Sequential{nn::Linear(6, 5, {.bias = false, .seed = 1}), nn::GELU("tanh"), nn::Dropout(0.3),
                     nn::Residual(nn::Sequential{nn::Linear(5, 5, {.seed = 4}), nn::Dropout(0.2)}), nn::Softmax()},
      nn::Sequential{nn::Linear(6, 4, {.seed = 3}), nn::BatchNorm1d(4), nn::LeakyReLU(0.2), nn::ELU(0.5),
                     nn::BatchNorm1d(4, {.affine = false})},
      nn::Sequential{nn::LayerNorm(6), nn::Tanh(), nn::Sigmoid(), nn::SiLU(), nn::Softplus(), nn::Identity(),
                     nn::Flatten(), nn::LogSoftmax()},
      nn::MLP({6, 8, 8, 2}, {.activation = "tanh", .dropout = 0.1, .seed = 0}),
      nn::Sequential{nn::Linear(6, 3, {.dtype = DType::float64, .seed = 6})},
      nn::Sequential{nn::make_module<Fork>(), nn::Linear(8, 2, {.seed = 5})},
      nn::make_module<Fork>(),
      nn::Sequential{nn::Concat({nn::Linear(6, 3, {.seed = 1}), nn::Identity()}), nn::Mish(), nn::SELU(), nn::PReLU(),
                     nn::RMSNorm(9), nn::Columns({0, 8, 2, 3}), nn::GLU(), nn::Softsign(), nn::Hardtanh(-0.2, 0.4)},
      nn::Sequential{nn::Add({nn::Linear(6, 3, {.seed = 1}), nn::Linear(6, 3, {.seed = 2})}),
                     nn::Multiply({nn::Linear(3, 2, {.seed = 3}), nn::Linear(3, 2, {.seed = 4})})},
      nn::Sequential{fitted(nn::Imputer(6, {.strategy = "median", .add_indicator = true}), 6),
                     fitted(nn::Standardizer(12), 12), fitted(nn::MinMaxScaler(12, -1.0, 2.0), 12),
                     nn::Linear(12, 2, {.seed = 5})},
      nn::Sequential{fitted(nn::Standardizer(6), 6), nn::Columns({1, 4}),
                     fitted(nn::OneHot({9, 7}, {.handle_unknown = "ignore"}), 2), nn::Linear(16, 2, {.seed = 5})},
  };
}

}  // namespace chainrule::test
