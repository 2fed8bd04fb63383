// The layers that a fit has fitted to its training rows: they keep their statistics where it ends well, and forget them
// where it throws.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nn/fitted_layer.hpp"
#include "nn/module_tree.hpp"

namespace chainrule {

class FittedLayers {
 public:
  FittedLayers(const nn::Module& model, const std::vector<Tensor>& x) : layers_(nn::fit_layers(model, x)) {}
  // For a fit that goes on: with the statistics it had. What the model does not hold is for others to refuse.
  FittedLayers(const nn::Module& model, const std::map<std::string, Tensor>& saved) {
    nn::each_module(*model.impl(), [&](const std::string& path, nn::ModuleImpl& module) {
      auto* layer = dynamic_cast<nn::FittedImpl*>(&module);
      if (layer == nullptr || layer->fitted()) return;
      for (const nn::NamedTensor& own : layer->own_buffers()) {
        const auto found = saved.find(nn::joined(path, own.name));
        if (found == saved.end() || !(found->second.shape() == own.tensor.shape())) {
          incomplete_ = true;
          return;
        }
      }
      for (const nn::NamedTensor& own : layer->own_buffers())
        Tensor(own.tensor).copy_(saved.at(nn::joined(path, own.name)));
      layers_.push_back(std::dynamic_pointer_cast<nn::FittedImpl>(layer->shared_from_this()));
    });
  }
  ~FittedLayers() {
    for (const auto& layer : layers_) layer->unfit();
  }
  FittedLayers(const FittedLayers&) = delete;
  FittedLayers& operator=(const FittedLayers&) = delete;
  void keep() { layers_.clear(); }
  bool incomplete() const { return incomplete_; }  // what was saved lacks statistics that the model has none of, too

 private:
  bool incomplete_ = false;
  std::vector<std::shared_ptr<nn::FittedImpl>> layers_;
};

}  // namespace chainrule
