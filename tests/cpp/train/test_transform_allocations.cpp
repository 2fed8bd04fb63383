// Allocations of compiled functions and of steps for any loss.
#include <doctest/doctest.h>

#include "allocations.hpp"
#include "chainrule/chainrule.hpp"
#include "graph/tensor_data.hpp"

using namespace chainrule;

TEST_CASE("batched Jacobians into the caller's memory, and any training step, allocate nothing after the first call") {
  const nn::Sequential net{nn::Linear(16, 64, {.seed = 1}), nn::Tanh(), nn::Linear(64, 8, {.seed = 2})};
  const Tensor x = random::normal({256, 16}, 1, 0), y = random::normal({256, 8}, 2, 0);
  const Compiled jacobians = compile(as_function(vmap(jacobian([&](const Tensor& row) { return net(row); }))));
  const Tensor memory = Tensor::zeros({256, 8, 16});
  const std::vector<Tensor> in{x}, pair{x, y};
  const std::vector<OutputView> out{{bytes_of(memory), Shape{256, 8, 16}, DType::float32}};
  {
    const NoGrad nothing;
    jacobians(in, out);
    const std::uint64_t before = allocations();
    for (int i = 0; i < 20; ++i) jacobians(in, out);
    CHECK(allocations() - before == 0);
  }
  CHECK(memory.data<float>()[0] != 0.0f);

  TrainingStep step([&](const std::vector<Tensor>& t) { return std::vector<Tensor>{mean(square(net(t[0]) - t[1]))}; },
                    optim::Adam(net.parameters(), {.lr = 1e-3}));
  step(pair);
  const std::uint64_t start = allocations();
  for (int i = 0; i < 20; ++i) step(pair);
  CHECK(allocations() - start == 20);  // the list of losses that each call returns
}
