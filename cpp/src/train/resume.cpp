// A fit's whole state, into a checkpoint and out of it.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "core/arguments.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "io/number_text.hpp"
#include "train/batched_run.hpp"
#include "train/checkpoint_file.hpp"
#include "train/fit_run.hpp"

namespace chainrule {
namespace {

std::string type_text(const Tensor& t) {
  return t.defined() ? std::string(name_of(t.dtype())) + " " + t.shape().str() : "none";
}
std::string types_text(const std::vector<Tensor>& all) {
  std::string text;
  for (const Tensor& t : all) text += (text.empty() ? "" : ", ") + type_text(t);
  return text.empty() ? "none" : text;
}

// Everything but a learning rate that is a number, which may change while it trains, with its factor.
std::string arguments_text(const nn::Arguments& arguments) {
  const bool numbered = std::any_of(arguments.begin(), arguments.end(), [](const auto& own) {
    return own.first == "lr" && std::holds_alternative<double>(own.second);
  });
  std::string text;
  for (const auto& [name, value] : arguments)
    if (!numbered || (name != "lr" && name != "lr_scale"))
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

// The learning rate of each group; NaN where it is a schedule.
std::vector<double> group_rates(const optim::Optimizer& optimizer) {
  std::vector<double> rates;
  for (const optim::ParameterGroup& group : optimizer.groups())
    for (const auto& [name, value] : group.arguments())
      if (name == "lr") {
        const auto* number = std::get_if<double>(&value);
        rates.push_back(number != nullptr ? group.lr() : std::numeric_limits<double>::quiet_NaN());
      }
  return rates;
}

void overwrite(const Tensor& target, const Tensor& source) {
  std::memcpy(bytes_of(target), source.raw_data(), static_cast<std::size_t>(target.size()) * size_of(target.dtype()));
  ++target.data_handle()->storage->version;
}

Tensor doubles(const std::vector<double>& values, const Shape& shape) { return Tensor::from(values, shape); }

// Under which name each callback's state is kept: by its place in the list. What writes checkpoints counts apart, so
// that a fit may go on without it.
std::vector<std::string> state_names(const std::vector<std::shared_ptr<Callback>>& callbacks) {
  std::vector<std::string> names;
  std::size_t writers = 0, others = 0;
  for (const auto& callback : callbacks)
    names.push_back(dynamic_cast<const callbacks::Checkpoint*>(callback.get()) != nullptr
                        ? "writers/" + std::to_string(writers++) + "/"
                        : "callbacks/" + std::to_string(others++) + "/");
  return names;
}

}  // namespace

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
      {"sample_weight", types({data_.weight})},
      {"sampler", data_.sampler ? data_.sampler->str() : "none"},
      {"validation X", data_.validation_windows ? source(*data_.validation_windows) : types_text(data_.validation.x)},
      {"batch_size", std::to_string(batch_)},
      {"shuffle", options_.shuffle ? "true" : "false"}};
}

// Parameters that the optimizer moves and the model does not have.
std::vector<Tensor> FitRun::parameters_beside() const {
  std::vector<Tensor> all;
  const std::vector<Tensor> own = s_.model.parameters();
  for (const Tensor& p : s_.optimizer.parameters())
    if (std::none_of(own.begin(), own.end(), [&](const Tensor& q) { return q.data_handle() == p.data_handle(); }))
      all.push_back(p);
  return all;
}

std::vector<Tensor> FitRun::all_parameters() const {
  std::vector<Tensor> all = s_.model.parameters();
  for (const Tensor& p : parameters_beside()) all.push_back(p);
  return all;
}

CheckpointWriter& FitRun::writer() {
  if (!writer_) {
    std::vector<Shape> samples;
    for (const Tensor& x : data_.x) {
      Shape& sample = samples.emplace_back();
      for (int i = 1; i < x.rank(); ++i) sample.push_back(x.shape(i));
    }
    writer_ = std::make_unique<CheckpointWriter>(s_.model, std::move(samples));
    writer_->describe();
  }
  return *writer_;
}

