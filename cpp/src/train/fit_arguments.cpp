// The arguments of a fit as text: model, loss, optimizer, options, and what its data are.
#include "train/fit_arguments.hpp"

#include <algorithm>
#include <cstdio>

#include "core/arguments.hpp"
#include "io/checksum.hpp"
#include "io/number_text.hpp"
#include "train/batched_run.hpp"
#include "train/checkpoint_file.hpp"
#include "train/fit_run.hpp"

namespace chainrule {
namespace {

std::string types_text(const std::vector<Tensor>& all) {
  std::string text;
  for (const Tensor& t : all) text += (text.empty() ? "" : ", ") + type_text(t);
  return text.empty() ? "none" : text;
}

// Everything but the learning rate, which may change while it trains, and the factor of one that is a number.
std::string arguments_text(const nn::Arguments& arguments) {
  const bool numbered = std::any_of(arguments.begin(), arguments.end(), [](const auto& own) {
    return own.first == "lr" && std::holds_alternative<double>(own.second);
  });
  std::string text;
  for (const auto& [name, value] : arguments)
    if (name != "lr" && !(numbered && name == "lr_scale"))
      text += (text.empty() ? "" : ", ") + name + "=" + nn::text_of(value);
  return "(" + text + ")";
}
std::string optimizer_text(const optim::Optimizer& optimizer) {
  std::string text = optimizer.method().name() + arguments_text(optimizer.method().arguments());
  if (optimizer.group_count() > 1)
    for (const optim::ParameterGroup& group : optimizer.groups())
      text += ", " + std::to_string(group.parameters().size()) + " parameters " + arguments_text(group.arguments());
  return text;
}

std::string checksum_text(std::string_view bytes) {
  io::Checksum sum;
  sum.add(bytes);
  char text[32];
  std::snprintf(text, sizeof text, ", checksum %016llx", static_cast<unsigned long long>(sum.value()));
  return text;
}
std::string values_text(const Tensor& t) {
  if (!t.defined()) return "none";
  const auto size = static_cast<std::size_t>(t.size()) * size_of(t.dtype());
  return type_text(t) + checksum_text({static_cast<const char*>(t.raw_data()), size});
}
std::string sampler_text(const data::Sampler* sampler, std::int64_t batch) {
  if (sampler == nullptr) return "none";
  const std::vector<std::int64_t> order = sampler->order(0, 0, batch);  // tells what it was made of
  return sampler->str() + checksum_text({reinterpret_cast<const char*>(order.data()), order.size() * sizeof order[0]});
}
std::string class_weight_text(const ClassWeight& given) {
  if (given.empty() || given.balanced()) return given.balanced() ? "balanced" : "none";
  std::string text;
  for (const auto& [label, weight] : given.weights())
    text += (text.empty() ? "" : ", ") + std::to_string(label) + ": " + io::number_text(weight);
  return "{" + text + "}";
}

}  // namespace

std::string type_text(const Tensor& t) {
  return t.defined() ? std::string(name_of(t.dtype())) + " " + t.shape().str() : "none";
}

// The optimizer's learning rate, of all groups: numbers, or what schedules are.
std::string FitRun::rate_text() const {
  const optim::Schedule& schedule = s_.optimizer.schedule();
  if (s_.optimizer.group_count() == 1) return schedule.defined() ? schedule.str() : io::number_text(s_.optimizer.lr());
  std::string text;
  for (const optim::ParameterGroup& group : s_.optimizer.groups())
    for (const auto& [name, value] : group.arguments())
      if (name == "lr") text += (text.empty() ? "" : ", ") + nn::text_of(value);
  return "[" + text + "]";
}

const FitArguments& FitRun::given() {
  if (given_.empty()) given_ = arguments();
  return given_;
}

FitArguments FitRun::arguments() const {
  const TrainerOptions& o = s_.options;
  // Windows of a source are not all of one size.
  const auto source = [](const WindowReader& windows) {
    return windows.kind() + ", " + std::to_string(windows.rows()) + " rows in windows of " +
           std::to_string(windows.window_rows());
  };
  const auto types = [&](const std::vector<Tensor>& all) {
    if (!data_.windows) return types_text(all);
    std::vector<Tensor> rows;
    for (const Tensor& t : all) rows.push_back(t.defined() ? make_tensor(batch_type(t, 1)) : t);
    return "a row: " + types_text(rows);
  };
  std::string metrics;
  for (const Metric& metric : o.metrics) metrics += (metrics.empty() ? "" : ", ") + metric.name;
  return {
      {"model", s_.model.str()},
      {"loss", s_.loss.str()},
      {"optimizer", optimizer_text(s_.optimizer)},
      {"lr", given_rate_},
      {"metrics", "[" + metrics + "]"},
      {"clip_norm", o.clip_norm ? io::number_text(*o.clip_norm) : "none"},
      {"clip_value", o.clip_value ? io::number_text(*o.clip_value) : "none"},
      {"accumulate", std::to_string(o.accumulate)},
      {"l1", io::number_text(o.l1)},
      {"max_norm", o.max_norm ? io::number_text(*o.max_norm) : "none"},
      {"mixup", io::number_text(o.mixup)},
      {"precision", o.precision},
      {"data", data_.windows ? source(*data_.windows) : "arrays"},
      {"X", types(data_.x)},
      {"y", types({data_.y})},
      {"sample_weight", data_.windows ? types({data_.weight}) : values_text(options_.sample_weight)},
      {"class_weight", class_weight_text(options_.class_weight)},
      {"sampler", sampler_text(data_.sampler.get(), batch_)},
      {"validation X", data_.validation_windows ? source(*data_.validation_windows) : types_text(data_.validation.x)},
      {"batch_size", std::to_string(batch_)},
      {"shuffle", options_.shuffle ? "true" : "false"}};
}

}  // namespace chainrule
