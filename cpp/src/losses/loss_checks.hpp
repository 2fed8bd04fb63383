// What losses check of outputs and targets, each with its error text, and the constants they keep (class weights).
#pragma once

#include <array>

#include "chainrule/losses.hpp"

namespace chainrule {

// The one output of a model; floating and not empty.
const Tensor& only_output(const std::string& loss, const std::vector<Tensor>& outputs);
// The target in the output's shape and dtype; shapes may differ by one trailing axis of size 1.
Tensor match_target(const std::string& loss, const Tensor& output, const Tensor& target);
// Class labels (...) as int64 for an output (..., C). Values are checked here where there are any; a traced run leaves
// that to the kernels.
Tensor class_labels(const std::string& loss, const Tensor& output, const Tensor& target,
                    std::optional<std::int64_t> ignore_index, bool probabilities_allowed);
// The same check of values for any integer type, and that of rows of class probabilities: none negative, each adding up
// to
// 1. What has another form is left to the loss itself. Nothing is allocated.
void check_labels(const char* loss, const Tensor& labels, std::int64_t classes,
                  std::optional<std::int64_t> ignore_index);
// Calls visit(value, position) for every value of a numeric target.
template <class Visit> void each_value(const Tensor& target, const Visit& visit) {
  const auto all = [&](auto values) {
    for (std::size_t i = 0; i < values.size(); ++i) visit(static_cast<double>(values[i]), i);
  };
  switch (target.dtype()) {
    case DType::float32:
      return all(target.span<float>());
    case DType::float64:
      return all(target.span<double>());
    case DType::int32:
      return all(target.span<std::int32_t>());
    case DType::int64:
      return all(target.span<std::int64_t>());
    case DType::uint8:
      return all(target.span<std::uint8_t>());
    default:
      return;
  }
}
// Refuses the first value that does not fit.
void check_each(const char* loss, const Tensor& target, bool (*fits)(double), const char* wrong, const char* todo);
void check_whole(const char* loss, const Tensor& labels);  // floats in the place of labels: names one like 1.5
void check_distributions(const char* loss, const Tensor& target, std::int64_t classes);
// 1 where a label counts, 0 where it is ignored.
Tensor kept(const Tensor& labels, std::int64_t ignore_index, DType dtype);
// Labels for picking: ignored ones become 0; negative ones `classes`, which every kernel refuses.
Tensor pickable(const Tensor& labels, std::optional<std::int64_t> ignore_index, std::int64_t classes);

// Numbers given to a loss when it is made, as a constant of either dtype.
class LossWeights {
 public:
  LossWeights() = default;
  // Rank 1 (or 0 where `scalar` allows it), finite and >= 0; undefined stays undefined.
  LossWeights(const std::string& loss, const char* name, const Tensor& values, bool scalar);
  bool defined() const { return constants_[0].defined(); }
  std::int64_t size() const { return constants_[0].size(); }
  const Tensor& in(DType dtype) const { return constants_[dtype == DType::float64 ? 1 : 0]; }
  std::vector<double> values() const;

 private:
  std::array<Tensor, 2> constants_;  // float32, float64
};
// Refuses weights that are not one per class of the output.
void check_class_weights(const std::string& loss, const LossWeights& weights, const Tensor& output);

}  // namespace chainrule
