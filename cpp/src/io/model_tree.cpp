// The tree of modules, to JSON and back. A module that stands in two places is written once, as is a tied tensor.
#include "io/model_tree.hpp"

#include <set>
#include <unordered_map>

#include "core/arguments.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "io/file.hpp"
#include "nn/module_tree.hpp"

namespace chainrule::io {
namespace {

// --- arguments: bool, integer, real, text as such; lists of reals (and reals JSON has no number for) under "reals"
// ----
Json argument_to_json(const nn::ArgumentValue& value) {
  struct Visitor {
    Json operator()(bool v) const { return v; }
    Json operator()(std::int64_t v) const { return v; }
    Json operator()(double v) const {
      const Json json = real_to_json(v);
      return json.is_string() ? Json{{"real", json}} : json;
    }
    Json operator()(const std::string& v) const { return v; }
    Json operator()(const std::vector<std::int64_t>& v) const { return v; }
    Json operator()(const std::vector<double>& v) const {
      Json list = Json::array();
      for (const double x : v) list.push_back(real_to_json(x));
      return Json{{"reals", std::move(list)}};
    }
    Json operator()(const std::vector<nn::Called>& v) const {
      fail<StateError>("save", "a layer's argument cannot be saved", nn::text_of(v));
    }
  };
  return std::visit(Visitor{}, value);
}

nn::ArgumentValue argument_from_json(const JsonView& view) {
  const Json& json = view.json();
  if (json.is_boolean()) return view.boolean();
  if (json.is_number_integer()) return view.integer();
  if (json.is_number()) return view.real();
  if (json.is_string()) return view.string();
  if (json.is_array()) {
    std::vector<std::int64_t> list;
    for (const JsonView& item : view.items()) list.push_back(item.integer());
    return list;
  }
  view.only({}, {"real", "reals"});
  if (view.has("real")) return view["real"].real();
  std::vector<double> list;
  for (const JsonView& item : view["reals"].items()) list.push_back(item.real());
  return list;
}

Json arguments_to_json(const nn::Arguments& arguments) {
  Json json = Json::array();
  for (const auto& [name, value] : arguments) json.push_back(Json::array({name, argument_to_json(value)}));
  return json;
}

nn::Arguments arguments_from_json(const JsonView& view) {
  nn::Arguments arguments;
  for (const JsonView& argument : view.items()) {
    if (argument.size() != 2) argument.fail("should be [name, value]");
    arguments.emplace_back(argument.at(0).string(), argument_from_json(argument.at(1)));
  }
  return arguments;
}

class Writer {
 public:
  Json write(nn::ModuleImpl& module, const std::string& path) {
    const auto [known, fresh] = modules_.try_emplace(&module, path);
    if (!fresh) return Json{{"same_as", known->second}};
    Json json{{"kind", module.kind()}};
    if (Json arguments = arguments_to_json(module.arguments()); !arguments.empty())
      json["arguments"] = std::move(arguments);
    if (const std::string text = module.repr_arguments(); !text.empty()) json["text"] = text;
    if (const auto in = module.in_features()) json["in_features"] = *in;
    if (const auto out = module.out_features()) json["out_features"] = *out;
    if (module.keeps_features()) json["keeps_features"] = true;
    const auto tensors = [&](const char* key, const std::vector<nn::NamedTensor>& own, bool parameters) {
      if (own.empty()) return;
      Json list = Json::array();
      for (const nn::NamedTensor& t : own) {
        const auto path_of = tensors_.try_emplace(t.tensor.data_handle().get(), nn::joined(path, t.name)).first->second;
        Json entry{{"name", t.name}, {"tensor", path_of}};
        if (parameters && !t.tensor.requires_grad()) entry["frozen"] = true;
        list.push_back(std::move(entry));
      }
      json[key] = std::move(list);
    };
    tensors("parameters", module.own_parameters(), true);
    tensors("buffers", module.own_buffers(), false);
    if (!module.children().empty()) {
      Json list = Json::array();
      for (const auto& [name, child] : module.children())
        list.push_back(Json::array({name, write(*child, nn::joined(path, name))}));
      json["children"] = std::move(list);
    }
    return json;
  }

 private:
  std::unordered_map<const nn::ModuleImpl*, std::string> modules_;
  std::unordered_map<const TensorData*, std::string> tensors_;
};

class Reader {
 public:
  Reader(const std::map<std::string, Tensor>& tensors, std::shared_ptr<const LoadedFacts> file)
      : tensors_(tensors), file_(std::move(file)) {}

