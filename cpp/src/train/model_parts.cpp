// Walks over a model twice in the same order: to write down what is there, and to compare.
#include "train/model_parts.hpp"

#include "core/fail.hpp"
#include "nn/module_tree.hpp"

namespace chainrule {
namespace {

// layer(name, child) and up() around every child, tensor(name, t) for every tensor, in the order of their places.
template <class Visitor> void walk(const nn::ModuleImpl& module, Visitor& visitor) {
  for (const auto* group : {&module.own_parameters(), &module.own_buffers()})
    for (const nn::NamedTensor& own : *group) visitor.tensor(own.name, own.tensor);
  for (const auto& [name, child] : module.children()) {
    visitor.layer(name, child);
    walk(*child, visitor);
    visitor.up();
  }
}

}  // namespace

ModelParts::ModelParts(const nn::Module& model) {
  struct Recorder {
    std::vector<Part>& parts;
    std::vector<std::string> path{""};
    void tensor(const std::string& name, const Tensor& t) {
      parts.push_back({nn::joined(path.back(), name), nullptr, t, t.dtype()});
    }
    void layer(const std::string& name, const std::shared_ptr<nn::ModuleImpl>& child) {
      path.push_back(nn::joined(path.back(), name));
      parts.push_back({path.back(), child, {}});
    }
    void up() { path.pop_back(); }
  } recorder{parts_};
  walk(*model.impl(), recorder);
}

void ModelParts::check(const nn::Module& model, const char* who) const {
  struct Comparer {
    const std::vector<Part>& parts;
    const char* who;
    std::size_t at = 0;
    [[noreturn]] void differs(const std::string& what, const std::string& given) const {
      fail<StateError>(who, what, given, "make a new Predictor of the model");
    }
    const Part& next(const std::string& name) {
      if (at == parts.size()) differs("the model has more layers or tensors than before", "'" + name + "' is new");
      return parts[at++];
    }
    void tensor(const std::string& name, const Tensor& t) {
      const Part& part = next(name);
      if (part.tensor.data_handle() != t.data_handle())
        differs("the model's layers or tensors were exchanged", "'" + part.path + "' is not what it was");
      if (part.dtype != t.dtype())
        differs("the model's dtype has changed", "'" + part.path + "' was " + std::string(name_of(part.dtype)) +
                                                     " and is " + std::string(name_of(t.dtype())));
    }
    void layer(const std::string& name, const std::shared_ptr<nn::ModuleImpl>& child) {
      const Part& part = next(name);
      if (part.layer != child)
        differs("the model's layers or tensors were exchanged", "'" + part.path + "' is not what it was");
    }
    void up() {}
  } comparer{parts_, who};
  walk(*model.impl(), comparer);
  if (comparer.at != parts_.size())
    comparer.differs("the model has fewer layers or tensors than before", "'" + parts_[comparer.at].path + "' is gone");
}

}  // namespace chainrule
