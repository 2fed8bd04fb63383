// The checks of loss_checks.hpp.
#include "losses/loss_checks.hpp"

#include <cmath>
#include <cstring>

#include "chainrule/ops.hpp"
#include "core/arguments.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

std::string dtype_text(const Tensor& t) { return std::string(name_of(t.dtype())); }

bool is_with_one(const Shape& longer, const Shape& shape) {  // longer == shape + (1,)
  if (longer.rank() != shape.rank() + 1 || longer.back() != 1) return false;
  for (int axis = 0; axis < shape.rank(); ++axis)
    if (longer[axis] != shape[axis]) return false;
  return true;
}

Shape without_last(const Shape& shape) {
  Shape rest;
  for (int axis = 0; axis + 1 < shape.rank(); ++axis) rest.push_back(shape[axis]);
  return rest;
}

template <class T>
void check_label_values(const char* loss, std::span<const T> labels, std::int64_t classes,
                        std::optional<std::int64_t> ignore_index) {
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const auto label = static_cast<std::int64_t>(labels[i]);
    if ((label >= 0 && label < classes) || (ignore_index && label == *ignore_index)) continue;
    fail<IndexError>(loss, "a label is outside the classes",
                     "label " + std::to_string(label) + " at position " + std::to_string(i) + ", " +
                         std::to_string(classes) + " classes",
                     "labels must be 0 ... " + std::to_string(classes - 1) +
                         (ignore_index ? ", or equal to ignore_index" : "; or give the last layer more outputs"));
  }
}

template <class T> void check_rows(const char* loss, std::span<const T> target, std::size_t classes) {
  const auto refuse = [&](std::size_t row, const std::string& what) {
    fail<ValueError>(
        loss, "a target is no probability distribution", "row " + std::to_string(row) + " " + what,
        "each row must be 0 or more and add up to 1; for labels give integers, for several classes at once "
        "use BCEWithLogitsLoss");
  };
  for (std::size_t row = 0; row * classes < target.size(); ++row) {
    double total = 0;
    for (const T q : target.subspan(row * classes, classes)) {
      if (!(q >= T(0))) refuse(row, "holds " + nn::text_of(static_cast<double>(q)));
      total += static_cast<double>(q);
    }
    if (!(std::abs(total - 1.0) <= 1e-3)) refuse(row, "adds up to " + nn::text_of(total));
  }
}

}  // namespace

void check_labels(const char* loss, const Tensor& labels, std::int64_t classes,
                  std::optional<std::int64_t> ignore_index) {
  switch (labels.dtype()) {
    case DType::int64:
      return check_label_values(loss, labels.span<std::int64_t>(), classes, ignore_index);
    case DType::int32:
      return check_label_values(loss, labels.span<std::int32_t>(), classes, ignore_index);
    case DType::uint8:
      return check_label_values(loss, labels.span<std::uint8_t>(), classes, ignore_index);
    default:
      return;
  }
}

void check_each(const char* loss, const Tensor& target, bool (*fits)(double), const char* wrong, const char* todo) {
  each_value(target, [&](double value, std::size_t i) {
    if (fits(value)) return;
    const std::string text =
        is_floating(target.dtype()) ? nn::text_of(value) : std::to_string(static_cast<std::int64_t>(value));
    fail<ValueError>(loss, wrong, text + " at position " + std::to_string(i), todo);
  });
}

void check_whole(const char* loss, const Tensor& labels) {
  if (!is_floating(labels.dtype()) || labels.rank() > 2 || (labels.rank() == 2 && labels.shape().back() != 1)) return;
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    const double label =
        labels.dtype() == DType::float64 ? labels.data<double>()[i] : static_cast<double>(labels.data<float>()[i]);
    if (label != std::floor(label) || std::isinf(label))
      fail<ValueError>(loss, "class labels must be integers", nn::text_of(label) + " at position " + std::to_string(i),
                       "give 0 ... classes - 1, or use MSELoss to predict a number");
  }
}

void check_distributions(const char* loss, const Tensor& target, std::int64_t classes) {
  if (classes < 1) return;
  if (target.dtype() == DType::float32) check_rows(loss, target.span<float>(), static_cast<std::size_t>(classes));
  if (target.dtype() == DType::float64) check_rows(loss, target.span<double>(), static_cast<std::size_t>(classes));
}

