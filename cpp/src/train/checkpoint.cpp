// The Checkpoint callback: when to write, which files to keep, and what to do where writing fails.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <tuple>

#include "core/fail.hpp"
#include "io/file.hpp"
#include "train/checkpoint_file.hpp"
#include "train/monitored.hpp"

namespace chainrule::callbacks {
namespace {

namespace fs = std::filesystem;

constexpr const char* who = "Checkpoint";

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

SaveOptions save_options(const CheckpointOptions& options) {
  SaveOptions save;
  save.schema = options.schema.get();
  save.training_json = options.training_json;
  return save;
}

bool same_folder(const fs::path& a, const fs::path& b) {
  std::error_code code;
  return fs::equivalent(a.empty() ? "." : a, b, code);
}

CheckpointPlace place_of(const SavedFit& saved) { return {saved.facts.epoch, saved.facts.batch}; }

// Whether a folder's checkpoints were written beside others of the fit that goes on, by a second Checkpoint of it.
bool is_of(const SavedFit& fit, const std::string& folder) {
  try {
    const std::unique_ptr<SavedFit> own = newest_in(folder, {});
    return own && own->facts.writers.size() > 1 && own->facts.arguments == fit.facts.arguments &&
           own->facts.first_rate == fit.facts.first_rate && own->number("seed") == fit.number("seed");
  } catch (const FileError&) { return false; }
}

bool is_behind(const std::string& path, const CheckpointPlace& place) {
  try {
    return place_of(read_checkpoint(path)) > place;
  } catch (const FileError&) { return false; }  // none, or broken: nobody goes on from it
}

}  // namespace

Checkpoint::Checkpoint(const CheckpointOptions& options) : options_(options), best_(std::nan("")) {
  if (options.folder.empty()) fail<ValueError>(who, "the folder's name is empty");
  if (options.every_epochs < 0 || options.every_batches < 0 || !(options.every_minutes >= 0))
    fail<ValueError>(who, "every_epochs, every_batches and every_minutes must be 0 or more",
                     std::to_string(options.every_epochs) + ", " + std::to_string(options.every_batches) + ", " +
                         std::to_string(options.every_minutes));
  if (options.every_epochs == 0 && options.every_batches == 0 && options.every_minutes == 0)
    fail<ValueError>(who, "is never due", "", "give every_epochs, every_batches or every_minutes");
  if (options.keep_last < 1) fail<ValueError>(who, "keep_last must be at least 1", std::to_string(options.keep_last));
  if (options.mode != "auto" && options.mode != "min" && options.mode != "max")
    fail<ValueError>(who, "unknown mode", "\"" + options.mode + "\"", "use \"auto\", \"min\" or \"max\"");
  if (options.mode == "max") greater_ = true;
  if (options.mode == "auto" && !options.monitor.empty()) greater_ = greater_is_better(who, options.monitor);
}

std::string Checkpoint::path_of(const std::string& name) const { return (fs::path(options_.folder) / name).string(); }

void Checkpoint::resolve(const FitState& fit) {
  monitor_ = options_.monitor;
  if (!monitor_.empty()) return;
  const auto& columns = fit.columns();
  monitor_ = std::find(columns.begin(), columns.end(), "val_loss") != columns.end() ? "val_loss" : "loss";
}

std::string Checkpoint::str() const {
  return options_.keep_best ? "Checkpoint(monitor=" + monitor_ + ", mode=" + (greater_ ? "max" : "min") + ")" : "";
}

void Checkpoint::on_fit_begin(FitState& fit) {
  resolve(fit);
  if (options_.keep_best) fit.require_column(who, monitor_);
  fit.check_save(save_options(options_));
  std::error_code code;
  fs::create_directories(options_.folder, code);
  if (!fs::is_directory(options_.folder))
    io::file_fail(who, options_.folder, "is no folder and cannot be made one", code ? code.message() : "");
  std::vector<std::string> there = checkpoints_in(options_.folder);
  if (fs::exists(path_of(best_checkpoint))) there.emplace_back(best_checkpoint);
  const bool resumed = fit.resumed_ != nullptr;
  const bool from_here = resumed && same_folder(fs::path(fit.resumed_from).parent_path(), options_.folder);
  const bool goes_on = from_here || (resumed && !there.empty() && is_of(*fit.resumed_, options_.folder));
  if (!goes_on && !there.empty())
    fail<StateError>(who, "the folder holds checkpoints of another fit", path_of(there.front()),
                     resumed ? "this one goes on from " + fit.resumed_from + "; give another folder"
                             : "go on with it by fit's resume_from=\"auto\", or give another folder");
  io::remove_temporaries(options_.folder, checkpoint_begin);
  io::remove_temporaries(options_.folder, best_checkpoint);
  best_from_ = goes_on ? path_of(best_checkpoint) : "";
  if (resumed && !goes_on) best_from_ = (fs::path(fit.resumed_from).parent_path() / best_checkpoint).string();
  best_ = std::nan("");
  best_epoch_ = failures_ = 0;
  error_.clear();
  written_ = goes_on ? fit.resumed_from : "";
  back_at_.reset();
  if (goes_on) back_at_ = place_of(*fit.resumed_);
  best_left_ = resumed && is_behind(best_from_, place_of(*fit.resumed_));
  place_ = {};
  seconds_ = now();
}

std::int64_t Checkpoint::every() const { return options_.every_batches; }

void Checkpoint::on_settled(FitState& fit) {
  const std::pair place = fit.epoch_end ? std::pair{fit.epoch, std::int64_t{0}} : std::pair{fit.epoch - 1, fit.batch};
  const auto best_before = std::pair{best_, best_epoch_};
  bool better = false;
  if (fit.epoch_end && options_.keep_best) {
    const double value = fit.value(monitor_);
    better = greater_ ? value > best_ : value < best_;
    better |= best_epoch_ == 0 && !std::isnan(value);
    if (better) best_ = value, best_epoch_ = fit.epoch;
  }
  const auto every = [](std::int64_t count, std::int64_t n) { return n > 0 && count % n == 0; };
  const bool due = (fit.epoch_end && every(fit.epoch, options_.every_epochs)) ||
                   every(place.first * fit.batches + place.second, options_.every_batches) ||
                   (options_.every_minutes > 0 && now() - seconds_ >= 60 * options_.every_minutes) || fit.ending;
  if (!better && !due) return;
  bool best_written = !better;
  try {
    if (better) {
      fit.save(path_of(best_checkpoint), save_options(options_));
      written_ = path_of(best_checkpoint);
      best_left_ = false;
      remove_left(best_checkpoint);
    }
    best_written = true;
    if (due) {
      const std::string path = path_of(checkpoint_name(place.first, place.second));
      if (!better || !io::link_file(path_of(best_checkpoint), path)) fit.save(path, save_options(options_));
      written_ = path;
      place_ = place;
      remove_left(checkpoint_name(place.first, place.second));
      remove_others();
    }
    error_.clear();
  } catch (const FileError& error) {
    if (!best_written) std::tie(best_, best_epoch_) = best_before;  // the file is still that one's
    if (written_.empty()) throw;                                    // nothing to come back to: better told at once
    ++failures_;
    if (error_.empty())
      fit.warn(std::string(error.what()) + "; training goes on, " + written_ + " is the newest checkpoint");
    error_ = error.what();
  }
  if (due) seconds_ = now();
}

// What a fit that was gone back in has left behind the place where this one goes on: else the next one that looks for
// the newest would go on from there. Once there is something newer on this way.
void Checkpoint::remove_left(const std::string& kept) {
  if (!back_at_) return;
  std::error_code code;
  if (best_left_) fs::remove(path_of(best_checkpoint), code);
  std::vector<std::string> names = checkpoints_in(options_.folder);
  for (auto name = names.rbegin(); name != names.rend(); ++name)  // the newest first, where it may be killed
    if (*name != kept && *place_in(*name) > *back_at_) fs::remove(path_of(*name), code);
  best_left_ = false;
  back_at_.reset();
}

// All but the last ones up to what was just written: behind it can only be those of a fit that was gone back in.
void Checkpoint::remove_others() const {
  const std::vector<std::string> names = checkpoints_in(options_.folder);
  const std::string newest = checkpoint_name(place_.first, place_.second);
  const auto at = static_cast<std::int64_t>(std::find(names.begin(), names.end(), newest) - names.begin());
  std::error_code code;
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(names.size()); ++i)
    if (i > at || i <= at - options_.keep_last) fs::remove(path_of(names[static_cast<std::size_t>(i)]), code);
}

