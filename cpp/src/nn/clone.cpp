// clone(): the structure anew, then the values, place by place. What is shared inside a model stays shared in its copy.
#include <unordered_map>

#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "nn/module_tree.hpp"

namespace chainrule::nn {

class Cloner {
 public:
  std::shared_ptr<ModuleImpl> structure(const std::shared_ptr<ModuleImpl>& source) {
    const auto found = structures_.find(source.get());
    if (found != structures_.end()) return found->second;
    auto copy = source->clone_structure([this](const std::shared_ptr<ModuleImpl>& child) { return structure(child); });
    if (!copy || copy == source)
      fail<StateError>("clone", "clone_structure() must return a module of its own", source->repr());
    return structures_[source.get()] = std::move(copy);
  }

  void values(ModuleImpl& source, ModuleImpl& copy) {
    if (!filled_.insert(&copy).second) return;
    tensors(source, source.own_parameters(), copy.own_parameters());
    tensors(source, source.own_buffers(), copy.own_buffers());
    copy.training_ = source.training_;  // its own flag, also while fit or predict is running
    if (source.children().size() != copy.children().size()) differ(source);
    for (std::size_t i = 0; i < source.children().size(); ++i) {
      if (source.children()[i].first != copy.children()[i].first) differ(source);
      values(*source.children()[i].second, *copy.children()[i].second);
    }
  }

 private:
  [[noreturn]] static void differ(const ModuleImpl& source) {
    fail<StateError>("clone", "clone_structure() gave a module of another structure", source.repr(),
                     "it must register the same parameters, buffers and children");
  }

  void tensors(const ModuleImpl& module, const std::vector<NamedTensor>& from, std::vector<NamedTensor>& to) {
    if (from.size() != to.size()) differ(module);
    const NoGrad no_grad;
    for (std::size_t i = 0; i < from.size(); ++i) {
      const Tensor& source = from[i].tensor;
      if (from[i].name != to[i].name || source.shape() != to[i].tensor.shape()) differ(module);
      const auto [known, fresh] = tensors_.try_emplace(source.data_handle().get(), to[i].tensor);
      if (!fresh) {
        to[i].tensor = known->second;  // a tied weight
        continue;
      }
      change_dtype(to[i].tensor, source.dtype());
      to[i].tensor.copy_(source);
      if (is_floating(source.dtype())) to[i].tensor.requires_grad_(source.requires_grad());
    }
  }

  std::unordered_map<const ModuleImpl*, std::shared_ptr<ModuleImpl>> structures_;
  std::unordered_map<const TensorData*, Tensor> tensors_;
  std::unordered_set<const ModuleImpl*> filled_;
};

Module Module::clone() const {
  if (!impl_) return {};
  Cloner cloner;
  auto copy = cloner.structure(impl_);
  cloner.values(*impl_, *copy);
  copy->link_ = impl_->link_;
  copy->sample_shapes_ = impl_->sample_shapes_;
  return Module(std::move(copy));
}

}  // namespace chainrule::nn
