// Applies a model file, written by Python or C++, to an array of samples; prints one class per line. No Python is
// needed:
//   digits_predict digits.safetensors images.npy
#include <chainrule/chainrule.hpp>
#include <cstdio>
namespace cr = chainrule;

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: digits_predict MODEL IMAGES.npy\n");
    return 2;
  }
  try {
    const cr::Model model = cr::load(argv[1]);
    const cr::Tensor images = cr::data::read_npy(argv[2]);
    const cr::Tensor classes = model.predict(images, /*batch_size=*/1024, "class");
    for (const std::int64_t label : classes.span<std::int64_t>()) std::printf("%lld\n", static_cast<long long>(label));
  } catch (const cr::Error& error) {
    std::fprintf(stderr, "digits_predict: %s\n", error.what());
    return 1;
  }
}
