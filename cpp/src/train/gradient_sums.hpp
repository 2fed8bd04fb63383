// The gradients of the batches since the last update, each times what its batch counts for, where an update takes
// several batches.
#pragma once

#include <vector>

#include "chainrule/optim.hpp"

namespace chainrule {

struct GradientSums {
  std::vector<Tensor> gradients{};  // as the optimizer's parameters
  Tensor weight{};                  // what the batches count for together: float64, rank 0
  std::int64_t batches = 0;

  // Made, or made anew for those parameters that have another type by now.
  void fit_to(const std::vector<Tensor>& parameters);
  void clear();
  // Copies: "accumulated.0", ..., "accumulated.weight" and "accumulated.batches"; nothing where there are no batches.
  std::vector<nn::NamedTensor> state_dict() const;
  // Whether the name is one of these.
  static bool owns(const std::string& name);
  // For an update of so many batches. ValueError, and nothing is changed, where the state does not fit.
  void load_state_dict(const std::vector<nn::NamedTensor>& state, std::int64_t accumulate);
};

}  // namespace chainrule
