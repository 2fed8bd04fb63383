// Writing, reading and finding checkpoints.
#include "train/checkpoint_file.hpp"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <filesystem>

#include "core/fail.hpp"
#include "io/file.hpp"
#include "io/json.hpp"

namespace chainrule {
namespace {

constexpr const char* reader = "resume";
constexpr std::int64_t checkpoint_format = 2;  // 1 had no trained values beside the model
constexpr const char* trained_prefix = "model/";

io::Json to_json(const CheckpointFacts& facts) {
  io::Json arguments = io::Json::object();
  for (const auto& [name, text] : facts.arguments) arguments[name] = text;
  io::Json json{{"format", checkpoint_format},    {"epoch", facts.epoch},         {"batch", facts.batch},
                {"first_rate", facts.first_rate}, {"fit", std::move(arguments)},  {"schedule", facts.schedule},
                {"columns", facts.columns},       {"logged", facts.logged},       {"rate", facts.rate},
                {"callbacks", facts.callbacks},   {"observers", facts.observers}, {"writers", facts.writers}};
  if (!facts.group_schedules.empty()) json["group_schedules"] = facts.group_schedules;
  if (!facts.averaged.empty()) json["averaged"] = facts.averaged;
  if (facts.stopped) json["stopped"] = *facts.stopped;
  return json;
}

CheckpointFacts from_json(const io::JsonView& view) {
  if (view["format"].integer(1) > checkpoint_format) view["format"].fail("is newer than this chainrule: update it");
  view.only({"format", "epoch", "batch", "first_rate", "fit", "schedule", "columns", "logged", "rate", "callbacks",
             "observers", "writers"},
            {"averaged", "group_schedules", "stopped"});
  CheckpointFacts facts;
  facts.epoch = view["epoch"].integer(0);
  facts.batch = view["batch"].integer(0);
  if (view.has("averaged")) facts.averaged = view["averaged"].strings();
  facts.first_rate = view["first_rate"].integer(0);
  const io::JsonView fit = view["fit"];
  if (!fit.is_object()) fit.fail("should be an object");
  for (const auto& [name, text] : fit.json().items())
    facts.arguments.emplace_back(name, io::JsonView(text, "fit." + name).string());
  facts.schedule = view["schedule"].string();
  facts.columns = view["columns"].strings();
  facts.logged = view["logged"].strings();
  if (view.has("group_schedules")) facts.group_schedules = view["group_schedules"].strings();
  facts.rate = view["rate"].string();
  facts.callbacks = view["callbacks"].strings();
  facts.observers = view["observers"].strings();
  facts.writers = view["writers"].strings();
  if (view.has("stopped")) facts.stopped = view["stopped"].string();
  return facts;
}

std::vector<bool> trained(const nn::Module& model) {
  std::vector<bool> all;
  for (const Tensor& p : model.parameters()) all.push_back(p.requires_grad());
  return all;
}

}  // namespace

const Tensor& SavedFit::at(const std::string& name, DType dtype, const Shape& shape) const {
  const auto found = state.find(name);
  if (found == state.end() || found->second.dtype() != dtype || !(found->second.shape() == shape))
    io::file_fail(reader, path, "is no whole checkpoint", name + " is missing or of another type");
  return found->second;
}

std::uint64_t SavedFit::number(const std::string& name) const {
  return static_cast<std::uint64_t>(at("trainer/" + name, DType::int64, {}).data<std::int64_t>()[0]);
}

std::vector<nn::NamedTensor> SavedFit::below(const std::string& begin) const {
  std::vector<nn::NamedTensor> all;
  for (const auto& [name, tensor] : state)
    if (name.starts_with(begin)) all.push_back({name.substr(begin.size()), tensor});
  return all;
}

CheckpointWriter::CheckpointWriter(nn::Module model, std::vector<Shape> samples)
    : model_(std::move(model)), samples_(std::move(samples)) {}

void CheckpointWriter::describe(SaveOptions options) {
  const std::vector<bool> now = trained(model_);
  if (!described_.json.empty() && now == trained_ && options.training_json == training_ && options.schema == schema_)
    return;
  options.input_shapes = samples_;
  described_ = io::describe_model(model_, options);
  trained_ = now;
  training_ = options.training_json;
  schema_ = options.schema;
}

void CheckpointWriter::write(const std::string& path, const CheckpointFacts& facts, const nn::Module& shown,
                             const std::vector<nn::NamedTensor>& state, const SaveOptions& options) {
  describe(options);
  std::vector<nn::NamedTensor> tensors = described_.tensors;
  if (shown.impl() != model_.impl()) {
    const std::vector<nn::NamedTensor> values = io::tensors_of(*shown.impl());
    for (std::size_t i = 0; i < described_.own; ++i) {
      if (i >= values.size() || values[i].name != tensors[i].name)
        fail<StateError>("Checkpoint", "the model has changed since its weights are averaged", tensors[i].name,
                         "do not change its layers from a callback");
      tensors.push_back({io::checkpoint_prefix + (trained_prefix + tensors[i].name), tensors[i].tensor});
      tensors[i].tensor = values[i].tensor;
    }
  }
  for (const nn::NamedTensor& own : state) tensors.push_back({io::checkpoint_prefix + own.name, own.tensor});
  std::string text;
  try {
    text = to_json(facts).dump();
  } catch (const io::Json::exception&) { fail<ValueError>("Checkpoint", "a name is not UTF-8"); }
  const io::TensorFile file = io::write_described(
      tensors, {{io::metadata_key, described_.json}, {io::checkpoint_key, text}}, /*checksum=*/true);
  io::write_file(path, file.parts, "Checkpoint");
}

SavedFit read_checkpoint(const std::string& path) {
  const io::Bytes bytes = io::read_file(path, reader);
  const io::TensorListing listing = io::read_tensors(bytes, path);
  const std::string* text = io::find_metadata(listing, io::checkpoint_key);
  if (text == nullptr || io::find_metadata(listing, "checksum") == nullptr)
    io::file_fail(reader, path, "is no checkpoint", "", "give a file or folder that callbacks.Checkpoint has written");
  try {
    SavedFit saved;
    saved.path = path;
    const io::Json json = io::parse_json(*text);
    saved.facts = from_json({json, ""});
    const std::string prefix = io::checkpoint_prefix, trained = prefix + trained_prefix;
    for (const io::TensorEntry& entry : listing.entries) {
      if (entry.name.starts_with(trained))
        saved.average.emplace(entry.name.substr(trained.size()), entry.tensor());
      else if (entry.name.starts_with(prefix))
        saved.state.emplace(entry.name.substr(prefix.size()), entry.tensor());
      else
        saved.model.emplace(entry.name, entry.tensor());
    }
    if (!saved.average.empty()) {
      std::swap(saved.average, saved.model);
      std::erase_if(saved.average, [&](const auto& own) { return !saved.model.contains(own.first); });  // constants
    }
    return saved;
  } catch (const io::JsonError& error) {
    io::file_fail(reader, path, "its description of the fit is wrong", error.what());
  }
}

std::string checkpoint_name(std::int64_t epoch, std::int64_t batch) {
  char name[80];
  std::snprintf(name, sizeof name, "%s%05" PRId64 "-%07" PRId64 ".safetensors", checkpoint_begin, epoch, batch);
  return name;
}

std::optional<CheckpointPlace> place_in(const std::string& name) {
  CheckpointPlace place;
  const std::string format = std::string(checkpoint_begin) + "%" SCNd64 "-%" SCNd64;
  if (std::sscanf(name.c_str(), format.c_str(), &place.first, &place.second) != 2) return {};
  if (name != checkpoint_name(place.first, place.second)) return {};
  return place;
}

std::vector<std::string> checkpoints_in(const std::string& folder) {
  std::vector<std::pair<std::pair<std::int64_t, std::int64_t>, std::string>> found;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(folder, code)) {
    const std::string name = entry.path().filename().string();
    if (const auto place = place_in(name)) found.emplace_back(*place, name);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> names;
  for (auto& [place, name] : found) names.push_back(std::move(name));
  return names;
}

// The best one is whole, too, and may be newer than those by number, which are not always due.
std::unique_ptr<SavedFit> newest_in(const std::string& folder, const std::function<void(const std::string&)>& warn) {
  const std::filesystem::path in(folder);
  std::unique_ptr<SavedFit> newest;
  std::string unread;  // the first of those that cannot be read
  const auto take = [&](const std::string& name) {
    try {
      auto saved = std::make_unique<SavedFit>(read_checkpoint((in / name).string()));
      const auto place = [](const SavedFit& s) { return std::pair(s.facts.epoch, s.facts.batch); };
      if (!newest || place(*saved) > place(*newest)) newest = std::move(saved);
    } catch (const FileError& error) {
      if (unread.empty()) unread = error.what();
    }
  };
  const std::vector<std::string> names = checkpoints_in(folder);
  for (auto name = names.rbegin(); !newest && name != names.rend(); ++name) take(*name);
  const bool passed_over = !unread.empty();
  std::error_code code;
  if (std::filesystem::exists(in / best_checkpoint, code)) take(best_checkpoint);
  if (!newest && !unread.empty()) io::file_fail("fit", folder, "no checkpoint in this folder can be read", unread);
  if (newest && passed_over && warn)
    warn("fit: went back to " + newest->path + ", newer checkpoints cannot be read: " + unread);
  return newest;
}

std::unique_ptr<SavedFit> checkpoint_to_resume(const FitOptions& options) {
  if (options.resume_from.empty()) return {};
  std::string from = options.resume_from;
  const bool if_any = from == "auto";
  if (if_any) {
    const callbacks::Checkpoint* own = nullptr;
    for (const auto& callback : options.callbacks)
      if (own == nullptr) own = dynamic_cast<const callbacks::Checkpoint*>(callback.get());
    if (own == nullptr)
      fail<ValueError>("fit", "resume_from=\"auto\" looks into the folder of a Checkpoint, and callbacks has none", "",
                       "add callbacks.Checkpoint(folder)");
    from = own->options().folder;
  }
  if (!if_any && !std::filesystem::is_directory(from)) return std::make_unique<SavedFit>(read_checkpoint(from));
  std::unique_ptr<SavedFit> saved = newest_in(from, options.on_warning);
  if (!saved && !if_any)
    io::file_fail("fit", from, "there is no checkpoint in this folder", "",
                  "leave resume_from away; resume_from=\"auto\" goes on where there is one and else begins");
  return saved;
}

}  // namespace chainrule
