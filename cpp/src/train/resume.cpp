// A fit's whole state, into a checkpoint and out of it.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "train/batched_run.hpp"
#include "train/callback_states.hpp"
#include "train/checkpoint_file.hpp"
#include "train/fit_arguments.hpp"
#include "train/fit_run.hpp"

namespace chainrule {
namespace {

void overwrite(const Tensor& target, const Tensor& source) {
  std::memcpy(bytes_of(target), source.raw_data(), static_cast<std::size_t>(target.size()) * size_of(target.dtype()));
  ++target.data_handle()->storage->version;
}

Tensor doubles(const std::vector<double>& values, const Shape& shape) { return Tensor::from(values, shape); }

[[noreturn]] void refuse(const SavedFit& saved, const std::string& differences) {
  fail<ValueError>("fit", "the checkpoint " + saved.path + " is of another fit", differences,
                   "nothing was changed; give the model, the Trainer and fit what they were given then");
}

}  // namespace

void check_same_model(const SavedFit& saved, const nn::Module& model) {
  for (const auto& [name, there] : saved.facts.arguments)
    if (name == "model" && there != model.str())
      refuse(saved, "model is " + model.str() + " here, " + there + " in the checkpoint");
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
  }
  return *writer_;
}

void FitRun::write_checkpoint(const std::string& path, const SaveOptions& options) {
  const NoGrad nothing;
  CheckpointFacts facts;
  const bool whole = done_ == batches_ && !unmeasured_;  // at the end of an epoch
  facts.epoch = whole ? epoch_ : epoch_ - 1;
  facts.batch = whole ? 0 : done_;
  facts.first_rate = first_rate_;
  facts.arguments = given();
  facts.rate = rate_text();
  facts.stopped = fit_->ended_;
  const optim::Schedule& schedule = s_.optimizer.schedule();
  if (schedule.defined()) facts.schedule = schedule.str();

  std::vector<nn::NamedTensor> state;
  for (const nn::NamedTensor& own : trainer_.state_dict()) state.push_back({"trainer/" + own.name, own.tensor});
  if (!schedule.defined()) state.push_back({"lr", doubles({s_.optimizer.lr()}, {})});
  if (has_group_rates(s_.optimizer)) {
    const std::vector<double> rates = group_rates(s_.optimizer);
    state.push_back({"group_lr", doubles(rates, {static_cast<std::int64_t>(rates.size())})});
    facts.group_schedules = group_schedules(s_.optimizer);
  }
  if (const auto rates = function_rates(s_.optimizer, s_.optimizer.step_count(), s_.optimizer.epoch()); !rates.empty())
    state.push_back({"function_rates", doubles(rates, {static_cast<std::int64_t>(rates.size())})});
  const std::vector<Tensor> beside = parameters_beside();
  for (std::size_t i = 0; i < beside.size(); ++i) state.push_back({"parameters/" + std::to_string(i), beside[i]});
  std::vector<std::uint8_t> flags;
  for (const Tensor& p : all_parameters()) flags.push_back(p.requires_grad() ? 1 : 0);
  state.push_back({"trained", Tensor::from(flags, {static_cast<std::int64_t>(flags.size())})});

  std::vector<double> table;
  for (const auto& [name, values] : s_.history.columns()) {
    facts.columns.push_back(name);
    table.insert(table.end(), values.begin(), values.begin() + facts.epoch);
  }
  const auto columns = static_cast<std::int64_t>(facts.columns.size());
  if (columns > 0) state.push_back({"history", doubles(table, {columns, facts.epoch})});
  if (facts.batch > 0) {
    std::vector<double> logged;
    for (const auto& [name, value] : fit_->logged_) facts.logged.push_back(name), logged.push_back(value);
    if (!logged.empty()) state.push_back({"logged", doubles(logged, {static_cast<std::int64_t>(logged.size())})});
    const auto [weighted, weights] = sums_.sums();
    state.push_back({"sums", doubles({weighted, weights}, {2})});
    state.push_back({"epoch_lr", doubles({fit_->lr}, {})});
    if (per_row_output_ && outputs_.defined()) {
      const std::int64_t rows_done = std::min(done_ * batch_, data_.samples);
      Shape shape = outputs_.shape();
      shape[0] = rows_done;
      state.push_back({"outputs", Tensor::view_raw(outputs_.raw_data(), shape, outputs_.dtype())});
      if (targets_.defined()) {
        shape = targets_.shape();
        shape[0] = rows_done;
        state.push_back({"targets", Tensor::view_raw(targets_.raw_data(), shape, targets_.dtype())});
      }
    }
  }
  const nn::Module shown = fit_->model();  // what val_ columns are about
  const std::vector<std::string> names =
      save_states(options_.callbacks, shown.impl() != s_.model.impl() ? fit_->average_ : nullptr, facts, state);
  for (std::size_t i = 0; unmeasured_ && i < names.size(); ++i)
    if (std::find(averaged_.begin(), averaged_.end(), options_.callbacks[i].get()) != averaged_.end())
      facts.averaged.push_back(names[i]);
  // What a callback took out of a checkpoint may come in another order than what it had made itself.
  std::sort(state.begin(), state.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  writer().write(path, facts, shown, state, options);
}

// Refuses a checkpoint of another fit, before anything is changed.
void FitRun::resume_from(std::unique_ptr<SavedFit> from) {
  const SavedFit& saved = *from;
  std::string differences;
  const auto differs = [&](const std::string& text) { differences += (differences.empty() ? "" : "; ") + text; };
  const CheckpointFacts& facts = saved.facts;
  std::map<std::string, std::string> given(facts.arguments.begin(), facts.arguments.end());
  for (const auto& [name, here] : this->given()) {
    const auto found = given.find(name);
    if (name == "lr" && found != given.end() && here == facts.rate) {  // what training has made of it
    } else if (found == given.end())
      differs(name + " is " + here + " here, unknown in the checkpoint");
    else if (found->second != here)
      differs(name + " is " + here + " here, " + found->second + " in the checkpoint");
    if (found != given.end()) given.erase(found);
  }
  for (const auto& [name, there] : given) differs(name + " is unknown here, " + there + " in the checkpoint");
  if (differences.empty()) compare_rates(saved, differs);
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
  if (facts.batch > batches_)
    differs("an epoch has " + std::to_string(batches_) + " batches here, " + std::to_string(facts.batch) +
            " are done in the checkpoint");
  compare_callbacks(saved, differs);
  if (!differences.empty()) refuse(saved, differences);
  given_rate_ = std::find_if(facts.arguments.begin(), facts.arguments.end(), [](const auto& a) {
                  return a.first == "lr";
                })->second;
  given_.clear();
  fit_->resumed_from = saved.path;
  resumed_ = std::move(from);
  fit_->resumed_ = resumed_.get();
}

// Before on_fit_begin, so by what they say of themselves alone.
void FitRun::compare_callbacks(const SavedFit& saved, const std::function<void(const std::string&)>& differs) {
  for (const auto& callback : options_.callbacks)
    if (auto* own = dynamic_cast<callbacks::Checkpoint*>(callback.get())) own->resolve(*fit_);
  names_of_states(options_.callbacks, saved.facts, differs);
}

// After on_fit_begin, so that what callbacks set there is replaced, too. Those that refuse their state come first.
void FitRun::take_up() {
  const SavedFit& saved = *resumed_;
  const CheckpointFacts& facts = saved.facts;
  const std::vector<std::string> names = names_of_states(options_.callbacks, facts, [](const std::string&) {});
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto own = names[i].empty() ? std::vector<nn::NamedTensor>() : saved.below(names[i]);
    if (options_.callbacks[i].get() == fit_->average_ && !own.empty())
      for (const auto& [name, tensor] : saved.average) own.push_back({averaged + name, tensor});
    if (!own.empty()) options_.callbacks[i]->load_state_dict(own);
  }

  const std::vector<Tensor> all = all_parameters(), beside = parameters_beside();
  const auto count = static_cast<std::int64_t>(all.size());
  const Tensor& flags = saved.at("trained", DType::uint8, {count});
  for (std::size_t i = 0; i < beside.size(); ++i)
    saved.at("parameters/" + std::to_string(i), beside[i].dtype(), beside[i].shape());
  if (facts.schedule.empty()) {
    const double lr = saved.at("lr", DType::float64, {}).data<double>()[0];
    if (s_.optimizer.schedule().defined() || s_.optimizer.lr() != lr) s_.optimizer.set_lr(lr);
  }
  if (saved.state.contains("group_lr")) {
    const std::vector<double> here = group_rates(s_.optimizer);
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
  if (!facts.stopped)
    for (callbacks::WeightAverage* average : averages_) average->on_taken_up(*fit_);
  observed_.assign(static_cast<std::size_t>(finished_), s_.optimizer.schedule_memory());
  s_.optimizer.set_epoch(first_rate_ + finished_);
  if (s_.optimizer.driver()) driver_start_ = s_.optimizer.state_dict();
  if (facts.stopped || finished_ == options_.epochs)
    fit_->warn("fit: nothing was trained: the checkpoint " + saved.path +
               (facts.stopped ? " is of a fit that has ended by itself: " + *facts.stopped
                              : " has finished " + std::to_string(finished_) + " of " +
                                    std::to_string(options_.epochs) + " epochs"));
  if (!facts.stopped) return;
  stop_ = true;
  fit_->stop_ = fit_->ended_ = facts.stopped;
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
  fit_->resumed_ = nullptr;
  const CheckpointFacts& facts = saved->facts;
  if (facts.batch == 0) return;
  done_ = before_ = facts.batch;
  const std::vector<std::string> names = names_of_states(options_.callbacks, facts, [](const std::string&) {});
  for (std::size_t i = 0; i < names.size(); ++i)
    if (std::find(facts.averaged.begin(), facts.averaged.end(), names[i]) != facts.averaged.end())
      averaged_.push_back(options_.callbacks[i].get());
  const auto logged = static_cast<std::int64_t>(facts.logged.size());
  for (std::int64_t i = 0; i < logged; ++i)
    fit_->logged_.emplace_back(facts.logged[static_cast<std::size_t>(i)],
                               saved->at("logged", DType::float64, {logged}).data<double>()[i]);
  const double* sums = saved->at("sums", DType::float64, {2}).data<double>();
  sums_ = WeightedMean(sums[0], sums[1]);
  fit_->lr = saved->at("epoch_lr", DType::float64, {}).data<double>()[0];
  per_row_output_ &= saved->state.contains("outputs");
  if (!per_row_output_) return;
  const std::int64_t rows_done = std::min(done_ * batch_, data_.samples);
  const auto first_rows = [&](const char* name, TensorType type) {
    type.shape[0] = rows_done;
    const Tensor& rows = saved->at(name, type.dtype, type.shape);
    type.shape[0] = data_.samples;
    Tensor all = make_tensor(type);
    std::memcpy(bytes_of(all), rows.raw_data(), static_cast<std::size_t>(rows_done) * row_bytes(all));
    return all;
  };
  outputs_ = first_rows("outputs", step_of(batch_).output_type());
  if (data_.windows) targets_ = first_rows("targets", type_of(data_.y));
}

void FitState::save(const std::string& path, const SaveOptions& options) {
  trainer();
  run_->write_checkpoint(path, options);
}

void FitState::check_save(const SaveOptions& options) {
  trainer();
  run_->given();
  run_->writer().describe(options);
}

void FitState::warn(const std::string& text) const {
  if (warn_) warn_(text);
}

}  // namespace chainrule
