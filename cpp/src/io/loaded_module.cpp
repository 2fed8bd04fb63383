// Modules as a model file gives them back.
#include "io/loaded_module.hpp"

#include <algorithm>
#include <map>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "graph/state_update.hpp"
#include "graph/tensor_data.hpp"
#include "nn/layer_kinds.hpp"
#include "nn/module_tree.hpp"

namespace chainrule::io {
namespace {

constexpr std::size_t most_plans = 8;

// The layer a part was saved from, with tensors of its own.
std::shared_ptr<nn::ModuleImpl> rebuilt(const LoadedPart& part, const char* what) {
  if (!nn::is_layer_kind(part.kind()))
    fail<StateError>(part.kind(), std::string("a loaded part cannot be ") + what + " by itself",
                     "its class is not in the file", "call the whole model, or build it anew and use load_state_dict");
  auto layer = nn::make_layer(part.kind(), part.arguments());
  const auto fits = [](const std::vector<nn::NamedTensor>& a, const std::vector<nn::NamedTensor>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
      return x.name == y.name && x.tensor.shape() == y.tensor.shape();
    });
  };
  if (!fits(std::as_const(*layer).own_parameters(), part.own_parameters()) ||
      !fits(std::as_const(*layer).own_buffers(), part.own_buffers()))
    fail<StateError>(part.repr(), "its tensors are not those of its kind", "", "call the whole model");
  return layer;
}

std::string with_batch(const Shape& sample) {
  std::string text = "(batch,";
  for (int i = 0; i < sample.rank(); ++i) text += (i ? ", " : " ") + std::to_string(sample[i]);
  return text + ")";
}

}  // namespace

std::vector<Tensor> LoadedPart::forward(const std::vector<Tensor>& inputs) {
  const auto layer = rebuilt(*this, "called");
  layer->set_training(training());
  for (const auto& [name, child] : children()) layer->add_child(name, child);
  for (std::size_t i = 0; i < own_parameters().size(); ++i)
    layer->own_parameters()[i].tensor = own_parameters()[i].tensor;
  for (std::size_t i = 0; i < own_buffers().size(); ++i) layer->own_buffers()[i].tensor = own_buffers()[i].tensor;
  return layer->forward(inputs);
}

// A saved dtype argument follows astype().
nn::Arguments LoadedPart::arguments() const {
  nn::Arguments now = facts_.arguments;
  const auto& tensors = own_parameters().empty() ? own_buffers() : own_parameters();
  for (auto& [name, value] : now)
    if (name == "dtype" && !tensors.empty()) value = std::string(name_of(tensors[0].tensor.dtype()));
  return now;
}

void LoadedPart::init_own(std::uint64_t key, std::uint32_t stream) {
  if (own_parameters().empty() && own_buffers().empty()) return;
  const auto layer = rebuilt(*this, "drawn anew");
  const NoGrad no_grad;
  for (std::size_t i = 0; i < own_buffers().size(); ++i)  // what is not drawn stays
    layer->own_buffers()[i].tensor.copy_(own_buffers()[i].tensor);
  layer->init_own(key, stream);
  for (std::size_t i = 0; i < own_parameters().size(); ++i)
    own_parameters()[i].tensor.copy_(layer->own_parameters()[i].tensor.detach());
  for (std::size_t i = 0; i < own_buffers().size(); ++i) own_buffers()[i].tensor.copy_(layer->own_buffers()[i].tensor);
}

void LoadedPart::copy_structure_to(LoadedPart& copy, const CloneChild& clone_child) const {
  for (const nn::NamedTensor& own : own_parameters())
    copy.add_parameter(own.name, Tensor::zeros(own.tensor.shape(), own.tensor.dtype()), false);
  for (const nn::NamedTensor& own : own_buffers())
    copy.add_buffer(own.name, Tensor::zeros(own.tensor.shape(), own.tensor.dtype()));
  for (const auto& [name, child] : children()) copy.add_child(name, clone_child(child));
}

std::shared_ptr<nn::ModuleImpl> LoadedPart::clone_structure(const CloneChild& clone_child) const {
  auto copy = std::make_shared<LoadedPart>(facts_);
  copy_structure_to(*copy, clone_child);
  return copy;
}

std::shared_ptr<nn::ModuleImpl> LoadedModel::clone_structure(const CloneChild& clone_child) const {
  auto copy = std::make_shared<LoadedModel>(facts(), file_);
  copy_structure_to(*copy, clone_child);
  return copy;
}

const LoadedModel::Bound& LoadedModel::bound(bool train) {
  const std::lock_guard lock(mutex_);
  std::optional<Bound>& known = bound_[train];
  if (known) return *known;
  std::map<std::string, Place> places;
  nn::each_place(*this, "", [&](const std::string& path, nn::ModuleImpl& module) {
    for (std::size_t i = 0; i < module.own_parameters().size(); ++i)
      places.try_emplace(nn::joined(path, module.own_parameters()[i].name), Place{&module, false, i});
    for (std::size_t i = 0; i < module.own_buffers().size(); ++i)
      places.try_emplace(nn::joined(path, module.own_buffers()[i].name), Place{&module, true, i});
  });
  const auto place = [&](const std::string& path) {
    const auto found = places.find(path);
    if (found == places.end()) fail<StateError>(kind(), "a tensor of the loaded model is gone", path, "load it again");
    return found->second;
  };
  const BatchGraph& graph = train && !file_->same_graph ? file_->train : file_->eval;
  Bound fresh;
  for (const auto& [id, path] : graph.tensors) fresh.tensors.push_back(place(path));
  for (const auto& [path, id] : graph.updates) fresh.updated.push_back(place(path));
  known = std::move(fresh);
  return *known;
}

