// GaussianNoise: in train mode x + std n with n from N(0, 1), keyed as dropout's masks are; otherwise x itself.
#include <cmath>

#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "core/fail.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

class GaussianNoiseImpl final : public Layer {
 public:
  explicit GaussianNoiseImpl(double std) : std_(std) {
    if (!(std >= 0.0) || std::isinf(std))
      fail<ValueError>("GaussianNoise", "std must be a finite number, 0 or more", "std is " + text_of(std),
                       "it is the standard deviation of the noise");
  }
  using Layer::forward;
  Tensor forward(const Tensor& x) override {
    if (!training() || std_ == 0.0) return x;
    if (x.dtype() != DType::float32 && x.dtype() != DType::float64)
      fail<DTypeError>(repr(), "input must be float32 or float64", std::string(name_of(x.dtype())), "cast it first");
    return x + random::normal(x.shape(), {.std = std_, .dtype = x.dtype()});
  }
  std::string kind() const override { return "GaussianNoise"; }
  Arguments arguments() const override { return {{"std", std_}}; }
  std::string repr_arguments() const override { return text_of(std_); }
  bool keeps_features() const override { return true; }

 private:
  double std_;
};

}  // namespace

std::shared_ptr<ModuleImpl> read::gaussian_noise(ArgumentReader& arguments) {
  return std::make_shared<GaussianNoiseImpl>(arguments.real("std", std::nan("")));
}

GaussianNoise::GaussianNoise(double std) : Module(std::make_shared<GaussianNoiseImpl>(std)) {}

}  // namespace chainrule::nn
