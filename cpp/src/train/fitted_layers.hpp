// The layers that a fit has fitted to its training rows: they keep their statistics where it ends well, and forget them
// where it throws.
#pragma once

#include <memory>
#include <vector>

#include "nn/fitted_layer.hpp"

namespace chainrule {

class FittedLayers {
 public:
  FittedLayers(const nn::Module& model, const std::vector<Tensor>& x) : layers_(nn::fit_layers(model, x)) {}
  ~FittedLayers() {
    for (const auto& layer : layers_) layer->unfit();
  }
  FittedLayers(const FittedLayers&) = delete;
  FittedLayers& operator=(const FittedLayers&) = delete;
  void keep() { layers_.clear(); }

 private:
  std::vector<std::shared_ptr<nn::FittedImpl>> layers_;
};

}  // namespace chainrule