void FitRun::write_checkpoint(const std::string& path) {
  const NoGrad nothing;
  CheckpointFacts facts;
  const bool whole = done_ == batches_;  // at the end of an epoch
  facts.epoch = whole ? epoch_ : epoch_ - 1;
  facts.batch = whole ? 0 : done_;
  facts.first_rate = first_rate_;
  facts.arguments = arguments();
  facts.stopped = fit_->stop_;
  const optim::Schedule& schedule = s_.optimizer.schedule();
  if (schedule.defined()) facts.schedule = schedule.str();

  std::vector<nn::NamedTensor> state;
  for (const nn::NamedTensor& own : trainer_.state_dict()) state.push_back({"trainer/" + own.name, own.tensor});
  if (!schedule.defined()) state.push_back({"lr", doubles({s_.optimizer.lr()}, {})});
  if (const auto rates = group_rates(s_.optimizer); rates.size() > 1)
    state.push_back({"group_lr", doubles(rates, {static_cast<std::int64_t>(rates.size())})});
  const std::vector<Tensor> beside = parameters_beside();
  for (std::size_t i = 0; i < beside.size(); ++i) state.push_back({"parameters/" + std::to_string(i), beside[i]});
  std::vector<std::uint8_t> flags;
  for (const Tensor& p : all_parameters()) flags.push_back(p.requires_grad() ? 1 : 0);
  state.push_back({"trained", Tensor::from(flags, {static_cast<std::int64_t>(flags.size())})});

  std::vector<double> table;
  for (const auto& [name, values] : s_.history.columns()) {
    facts.columns.push_back(name);
    table.insert(table.end(), values.begin(), values.end());
  }
  const auto rows = static_cast<std::int64_t>(s_.history.epochs()),
             columns = static_cast<std::int64_t>(facts.columns.size());
  if (columns > 0) state.push_back({"history", doubles(table, {columns, rows})});
  if (!whole) {
    std::vector<double> logged;
    for (const auto& [name, value] : fit_->logged_) facts.logged.push_back(name), logged.push_back(value);
    if (!logged.empty()) state.push_back({"logged", doubles(logged, {static_cast<std::int64_t>(logged.size())})});
    const auto [weighted, weights] = sums_.sums();
    state.push_back({"sums", doubles({weighted, weights}, {2})});
    if (per_row_output_ && outputs_.defined()) {
      Shape shape = outputs_.shape();
      shape[0] = done_ * batch_;
      state.push_back({"outputs", Tensor::view_raw(outputs_.raw_data(), shape, outputs_.dtype())});
      if (targets_.defined()) {
        shape = targets_.shape();
        shape[0] = done_ * batch_;
        state.push_back({"targets", Tensor::view_raw(targets_.raw_data(), shape, targets_.dtype())});
      }
    }
  }
  const std::vector<std::string> names = state_names(options_.callbacks);
  for (std::size_t i = 0; i < names.size(); ++i)
    for (const nn::NamedTensor& own : options_.callbacks[i]->state_dict())
      state.push_back({names[i] + own.name, own.tensor});
  writer().write(path, facts, state);
}

// Refuses a checkpoint of another fit, before anything is changed.
void FitRun::resume_from(std::unique_ptr<SavedFit> from) {
  const SavedFit& saved = *from;
  std::string differences;
  const auto differs = [&](const std::string& text) { differences += (differences.empty() ? "" : "; ") + text; };
  const CheckpointFacts& facts = saved.facts;
  std::map<std::string, std::string> given(facts.arguments.begin(), facts.arguments.end());
  for (const auto& [name, here] : arguments()) {
    const auto found = given.find(name);
    if (found == given.end())
      differs(name + " is " + here + " here, unknown in the checkpoint");
    else if (found->second != here)
      differs(name + " is " + here + " here, " + found->second + " in the checkpoint");
    if (found != given.end()) given.erase(found);
  }
  for (const auto& [name, there] : given) differs(name + " is unknown here, " + there + " in the checkpoint");
  const optim::Schedule& schedule = s_.optimizer.schedule();
  if (const std::string here = schedule.defined() ? schedule.str() : "";
      !facts.schedule.empty() && facts.schedule != here)
    differs("lr is " + (here.empty() ? "a number" : here) + " here, " + facts.schedule + " in the checkpoint");
  if (differences.empty())
    for (const nn::NamedTensor& own : io::tensors_of(*s_.model.impl())) {
      const auto found = saved.model.find(own.name);
      if (found == saved.model.end())
        differs(own.name + " is not in the checkpoint");
      else if (type_text(found->second) != type_text(own.tensor))
        differs(own.name + " is " + type_text(own.tensor) + " here, " + type_text(found->second) +
                " in the checkpoint");
    }
  if (options_.seed && *options_.seed != saved.number("seed"))
    differs("seed is " + std::to_string(*options_.seed) + " here, " + std::to_string(saved.number("seed")) +
            " in the checkpoint");
  if (facts.epoch > options_.epochs || (facts.epoch == options_.epochs && facts.batch > 0))
    differs("epochs is " + std::to_string(options_.epochs) + " here, the checkpoint has finished " +
            std::to_string(facts.epoch));
  if (facts.batch >= batches_)
    differs("an epoch has " + std::to_string(batches_) + " batches here, " + std::to_string(facts.batch) +
            " are done in the checkpoint");
  const std::vector<std::string> names = state_names(options_.callbacks);
  for (const auto& [name, tensor] : saved.state)
    if (name.starts_with("callbacks/") &&
        std::none_of(names.begin(), names.end(), [&, &own = name](const auto& n) { return own.starts_with(n); })) {
      differs("callbacks has nothing for the state of number " + name.substr(0, name.find('/', 10)).substr(10) +
              ", counted from 0 without any Checkpoint");
      break;
    }
  if (!differences.empty())
    fail<ValueError>("fit", "the checkpoint " + saved.path + " is of another fit", differences,
                     "nothing was changed; give the model, the Trainer and fit what they were given then");
  fit_->resumed_from = saved.path;
  resumed_ = std::move(from);
}

