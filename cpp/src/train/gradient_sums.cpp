// Making, clearing and saving what batches have summed up.
#include "train/gradient_sums.hpp"

#include <algorithm>

#include "core/fail.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

constexpr const char *prefix = "accumulated.", *weight_name = "accumulated.weight",
                     *batches_name = "accumulated.batches";

}  // namespace

void GradientSums::fit_to(const std::vector<Tensor>& parameters) {
  gradients.resize(parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i)
    if (!gradients[i].defined() || !(type_of(gradients[i]) == type_of(parameters[i])))
      gradients[i] = Tensor::zeros(parameters[i].shape(), parameters[i].dtype());
  if (!weight.defined()) weight = Tensor::zeros({}, DType::float64);
}

void GradientSums::clear() {
  for (Tensor& g : gradients) write_values(g, Tensor::zeros(g.shape(), g.dtype()));
  if (weight.defined()) write_values(weight, Tensor::zeros({}, DType::float64));
  batches = 0;
}

std::vector<nn::NamedTensor> GradientSums::state_dict() const {
  std::vector<nn::NamedTensor> all;
  if (batches == 0) return all;
  for (std::size_t i = 0; i < gradients.size(); ++i) all.push_back({prefix + std::to_string(i), copy_of(gradients[i])});
  all.push_back({weight_name, copy_of(weight)});
  all.push_back({batches_name, Tensor::from(std::vector{batches}, {})});
  return all;
}

bool GradientSums::owns(const std::string& name) { return name.starts_with(prefix); }

void GradientSums::load_state_dict(const std::vector<nn::NamedTensor>& state, std::int64_t accumulate) {
  if (state.empty()) return clear();
  const auto refuse = [&](const std::string& given) {
    fail<ValueError>("load_state_dict", "the gradients of batches before an update do not fit", given,
                     "make the Trainer with the model, the optimizer and accumulate of the one that was saved");
  };
  std::int64_t count = 0;
  std::vector<std::pair<Tensor, Tensor>> copies;
  for (const nn::NamedTensor& given : state) {
    if (given.name == batches_name) {
      if (given.tensor.size() != 1) refuse(given.name + " is " + given.tensor.str());
      count = static_cast<std::int64_t>(given.tensor.item());
      continue;
    }
    Tensor target = given.name == weight_name ? weight : Tensor();
    for (std::size_t i = 0; i < gradients.size(); ++i)
      if (given.name == prefix + std::to_string(i)) target = gradients[i];
    if (!target.defined() || !(target.shape() == given.tensor.shape()))
      refuse(given.name + " is " + given.tensor.shape().str());
    copies.emplace_back(target, given.tensor.astype(target.dtype()));
  }
  if (copies.size() != gradients.size() + 1) refuse("there are " + std::to_string(copies.size()) + " tensors");
  if (count < 1 || count >= accumulate)
    refuse(std::to_string(count) + " batches for accumulate=" + std::to_string(accumulate));
  for (auto& [target, source] : copies) write_values(target, source);
  batches = count;
}

}  // namespace chainrule
