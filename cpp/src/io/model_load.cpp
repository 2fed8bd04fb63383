// Reading a model. Nothing in the file is trusted, nothing is run: graphs are only inferred.
#include <map>
#include <new>

#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "io/batch_graph_json.hpp"
#include "io/model_file.hpp"
#include "io/model_tree.hpp"
#include "nn/module_tree.hpp"

namespace chainrule {
namespace io {
namespace {

constexpr const char* reader = "load";
constexpr int deepest_json = 256;

std::vector<Shape> shapes_from_json(const JsonView& view) {
  std::vector<Shape> shapes;
  for (const JsonView& item : view.items()) {
    Shape& shape = shapes.emplace_back();
    if (item.size() >= Shape::max_rank) item.fail("has too many sizes");
    for (const JsonView& size : item.items()) shape.push_back(size.integer(0));
    shape.checked_size("input_shapes");
  }
  return shapes;
}

// The graph, checked against the tensors of the model and the shapes of its samples.
BatchGraph graph_of(const JsonView& view, const std::map<std::string, Tensor>& tensors,
                    const std::map<std::string, Tensor>& constants, const std::vector<Shape>& shapes) {
  BatchGraph graph = graph_from_json(view, constants);
  Types types;
  for (const auto& [id, path] : graph.tensors) {
    const auto found = tensors.find(path);
    if (found == tensors.end()) view["tensors"].fail("there is no tensor " + in_quotes(path));
    types.push_back(type_of(found->second));
  }
  bool fits = graph.inputs.size() == shapes.size();
  for (std::size_t i = 0; fits && i < shapes.size(); ++i) {
    const auto& sizes = graph.values[static_cast<std::size_t>(graph.inputs[i])].shape;
    fits = static_cast<int>(sizes.size()) == shapes[i].rank() + 1;
    for (int k = 0; fits && k < shapes[i].rank(); ++k) fits = sizes[static_cast<std::size_t>(k) + 1]->b == shapes[i][k];
  }
  if (!fits) view["inputs"].fail("are not those of \"input_shapes\"");
  check_types(graph, view, types);
  for (const auto& [path, id] : graph.updates) {
    const auto found = tensors.find(path);
    if (found == tensors.end()) view["updates"].fail("there is no tensor " + in_quotes(path));
    const BatchValue& value = graph.values[static_cast<std::size_t>(id)];
    bool same = value.dtype == found->second.dtype() && static_cast<int>(value.shape.size()) == found->second.rank();
    for (std::size_t i = 0; same && i < value.shape.size(); ++i)
      same = value.shape[i] == Affine{0, found->second.shape(static_cast<int>(i))};
    if (!same) view["updates"].fail("the new value of " + in_quotes(path) + " has another type");
  }
  return graph;
}

Model model_from_json(const JsonView& view, const std::vector<TensorEntry>& entries) {
  const std::int64_t format = view["format"].integer(1);
  if (format > file_format)
    view["format"].fail("format " + std::to_string(format) + " is newer than this chainrule reads (" +
                        std::to_string(file_format) + "): update chainrule");
  view.only({"format", "version", "dtype", "link", "input_shapes", "tree", "training", "graphs"}, {"schema"});
  view["version"].string();
  auto facts = std::make_shared<LoadedFacts>();
  const std::string& dtype = view["dtype"].string();
  if (dtype != "float32" && dtype != "float64") view["dtype"].fail("is neither \"float32\" nor \"float64\"");
  facts->dtype = dtype_from_name(dtype);
  facts->input_shapes = shapes_from_json(view["input_shapes"]);
  if (!view["training"].is_object()) view["training"].fail("should be an object");
  facts->training = view["training"].json().dump();
  if (view.has("schema")) facts->schema = data::schema_from_json(view["schema"].json().dump());

  std::map<std::string, Tensor> tensors, constants;
  for (const TensorEntry& entry : entries) {
    if (entry.name.starts_with(checkpoint_prefix)) continue;
    Tensor tensor = entry.tensor();
    const bool constant = entry.name.starts_with(constant_prefix);
    if (constant) tensor.data_handle()->constant = true;
    (constant ? constants : tensors).emplace(entry.name, std::move(tensor));
  }
  const JsonView graphs = view["graphs"];
  graphs.only({"eval"}, {"train"});
  facts->same_graph = !graphs.has("train");
  facts->eval = graph_of(graphs["eval"], tensors, constants, facts->input_shapes);
  if (!facts->same_graph) facts->train = graph_of(graphs["train"], tensors, constants, facts->input_shapes);

  std::shared_ptr<LoadedModel> root = tree_from_json(view["tree"], tensors, facts);
  nn::each_module(*root, [&](const std::string& path, nn::ModuleImpl& module) {
    for (const nn::NamedTensor& own : module.own_buffers()) tensors.erase(nn::joined(path, own.name));
  });
  for (const BatchGraph* graph : {&facts->eval, &facts->train})
    for (const auto& [path, id] : graph->updates)
      if (tensors.contains(path)) graphs.fail("update " + in_quotes(path) + ", which is a parameter");
  Model model(std::move(root));
  model.set_link(view["link"].string());
  model.set_sample_shapes(facts->input_shapes);
  model.eval();
  return model;
}

}  // namespace

Model read_model(ByteSpan bytes, const std::string& name) {
  const TensorListing listing = read_tensors(bytes, name);
  const std::string* text = find_metadata(listing, metadata_key);
  if (text == nullptr)
    file_fail(reader, name, "holds tensors but no model of chainrule",
              std::to_string(listing.entries.size()) + " tensors", "build the model and give them to load_state_dict");
  try {
    const Json json = parse_json(*text, deepest_json);
    return model_from_json({json, ""}, listing.entries);
  } catch (const JsonError& error) {
    file_fail(reader, name, "its description of the model is wrong", error.what());
  } catch (const Error& error) {  // from a shape rule, a layer's check, the schema
    file_fail(reader, name, "its description of the model is wrong", error.what());
  } catch (const std::bad_alloc&) { file_fail(reader, name, "does not fit into memory"); }
}

}  // namespace io

Model load(const std::string& path) { return io::read_model(io::read_file(path, io::reader), path); }

Model loads(std::span<const unsigned char> bytes, const std::string& name) { return io::read_model(bytes, name); }

const data::Schema* Model::schema() const {
  const auto* loaded = dynamic_cast<const io::LoadedModel*>(impl_.get());
  return loaded != nullptr && loaded->file().schema ? &*loaded->file().schema : nullptr;
}

std::string Model::training_json() const {
  const auto* loaded = dynamic_cast<const io::LoadedModel*>(impl_.get());
  return loaded != nullptr ? loaded->file().training : "{}";
}

}  // namespace chainrule