// After on_fit_begin, so that what callbacks set there is replaced, too. Those that refuse their state come first.
void FitRun::take_up() {
  const SavedFit& saved = *resumed_;
  const CheckpointFacts& facts = saved.facts;
  const std::vector<std::string> names = state_names(options_.callbacks);
  for (std::size_t i = 0; i < names.size(); ++i)
    if (const auto own = saved.below(names[i]); !own.empty()) options_.callbacks[i]->load_state_dict(own);

  const std::vector<Tensor> all = all_parameters(), beside = parameters_beside();
  const auto count = static_cast<std::int64_t>(all.size());
  const Tensor& flags = saved.at("trained", DType::uint8, {count});
  for (std::size_t i = 0; i < beside.size(); ++i)
    saved.at("parameters/" + std::to_string(i), beside[i].dtype(), beside[i].shape());
  if (facts.schedule.empty()) {
    const double lr = saved.at("lr", DType::float64, {}).data<double>()[0];
    if (s_.optimizer.schedule().defined() || s_.optimizer.lr() != lr) s_.optimizer.set_lr(lr);
  }
  if (const std::vector<double> here = group_rates(s_.optimizer); here.size() > 1) {
    const Tensor& rates = saved.at("group_lr", DType::float64, {static_cast<std::int64_t>(here.size())});
    for (std::size_t g = 0; g < here.size(); ++g)
      if (const double rate = rates.data<double>()[g]; !std::isnan(rate) && rate != here[g])
        s_.optimizer.groups()[g].set_lr(rate);
  }
  for (std::size_t i = 0; i < all.size(); ++i)  // first: what a driver remembers is of those that are trained
    Tensor(all[i]).requires_grad_(flags.data<std::uint8_t>()[i] != 0);
  s_.load(saved.below("trainer/"));
  for (const nn::NamedTensor& own : io::tensors_of(*s_.model.impl())) overwrite(own.tensor, saved.model.at(own.name));
  for (std::size_t i = 0; i < beside.size(); ++i)
    overwrite(beside[i], saved.state.at("parameters/" + std::to_string(i)));

  s_.history = {};
  const auto columns = static_cast<std::int64_t>(facts.columns.size());
  if (columns > 0) {
    const Tensor& table = saved.at("history", DType::float64, {columns, facts.epoch});
    const double* value = table.data<double>();
    for (const std::string& column : facts.columns)
      for (std::int64_t row = 0; row < facts.epoch; ++row) s_.history.append(column, *value++);
  }
  finished_ = epoch_ = fit_->epoch = facts.epoch;
  first_epoch_ = s_.epochs - static_cast<std::uint64_t>(finished_);
  first_rate_ = facts.first_rate;
  begin_at_ = changed_ = finished_ * batches_ + facts.batch;
  observed_.assign(static_cast<std::size_t>(finished_), s_.optimizer.schedule_memory());
  s_.optimizer.set_epoch(first_rate_ + finished_);
  if (s_.optimizer.driver()) driver_start_ = s_.optimizer.state_dict();
  if (!facts.stopped) return;
  stop_ = true;
  fit_->stop_ = facts.stopped;
  fit_->batch = facts.batch == 0 ? batches_ : facts.batch;
  if (facts.batch > 0) ++epoch_, ++fit_->epoch, done_ = facts.batch;
  if (facts.batch > 0)
    s_.history.stopped = *facts.stopped + " (" + place() + ")";
  else if (finished_ < options_.epochs)
    s_.history.stopped = *facts.stopped;
}

// Into the epoch that the checkpoint is in the middle of.
void FitRun::go_on_in_epoch() {
  const std::unique_ptr<SavedFit> saved = std::move(resumed_);
  const CheckpointFacts& facts = saved->facts;
  if (facts.batch == 0) return;
  done_ = before_ = facts.batch;
  const auto logged = static_cast<std::int64_t>(facts.logged.size());
  for (std::int64_t i = 0; i < logged; ++i)
    fit_->logged_.emplace_back(facts.logged[static_cast<std::size_t>(i)],
                               saved->at("logged", DType::float64, {logged}).data<double>()[i]);
  const double* sums = saved->at("sums", DType::float64, {2}).data<double>();
  sums_ = WeightedMean(sums[0], sums[1]);
  per_row_output_ &= saved->state.contains("outputs");
  if (!per_row_output_) return;
  const auto first_rows = [&](const char* name, TensorType type) {
    type.shape[0] = done_ * batch_;
    const Tensor& rows = saved->at(name, type.dtype, type.shape);
    type.shape[0] = data_.samples;
    Tensor all = make_tensor(type);
    std::memcpy(bytes_of(all), rows.raw_data(), static_cast<std::size_t>(done_ * batch_) * row_bytes(all));
    return all;
  };
  outputs_ = first_rows("outputs", step_of(batch_).output_type());
  if (data_.windows) targets_ = first_rows("targets", type_of(data_.y));
}

void FitState::save(const std::string& path) {
  trainer();
  run_->write_checkpoint(path);
}

void FitState::check_save() {
  trainer();
  run_->writer();
}

void FitState::warn(const std::string& text) const {
  if (warn_) warn_(text);
}

}  // namespace chainrule
