// Linear: y = x W + b.
#include <cmath>

#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "core/fail.hpp"
#include "nn/layer_checks.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

class LinearImpl final : public Layer {
 public:
  LinearImpl(std::int64_t in, std::int64_t out, bool bias, DType dtype, LinearInit init)
      : in_(in), out_(out), init_(std::move(init)) {
    if (in < 1 || out < 1)
      fail<ValueError>("Linear", "sizes must be at least 1",
                       "in_features is " + std::to_string(in) + ", out_features is " + std::to_string(out));
    if (init_.scheme != "default" && init_.scheme != "kaiming_uniform" && init_.scheme != "xavier_uniform")
      fail<ValueError>("Linear", "unknown initializer", init_.scheme, "use default, kaiming_uniform or xavier_uniform");
    init::gain(init_.nonlinearity);  // refuses an unknown name
    check_parameter_dtype("Linear", dtype);
    // Drawn, copied or read from a file by whoever makes the layer.
    add_parameter("weight", Tensor::empty({in, out}, dtype), false);
    if (bias) add_parameter("bias", Tensor::empty({out}, dtype), false);
  }

  using Layer::forward;
  Tensor forward(const Tensor& x) override {
    check_last_axis(*this, x, in_);
    const Tensor y = matmul(x, own_parameters()[0].tensor);
    return own_parameters().size() > 1 ? y + own_parameters()[1].tensor : y;
  }

  void init_own(std::uint64_t key, std::uint32_t stream) override {
    const Tensor& weight = own_parameters()[0].tensor;
    if (init_.scheme == "kaiming_uniform") {
      init::kaiming_uniform_(weight, {key, stream}, init_.nonlinearity, 0.01);
    } else if (init_.scheme == "xavier_uniform") {
      init::xavier_uniform_(weight, {key, stream});
    } else {
      const double bound = 1.0 / std::sqrt(static_cast<double>(in_));
      init::uniform_(weight, -bound, bound, {key, stream});
      if (own_parameters().size() > 1) init::uniform_(own_parameters()[1].tensor, -bound, bound, {key, stream + 1});
      return;
    }
    if (own_parameters().size() > 1) init::constant_(own_parameters()[1].tensor, 0.0);
  }

  std::string kind() const override { return "Linear"; }
  Arguments arguments() const override {
    Arguments all{{"in_features", in_},
                  {"out_features", out_},
                  {"bias", own_parameters().size() > 1},
                  {"dtype", std::string(name_of(own_parameters()[0].tensor.dtype()))}};
    if (init_.scheme != "default") {
      all.emplace_back("init", init_.scheme);
      all.emplace_back("nonlinearity", init_.nonlinearity);
    }
    return all;
  }
  std::string repr_arguments() const override {
    Arguments shown = arguments();
    shown.resize(4);
    return text_of(shown, 2, {{"bias", true}, {"dtype", std::string("float32")}});
  }
  std::optional<std::int64_t> in_features() const override { return in_; }
  std::optional<std::int64_t> out_features() const override { return out_; }

 private:
  std::int64_t in_, out_;
  LinearInit init_;
};

}  // namespace

std::shared_ptr<ModuleImpl> make_linear(std::int64_t in_features, std::int64_t out_features, bool bias, DType dtype,
                                        const LinearInit& init) {
  return std::make_shared<LinearImpl>(in_features, out_features, bias, dtype, init);
}

std::shared_ptr<ModuleImpl> read::linear(ArgumentReader& arguments) {
  const std::int64_t in = arguments.integer("in_features"), out = arguments.integer("out_features");
  const bool bias = arguments.flag("bias", true);
  const LinearInit init{arguments.text("init", "default"), arguments.text("nonlinearity", "linear")};
  return make_linear(in, out, bias, arguments.dtype(), init);
}

Linear::Linear(std::int64_t in_features, std::int64_t out_features, const LinearOptions& options)
    : Module(make_linear(in_features, out_features, options.bias, options.dtype)) {
  impl_->init_own(options.seed ? *options.seed : next_layer_key(), 0);
}

Tensor Linear::weight() const { return impl_->own_parameters()[0].tensor; }
Tensor Linear::bias() const {
  return impl_->own_parameters().size() > 1 ? impl_->own_parameters()[1].tensor : Tensor();
}

}  // namespace chainrule::nn
