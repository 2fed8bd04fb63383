// What a callback sees of a fit, and the defaults of its calls.
#include "chainrule/callbacks.hpp"

#include <cxxabi.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <typeinfo>

#include "chainrule/trainer.hpp"
#include "core/fail.hpp"
#include "train/callback_claims.hpp"

namespace chainrule {

Trainer& FitState::trainer() const {
  if (trainer_ == nullptr) fail<StateError>("FitState", "the fit is over", "", "use it only during a callback's call");
  return *trainer_;
}

nn::Module FitState::model() const {
  const nn::Module trained = trainer().model();
  const nn::Module average = average_ == nullptr ? nn::Module() : average_->model();
  return average.impl() ? average : trained;
}

void FitState::require_column(const std::string& who, const std::string& monitor) const {
  if (std::find(columns_.begin(), columns_.end(), monitor) != columns_.end()) return;
  std::string known;
  for (const std::string& column : columns_) known += (known.empty() ? "" : ", ") + column;
  fail<ValueError>(who, "watches a value that no epoch gives", "monitor=\"" + monitor + "\", there are " + known,
                   monitor.starts_with("val_") ? "give validation_data or validation_split" : "");
}

double FitState::value(const std::string& column) const {
  trainer();
  for (const auto& [name, value] : logged_)
    if (name == column) return value;
  return (*history)[column].back();
}

void FitState::log(const std::string& name, double value) {
  trainer();
  if (name.empty()) fail<ValueError>("log", "the name is empty", "", "name the column");
  if (std::find(columns_.begin(), columns_.end(), name) != columns_.end())
    fail<ValueError>("log", "the column is fit's own", name, "take another name");
  for (auto& [own, last] : logged_)
    if (own == name) {
      last = value;
      return;
    }
  logged_.emplace_back(name, value);
}

void FitState::stop(const std::string& reason, bool for_good) {
  if (!stop_) stop_ = reason;
  if (for_good && !ended_) ended_ = reason;
}

Callback::~Callback() = default;
void Callback::on_fit_begin(FitState&) {}
std::int64_t Callback::every() const { return 0; }
void Callback::on_batch_end(FitState&) {}
void Callback::on_slice(FitState&) {}
void Callback::on_epoch_end(FitState&) {}
void Callback::on_settled(FitState&) {}
void Callback::on_fit_end(FitState&) {}
std::vector<nn::NamedTensor> Callback::state_dict() const { return {}; }
void Callback::load_state_dict(const std::vector<nn::NamedTensor>& state) {
  if (!state.empty())
    fail<ValueError>("load_state_dict", "this callback keeps nothing in checkpoints", state[0].name + " was given",
                     "give the callbacks of the interrupted fit, in the same order");
}
std::string Callback::str() const {
  const char* name = typeid(*this).name();
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> readable(abi::__cxa_demangle(name, nullptr, nullptr, &status),
                                                             &std::free);
  return status == 0 ? readable.get() : name;
}
bool Callback::observer() const { return false; }
std::shared_ptr<Callback> Callback::clone() const { return nullptr; }

namespace {

template <class C> bool is(const Callback& callback) { return dynamic_cast<const C*>(&callback) != nullptr; }

// Of those that keep what belongs to one fit; else empty.
std::string name_of(const Callback& callback) {
  if (is<callbacks::EMA>(callback)) return "EMA";
  if (is<callbacks::SWA>(callback)) return "SWA";
  if (is<callbacks::WeightAverage>(callback)) return "WeightAverage";
  if (is<callbacks::EarlyStopping>(callback)) return "EarlyStopping";
  return is<callbacks::Checkpoint>(callback) ? "Checkpoint" : "";
}

struct InFits {
  std::mutex mutex;
  std::vector<const Callback*> callbacks;
};
InFits& in_fits() {
  static InFits all;
  return all;
}

}  // namespace

CallbackClaims::CallbackClaims(const std::vector<std::shared_ptr<Callback>>& callbacks) {
  for (const auto& callback : callbacks) {
    const std::string name = name_of(*callback);
    if (name.empty()) continue;
    if (std::find(own_.begin(), own_.end(), callback.get()) != own_.end())
      fail<StateError>(name, "is among the callbacks of a fit twice", "", "give it once, or another one");
    own_.push_back(callback.get());
  }
  InFits& all = in_fits();
  const std::lock_guard lock(all.mutex);
  for (const Callback* callback : own_)
    if (std::find(all.callbacks.begin(), all.callbacks.end(), callback) != all.callbacks.end())
      fail<StateError>(name_of(*callback), "is in another fit", "", "give each fit one of its own");
  all.callbacks.insert(all.callbacks.end(), own_.begin(), own_.end());
}

CallbackClaims::~CallbackClaims() {
  InFits& all = in_fits();
  const std::lock_guard lock(all.mutex);
  std::erase_if(all.callbacks, [&](const Callback* c) { return std::find(own_.begin(), own_.end(), c) != own_.end(); });
}

}  // namespace chainrule
