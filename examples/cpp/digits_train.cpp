// Trains on images and labels in IDX or NPY files, shows progress, and writes a model that Python loads as well:
//   digits_train images.npy labels.npy digits.safetensors
#include <chainrule/chainrule.hpp>
#include <cstdio>
#include <string>
namespace cr = chainrule;

namespace {

cr::Tensor read(const std::string& path) {
  return path.ends_with(".npy") ? cr::data::read_npy(path) : cr::data::read_idx(path);
}

// (n, pixels) in float32; bytes are scaled to [0, 1].
cr::Tensor read_images(const std::string& path) {
  const cr::Tensor stored = read(path);
  const cr::Tensor x = stored.astype(cr::DType::float32).reshape({stored.shape(0), -1});
  return stored.dtype() == cr::DType::uint8 ? x / 255.0 : x;
}

int run(const std::string& images, const std::string& labels, const std::string& out) {
  const cr::Tensor X = read_images(images), y = read(labels);
  const auto [train, held_out] = cr::data::split_rows(X.shape(0), 0.2, /*seed=*/0, /*stratify=*/y);

  cr::nn::Sequential model{cr::nn::Linear(X.shape(1), 128), cr::nn::ReLU(), cr::nn::Dropout(0.2),
                           cr::nn::Linear(128, 10)};
  model.init(/*seed=*/0);
  cr::Trainer trainer(model, cr::nn::CrossEntropyLoss(), cr::optim::AdamW({.lr = 2e-3, .weight_decay = 1e-4}),
                      {.metrics = {"accuracy"}});
  const cr::Tensor Xv = cr::data::take_rows(X, held_out), yv = cr::data::take_rows(y, held_out);
  const auto show = [](const cr::FitState& p) {
    if (p.epoch_end)
      std::printf("epoch %2lld  loss %.4f  validation accuracy %.3f  %.0f samples/s\n", static_cast<long long>(p.epoch),
                  p.loss, (*p.history)["val_accuracy"].back(), p.samples_per_second);
    return true;  // false ends training here
  };
  trainer.fit(cr::data::take_rows(X, train), cr::data::take_rows(y, train),
              {.epochs = 20, .batch_size = 32, .validation_data = {Xv, yv}, .on_progress = show});

  std::printf("%s", model.summary().c_str());
  const double accuracy = trainer.evaluate(Xv, yv).at("accuracy");
  model.save(out);
  std::printf("accuracy %.3f; wrote %s\n", accuracy, out.c_str());
  return accuracy > 0.9 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: digits_train IMAGES LABELS MODEL\n");
    return 2;
  }
  try {
    return run(argv[1], argv[2], argv[3]);
  } catch (const cr::Error& error) {
    std::fprintf(stderr, "digits_train: %s\n", error.what());
    return 1;
  }
}
