// Learns the exclusive or from its four rows: the smallest whole program.
#include <chainrule/chainrule.hpp>
#include <iostream>
#include <vector>
namespace cr = chainrule;

int main() {
  const std::vector<float> inputs{0, 0, 0, 1, 1, 0, 1, 1}, targets{0, 1, 1, 0};
  const cr::Tensor X = cr::Tensor::view(inputs.data(), {4, 2});  // no copy
  const cr::Tensor y = cr::Tensor::view(targets.data(), {4, 1});

  cr::nn::Sequential model{cr::nn::Linear(2, 8), cr::nn::Tanh(), cr::nn::Linear(8, 1)};
  model.init(/*seed=*/0);
  cr::Trainer trainer(model, cr::nn::BCEWithLogitsLoss(), cr::optim::Adam({.lr = 0.05}), {.metrics = {"accuracy"}});
  const cr::History history = trainer.fit(X, y, {.epochs = 300, .batch_size = 4});
  std::cout << "loss " << history["loss"].front() << " -> " << history["loss"].back() << "\n";

  const cr::Tensor p = model.predict(X, /*batch_size=*/4, "proba");
  for (std::size_t i = 0; i < targets.size(); ++i)
    std::cout << inputs[2 * i] << " xor " << inputs[2 * i + 1] << " = " << p.data<float>()[i] << "\n";
  return history["accuracy"].back() == 1.0 ? 0 : 1;
}
