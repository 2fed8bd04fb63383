// Modules made of modules: Sequential and Residual.
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "nn/layer_checks.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

class SequentialImpl final : public ModuleImpl {
 public:
  std::vector<Tensor> forward(const std::vector<Tensor>& inputs) override {
    std::vector<Tensor> values = inputs;
    for (const auto& [name, layer] : children()) values = layer->call(values);
    return values;
  }
  std::string kind() const override { return "Sequential"; }
  std::optional<std::int64_t> in_features() const override {
    for (const auto& [name, layer] : children()) {
      if (const auto in = layer->in_features()) return in;
      if (!layer->keeps_features()) break;
    }
    return {};
  }
  std::optional<std::int64_t> out_features() const override {
    for (auto at = children().rbegin(); at != children().rend(); ++at) {
      if (const auto out = at->second->out_features()) return out;
      if (!at->second->keeps_features()) break;
    }
    return {};
  }
  bool keeps_features() const override {
    for (const auto& [name, layer] : children())
      if (!layer->keeps_features()) return false;
    return true;
  }
};

class ResidualImpl final : public Layer {
 public:
  using Layer::forward;
  Tensor forward(const Tensor& x) override {
    const auto& inner = children()[0].second;
    const std::vector<Tensor> y = inner->call({x});
    if (y.size() != 1)
      fail<ValueError>("Residual", "inner must have one output", std::to_string(y.size()) + " were given");
    if (y[0].shape() != x.shape())
      fail<ShapeError>("Residual", "inner(x) and x must have the same shape",
                       "inner(x) is " + y[0].shape().str() + ", x is " + x.shape().str(),
                       "end inner with a layer that gives as many features as come in");
    return x + y[0];
  }
  std::string kind() const override { return "Residual"; }
  std::optional<std::int64_t> in_features() const override { return children()[0].second->in_features(); }
  std::optional<std::int64_t> out_features() const override { return in_features(); }
  bool keeps_features() const override { return true; }
};

// Walks the children with the number of features that is known to reach them.
void check_neighbours(const ModuleImpl& sequential) {
  const std::pair<std::string, std::shared_ptr<ModuleImpl>>* giver = nullptr;
  for (const auto& child : sequential.children()) {
    const ModuleImpl& layer = *child.second;
    const auto in = layer.in_features();
    if (giver && in && *giver->second->out_features() != *in)
      fail<ShapeError>("Sequential", "sizes of neighbours differ",
                       place(*giver) + " gives " + std::to_string(*giver->second->out_features()) + " features, " +
                           place(child) + " takes " + std::to_string(*in),
                       "make the two equal");
    if (layer.out_features()) {
      giver = &child;
    } else if (!layer.keeps_features()) {
      giver = nullptr;
    }
  }
}

std::shared_ptr<ModuleImpl> sequential_of(std::span<const Module> layers) {
  auto impl = make_sequential();
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (!layers[i].impl())
      fail<StateError>("Sequential", "a layer is undefined", "number " + std::to_string(i), "give it a layer first");
    impl->add_child(std::to_string(i), layers[i].impl());
  }
  check_neighbours(*impl);
  check_child_dtypes(*impl);
  return impl;
}

}  // namespace

std::shared_ptr<ModuleImpl> make_sequential() { return std::make_shared<SequentialImpl>(); }
std::shared_ptr<ModuleImpl> read::sequential(ArgumentReader&) { return make_sequential(); }
std::shared_ptr<ModuleImpl> read::residual(ArgumentReader&) { return std::make_shared<ResidualImpl>(); }

Sequential::Sequential(std::initializer_list<Module> layers)
    : Module(sequential_of(std::span<const Module>(layers.begin(), layers.size()))) {}
Sequential::Sequential(const std::vector<Module>& layers, const SequentialOptions& options)
    : Module(sequential_of(layers)) {
  if (options.seed) init(*options.seed);
}
std::size_t Sequential::size() const { return impl_->children().size(); }
Module Sequential::operator[](std::size_t i) const {
  if (i >= size())
    fail<IndexError>("Sequential", "no such layer", "number " + std::to_string(i) + " of " + std::to_string(size()),
                     "they count from 0");
  return Module(impl_->children()[i].second);
}

Residual::Residual(const Module& inner) : Module(std::make_shared<ResidualImpl>()) {
  if (!inner.impl()) fail<StateError>("Residual", "inner is undefined", "", "give it a layer first");
  const auto in = inner.impl()->in_features(), out = inner.impl()->out_features();
  if (in && out && *in != *out)
    fail<ShapeError>("Residual", "inner must give as many features as it takes",
                     inner.str() + " takes " + std::to_string(*in) + " and gives " + std::to_string(*out));
  impl_->add_child("inner", inner.impl());
}

}  // namespace chainrule::nn
