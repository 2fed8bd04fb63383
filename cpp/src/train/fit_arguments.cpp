// The arguments of a fit as text: model, loss, optimizer, options, and what its data are.
#include "train/fit_arguments.hpp"

#include <algorithm>
#include <cstdio>
#include <limits>

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

bool of_rate(const std::string& name) { return name == "lr" || name == "lr_scale"; }

// Everything but the learning rate, which may change while it trains.
std::string arguments_text(const nn::Arguments& arguments) {
  std::string text;
  for (const auto& [name, value] : arguments)
    if (!of_rate(name)) text += (text.empty() ? "" : ", ") + name + "=" + nn::text_of(value);
  return "(" + text + ")";
}
std::string optimizer_text(const optim::Optimizer& optimizer) {
  const std::string usual = arguments_text(optimizer.method().arguments());
  std::string text = optimizer.method().name() + usual;
  const std::vector<optim::ParameterGroup> groups = optimizer.groups();
  if (groups.size() > 1 || arguments_text(groups[0].arguments()) != usual)
    for (const optim::ParameterGroup& group : groups)
      text += ", " + std::to_string(group.parameters().size()) + " parameters " + arguments_text(group.arguments());
  return text;
}

nn::Arguments rate_in(nn::Arguments arguments) {
  std::erase_if(arguments, [](const auto& argument) { return !of_rate(argument.first); });
  return arguments;
}

bool is_function(const nn::Called& called) {
  if (called.made) return true;
  for (const auto& [name, value] : called.arguments)
    if (const auto* inner = std::get_if<std::vector<nn::Called>>(&value);
        inner != nullptr && std::any_of(inner->begin(), inner->end(), is_function))
      return true;
  return false;
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

bool has_group_rates(const optim::Optimizer& optimizer) {
  return optimizer.group_count() > 1 ||
         rate_in(optimizer.groups()[0].arguments()) != rate_in(optimizer.method().arguments());
}

std::vector<double> group_rates(const optim::Optimizer& optimizer) {
  std::vector<double> rates;
  for (const optim::ParameterGroup& group : optimizer.groups())
    for (const auto& [name, value] : group.arguments())
      if (name == "lr")
        rates.push_back(std::holds_alternative<double>(value) ? group.lr() : std::numeric_limits<double>::quiet_NaN());
  return rates;
}

std::vector<std::string> group_schedules(const optim::Optimizer& optimizer) {
  std::vector<std::string> texts;
  for (const optim::ParameterGroup& group : optimizer.groups())
    for (const auto& [name, value] : group.arguments())
      if (name == "lr") texts.push_back(std::holds_alternative<double>(value) ? "" : nn::text_of(value));
  return texts;
}

std::vector<double> function_rates(const optim::Optimizer& optimizer, std::int64_t step, std::int64_t epoch) {
  std::vector<double> rates;
  for (const optim::Schedule& schedule : optimizer.schedules())
    if (is_function(schedule.called())) rates.push_back(schedule(schedule.per_epoch() ? epoch : step));
  return rates;
}

// The optimizer's learning rate, of all groups: numbers, or what schedules are.
std::string FitRun::rate_text() const {
  const optim::Schedule& schedule = s_.optimizer.schedule();
  if (!has_group_rates(s_.optimizer)) return schedule.defined() ? schedule.str() : io::number_text(s_.optimizer.lr());
  std::string text;
  for (const optim::ParameterGroup& group : s_.optimizer.groups())
    for (const auto& [name, value] : rate_in(group.arguments()))
      text += (name == "lr" ? text.empty() ? "" : ", " : " times ") + nn::text_of(value);
  return "[" + text + "]";
}

// What training itself has made of the rates must be here, too; numbers are taken up.
void FitRun::compare_rates(const SavedFit& saved, const std::function<void(const std::string&)>& differs) const {
  const CheckpointFacts& facts = saved.facts;
  const auto differs_now = [&](const std::string& lr, const std::string& here, const std::string& there) {
    differs(lr + " is " + (here.empty() ? "a number" : here) + " here, a callback has made it " + there +
            " in the checkpoint");
  };
  const optim::Schedule& schedule = s_.optimizer.schedule();
  const std::string main = schedule.defined() ? schedule.str() : "";
  if (!facts.schedule.empty() && facts.schedule != main) return differs_now("lr", main, facts.schedule);
  const std::vector<std::string>& there = facts.group_schedules;
  const std::vector<std::string> here =
      has_group_rates(s_.optimizer) ? group_schedules(s_.optimizer) : std::vector<std::string>();
  for (std::size_t g = 0; g < std::min(here.size(), there.size()); ++g) {
    if (there[g].empty() || there[g] == here[g]) continue;
    const std::string name = s_.optimizer.groups()[g].name();
    return differs_now("lr of group " + std::to_string(g) + (name.empty() ? "" : " ('" + name + "')"), here[g],
                       there[g]);
  }
  const auto found = saved.state.find("function_rates");
  if (found == saved.state.end() || facts.schedule != main || there != here) return;
  const std::int64_t step = saved.at("trainer/optimizer.step", DType::int64, {}).data<std::int64_t>()[0];
  const std::vector<double> rates = function_rates(s_.optimizer, step, facts.first_rate + facts.epoch);
  const auto count = static_cast<std::int64_t>(rates.size());
  if (found->second.shape() != Shape{count} || found->second.dtype() != DType::float64) return;
  for (std::size_t i = 0; i < rates.size(); ++i)
    if (const double before = found->second.data<double>()[i]; rates[i] != before)
      differs("lr is a function that gives " + io::number_text(rates[i]) + " for the next step here, one that gives " +
              io::number_text(before) + " in the checkpoint");
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
