// Trains XOR with an embedded chainrule; exits with 0 when all four answers are right.
#include <chainrule/chainrule.hpp>
#include <cstdio>
#include <vector>
namespace cr = chainrule;

int main() {
  const std::vector<float> inputs{0, 0, 0, 1, 1, 0, 1, 1}, targets{0, 1, 1, 0};
  const cr::Tensor X = cr::Tensor::view(inputs.data(), {4, 2}), y = cr::Tensor::view(targets.data(), {4, 1});

  cr::nn::Sequential model{cr::nn::Linear(2, 8), cr::nn::Tanh(), cr::nn::Linear(8, 1)};
  model.init(/*seed=*/0);
  cr::Trainer trainer(model, cr::nn::BCEWithLogitsLoss(), cr::optim::Adam({.lr = 0.05}));
  trainer.fit(X, y, {.epochs = 300, .batch_size = 4});

  const cr::Tensor logits = model.predict(X);
  int wrong = 0;
  for (std::size_t i = 0; i < targets.size(); ++i) wrong += (logits.data<float>()[i] > 0) != (targets[i] > 0);
  std::printf("%d of 4 answers are wrong\n", wrong);
  return wrong;
}
