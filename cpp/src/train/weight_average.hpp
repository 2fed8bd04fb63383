// What EMA and SWA share: a copy of the model that follows it, and the running statistics of that copy.
#pragma once

#include <functional>
#include <vector>

#include "chainrule/callbacks.hpp"

namespace chainrule {

// to += weight (from - to), value by value; to = from where weight is 1.
void move_towards(const std::vector<nn::NamedTensor>& from, const std::vector<nn::NamedTensor>& to, double weight);

bool has_batch_statistics(const nn::Module& model);
// Sets the running statistics of every BatchNorm1d to their means over these batches, each weighing the same, in train
// mode. As PyTorch's torch.optim.swa_utils.update_bn. An exception of inputs_of_batch leaves them half done.
void set_batch_statistics(const nn::Module& model, std::int64_t batches,
                          const std::function<std::vector<Tensor>(std::int64_t)>& inputs_of_batch);

}  // namespace chainrule
