// MLP: Linear layers with an activation between them, drawn as suits the activation.
#include "chainrule/random.hpp"
#include "core/fail.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

struct Activation {
  const char* name;
  const char* kind;
  LinearInit init;  // of the layer before it
};
const Activation activations[] = {
    {"relu", "ReLU", {"kaiming_uniform", "relu"}},
    {"leaky_relu", "LeakyReLU", {"kaiming_uniform", "leaky_relu"}},
    {"gelu", "GELU", {"kaiming_uniform", "gelu"}},
    {"silu", "SiLU", {"kaiming_uniform", "silu"}},
    {"elu", "ELU", {"kaiming_uniform", "elu"}},
    {"selu", "SELU", {"kaiming_uniform", "linear"}},  // variance 1 / fan_in, what normalizes itself
    {"mish", "Mish", {"kaiming_uniform", "silu"}},
    {"softsign", "Softsign", {"xavier_uniform", "tanh"}},
    {"softplus", "Softplus", {"kaiming_uniform", "softplus"}},
    {"sigmoid", "Sigmoid", {"xavier_uniform", "sigmoid"}},
    {"tanh", "Tanh", {"xavier_uniform", "tanh"}},
    {"identity", "Identity", {"xavier_uniform", "identity"}},
};

const Activation& find_activation(const std::string& name) {
  std::string known;
  for (const Activation& entry : activations) {
    if (name == entry.name) return entry;
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
  }
  fail<ValueError>("MLP", "unknown activation", "'" + name + "'", "use one of " + known);
}

std::vector<Module> mlp_layers(const std::vector<std::int64_t>& sizes, const MLPOptions& options) {
  if (sizes.size() < 2)
    fail<ValueError>("MLP", "needs at least two sizes", std::to_string(sizes.size()) + " were given",
                     "give those of the input, the hidden layers and the output");
  const Activation& activation = find_activation(options.activation);
  std::vector<Module> layers;
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
    const bool last = i + 2 == sizes.size();
    const LinearInit init = last ? LinearInit{"xavier_uniform", "linear"} : activation.init;
    layers.emplace_back(make_linear(sizes[i], sizes[i + 1], true, options.dtype, init));
    if (!options.seed) layers.back()->init_own(next_layer_key(), 0);
    if (last) break;
    layers.emplace_back(make_layer(activation.kind, {}));
    if (options.dropout != 0.0) layers.push_back(Dropout(options.dropout));
  }
  return layers;
}

}  // namespace

MLP::MLP(const std::vector<std::int64_t>& sizes, const MLPOptions& options)
    : Sequential(mlp_layers(sizes, options), {.seed = options.seed}) {}

}  // namespace chainrule::nn
