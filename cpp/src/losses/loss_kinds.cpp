// The one list of built-in losses.
#include "losses/loss_kinds.hpp"

#include "core/fail.hpp"

namespace chainrule {
namespace {

struct LossKind {
  const char* name;
  Loss (*make)(nn::ArgumentReader&, const std::string& reduction);
};
constexpr LossKind loss_kinds[] = {
    {"MSELoss", read::mse},
    {"L1Loss", read::l1},
    {"HuberLoss", read::huber},
    {"BCELoss", read::bce},
    {"BCEWithLogitsLoss", read::bce_with_logits},
    {"NLLLoss", read::nll},
    {"CrossEntropyLoss", read::cross_entropy},
    {"PoissonNLLLoss", read::poisson_nll},
    {"GaussianNLLLoss", read::gaussian_nll},
    {"QuantileLoss", read::quantile},
    {"CosineSimilarityLoss", read::cosine},
    {"HingeLoss", read::hinge},
    {"MultiMarginLoss", read::multi_margin},
    {"FocalLoss", read::focal},
    {"BinaryFocalLoss", read::binary_focal},
    {"KLDivLoss", read::kl_div},
    {"MultiLoss", read::multi},
};

}  // namespace

Tensor read::weights(nn::ArgumentReader& arguments, const char* name) {
  if (!arguments.has(name)) return {};
  const std::vector<double> values = arguments.reals(name, {});
  return Tensor::from(values, {values.size()});
}

Loss make_loss(const std::string& name, const nn::Arguments& arguments) {
  std::string known;
  for (const LossKind& entry : loss_kinds) {
    known += (known.empty() ? "" : ", ") + std::string(entry.name);
    if (name != entry.name) continue;
    nn::ArgumentReader reader(name, arguments);
    const std::string reduction = reader.text("reduction", "mean");
    Loss loss = entry.make(reader, reduction);
    reader.finish();
    return loss;
  }
  fail<IndexError>("make_loss", "no loss of this name is built in", name, "known are " + known);
}

}  // namespace chainrule
