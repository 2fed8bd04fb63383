// The one list of built-in layers.
#include "nn/layer_kinds.hpp"

#include "core/fail.hpp"

namespace chainrule::nn {
namespace {

struct LayerKind {
  const char* name;
  std::shared_ptr<ModuleImpl> (*make)(ArgumentReader&);
};
constexpr LayerKind layer_kinds[] = {
    {"Linear", read::linear},
    {"ReLU", read::relu},
    {"LeakyReLU", read::leaky_relu},
    {"Sigmoid", read::sigmoid},
    {"Tanh", read::tanh},
    {"Softmax", read::softmax},
    {"LogSoftmax", read::log_softmax},
    {"GELU", read::gelu},
    {"SiLU", read::silu},
    {"ELU", read::elu},
    {"Softplus", read::softplus},
    {"Identity", read::identity},
    {"Flatten", read::flatten},
    {"Dropout", read::dropout},
    {"GaussianNoise", read::gaussian_noise},
    {"LayerNorm", read::layer_norm},
    {"BatchNorm1d", read::batch_norm},
    {"Sequential", read::sequential},
    {"Residual", read::residual},
    {"SELU", read::selu},
    {"Mish", read::mish},
    {"Softsign", read::softsign},
    {"Hardtanh", read::hardtanh},
    {"GLU", read::glu},
    {"PReLU", read::prelu},
    {"RMSNorm", read::rms_norm},
    {"Embedding", read::embedding},
    {"Concat", read::concat},
    {"Add", read::add},
    {"Multiply", read::multiply},
    {"MultiHead", read::multi_head},
    {"Parallel", read::parallel},
    {"Standardizer", read::standardizer},
    {"MinMaxScaler", read::min_max_scaler},
    {"Imputer", read::imputer},
    {"OneHot", read::one_hot},
    {"Columns", read::columns},
};

}  // namespace

bool is_layer_kind(const std::string& kind) noexcept {
  for (const LayerKind& entry : layer_kinds)
    if (kind == entry.name) return true;
  return false;
}

std::shared_ptr<ModuleImpl> make_layer(const std::string& kind, const Arguments& arguments) {
  for (const LayerKind& entry : layer_kinds)
    if (kind == entry.name) {
      ArgumentReader reader(kind, arguments);
      auto layer = entry.make(reader);
      reader.finish();
      return layer;
    }
  std::string known;
  for (const LayerKind& entry : layer_kinds) known += (known.empty() ? "" : ", ") + std::string(entry.name);
  fail<IndexError>("make_layer", "no layer of this kind is built in", kind, "known are " + known);
}

}  // namespace chainrule::nn
