// The built-in losses by name, for the model file. A loss's arguments are those that differ from its defaults.
#pragma once

#include <string>

#include "chainrule/losses.hpp"
#include "core/arguments.hpp"

namespace chainrule {

// reduction may stand among the arguments. IndexError: no such loss.
Loss make_loss(const std::string& name, const nn::Arguments& arguments);

namespace read {
Tensor weights(nn::ArgumentReader& arguments, const char* name);  // undefined where there are none
Loss mse(nn::ArgumentReader& arguments, const std::string& reduction);
Loss l1(nn::ArgumentReader& arguments, const std::string& reduction);
Loss huber(nn::ArgumentReader& arguments, const std::string& reduction);
Loss bce(nn::ArgumentReader& arguments, const std::string& reduction);
Loss bce_with_logits(nn::ArgumentReader& arguments, const std::string& reduction);
Loss nll(nn::ArgumentReader& arguments, const std::string& reduction);
Loss cross_entropy(nn::ArgumentReader& arguments, const std::string& reduction);
Loss poisson_nll(nn::ArgumentReader& arguments, const std::string& reduction);
Loss gaussian_nll(nn::ArgumentReader& arguments, const std::string& reduction);
Loss quantile(nn::ArgumentReader& arguments, const std::string& reduction);
Loss cosine(nn::ArgumentReader& arguments, const std::string& reduction);
Loss hinge(nn::ArgumentReader& arguments, const std::string& reduction);
Loss multi_margin(nn::ArgumentReader& arguments, const std::string& reduction);
Loss focal(nn::ArgumentReader& arguments, const std::string& reduction);
Loss binary_focal(nn::ArgumentReader& arguments, const std::string& reduction);
Loss kl_div(nn::ArgumentReader& arguments, const std::string& reduction);
Loss multi(nn::ArgumentReader& arguments, const std::string& reduction);
}  // namespace read

}  // namespace chainrule
