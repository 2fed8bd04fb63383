// PReLU: a leaky rectifier whose slope is learned; and GLU: one half of the features gates the other.
#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "nn/layer_checks.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

class PReLUImpl final : public Layer {
 public:
  explicit PReLUImpl(const PReLUOptions& options) : count_(options.num_parameters), start_(options.init) {
    if (count_ < 1)
      fail<ValueError>("PReLU", "num_parameters must be at least 1", std::to_string(count_) + " was given");
    if (!std::isfinite(start_)) fail<ValueError>("PReLU", "init must be finite", text_of(start_));
    check_parameter_dtype("PReLU", options.dtype);
    add_parameter("weight", Tensor::full({count_}, start_, options.dtype), false);
  }
  using Layer::forward;
  Tensor forward(const Tensor& x) override {
    if (count_ > 1) check_last_axis(*this, x, count_);
    const Tensor positive = greater(x, Tensor(0.0));  // and no slope meets an infinite x it does not apply to
    return where(positive, x, where(positive, Tensor(0.0), x) * own_parameters()[0].tensor);
  }
  void init_own(std::uint64_t, std::uint32_t) override { init::constant_(own_parameters()[0].tensor, start_); }
  std::string kind() const override { return "PReLU"; }
  Arguments arguments() const override {
    return {{"num_parameters", count_},
            {"init", start_},
            {"dtype", std::string(name_of(own_parameters()[0].tensor.dtype()))}};
  }
  std::string repr_arguments() const override {
    return text_of(arguments(), 0,
                   {{"num_parameters", std::int64_t{1}}, {"init", 0.25}, {"dtype", std::string("float32")}});
  }
  std::optional<std::int64_t> in_features() const override { return count_ > 1 ? std::optional(count_) : std::nullopt; }
  std::optional<std::int64_t> out_features() const override { return in_features(); }
  bool keeps_features() const override { return true; }

 private:
  std::int64_t count_;
  double start_;
};

class GLUImpl final : public Layer {
 public:
  explicit GLUImpl(std::int64_t axis) : axis_(axis) {
    if (axis < -Shape::max_rank || axis >= Shape::max_rank)
      fail<IndexError>("GLU", "axis out of range", "axis is " + std::to_string(axis));
  }
  using Layer::forward;
  Tensor forward(const Tensor& x) override {
    const int axis = static_cast<int>(axis_ < 0 ? axis_ + x.rank() : axis_);
    if (axis < 0 || axis >= x.rank()) fail<IndexError>(repr(), "axis out of range", "x is " + x.shape().str());
    if (x.shape(axis) % 2 != 0)
      fail<ShapeError>(repr(), "the axis must have an even size: values, then gates", "x is " + x.shape().str());
    const std::vector<Tensor> halves = split(x, 2, axis);
    return halves[0] * sigmoid(halves[1]);
  }
  std::string kind() const override { return "GLU"; }
  Arguments arguments() const override { return {{"axis", axis_}}; }
  std::string repr_arguments() const override { return text_of(arguments(), 0, {{"axis", std::int64_t{-1}}}); }

 private:
  std::int64_t axis_;
};

}  // namespace

std::shared_ptr<ModuleImpl> read::prelu(ArgumentReader& arguments) {
  PReLUOptions options;
  options.num_parameters = arguments.integer("num_parameters", options.num_parameters);
  options.init = arguments.real("init", options.init);
  options.dtype = arguments.dtype();
  return std::make_shared<PReLUImpl>(options);
}
std::shared_ptr<ModuleImpl> read::glu(ArgumentReader& arguments) {
  return std::make_shared<GLUImpl>(arguments.integer("axis", -1));
}

PReLU::PReLU(const PReLUOptions& options) : Module(std::make_shared<PReLUImpl>(options)) {}
GLU::GLU(int axis) : Module(make_layer("GLU", {{"axis", std::int64_t{axis}}})) {}

}  // namespace chainrule::nn
