// What test_instructions.py counts: trains a network for a number of steps, after one that compiles.
// instructions STEPS BATCH SIZE SIZE ...
#include <chainrule/chainrule.hpp>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace cr = chainrule;

int main(int argc, char** argv) {
  const long steps = std::atol(argv[1]);
  const std::int64_t batch = std::atol(argv[2]);
  std::vector<std::int64_t> sizes;
  for (int i = 3; i < argc; ++i) sizes.push_back(std::atol(argv[i]));

  cr::Trainer trainer(cr::nn::MLP(sizes, {.seed = 1}), cr::nn::CrossEntropyLoss(), cr::optim::Adam({.lr = 1e-4}));
  const cr::Tensor x = cr::random::normal({batch, sizes.front()}, /*key=*/1, /*stream=*/0);
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < batch; ++i) labels.push_back(i % sizes.back());
  const cr::Tensor y = cr::Tensor::from(labels, {batch});
  double loss = 0;
  for (long i = 0; i <= steps; ++i) loss = trainer.step(x, y);
  std::printf("level %s, loss %g\n", cr::isa_level().c_str(), loss);
}
