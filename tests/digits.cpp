// What test_training_bits.py trains in Python, in C++: writes the bytes of losses and predictions. With "count" it
// prints how often steps and epochs allocate.
#include <chainrule/chainrule.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <vector>

namespace cr = chainrule;

extern "C" void* __libc_malloc(std::size_t);
extern "C" void* __libc_memalign(std::size_t, std::size_t);
static long allocations = 0;
extern "C" void* malloc(std::size_t n) {
  ++allocations;
  return __libc_malloc(n);
}
extern "C" void* aligned_alloc(std::size_t a, std::size_t n) {
  ++allocations;
  return __libc_memalign(a, n);
}
extern "C" int posix_memalign(void** p, std::size_t a, std::size_t n) {
  ++allocations;
  return (*p = __libc_memalign(a, n)) ? 0 : 12;
}

template <class T> std::vector<T> read(const char* path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> bytes((std::istreambuf_iterator<char>(file)), {});
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

int main(int argc, char** argv) {
  const auto x = read<float>(argv[1]);
  const auto labels = read<std::int64_t>(argv[2]);
  const std::size_t n = labels.size();
  const cr::Tensor X = cr::Tensor::view(x.data(), {n, 64}), y = cr::Tensor::view(labels.data(), {n});

  cr::nn::Sequential model{cr::nn::Linear(64, 128), cr::nn::ReLU(), cr::nn::Dropout(0.2), cr::nn::Linear(128, 10)};
  model.init(/*seed=*/0);
  cr::Trainer trainer(model, cr::nn::CrossEntropyLoss(), cr::optim::AdamW({.lr = 2e-3, .weight_decay = 1e-4}),
                      {.metrics = {"accuracy"}});
  if (argc > 4 && !std::strcmp(argv[4], "count")) {
    const std::vector<cr::Tensor> xb = {cr::Tensor::view(x.data(), {32, 64})};
    const cr::Tensor yb = cr::Tensor::view(labels.data(), {32});
    trainer.step(xb, yb);
    trainer.step(xb, yb);
    const long steps_before = allocations;
    for (int i = 0; i < 100; ++i) trainer.step(xb, yb);
    const long of_steps = allocations - steps_before;
    long of_fit[2];
    for (int k = 0; k < 2; ++k) {  // an epoch allocates its order and its row of history, whatever its length
      cr::nn::Sequential other{cr::nn::Linear(64, 128), cr::nn::ReLU(), cr::nn::Dropout(0.2), cr::nn::Linear(128, 10)};
      cr::Trainer fresh(other, cr::nn::CrossEntropyLoss(), cr::optim::Adam());
      const cr::Tensor part = cr::Tensor::view(x.data(), {k ? 1024 : 128, 64});
      const cr::Tensor part_y = cr::Tensor::view(labels.data(), {k ? 1024 : 128});
      fresh.fit(part, part_y, {.batch_size = 32});
      const long before = allocations;
      fresh.fit(part, part_y, {.batch_size = 32});
      of_fit[k] = allocations - before;
    }
    std::printf("%ld %ld %ld\n", of_steps, of_fit[0], of_fit[1]);
    return 0;
  }
  const cr::History h = trainer.fit(X, y, {.epochs = 3, .batch_size = 32});
  const cr::Tensor logits = model.predict(X);
  std::ofstream out(argv[3], std::ios::binary);
  for (const auto& [name, values] : h.columns())
    out.write(reinterpret_cast<const char*>(values.data()),
              static_cast<std::streamsize>(values.size() * sizeof(double)));
  out.write(reinterpret_cast<const char*>(logits.data<float>()), static_cast<std::streamsize>(logits.size() * 4));
}
