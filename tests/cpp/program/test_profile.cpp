// Profiles: one row per group with its cost, and nothing of a training changed.
#include <doctest/doctest.h>

#include "chainrule/chainrule.hpp"

namespace cr = chainrule;

namespace {
cr::Tensor filled(const cr::Shape& shape, float value) {
  return cr::Tensor::from(std::vector<float>(static_cast<std::size_t>(shape.size()), value), shape);
}
}  // namespace

TEST_CASE("profile: a compiled function's groups in order, with arithmetic, bytes and time") {
  const auto x = filled({64, 32}, 0.5f), w = filled({32, 16}, 0.25f);
  const cr::Compiled f =
      cr::compile([](const std::vector<cr::Tensor>& in) { return std::vector{cr::tanh(cr::matmul(in[0], in[1]))}; });
  const cr::Profile p = f.profile({x, w}, 5);
  REQUIRE(p.rows.size() == 1);
  CHECK(p.runs == 5);
  CHECK(p.rows[0].ops == "matmul tanh");
  CHECK(p.rows[0].flops >= 2.0 * 64 * 32 * 16);
  CHECK(p.rows[0].bytes == 4.0 * (64 * 32 + 32 * 16 + 3 * 64 * 16));
  CHECK(p.rows[0].microseconds > 0);
  CHECK(p.rows[0].limit > 0);
  CHECK(p.peak > 0);
  CHECK(p.bandwidth > 0);
  CHECK(p.str().find("matmul tanh") != std::string::npos);
  CHECK_THROWS_WITH_AS((f.profile({x, w}, 0)), doctest::Contains("runs must be at least 1"), cr::ValueError);
}

TEST_CASE("profile: a trainer goes on as if it had not been profiled") {
  const auto x = filled({40, 4}, 0.5f);
  const auto y = cr::cast(filled({40}, 1.0f), cr::DType::int64);
  const auto train = [&](bool with_profile) {
    cr::nn::Sequential model{cr::nn::Linear(4, 8), cr::nn::Dropout(0.5), cr::nn::ReLU(), cr::nn::Linear(8, 3)};
    model.init(1);
    cr::Trainer trainer(model, cr::nn::CrossEntropyLoss(), cr::optim::Adam());
    trainer.fit(x, y, {.batch_size = 16});
    if (with_profile) {
      const cr::Profile p = trainer.profile(x, y, 16, 7);
      CHECK(p.rows.front().scope == "0");
      CHECK(p.microseconds > 0);
    }
    trainer.fit(x, y, {.batch_size = 16});
    return std::pair(trainer.global_step(), model.predict(x));
  };
  const std::pair<std::int64_t, cr::Tensor> plain = train(false), profiled = train(true);
  CHECK(profiled.first == plain.first);
  for (std::int64_t i = 0; i < plain.second.size(); ++i)
    CHECK(plain.second.data<float>()[i] == profiled.second.data<float>()[i]);
}