const Tensor& only_output(const std::string& loss, const std::vector<Tensor>& outputs) {
  if (outputs.size() != 1)
    fail<ValueError>(loss, "takes one output", "the model gave " + std::to_string(outputs.size()),
                     "write a loss of your own for several");
  const Tensor& output = outputs[0];
  if (!output.defined()) fail<StateError>(loss, "the output is undefined");
  if (!is_floating(output.dtype()))
    fail<DTypeError>(loss, "the output must be floating", "output is " + dtype_text(output), "use astype(\"float32\")");
  if (output.size() == 0)
    fail<ShapeError>(loss, "the batch is empty", "output is " + output.shape().str(), "pass at least one sample");
  return output;
}

Tensor match_target(const std::string& loss, const Tensor& output, const Tensor& target) {
  if (!target.defined()) fail<StateError>(loss, "the target is undefined");
  const Shape &want = output.shape(), &have = target.shape();
  Tensor matched = target;
  if (want != have) {
    if (!is_with_one(want, have) && !is_with_one(have, want))
      fail<ShapeError>(loss, "output and target differ in shape",
                       "output is " + want.str() + ", target is " + have.str(),
                       "they must be equal up to one trailing axis of size 1; a loss never broadcasts");
    matched = reshape(matched, want);
  }
  return matched.dtype() == output.dtype() ? matched : cast(matched, output.dtype());
}

Tensor class_labels(const std::string& loss, const Tensor& output, const Tensor& target,
                    std::optional<std::int64_t> ignore_index, bool probabilities_allowed) {
  if (!target.defined()) fail<StateError>(loss, "the target is undefined");
  if (output.rank() == 0)
    fail<ShapeError>(loss, "the output has no class axis", "output is ()", "pass (batch, classes)");
  const Shape &scores = output.shape(), &have = target.shape();
  const Shape labels = without_last(scores);
  const bool fits = have == labels || is_with_one(have, labels);
  const std::string given = "output is " + scores.str() + ", target is " + have.str() + " of " + dtype_text(target);
  if (fits && is_floating(target.dtype()))
    fail<DTypeError>(loss, "class labels must be integers", given,
                     "convert them with astype(\"int64\")" +
                         (probabilities_allowed ? ", or give probabilities of shape " + scores.str() : std::string()));
  if (!fits && have == scores)
    fail<DTypeError>(loss, "a target of the output's shape is not class labels", given,
                     probabilities_allowed
                         ? "convert one-hot rows with astype(\"float32\") to use them as probabilities"
                         : "give one integer label per sample");
  if (!fits)
    fail<ShapeError>(loss, "output and target do not fit", given,
                     "labels must be " + labels.str() +
                         (probabilities_allowed ? ", probabilities " + scores.str() : std::string()) +
                         ", classes last");
  Tensor result = have == labels ? target : reshape(target, labels);
  if (result.dtype() != DType::int64) result = cast(result, DType::int64);
  if (!result.symbolic()) check_labels(loss.c_str(), result, scores.back(), ignore_index);
  return result;
}

Tensor kept(const Tensor& labels, std::int64_t ignore_index, DType dtype) {
  return cast(not_equal(labels, Tensor(ignore_index)), dtype);
}

Tensor pickable(const Tensor& labels, std::optional<std::int64_t> ignore_index, std::int64_t classes) {
  const Tensor counted = ignore_index ? where(equal(labels, Tensor(*ignore_index)), Tensor(0), labels) : labels;
  return where(less(counted, Tensor(0)), Tensor(classes), counted);
}

LossWeights::LossWeights(const std::string& loss, const char* name, const Tensor& values, bool scalar) {
  if (!values.defined()) return;
  if (values.rank() > 1 || (values.rank() == 0 && !scalar))
    fail<ShapeError>(loss, std::string(name) + " must have one axis",
                     std::string(name) + " is " + values.shape().str());
  const NoGrad no_grad;
  Tensor wide = Tensor::empty(values.shape(), DType::float64);
  wide.copy_(values);
  for (double w : wide.span<double>())
    if (!(w >= 0.0) || std::isinf(w))
      fail<ValueError>(loss, std::string(name) + " must be finite and >= 0", std::to_string(w) + " was given");
  constants_[0] = Tensor::empty(values.shape(), DType::float32);
  constants_[0].copy_(wide);
  constants_[1] = wide;
  for (const Tensor& constant : constants_) constant.data_handle()->constant = true;
}

std::vector<double> LossWeights::values() const {
  const auto all = constants_[1].span<double>();
  return {all.begin(), all.end()};
}

void check_class_weights(const std::string& loss, const LossWeights& weights, const Tensor& output) {
  if (weights.defined() && weights.size() != output.shape().back())
    fail<ShapeError>(
        loss, "weight must hold one number per class",
        std::to_string(weights.size()) + " numbers for " + std::to_string(output.shape().back()) + " classes");
}

}  // namespace chainrule
