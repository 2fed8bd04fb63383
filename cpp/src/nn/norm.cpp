// LayerNorm and BatchNorm1d: y = (x - mean) / sqrt(var + eps) * weight + bias, over a sample or over the batch; and
// RMSNorm, which leaves the mean alone.
#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "graph/state_update.hpp"
#include "graph/tensor_data.hpp"
#include "nn/layer_checks.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

class NormLayer : public Layer {
 public:
  NormLayer(const char* kind, std::int64_t features, const NormOptions& options)
      : kind_(kind), features_(features), eps_(options.eps), affine_(options.affine) {
    if (features < 1) fail<ValueError>(kind, "features must be at least 1", "features is " + std::to_string(features));
    if (!(eps_ >= 0.0) || std::isinf(eps_))
      fail<ValueError>(kind, "eps must be finite and >= 0", "eps is " + text_of(eps_));
    check_parameter_dtype(kind, options.dtype);
    if (affine_) {
      add_parameter("weight", Tensor::ones({features}, options.dtype), false);
      add_parameter("bias", Tensor::zeros({features}, options.dtype), false);
    }
  }

  void init_own(std::uint64_t key, std::uint32_t stream) override {
    ModuleImpl::init_own(key, stream);  // the buffers
    if (!affine_) return;
    init::constant_(own_parameters()[0].tensor, 1.0);
    init::constant_(own_parameters()[1].tensor, 0.0);
  }
  std::string kind() const override { return kind_; }
  std::optional<std::int64_t> in_features() const override { return features_; }
  std::optional<std::int64_t> out_features() const override { return features_; }

 protected:
  Tensor affine(const Tensor& y) const {
    return affine_ ? y * own_parameters()[0].tensor + own_parameters()[1].tensor : y;
  }
  std::int64_t features() const { return features_; }
  double eps() const { return eps_; }
  bool has_affine() const { return affine_; }

 private:
  const char* kind_;
  std::int64_t features_;
  double eps_;
  bool affine_;
};

class LayerNormImpl final : public NormLayer {
 public:
  LayerNormImpl(std::int64_t features, const NormOptions& options)
      : NormLayer("LayerNorm", features, options), dtype_(options.dtype) {}
  using Layer::forward;
  Tensor forward(const Tensor& x) override {
    check_last_axis(*this, x, features());
    const Tensor centred = x - mean(x, {-1}, true);
    const Tensor variance = mean(square(centred), {-1}, true);
    return affine(centred / sqrt(variance + Tensor(eps())));
  }
  Arguments arguments() const override {
    const DType dtype = has_affine() ? own_parameters()[0].tensor.dtype() : dtype_;
    return {{"features", features()},
            {"eps", eps()},
            {"elementwise_affine", has_affine()},
            {"dtype", std::string(name_of(dtype))}};
  }
  std::string repr_arguments() const override {
    return text_of(arguments(), 1, {{"eps", 1e-5}, {"elementwise_affine", true}, {"dtype", std::string("float32")}});
  }

 private:
  DType dtype_;
};

class BatchNormImpl final : public NormLayer {
 public:
  BatchNormImpl(std::int64_t features, const NormOptions& options)
      : NormLayer("BatchNorm1d", features, options), momentum_(options.momentum) {
    if (!(momentum_ >= 0.0 && momentum_ <= 1.0))
      fail<ValueError>("BatchNorm1d", "momentum must lie in [0, 1]", "momentum is " + text_of(momentum_),
                       "it is the weight of the new batch in the running statistics");
    add_buffer("running_mean", Tensor::zeros({features}, options.dtype));
    add_buffer("running_var", Tensor::ones({features}, options.dtype));
    add_buffer("num_batches_tracked", Tensor::zeros({}, DType::int64));
  }

  using Layer::forward;
  Tensor forward(const Tensor& x) override {
    check_last_axis(*this, x, features());
    if (x.rank() != 2)
      fail<ShapeError>(repr(), "input must have two axes (batch, features)", "x is " + x.shape().str(),
                       "reshape it first");
    if (!training()) {
      const Tensor& variance = own_buffers()[1].tensor;
      return affine((x - own_buffers()[0].tensor) / sqrt(read_with(variance, x) + Tensor(eps())));
    }
    if (x.shape(0) < 2)
      fail<ValueError>(repr(), "train mode needs more than one sample per batch", "x is " + x.shape().str(),
                       "use a larger batch, or call model.eval()");
    const Tensor batch_mean = mean(x, {0});
    const Tensor centred = x - batch_mean;
    const Tensor variance = mean(square(centred), {0});
    track(x, batch_mean);
    return affine(centred / sqrt(variance + Tensor(eps())));
  }

  Arguments arguments() const override {
    return {{"features", features()},
            {"eps", eps()},
            {"momentum", momentum_},
            {"affine", has_affine()},
            {"dtype", std::string(name_of(own_buffers()[0].tensor.dtype()))}};
  }
  std::string repr_arguments() const override {
    return text_of(arguments(), 1,
                   {{"eps", 1e-5}, {"momentum", 0.1}, {"affine", true}, {"dtype", std::string("float32")}});
  }

