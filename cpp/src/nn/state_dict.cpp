// State dicts: parameters and buffers by name, copied out and in.
#include <unordered_map>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"
#include "nn/module_tree.hpp"

namespace chainrule::nn {
namespace {

struct Entry {
  std::string name;
  Tensor target;
  bool transposed;  // in layout "torch"
};

// Every path of every tensor, shared ones under all their names.
std::vector<Entry> entries_of(ModuleImpl& root) {
  std::vector<Entry> entries;
  each_place(root, "", [&](const std::string& path, ModuleImpl& module) {
    const bool linear = module.kind() == "Linear";
    for (const NamedTensor& own : module.own_parameters())
      entries.push_back({joined(path, own.name), own.tensor, linear && own.name == "weight"});
    for (const NamedTensor& own : module.own_buffers()) entries.push_back({joined(path, own.name), own.tensor, false});
  });
  return entries;
}

Shape exchanged(const Shape& shape) { return {shape[1], shape[0]}; }

// The differences, one kind after the other: "missing: a, b; not in the model: c; shapes: ...".
struct Differences {
  std::string missing, unknown, shapes;
  int count = 0;
  bool torch_would_fit = true;  // every shape that differs is a transposed Linear weight

  void add(std::string& list, const std::string& text) {
    list += (list.empty() ? "" : ", ") + text;
    ++count;
  }
  std::string text() const {
    std::string all;
    const auto append = [&](const char* title, const std::string& list) {
      if (!list.empty()) all += (all.empty() ? "" : "; ") + std::string(title) + list;
    };
    append("missing: ", missing);
    append("not in the model: ", unknown);
    append("other shape: ", shapes);
    return all;
  }
};

}  // namespace

namespace {
// Every parameter and buffer under its name, as it is.
std::vector<NamedTensor> live_state(ModuleImpl& module) {
  std::vector<NamedTensor> state;
  for (const Entry& entry : entries_of(module)) state.push_back({entry.name, entry.target});
  return state;
}
}  // namespace

std::vector<NamedTensor> Module::state_dict() const {
  std::vector<NamedTensor> state;
  std::unordered_set<const TensorData*> seen;
  if (!impl_) fail<StateError>("state_dict", "there is no layer in it");
  for (const Entry& entry : entries_of(*impl_))
    if (seen.insert(entry.target.data_handle().get()).second) state.push_back({entry.name, copy_of(entry.target)});
  return state;
}

namespace {

struct Copy {
  Tensor target;
  Tensor source;
  bool transposed;
};

// What goes where, by name and shape; throws with every difference.
std::vector<Copy> matched(ModuleImpl& module, const std::vector<NamedTensor>& state, bool torch, const char* who) {
  std::unordered_map<std::string, const Tensor*> given;
  for (const NamedTensor& source : state) {
    if (!source.tensor.defined()) fail<StateError>(who, "a tensor is undefined", source.name);
    if (!given.emplace(source.name, &source.tensor).second) fail<ValueError>(who, "a name is given twice", source.name);
  }

  std::vector<Copy> copies;
  Differences differences;
  std::unordered_set<std::string> known;
  std::unordered_map<const TensorData*, bool> found;  // a shared tensor may come under any of its names
  const std::vector<Entry> entries = entries_of(module);
  for (const Entry& entry : entries) {
    known.insert(entry.name);
    bool& here = found[entry.target.data_handle().get()];
    const auto source = given.find(entry.name);
    if (source == given.end()) continue;
    const bool transposed = torch && entry.transposed;
    const Shape &wanted = entry.target.shape(), &shape = source->second->shape();
    if (shape != (transposed ? exchanged(wanted) : wanted)) {
      differences.add(differences.shapes, entry.name + " is " + (transposed ? exchanged(wanted) : wanted).str() +
                                              " in the model, " + shape.str() + " was given");
      differences.torch_would_fit &= !torch && entry.transposed && shape == exchanged(wanted);
    } else if (!here) {
      copies.push_back({entry.target, *source->second, transposed});
    }
    here = true;
  }
  std::unordered_set<const TensorData*> reported;
  for (const Entry& entry : entries) {
    const TensorData* data = entry.target.data_handle().get();
    if (!found[data] && reported.insert(data).second)
      differences.add(differences.missing, entry.name + " " + entry.target.shape().str());
  }
  for (const NamedTensor& source : state)
    if (!known.contains(source.name)) differences.add(differences.unknown, source.name);

  if (differences.count > 0) {
    const bool hint = !differences.shapes.empty() && differences.torch_would_fit;
    fail<ValueError>(who,
                     differences.count == 1 ? "one entry differs from the model"
                                            : std::to_string(differences.count) + " entries differ from the model",
                     differences.text(),
                     hint ? "weights of PyTorch are (out, in): pass layout=\"torch\"" : "nothing was changed");
  }
  return copies;
}

}  // namespace

void Module::load_state_dict(const std::vector<NamedTensor>& state, const std::string& layout) {
  if (!impl_) fail<StateError>("load_state_dict", "there is no layer in it");
  if (layout != "chainrule" && layout != "torch")
    fail<ValueError>("load_state_dict", "unknown layout", "'" + layout + "'", "use \"chainrule\" or \"torch\"");
  const NoGrad no_grad;
  for (Copy& copy : matched(*impl_, state, layout == "torch", "load_state_dict"))
    copy.target.copy_(copy.transposed ? copy.source.detach().transpose() : copy.source.detach());
}

void Module::copy_(const Module& source) {
  if (!impl_ || !source.impl_) fail<StateError>("copy_", "there is no layer in it");
  const NoGrad no_grad;
  for (Copy& copy : matched(*impl_, live_state(*source.impl_), false, "copy_")) copy.target.copy_(copy.source.detach());
}

void Module::lerp_(const Module& source, double weight) {
  if (!impl_ || !source.impl_) fail<StateError>("lerp_", "there is no layer in it");
  if (!(weight >= 0.0 && weight <= 1.0))
    fail<ValueError>("lerp_", "weight is outside [0, 1]", std::to_string(weight), "0 keeps this module, 1 is copy_");
  const NoGrad no_grad;
  std::unordered_set<const TensorData*> parameters;
  for (const Tensor& p : this->parameters()) parameters.insert(p.data_handle().get());
  for (Copy& copy : matched(*impl_, live_state(*source.impl_), false, "lerp_")) {
    const Tensor from = copy.source.detach();
    const Tensor here = copy.target.detach();
    const bool moves = parameters.contains(copy.target.data_handle().get());
    copy.target.copy_(moves ? here + Tensor(weight) * (cast(from, here.dtype()) - here) : from);
  }
}

}  // namespace chainrule::nn
