// Writing a model: its graphs are traced, its tree and tensors listed.
#include <unordered_map>
#include <unordered_set>

#include "chainrule/version.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "io/batch_graph_json.hpp"
#include "io/input_shapes.hpp"
#include "io/model_file.hpp"
#include "io/model_tree.hpp"
#include "nn/module_tree.hpp"

namespace chainrule {
namespace io {
namespace {

constexpr const char* writer = "save";

#define CHAINRULE_TEXT_(x) #x
#define CHAINRULE_TEXT(x) CHAINRULE_TEXT_(x)
constexpr const char* version = CHAINRULE_TEXT(CHAINRULE_VERSION_MAJOR) "." CHAINRULE_TEXT(
    CHAINRULE_VERSION_MINOR) "." CHAINRULE_TEXT(CHAINRULE_VERSION_PATCH);

// Which tensor is which parameter: by handle, or by memory for one that was detached from its handle.
class Paths {
 public:
  explicit Paths(const std::vector<nn::NamedTensor>& tensors) {
    for (const nn::NamedTensor& t : tensors) {
      by_handle_.emplace(t.tensor.data_handle().get(), &t.name);
      if (t.tensor.size() > 0) by_memory_.emplace(bytes_of(t.tensor), &t);
    }
  }
  const std::string* find(const Tensor& tensor) const {
    const TensorData* data = tensor.data_handle().get();
    if (const auto found = by_handle_.find(data); found != by_handle_.end()) return found->second;
    if (data->storage == nullptr) return nullptr;
    const auto found = by_memory_.find(data->bytes());
    return found != by_memory_.end() && type_of(found->second->tensor) == data->type() ? &found->second->name : nullptr;
  }

 private:
  std::unordered_map<const TensorData*, const std::string*> by_handle_;
  std::unordered_map<const std::byte*, const nn::NamedTensor*> by_memory_;
};

// Puts every module's mode back, also where forward throws.
class Modes {
 public:
  explicit Modes(nn::ModuleImpl& root) { visit(root); }
  ~Modes() {
    // Setting a module sets its children: the last ones visited, which no one contains any more, come first.
    for (auto it = modes_.rbegin(); it != modes_.rend(); ++it) it->first->set_training(it->second);
  }
  Modes(const Modes&) = delete;
  Modes& operator=(const Modes&) = delete;

 private:
  void visit(nn::ModuleImpl& module) {  // children before whoever contains them
    if (!seen_.insert(&module).second) return;
    for (const auto& [name, child] : module.children()) visit(*child);
    modes_.emplace_back(&module, module.training());
  }