// Sizes are those the model was saved for; but where the input is only read under a fixed other shape (Flatten), any
// shape that gives the same is right.
void LoadedModel::check_inputs(const std::vector<Tensor>& inputs, const BatchGraph& graph) const {
  const auto& shapes = file_->input_shapes;
  if (inputs.size() != shapes.size())
    fail<ValueError>("forward", "takes " + std::to_string(shapes.size()) + (shapes.size() == 1 ? " input" : " inputs"),
                     std::to_string(inputs.size()) + " were given");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Shape& given = inputs[i].shape();
    if (given.rank() == 0)
      fail<ShapeError>("forward", "the input has no batch axis", "x is ()", "give an array of samples");
    if (given[0] != inputs[0].shape()[0])
      fail<ShapeError>("forward", "the inputs differ in their number of samples",
                       inputs[0].shape().str() + " and " + given.str());
    Shape wanted = shapes[i];
    wanted.insert(0, given[0]);
    if (given == wanted) continue;
    bool fits = false;
    for (const BatchNode& node : graph.nodes) {
      if (std::find(node.inputs.begin(), node.inputs.end(), graph.inputs[i]) == node.inputs.end()) continue;
      fits = node.op->view && given.size() == wanted.size();
      if (fits) {
        const Attrs attrs = node.attrs.at(given[0]);
        const TensorType here{inputs[i].dtype(), given}, saved{inputs[i].dtype(), wanted};
        fits = node.op->infer(*node.op, std::span(&here, 1), attrs) ==
               node.op->infer(*node.op, std::span(&saved, 1), attrs);
      }
      if (!fits) break;
    }
    if (!fits)
      fail<ShapeError>("forward", "the input has another shape than the model was saved for",
                       "x is " + given.str() + ", it takes " + with_batch(shapes[i]),
                       "reshape it, or save the model with this input_shape");
  }
}

std::shared_ptr<const BatchPlan> LoadedModel::plan(const BatchGraph& graph, const std::vector<Tensor>& inputs,
                                                   const std::vector<Tensor>& tensors,
                                                   const std::vector<Tensor>& constants) {
  // Parameters change their type only together, by astype: the first one stands for all.
  Types key;
  for (const Tensor& input : inputs) key.push_back(type_of(input));
  if (!tensors.empty()) key.push_back(type_of(tensors[0]));
  std::vector<Planned>& planned = planned_[&graph == &file_->train];
  {
    const std::lock_guard lock(mutex_);
    for (const Planned& known : planned)
      if (known.key == key) return known.plan;
  }
  const auto types = [](const std::vector<Tensor>& list) {
    Types all;
    for (const Tensor& t : list) all.push_back(type_of(t));
    return all;
  };
  auto fresh = std::make_shared<const BatchPlan>(
      plan_batch(graph, inputs[0].shape()[0], types(inputs), types(tensors), types(constants)));
  const std::lock_guard lock(mutex_);
  if (planned.size() == most_plans) planned.erase(planned.begin());
  planned.push_back({std::move(key), fresh});
  return fresh;
}

std::vector<Tensor> LoadedModel::forward(const std::vector<Tensor>& inputs) {
  const bool train = training();
  const BatchGraph& graph = train && !file_->same_graph ? file_->train : file_->eval;
  check_inputs(inputs, graph);
  const Bound& places = bound(train);
  const auto tensor_at = [](const Place& place) {
    return (place.buffer ? place.module->own_buffers() : place.module->own_parameters())[place.index].tensor;
  };
  std::vector<Tensor> tensors, constants;
  for (const Place& place : places.tensors) tensors.push_back(tensor_at(place));
  // Constants follow astype(), too.
  const DType now = nn::parameter_dtype(*this).value_or(file_->dtype);
  for (const BoundValue& constant : graph.constants) {
    Tensor value = constant.tensor;
    if (now != file_->dtype && value.dtype() == file_->dtype) {
      value = cast(value.detach(), now);
      value.data_handle()->constant = true;
    }
    constants.push_back(std::move(value));
  }
  const auto planned = plan(graph, inputs, tensors, constants);
  std::vector<Tensor> results = run_batch(graph, *planned, {inputs, tensors, constants});
  const std::size_t outputs = graph.outputs.size();
  for (std::size_t i = 0; i < places.updated.size(); ++i) {
    const NoGrad no_grad;
    update_buffer(tensor_at(places.updated[i]), results[outputs + i]);
  }
  results.resize(outputs);
  return results;
}

}  // namespace chainrule::io
