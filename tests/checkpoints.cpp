// What test_checkpoints.py trains in Python, in C++: X y FOLDER BATCHES. Goes on from the folder's newest checkpoint,
// and is interrupted after so many batches of the fit; 0: not at all.
#include <chainrule/chainrule.hpp>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <vector>

namespace cr = chainrule;

template <class T> std::vector<T> read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

struct Interrupt : cr::Callback {
  std::int64_t batches = 0;
  std::int64_t every() const override { return batches; }
  void on_batch_end(cr::FitState&) override { throw std::runtime_error("interrupted"); }
};

int main(int, char** argv) {
  const auto x = read<float>(argv[1]);
  const auto y = read<std::int64_t>(argv[2]);
  cr::nn::Sequential model{cr::nn::Standardizer(6), cr::nn::Linear(6, 16), cr::nn::BatchNorm1d(16),
                           cr::nn::ReLU(),          cr::nn::Dropout(0.3),  cr::nn::Linear(16, 3)};
  model.init(/*seed=*/0);
  cr::Trainer trainer(model, cr::nn::CrossEntropyLoss(),
                      cr::optim::Adam({.lr = cr::schedules::ReduceOnPlateau(0.02, {.patience = 1})}),
                      {.metrics = {"accuracy"}, .seed = 3});
  const auto interrupt = std::make_shared<Interrupt>();
  interrupt->batches = std::atoll(argv[4]);
  cr::FitOptions options{.epochs = 6, .batch_size = 8, .validation_split = 0.2};
  options.callbacks = {std::make_shared<cr::callbacks::EarlyStopping>(),
                       std::make_shared<cr::callbacks::Checkpoint>(
                           cr::callbacks::CheckpointOptions{.folder = argv[3], .every_batches = 4}),
                       interrupt};
  options.resume_from = "auto";
  try {
    trainer.fit(cr::Tensor::view(x.data(), {y.size(), 6}), cr::Tensor::view(y.data(), {y.size()}), options);
  } catch (const std::runtime_error& error) { return std::strcmp(error.what(), "interrupted") == 0 ? 0 : 1; }
  return 0;
}