  std::unordered_set<const nn::ModuleImpl*> seen_;
  std::vector<std::pair<nn::ModuleImpl*, bool>> modes_;
};

InputShapes samples_of(const nn::Module& model, const SaveOptions& options) {
  if (!options.input_shapes.empty()) return {options.input_shapes, false};
  if (!options.input_shape.empty()) return {{options.input_shape}, false};
  if (const InputShapes known = input_shapes(model); !known.shapes.empty()) return known;
  fail<StateError>(writer, "the shape of a sample is not known: no layer tells its number of inputs",
                   model.impl()->kind(),
                   "train the model first, or give it: save(path, input_shape=(28, 28)); in C++ "
                   "SaveOptions{.input_shape = {28, 28}}");
}

BatchGraph traced(const nn::Module& model, bool train, const InputShapes& samples, const Types& types,
                  const Paths& paths) {
  nn::ModuleImpl& root = *model.impl();
  const Modes modes(root);
  root.set_training(train);
  try {
    return trace_batches([&](const std::vector<Tensor>& inputs) { return root.call(inputs); }, types,
                         [&](const Tensor& t) { return paths.find(t); });
  } catch (const ShapeError& error) {
    if (!samples.guessed) throw;
    fail<StateError>(writer, "the model does not take samples of the shape its layers tell, " + samples.shapes[0].str(),
                     error.what(), "give the shape of a sample: save(path, input_shape=(28, 28))");
  }
}

[[noreturn]] void fail_utf8() { fail<ValueError>(writer, "a name or an argument is not UTF-8"); }

Json training_of(const SaveOptions& options, const LoadedModel* loaded) {
  const bool given = !options.training_json.empty() && options.training_json != "{}";
  const std::string text = given ? options.training_json : loaded ? loaded->file().training : "{}";
  try {
    Json json = parse_json(text);
    if (!json.is_object()) throw JsonError("should be an object");
    return json;
  } catch (const JsonError& error) { fail<ValueError>(writer, "training_json is no JSON object", error.what()); }
}

}  // namespace

std::vector<nn::NamedTensor> tensors_of(nn::ModuleImpl& root) {
  std::vector<nn::NamedTensor> all;
  std::unordered_set<const TensorData*> seen;
  std::unordered_set<std::string> names;
  nn::each_module(root, [&](const std::string& path, nn::ModuleImpl& module) {
    for (const auto* group : {&module.own_parameters(), &module.own_buffers()})
      for (const nn::NamedTensor& own : *group) {
        if (!seen.insert(own.tensor.data_handle().get()).second) continue;
        all.push_back({nn::joined(path, own.name), own.tensor});
        if (!names.insert(all.back().name).second)
          fail<StateError>(writer, "two tensors have the same path", all.back().name, "rename a module or a parameter");
      }
  });
  return all;
}

ModelDescription describe_model(const nn::Module& model, const SaveOptions& options) {
  if (!model.impl()) fail<StateError>(writer, "there is no layer in the module", "", "assign one first");
  nn::ModuleImpl& root = *model.impl();
  const auto* loaded = dynamic_cast<const LoadedModel*>(&root);
  std::vector<nn::NamedTensor> tensors = tensors_of(root);
  const Paths paths(tensors);
  const InputShapes samples = samples_of(model, options);
  const DType dtype = model.dtype();
  Types types;
  Json shapes = Json::array();
  for (const Shape& shape : samples.shapes) {
    shape.checked_size(writer);
    if (shape.rank() == Shape::max_rank)
      fail<ShapeError>(writer, "input_shape has no axis left for the batch", shape.str());
    types.push_back({dtype, shape});
    shapes.push_back(std::vector<std::int64_t>(shape.begin(), shape.end()));
  }

  ConstantStore store;
  const Json eval = graph_to_json(traced(model, false, samples, types, paths), store);
  const Json train = graph_to_json(traced(model, true, samples, types, paths), store);
  Json json{{"format", file_format},
            {"version", version},
            {"dtype", std::string(name_of(dtype))},
            {"link", model.link()},
            {"input_shapes", std::move(shapes)},
            {"tree", tree_to_json(model)},
            {"training", training_of(options, loaded)}};
  json["graphs"] = {{"eval", eval}};
  if (train != eval) json["graphs"]["train"] = train;
  if (options.schema != nullptr)
    json["schema"] = parse_json(data::schema_to_json(*options.schema));
  else if (loaded != nullptr && loaded->file().schema)
    json["schema"] = parse_json(data::schema_to_json(*loaded->file().schema));

  ModelDescription described;
  described.own = tensors.size();
  for (const nn::NamedTensor& constant : store.tensors()) tensors.push_back(constant);
  described.tensors = std::move(tensors);
  try {
    described.json = json.dump();
  } catch (const Json::exception&) { fail_utf8(); }
  return described;
}

TensorFile write_described(const std::vector<nn::NamedTensor>& tensors, const Metadata& metadata, bool checksum) {
  try {
    return write_tensors(tensors, metadata, checksum);
  } catch (const Json::exception&) { fail_utf8(); }
}

}  // namespace io

void save(const nn::Module& model, const std::string& path, const SaveOptions& options) {
  const io::ModelDescription described = io::describe_model(model, options);
  io::write_file(path, io::write_described(described.tensors, {{io::metadata_key, described.json}}, false).parts,
                 "save");
}

std::string to_bytes(const nn::Module& model, const SaveOptions& options) {
  const io::ModelDescription described = io::describe_model(model, options);
  const io::TensorFile file = io::write_described(described.tensors, {{io::metadata_key, described.json}}, false);
  std::size_t size = 0;
  for (const std::string_view part : file.parts) size += part.size();
  std::string bytes;
  bytes.reserve(size);
  for (const std::string_view part : file.parts) bytes += part;
  return bytes;
}

void nn::Module::save(const std::string& path) const { chainrule::save(*this, path, {}); }
std::string nn::Module::to_bytes() const { return chainrule::to_bytes(*this, {}); }

}  // namespace chainrule
