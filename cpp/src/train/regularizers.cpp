// L1, max-norm and mixup in a training step.
#include "train/regularizers.hpp"

#include <algorithm>
#include <cmath>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "nn/module_tree.hpp"
#include "train/shuffle.hpp"
#include "train/step_parts.hpp"

namespace chainrule {
namespace {

double normal_draw(data::Words& words) {  // Marsaglia's polar method
  for (;;) {
    const double a = 2 * words.fraction() - 1, b = 2 * words.fraction() - 1, square = a * a + b * b;
    if (square > 0 && square < 1) return a * std::sqrt(-2 * std::log(square) / square);
  }
}

// The logarithm of a draw from Gamma(alpha, 1): of Gamma(alpha + 1, 1) times u^(1 / alpha), which suits small alpha.
double log_gamma_draw(double alpha, data::Words& words) {
  const double d = alpha + 2.0 / 3, c = 1 / std::sqrt(9 * d);
  for (;;) {
    const double x = normal_draw(words), t = 1 + c * x, v = t * t * t, u = 1 - words.fraction();
    if (t > 0 && std::log(u) < x * x / 2 + d - d * v + d * std::log(v))
      return std::log(d * v) + std::log(1 - words.fraction()) / alpha;
  }
}

}  // namespace

Regularizers regularizers_of(const TrainerOptions& options) { return {options.l1, options.max_norm, options.mixup}; }

void check_numbers(const TrainerOptions& options) {
  clipping_of("Trainer", options.clip_norm, options.clip_value);
  if (options.accumulate < 1)
    fail<ValueError>("Trainer", "accumulate must be at least 1", std::to_string(options.accumulate));
  const auto check = [](const char* name, double value) {
    if (!(value >= 0) || std::isinf(value))
      fail<ValueError>("Trainer", std::string(name) + " must be a finite number, 0 or more", std::to_string(value));
  };
  check("l1", options.l1);
  check("mixup", options.mixup);
  if (options.max_norm && (!(*options.max_norm > 0) || std::isinf(*options.max_norm)))
    fail<ValueError>("Trainer", "max_norm must be a finite number above 0", std::to_string(*options.max_norm));
}

void check_regularizers(const TrainerOptions& options, const nn::Module& model) {
  if (options.mixup == 0) return;
  nn::each_module(*model.impl(), [](const std::string& path, nn::ModuleImpl& module) {
    for (const char* kind : {"Imputer", "OneHot", "Embedding"})
      if (module.kind() == kind)
        fail<ValueError>("Trainer", "mixup averages samples, and averages of categories or missing values mean nothing",
                         "model" + (path.empty() ? "" : "." + path) + " is " + module.repr(),
                         "leave mixup away, or give the model numbers only");
  });
}

Tensor with_l1(const Tensor& gradient, const Tensor& parameter, double l1) {
  return parameter.rank() < 2 ? gradient : gradient + sign(parameter) * Tensor(l1);
}

bool has_units(const nn::Module& model, const Tensor& parameter) {
  if (parameter.rank() != 2) return false;
  bool table = false;
  nn::each_module(*model.impl(), [&](const std::string&, nn::ModuleImpl& module) {
    if (module.kind() != "Embedding") return;
    for (const nn::NamedTensor& own : module.own_parameters())
      table |= own.tensor.data_handle() == parameter.data_handle();
  });
  return !table;
}

Tensor limited_columns(const Tensor& weight, double c) {
  const Tensor scale = maximum(max(abs(weight), {0}, true) * Tensor(1e-15), Tensor(1.0)), w = weight / scale;
  const Tensor norm = sqrt(sum(square(w), {0}, true));
  return w * (Tensor(c) / maximum(norm, Tensor(c) / scale));
}

Tensor mixed(const Tensor& a, const Tensor& b, const Tensor& m) {
  const Tensor share = cast(m, a.dtype());
  return share * a + (Tensor(1.0) - share) * b;
}

std::vector<Tensor> mixed_with_mirror(const std::vector<Tensor>& inputs, const Tensor& m) {
  std::vector<Tensor> result;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& x = inputs[i];
    if (x.dtype() != DType::float32 && x.dtype() != DType::float64)
      fail<DTypeError>(
          "Trainer", "mixup averages samples, which must be float32 or float64",
          (inputs.size() == 1 ? "x" : "x[" + std::to_string(i) + "]") + " is " + std::string(name_of(x.dtype())),
          "convert numbers with astype(\"float32\"), or leave mixup away");
    result.push_back(mixed(x, flip(x, {0}), m));
  }
  return result;
}

// Out of line, so that no compiler moves its arithmetic out of the floating-point environment around the call.
[[gnu::noinline]] double mixup_share(double alpha, std::uint64_t seed, std::uint64_t step) {
  data::Words words(seed, step, data::mixup_stream);
  const double a = std::max(log_gamma_draw(alpha, words), -1e300), b = std::max(log_gamma_draw(alpha, words), -1e300);
  return 1 / (1 + std::exp(b - a));
}

}  // namespace chainrule