std::vector<nn::NamedTensor> Checkpoint::state_dict() const {
  return {{"best", Tensor::from(std::vector{best_}, {})}, {"best_epoch", Tensor::from(std::vector{best_epoch_}, {})}};
}

void Checkpoint::load_state_dict(const std::vector<nn::NamedTensor>& state) {
  const double* best = nullptr;
  const std::int64_t* epoch = nullptr;
  for (const auto& [name, tensor] : state) {
    if (name == "best" && tensor.dtype() == DType::float64 && tensor.size() == 1) best = tensor.data<double>();
    if (name == "best_epoch" && tensor.dtype() == DType::int64 && tensor.size() == 1)
      epoch = tensor.data<std::int64_t>();
  }
  if (best == nullptr || epoch == nullptr || state.size() != 2)
    fail<ValueError>("load_state_dict", "the state is not a Checkpoint's", "",
                     "give the callbacks of the interrupted fit, in the same order");
  best_ = *best;
  best_epoch_ = *epoch;
  if (!best_from_.empty()) bring_best();
  best_from_.clear();
}

// What was the best when it was written. The state may be older: that of a file which another Checkpoint wrote at the
// end of the same epoch, before it was this one's turn.
void Checkpoint::take_best(const SavedFit& saved) {
  for (std::size_t i = 0; i < saved.facts.writers.size(); ++i) {
    const std::string name = "writers/" + std::to_string(i) + "/";
    const double best = saved.at(name + "best", DType::float64, {}).data<double>()[0];
    const std::int64_t epoch = saved.at(name + "best_epoch", DType::int64, {}).data<std::int64_t>()[0];
    if (saved.facts.writers[i] == str() && epoch == saved.facts.epoch) best_ = best, best_epoch_ = epoch;
  }
}