  std::shared_ptr<LoadedModel> read(const JsonView& view) {
    auto root = std::make_shared<LoadedModel>(facts(view), file_);
    fill(view, *root, "");
    for (const auto& [path, tensor] : tensors_)
      if (!used_.contains(path)) view.fail("does not tell where the tensor " + in_quotes(path) + " belongs");
    return root;
  }

 private:
  static PartFacts facts(const JsonView& view) {
    view.only({"kind"}, {"arguments", "text", "in_features", "out_features", "keeps_features", "parameters", "buffers",
                         "children"});
    PartFacts facts;
    facts.kind = view["kind"].string();
    if (facts.kind.empty() || facts.kind.size() > 200) view["kind"].fail("is empty or too long");
    if (view.has("arguments")) facts.arguments = arguments_from_json(view["arguments"]);
    if (view.has("text")) facts.repr_arguments = view["text"].string();
    if (view.has("in_features")) facts.in_features = view["in_features"].integer(0);
    if (view.has("out_features")) facts.out_features = view["out_features"].integer(0);
    if (view.has("keeps_features")) facts.keeps_features = view["keeps_features"].boolean();
    return facts;
  }

  void fill(const JsonView& view, LoadedPart& part, const std::string& path) {
    if (view.has("parameters")) {
      for (const JsonView& entry : view["parameters"].items()) {
        entry.only({"name", "tensor"}, {"frozen"});
        const Tensor tensor = take(entry, path);
        if (!is_floating(tensor.dtype())) entry.fail("a parameter should be floating");
        part.add_parameter(entry["name"].string(), tensor, false)
            .requires_grad_(!(entry.has("frozen") && entry["frozen"].boolean()));
      }
    }
    if (view.has("buffers")) {
      for (const JsonView& entry : view["buffers"].items()) {
        entry.only({"name", "tensor"});
        part.add_buffer(entry["name"].string(), take(entry, path));
      }
    }
    std::int64_t places = 1;
    places_[&part] = places;
    if (!view.has("children")) return;
    for (const JsonView& entry : view["children"].items()) {
      if (entry.size() != 2) entry.fail("should be [name, module]");
      const std::string& name = entry.at(0).string();
      const JsonView child = entry.at(1);
      const std::string child_path = nn::joined(path, name);
      if (child.has("same_as")) {
        child.only({"same_as"});
        const auto found = parts_.find(child["same_as"].string());
        if (found == parts_.end())
          child.fail("there is no module " + in_quotes(child["same_as"].string()) + " before it");
        places += places_.at(found->second.get());
        if (places > most_places) child.fail("modules are shared in too many places");
        part.add_child(name, found->second);
        continue;
      }
      auto below = std::make_shared<LoadedPart>(facts(child));
      fill(child, *below, child_path);
      places += places_.at(below.get());
      if (places > most_places) child.fail("modules are shared in too many places");
      part.add_child(name, below);
      parts_.emplace(child_path, std::move(below));
    }
    places_[&part] = places;
  }

  // A tensor of the file: under its own path at first, later under that name again where it is tied.
  Tensor take(const JsonView& entry, const std::string& path) {
    const std::string& name = entry["tensor"].string();
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) entry["tensor"].fail("there is no tensor " + in_quotes(name));
    const bool own = name == nn::joined(path, entry["name"].string());
    if (!own && !used_.contains(name)) entry["tensor"].fail("is not known yet");
    used_.insert(name);
    return found->second;
  }

  const std::map<std::string, Tensor>& tensors_;
  std::shared_ptr<const LoadedFacts> file_;
  std::set<std::string> used_;
  std::unordered_map<std::string, std::shared_ptr<LoadedPart>> parts_;
  // Places in the tree below each part. They double where a module that shares is shared; a limit keeps walks short.
  std::unordered_map<const LoadedPart*, std::int64_t> places_;
  static constexpr std::int64_t most_places = 100'000;
};

}  // namespace

Json tree_to_json(const nn::Module& model) { return Writer().write(*model.impl(), ""); }

std::shared_ptr<LoadedModel> tree_from_json(const JsonView& view, const std::map<std::string, Tensor>& tensors,
                                            std::shared_ptr<const LoadedFacts> file) {
  return Reader(tensors, std::move(file)).read(view);
}

}  // namespace chainrule::io
