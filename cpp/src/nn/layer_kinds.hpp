// The built-in layers by name, for clone() and the model file. A layer made here has the parameters its arguments call
// for, not drawn (zeros; norm layers their ones), and no children: whoever rebuilds a tree adds those and copies
// values.
#pragma once

#include <memory>
#include <string>

#include "chainrule/nn.hpp"
#include "core/arguments.hpp"

namespace chainrule::nn {

std::shared_ptr<ModuleImpl> make_layer(const std::string& kind,
                                       const Arguments& arguments);  // IndexError: no such kind
bool is_layer_kind(const std::string& kind) noexcept;

// How a Linear draws itself: PyTorch's default, or weights scaled for what follows it and biases 0.
struct LinearInit {
  std::string scheme = "default";  // or "kaiming_uniform", "xavier_uniform"
  std::string nonlinearity = "linear";
};
std::shared_ptr<ModuleImpl> make_linear(std::int64_t in_features, std::int64_t out_features, bool bias, DType dtype,
                                        const LinearInit& init = {});
std::shared_ptr<ModuleImpl> make_sequential();

// One line of the table in layer_kinds.cpp each.
namespace read {
std::shared_ptr<ModuleImpl> linear(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> relu(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> sigmoid(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> tanh(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> silu(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> softplus(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> leaky_relu(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> elu(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> gelu(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> softmax(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> log_softmax(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> identity(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> flatten(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> dropout(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> gaussian_noise(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> layer_norm(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> batch_norm(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> sequential(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> residual(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> selu(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> mish(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> softsign(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> hardtanh(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> glu(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> prelu(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> rms_norm(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> embedding(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> concat(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> add(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> multiply(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> multi_head(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> parallel(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> standardizer(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> min_max_scaler(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> imputer(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> one_hot(ArgumentReader& arguments);
std::shared_ptr<ModuleImpl> columns(ArgumentReader& arguments);
}  // namespace read

}  // namespace chainrule::nn
