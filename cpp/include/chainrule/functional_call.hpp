// Modules called with other parameters than their own.
#pragma once

#include <memory>
#include <vector>

#include "chainrule/nn.hpp"

namespace chainrule::nn {

// While one lives, what is computed on this thread from one of these parameters is computed from its replacement, of
// the same shape and dtype; gradients go there.
class CHAINRULE_API ParameterScope {
 public:
  ParameterScope(const std::vector<Tensor>& parameters, const std::vector<Tensor>& replacements);
  ~ParameterScope();
  ParameterScope(const ParameterScope&) = delete;
  ParameterScope& operator=(const ParameterScope&) = delete;

  static const Tensor& present(const Tensor& parameter);  // its replacement, or itself

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace chainrule::nn

namespace chainrule {

// module(inputs) with these tensors, by name, in the place of its parameters and buffers; those not named stay as they
// are. Throws ValueError, listing the differences, where a name or a shape is not the module's.
CHAINRULE_API std::vector<Tensor> functional_call(const nn::Module& module,
                                                  const std::vector<nn::NamedTensor>& parameters,
                                                  const std::vector<Tensor>& inputs);

}  // namespace chainrule
