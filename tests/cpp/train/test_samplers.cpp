// Samplers in C++: one of a program's own, the same rows in fit and by hand, and copies for a part of the rows.
#include <doctest/doctest.h>

#include <algorithm>

#include "chainrule/chainrule.hpp"

using namespace chainrule;

namespace {

Tensor ramp(std::int64_t rows, std::int64_t columns) {
  std::vector<float> values(static_cast<std::size_t>(rows * columns));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>((i * 37 % 101)) / 101.0f;
  return Tensor::from(values, {rows, columns});
}

class Backwards : public data::Sampler {
 public:
  std::vector<std::int64_t> order(std::uint64_t, std::uint64_t epoch, std::int64_t) const override {
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < 20; ++i) rows.push_back((39 - i + static_cast<std::int64_t>(epoch)) % 40);
    return rows;
  }
  std::int64_t size() const override { return 20; }
  std::string str() const override { return "Backwards"; }
};

std::vector<float> trained(const std::shared_ptr<const data::Sampler>& sampler, bool by_hand) {
  const Tensor x = ramp(40, 3), y = ramp(40, 1);
  Trainer trainer(nn::MLP({3, 4, 1}, {.seed = 1}), nn::MSELoss(), optim::SGD({.lr = 0.1}), {.seed = 5});
  if (by_hand) {
    data::Batches batches = data::batches(x, y, {.batch_size = 8, .seed = 5, .sampler = sampler});
    for (int epoch = 0; epoch < 2; ++epoch)
      for (const auto& [xb, yb] : batches) trainer.step(xb, yb);
  } else {
    trainer.fit(x, y, {.epochs = 2, .batch_size = 8, .sampler = sampler});
  }
  std::vector<float> all;
  for (const Tensor& p : trainer.model().parameters())
    all.insert(all.end(), p.span<float>().begin(), p.span<float>().end());
  return all;
}

}  // namespace

TEST_CASE("samplers: fit takes the rows that batches() takes") {
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < 40; ++i) labels.push_back(i % 4 == 0);
  for (const std::shared_ptr<const data::Sampler>& sampler :
       {std::shared_ptr<const data::Sampler>(std::make_shared<Backwards>()),
        std::shared_ptr<const data::Sampler>(
            std::make_shared<data::WeightedSampler>(std::vector<double>(40, 2.0), data::WeightedSamplerOptions{100})),
        std::shared_ptr<const data::Sampler>(
            std::make_shared<data::StratifiedSampler>(Tensor::from(labels, Shape{40})))})
    CHECK(trained(sampler, false) == trained(sampler, true));
}

TEST_CASE("samplers: of_rows keeps what belongs to the rows") {
  const data::WeightedSampler weighted({0, 0, 3, 0, 4});
  const std::vector<std::int64_t> rows{0, 2, 3};
  for (const std::int64_t row : weighted.of_rows(rows)->order(1, 1, 32)) CHECK(row == 1);
  const data::StratifiedSampler stratified(Tensor::from(std::vector<std::int64_t>{0, 1, 1, 0, 1}, Shape{5}));
  CHECK(stratified.of_rows(rows)->size() == 3);
  CHECK_THROWS_WITH_AS(Backwards().of_rows(rows), doctest::Contains("cannot be restricted"), ValueError);
}