 private:
  // running = (1 - momentum) running + momentum batch, with the unbiased variance of the batch.
  void track(const Tensor& x, const Tensor& batch_mean) const {
    const NoGrad no_grad;
    const Tensor batch_variance = var(x.detach(), {0}, false, 1);
    const Tensor fresh[2] = {batch_mean.detach(), batch_variance};
    for (std::size_t i = 0; i < 2; ++i) {
      const Tensor& buffer = own_buffers()[i].tensor;
      update_buffer(buffer, read_with(buffer, x) * Tensor(1.0 - momentum_) + fresh[i] * Tensor(momentum_));
    }
    const Tensor& count = own_buffers()[2].tensor;
    update_buffer(count, read_with(count, x) + Tensor(1));
  }

  double momentum_;
};

class RMSNormImpl final : public Layer {
 public:
  RMSNormImpl(std::int64_t features, const RMSNormOptions& options)
      : features_(features), eps_(options.eps), dtype_(options.dtype) {
    if (features < 1)
      fail<ValueError>("RMSNorm", "features must be at least 1", "features is " + std::to_string(features));
    if (eps_ && (!(*eps_ >= 0.0) || std::isinf(*eps_)))
      fail<ValueError>("RMSNorm", "eps must be finite and >= 0", "eps is " + text_of(*eps_));
    check_parameter_dtype("RMSNorm", dtype_);
    if (options.affine) add_parameter("weight", Tensor::ones({features}, dtype_), false);
  }
  using Layer::forward;
  Tensor forward(const Tensor& x) override {
    check_last_axis(*this, x, features_);
    const double unit = x.dtype() == DType::float64 ? 0x1p-52 : 0x1p-23;
    const Tensor y = x / sqrt(mean(square(x), {-1}, true) + Tensor(eps_.value_or(unit)));
    return own_parameters().empty() ? y : y * own_parameters()[0].tensor;
  }
  void init_own(std::uint64_t, std::uint32_t) override {
    if (!own_parameters().empty()) init::constant_(own_parameters()[0].tensor, 1.0);
  }
  std::string kind() const override { return "RMSNorm"; }
  Arguments arguments() const override {
    Arguments all{{"features", features_}};
    if (eps_) all.emplace_back("eps", *eps_);
    all.emplace_back("elementwise_affine", !own_parameters().empty());
    all.emplace_back("dtype",
                     std::string(name_of(own_parameters().empty() ? dtype_ : own_parameters()[0].tensor.dtype())));
    return all;
  }
  std::string repr_arguments() const override {
    return text_of(arguments(), 1, {{"elementwise_affine", true}, {"dtype", std::string("float32")}});
  }
  std::optional<std::int64_t> in_features() const override { return features_; }
  std::optional<std::int64_t> out_features() const override { return features_; }

 private:
  std::int64_t features_;
  std::optional<double> eps_;
  DType dtype_;
};

NormOptions read_options(ArgumentReader& arguments, const char* affine) {
  NormOptions options;
  options.eps = arguments.real("eps", options.eps);
  options.affine = arguments.flag(affine, options.affine);
  options.dtype = arguments.dtype();
  return options;
}

}  // namespace

std::shared_ptr<ModuleImpl> read::layer_norm(ArgumentReader& arguments) {
  const std::int64_t features = arguments.integer("features");
  return std::make_shared<LayerNormImpl>(features, read_options(arguments, "elementwise_affine"));
}

std::shared_ptr<ModuleImpl> read::batch_norm(ArgumentReader& arguments) {
  const std::int64_t features = arguments.integer("features");
  NormOptions options = read_options(arguments, "affine");
  options.momentum = arguments.real("momentum", options.momentum);
  return std::make_shared<BatchNormImpl>(features, options);
}

std::shared_ptr<ModuleImpl> read::rms_norm(ArgumentReader& arguments) {
  const std::int64_t features = arguments.integer("features");
  RMSNormOptions options;
  if (arguments.has("eps")) options.eps = arguments.real("eps", 0.0);
  options.affine = arguments.flag("elementwise_affine", options.affine);
  options.dtype = arguments.dtype();
  return std::make_shared<RMSNormImpl>(features, options);
}

LayerNorm::LayerNorm(std::int64_t features, const NormOptions& options)
    : Module(std::make_shared<LayerNormImpl>(features, options)) {}
RMSNorm::RMSNorm(std::int64_t features, const RMSNormOptions& options)
    : Module(std::make_shared<RMSNormImpl>(features, options)) {}
BatchNorm1d::BatchNorm1d(std::int64_t features, const NormOptions& options)
    : Module(std::make_shared<BatchNormImpl>(features, options)) {}

}  // namespace chainrule::nn
