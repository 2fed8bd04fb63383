// Checks of fit's arguments, sample and class weights, and the validation split.
#include "train/fit_data.hpp"

#include <cmath>

#include "chainrule/data.hpp"
#include "chainrule/data_samplers.hpp"
#include "chainrule/ops.hpp"
#include "core/arguments.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "graph/tensor_data.hpp"
#include "train/batched_run.hpp"
#include "train/samplers.hpp"

namespace chainrule {
namespace {

void check_options(const FitOptions& options) {
  if (options.epochs < 0) fail<ValueError>("fit", "epochs must be 0 or more", std::to_string(options.epochs));
  if (options.batch_size < 1)
    fail<ValueError>("fit", "batch_size must be at least 1", std::to_string(options.batch_size));
  if (!(options.validation_split >= 0.0 && options.validation_split < 1.0))
    fail<ValueError>("fit", "validation_split must be in [0, 1)", std::to_string(options.validation_split));
  if (options.validation_split > 0 && (options.validation_data.y.defined() || options.validation_data.source))
    fail<ValueError>("fit", "validation_data and validation_split were both given", "", "give one of them");
}

// n / (classes * count), of the classes that are there and count.
[[gnu::noinline]] std::map<std::int64_t, double> balanced_weights(const Tensor& labels,
                                                                  std::optional<std::int64_t> ignored) {
  std::map<std::int64_t, double> weights;
  double n = 0;
  for (const std::int64_t label : labels.span<std::int64_t>())
    if (label != ignored) weights[label] += 1, n += 1;
  const auto classes = static_cast<double>(weights.size());
  for (auto& [_, weight] : weights) weight = n / (classes * weight);
  return weights;
}

Tensor class_weights(const Tensor& y, const ClassWeight& given, std::optional<std::int64_t> ignored) {
  for (const auto& [label, weight] : given.weights())
    if (!(weight >= 0) || !std::isfinite(weight))
      fail<ValueError>("fit", "a class weight must be a finite number, 0 or more",
                       "class " + std::to_string(label) + " has " + std::to_string(weight));
  if (is_floating(y.dtype()))
    fail<DTypeError>("fit", "class_weight needs integer labels", std::string(name_of(y.dtype())), "use sample_weight");
  const Tensor labels = cast(y, DType::int64);
  Tensor result = Tensor::empty({y.shape(0)}, DType::float32);
  if (labels.size() != y.shape(0))
    fail<ShapeError>("fit", "class_weight needs one label per sample", "y is " + y.shape().str());
  const std::map<std::int64_t, double> weights = given.balanced() ? balanced_weights(labels, ignored) : given.weights();
  auto* out = reinterpret_cast<float*>(bytes_of(result));
  for (std::int64_t i = 0; i < labels.size(); ++i) {
    const auto found = weights.find(labels.data<std::int64_t>()[i]);
    out[i] = found == weights.end() ? 1.0f : static_cast<float>(found->second);
  }
  return result;
}

// sample_weight: of the rows of y; may be undefined.
Tensor combined_weight(const Tensor& y, const Tensor& sample_weight, const ClassWeight& class_weight,
                       std::optional<std::int64_t> ignored = {}) {
  if (class_weight.empty()) return sample_weight;
  const Tensor weights = class_weights(y, class_weight, ignored);
  if (!sample_weight.defined()) return weights;
  return cast(reshape(sample_weight, {-1}), DType::float32) * weights;
}

// A part of the samples, such as a window of a source, may have no weight at all.
void check_weight(const Tensor& weight, std::int64_t rows, bool all_samples = true) {
  if (!weight.defined()) return;
  if (!(weight.shape() == Shape{rows}) && !(weight.shape() == Shape{rows, 1}))
    fail<ShapeError>("fit", "sample_weight must hold one number per sample",
                     "it is " + weight.shape().str() + " for " + std::to_string(rows) + " samples");
  const Tensor values = cast(weight, DType::float64);
  double total = 0;
  for (std::int64_t i = 0; i < rows; ++i) {
    const double w = values.data<double>()[i];
    if (!(w >= 0) || !std::isfinite(w))
      fail<ValueError>("fit", "sample_weight must hold finite numbers, 0 or more",
                       std::to_string(w) + " at position " + std::to_string(i));
    total += w;
  }
  if (all_samples && total == 0) fail<ValueError>("fit", "all sample weights are 0", "", "give some samples a weight");
}

void add_validation(FitData& data, const FitOptions& options) {
  data.validation = options.validation_data;
  std::size_t inputs = data.validation.x.size();
  if (data.validation.source) {
    if (inputs > 0) fail<ValueError>("fit", "validation_data holds tensors and a source", "", "give one of them");
    data.validation_windows = std::make_shared<WindowReader>(
        "fit: validation_data", data.validation.source, std::max<std::int64_t>(options.batch_size, 1024),
        WindowReaderOptions{.whole_batches = false, .on_wait = options.on_wait});
    const data::SourceRows& first = data.validation_windows->take(0, -1);
    if (!first.y.defined()) fail<StateError>("fit", "validation_data has no targets", data.validation_windows->str());
    inputs = first.x.size();
  } else if (inputs > 0) {
    common_rows("fit: validation_data", data.validation.x, data.validation.y);
  }
  if (data.validates() && inputs != data.x.size())
    fail<ValueError>("fit", "validation_data has another number of inputs",
                     std::to_string(inputs) + " for " + std::to_string(data.x.size()));
}

}  // namespace

ClassWeight::ClassWeight(const std::string& name) : balanced_(true) {
  if (name != "balanced")
    fail<ValueError>("fit", "unknown class_weight", "\"" + name + "\"",
                     "use \"balanced\", or give weights by class, such as {0: 1.0, 1: 5.0}");
}

FitData fit_data(const std::vector<Tensor>& x, const Tensor& y, const FitOptions& options, std::uint64_t seed,
                 std::optional<std::int64_t> ignored) {
  const FloatEnvironment environment;
  check_options(options);
  if (!y.defined()) fail<StateError>("fit", "y is undefined", "", "give one target per sample");
  FitData data;
  data.x = x;
  data.y = data.given_y = y;
  data.rows = common_rows("fit", x, y);
  data::check_sampler("fit", options.sampler.get(), data.rows, options.shuffle);
  if (options.class_weight.balanced() && options.sampler &&
      dynamic_cast<const data::StratifiedSampler*>(options.sampler.get()) == nullptr)
    fail<ValueError>("fit", "class_weight=\"balanced\" counts the rows, not those that a sampler draws",
                     options.sampler->str(), "leave one of them away, or give weights by class");
  data.sampler = options.sampler;
  check_weight(options.sample_weight, data.rows);
  data.weight = options.sample_weight;
  add_validation(data, options);
  if (options.validation_split > 0) {
    const auto [train_rows, held_out] = data::split_rows(data.rows, options.validation_split, seed);
    for (Tensor& t : data.x) {
      data.validation.x.push_back(data::take_rows(t, held_out));
      t = data::take_rows(t, train_rows);
    }
    data.validation.y = data::take_rows(y, held_out);
    data.y = data::take_rows(y, train_rows);
    if (data.weight.defined()) data.weight = data::take_rows(data.weight, train_rows);
    data.rows = static_cast<std::int64_t>(train_rows.size());
    if (data.sampler) data.sampler = data.sampler->of_rows(train_rows);
    data.given_row = train_rows;
  }
  data.samples = data.sampler ? data.sampler->size() : data.rows;
  if (options.class_weight.empty()) return data;
  data.weight = combined_weight(data.y, data.weight, options.class_weight, ignored);
  check_weight(data.weight, data.rows);  // together they may leave nothing
  return data;
}

FitData fit_data(const std::shared_ptr<data::Source>& source, const FitOptions& options, std::uint64_t seed,
                 std::uint64_t epoch) {
  const FloatEnvironment environment;
  check_options(options);
  const auto refuse = [](const char* what, const char* instead) {
    fail<ValueError>("fit", std::string(what) + " goes with tensors, not with a source", "", instead);
  };
  if (options.validation_split > 0) refuse("validation_split", "give validation_data: a source of its own, or tensors");
  if (options.sample_weight.defined()) refuse("sample_weight", "let the source give weights beside its targets");
  if (options.sampler) refuse("sampler", "sample where the source is made");
  if (options.class_weight.balanced())
    refuse("class_weight=\"balanced\"", "count the classes yourself: class_weight={label: n / (classes * count)}");
  FitData data;
  data.windows = std::make_shared<WindowReader>("fit", source, options.batch_size,
                                                WindowReaderOptions{.on_wait = options.on_wait});
  data.samples = data.windows->rows();
  const std::vector<std::int64_t> order = data.windows->order(seed, epoch, options.shuffle);
  set_window(data, data.windows->take(order[0], order.size() > 1 ? order[1] : -1), options);
  add_validation(data, options);
  return data;
}

void set_window(FitData& data, const data::SourceRows& rows, const FitOptions& options) {
  if (!rows.y.defined())
    fail<StateError>("fit", "the source gives no targets", data.windows->str(), "let it give (inputs, targets)");
  data.rows = rows.y.shape(0);
  check_weight(rows.weight, data.rows, /*all_samples=*/false);
  data.x = rows.x;
  data.y = data.given_y = rows.y;
  data.weight = combined_weight(rows.y, rows.weight, options.class_weight);
}

std::string not_finite_in(const Tensor& values, std::span<const std::int64_t> rows,
                          const std::vector<std::int64_t>& given_row, bool missing_allowed) {
  if (!is_floating(values.dtype())) return {};
  std::int64_t width = 1;
  for (int axis = 1; axis < values.rank(); ++axis) width *= values.shape(axis);
  for (const std::int64_t row : rows)
    for (std::int64_t i = 0; i < width; ++i) {
      const std::int64_t at = row * width + i;
      const double value =
          values.dtype() == DType::float64 ? values.data<double>()[at] : static_cast<double>(values.data<float>()[at]);
      if (std::isfinite(value) || (missing_allowed && std::isnan(value))) continue;
      std::string text = (std::isnan(value) ? "nan"
                          : value > 0       ? "inf"
                                            : "-inf") +
                         std::string(" in row ") +
                         std::to_string(given_row.empty() ? row : given_row[static_cast<std::size_t>(row)]);
      if (values.rank() == 2) text += ", column " + std::to_string(i);
      if (values.rank() > 2) text += ", element " + std::to_string(i);
      return text;
    }
  return {};
}

}  // namespace chainrule
