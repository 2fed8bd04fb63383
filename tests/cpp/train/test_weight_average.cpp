// EMA and SWA: their averages by hand, what a fit leaves in the model, and their state.
#include <cmath>

#include "../nn/close.hpp"
#include "chainrule/chainrule.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

struct Setting {
  Tensor x, y;
  nn::Sequential model{nn::Linear(3, 4, {.dtype = DType::float64, .seed = 1}),
                       nn::BatchNorm1d(4, {.dtype = DType::float64}),
                       nn::Linear(4, 1, {.dtype = DType::float64, .seed = 2})};
  Setting() {
    std::vector<double> a(60), b(20);
    for (std::size_t i = 0; i < a.size(); ++i) a[i] = std::sin(0.7 * static_cast<double>(i));
    for (std::size_t i = 0; i < b.size(); ++i) b[i] = std::cos(1.3 * static_cast<double>(i));
    x = Tensor::from(a, {20, 3}), y = Tensor::from(b, {20, 1});
  }
  void fit(const std::vector<std::shared_ptr<Callback>>& callbacks, std::int64_t epochs = 4) {
    Trainer trainer(model, nn::MSELoss(), optim::SGD({.lr = 0.1}));
    trainer.fit(x, y, {.epochs = epochs, .batch_size = 10, .callbacks = callbacks});
  }
  std::vector<double> first() const { return values_of(model.parameters()[0]); }
};

struct Keep : Callback {
  std::vector<std::vector<double>> weights;
  void on_epoch_end(FitState& fit) override { weights.push_back(values_of(fit.trainer().model().parameters()[0])); }
};

}  // namespace

TEST_CASE("SWA is the mean of the weights at the ends of epochs") {
  Setting s;
  const auto kept = std::make_shared<Keep>();
  const auto swa = std::make_shared<callbacks::SWA>(callbacks::SWAOptions{.start = 0.5});
  s.fit({swa, kept});
  REQUIRE(swa->updates() == 2);
  const std::vector<double> mean = s.first();
  for (std::size_t i = 0; i < mean.size(); ++i)
    CHECK(mean[i] == doctest::Approx((kept->weights[2][i] + kept->weights[3][i]) / 2).epsilon(1e-14));
  CHECK(same_bits(swa->model().parameters()[0], s.model.parameters()[0]));
  // Its statistics are those of the batches: in eval and in train mode the whole set gives the same, within a batch's
  // own variance.
  CHECK(swa->model().named_buffers()[2].tensor.item() == 2);
}

TEST_CASE("EMA keeps the averages aside where it does not replace the model") {
  Setting plain, kept;
  plain.fit({});
  const auto ema = std::make_shared<callbacks::EMA>(callbacks::EMAOptions{.decay = 0.5, .replace = false});
  kept.fit({ema});
  CHECK(plain.first() == kept.first());
  CHECK(ema->updates() == 8);
  CHECK(values_of(ema->model().parameters()[0]) != kept.first());
}

TEST_CASE("the state of an average goes into another one") {
  Setting s;
  const auto swa = std::make_shared<callbacks::SWA>(callbacks::SWAOptions{.start = 2, .lr = 0.01});
  s.fit({swa});
  struct Load : Callback {
    std::shared_ptr<Callback> to;
    std::vector<nn::NamedTensor> state;
    double lr = 0;
    void on_fit_begin(FitState& fit) override {
      to->load_state_dict(state);
      lr = fit.trainer().optimizer().lr();
    }
  };
  const auto load = std::make_shared<Load>();
  const auto other = std::make_shared<callbacks::SWA>(callbacks::SWAOptions{.start = 100, .lr = 0.01});
  load->to = other;
  load->state = swa->state_dict();
  Setting again;
  again.fit({other, load}, 1);
  CHECK(load->lr == 0.01);
  CHECK(other->updates() == 3);
  CHECK(again.first() == values_of(swa->model().parameters()[0]));
  CHECK_THROWS_AS(other->load_state_dict({}), ValueError);
  CHECK_THROWS_AS(callbacks::EMA().load_state_dict(swa->state_dict()), StateError);
}
