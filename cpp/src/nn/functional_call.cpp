// Modules called with other parameters than their own.
#include "chainrule/functional_call.hpp"

#include <algorithm>

#include "core/fail.hpp"
#include "graph/stand_ins.hpp"

namespace chainrule {
namespace nn {

struct ParameterScope::State {
  State(const std::vector<Tensor>& parameters, const std::vector<Tensor>& replacements)
      : scope(parameters, replacements) {}
  StandIns scope;
};

ParameterScope::ParameterScope(const std::vector<Tensor>& parameters, const std::vector<Tensor>& replacements) {
  if (parameters.size() != replacements.size())
    fail<ValueError>("ParameterScope", "wrong number of replacements",
                     std::to_string(replacements.size()) + " for " + std::to_string(parameters.size()) + " parameters",
                     "give one tensor per parameter");
  state_ = std::make_unique<State>(parameters, replacements);
}
ParameterScope::~ParameterScope() = default;

const Tensor& ParameterScope::present(const Tensor& parameter) { return StandIns::of(parameter); }

}  // namespace nn

std::vector<Tensor> functional_call(const nn::Module& module, const std::vector<nn::NamedTensor>& parameters,
                                    const std::vector<Tensor>& inputs) {
  std::vector<nn::NamedTensor> own = module.named_parameters();
  const std::vector<nn::NamedTensor> buffers = module.named_buffers();
  own.insert(own.end(), buffers.begin(), buffers.end());
  std::vector<Tensor> originals, replacements;
  std::string differences;
  for (const auto& [name, tensor] : parameters) {
    const auto found = std::ranges::find(own, name, &nn::NamedTensor::name);
    if (found == own.end()) {
      differences += "\n  " + name + ": the module has no such parameter";
    } else if (!(found->tensor.shape() == tensor.shape())) {
      differences += "\n  " + name + ": " + tensor.shape().str() + " for " + found->tensor.shape().str();
    } else {
      originals.push_back(found->tensor);
      replacements.push_back(tensor);
    }
  }
  if (!differences.empty())
    fail<ValueError>("functional_call", "the parameters do not fit the module", "differences are" + differences,
                     "use the names and shapes of named_parameters()");
  const nn::ParameterScope scope(originals, replacements);
  return module(inputs);
}

}  // namespace chainrule
