// Module: the handle. Parameters and buffers by name, modes, drawing anew, dtype. State dicts, clones and the summary
// have files of their own; predict is in train, save in io.
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "nn/module_tree.hpp"

namespace chainrule::nn {
namespace {

constexpr std::uint32_t streams_per_layer = 16;

ModuleImpl& defined(const std::shared_ptr<ModuleImpl>& impl) {
  if (!impl) fail<StateError>("Module", "there is no layer in it", "", "assign one first");
  return *impl;
}

std::vector<NamedTensor> named(ModuleImpl& root, std::vector<NamedTensor>& (ModuleImpl::*group)()) {
  std::vector<NamedTensor> all;
  std::unordered_set<const TensorData*> seen;
  each_module(root, [&](const std::string& path, ModuleImpl& module) {
    for (const NamedTensor& own : (module.*group)())
      if (seen.insert(own.tensor.data_handle().get()).second) all.push_back({joined(path, own.name), own.tensor});
  });
  return all;
}

}  // namespace

void change_dtype(const Tensor& tensor, DType dtype) {
  if (tensor.dtype() == dtype) return;
  const NoGrad no_grad;
  Tensor converted = Tensor::empty(tensor.shape(), dtype);
  converted.copy_(tensor);
  TensorData& data = *tensor.data_handle();
  const TensorData& fresh = *converted.data_handle();
  data.dtype = dtype;
  data.storage = fresh.storage;
  data.offset = fresh.offset;
  data.grad = Tensor();
}

std::optional<DType> parameter_dtype(const ModuleImpl& root) {
  if (!root.own_parameters().empty()) return root.own_parameters()[0].tensor.dtype();
  for (const auto& [name, child] : root.children())
    if (const auto dtype = parameter_dtype(*child)) return dtype;
  return {};
}

Module& Module::init(std::uint64_t seed) {
  std::uint32_t drawn = 0;
  each_module(defined(impl_), [&](const std::string&, ModuleImpl& module) {
    module.init_own(seed, drawn * streams_per_layer);
    drawn += !module.own_parameters().empty();
  });
  return *this;
}

Module& Module::train(bool on) {
  defined(impl_).set_training(on);
  return *this;
}
bool Module::training() const { return defined(impl_).training(); }

std::vector<NamedTensor> Module::named_parameters() const { return named(defined(impl_), &ModuleImpl::own_parameters); }
std::vector<NamedTensor> Module::named_buffers() const { return named(defined(impl_), &ModuleImpl::own_buffers); }
std::vector<Tensor> Module::parameters() const {
  std::vector<Tensor> all;
  for (NamedTensor& parameter : named_parameters()) all.push_back(std::move(parameter.tensor));
  return all;
}

DType Module::dtype() const { return parameter_dtype(defined(impl_)).value_or(DType::float32); }

Module& Module::astype(DType dtype) {
  if (dtype != DType::float32 && dtype != DType::float64)
    fail<DTypeError>("astype", "a model computes in float32 or float64", "dtype is " + std::string(name_of(dtype)));
  each_module(defined(impl_), [&](const std::string&, ModuleImpl& module) {
    for (const NamedTensor& own : module.own_parameters()) change_dtype(own.tensor, dtype);
    for (const NamedTensor& own : module.own_buffers())
      if (is_floating(own.tensor.dtype())) change_dtype(own.tensor, dtype);
  });
  return *this;
}

std::string Module::str() const { return impl_ ? impl_->repr() : "Module()"; }

const std::string& Module::link() const { return defined(impl_).link_; }
void Module::set_link(const std::string& link) {
  for (const char* known : {"identity", "softmax", "sigmoid", "exp", "probability", "argmax", "sign"})
    if (link == known) {
      defined(impl_).link_ = link;
      return;
    }
  fail<ValueError>("set_link", "unknown link", "'" + link + "'",
                   "use identity, softmax, sigmoid, exp, probability, argmax or sign");
}
const std::vector<Shape>& Module::sample_shapes() const { return defined(impl_).sample_shapes_; }
void Module::set_sample_shapes(std::vector<Shape> shapes) { defined(impl_).sample_shapes_ = std::move(shapes); }

}  // namespace chainrule::nn