// The best file of the folder that the fit comes from. Where it is not that of best_epoch_, but of an epoch that the
// fit has gone back from, say, the next epoch is the best so far.
void Checkpoint::bring_best() {
  bool there = false;
  try {
    const SavedFit saved = read_checkpoint(best_from_);
    if (!best_left_ && saved.facts.epoch > best_epoch_) take_best(saved);
    there = best_epoch_ > 0 && place_of(saved) == CheckpointPlace(best_epoch_, 0);
  } catch (const FileError&) {  // none, or broken
  }
  if (options_.keep_best && there) {
    if (same_folder(fs::path(best_from_).parent_path(), options_.folder)) return;
    const io::Bytes bytes = io::read_file(best_from_, who);
    const std::string_view all(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    io::write_file(path_of(best_checkpoint), {&all, 1}, who);
  } else {
    best_ = std::nan("");
    best_epoch_ = 0;
  }
}

void check_folders(const std::vector<std::shared_ptr<Callback>>& all) {
  std::vector<std::string> folders;
  for (const auto& callback : all) {
    const auto* own = dynamic_cast<const Checkpoint*>(callback.get());
    if (own == nullptr) continue;
    std::error_code code;
    const std::string folder = fs::weakly_canonical(fs::absolute(own->options().folder), code).string();
    if (std::find(folders.begin(), folders.end(), folder) != folders.end())
      fail<ValueError>(who, "two of them have one folder, and would remove each other's files", own->options().folder,
                       "give each a folder of its own");
    folders.push_back(folder);
  }
}

}  // namespace chainrule::callbacks
