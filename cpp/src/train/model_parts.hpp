// The layers and tensors that a model consisted of at some time, to notice later that some were exchanged.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chainrule/nn.hpp"

namespace chainrule {

class ModelParts {
 public:
  explicit ModelParts(const nn::Module& model);
  // Throws StateError, naming the first difference: another layer, another tensor, another dtype. Allocates nothing
  // where there is none.
  void check(const nn::Module& model, const char* who) const;

 private:
  struct Part {
    std::string path;
    std::shared_ptr<nn::ModuleImpl> layer;  // or
    Tensor tensor;
    DType dtype = DType::float32;
  };
  std::vector<Part> parts_;
};

}  // namespace chainrule
