// Calling a module: scopes for names in graphs and errors, dropout's key, and the conversion of the model's inputs.
#include <typeinfo>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "graph/graph.hpp"
#include "nn/module_tree.hpp"
#include "ops/random_scope.hpp"

namespace chainrule::nn {
namespace {

// The modules whose forward is running on this thread, outermost first.
thread_local std::vector<const ModuleImpl*> running;

class Running {
 public:
  explicit Running(const ModuleImpl* module) { running.push_back(module); }
  ~Running() { running.pop_back(); }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
};

// The path from a module to one below it; empty if it is not there.
std::string path_below(const ModuleImpl& module, const ModuleImpl* wanted) {
  for (const auto& [name, child] : module.children())
    if (child.get() == wanted) return name;
  for (const auto& [name, child] : module.children()) {
    const std::string rest = path_below(*child, wanted);
    if (!rest.empty()) return std::string(name).append(".").append(rest);
  }
  return {};
}

// An error whose message already says which layer it comes from: outer modules let it pass.
struct Placed {
 protected:
  ~Placed() = default;
};
template <class E> struct PlacedError final : E, Placed {
  using E::E;
};

// "model.2 Linear(784, 10): ..." for a layer below the root; the root itself goes by its own name only.
std::string placed_message(const ModuleImpl& module, const std::string& text) {
  const std::string kind = module.kind(), name = module.children().empty() ? module.repr() : kind;
  const std::string& path = Scope::path();
  const std::string where = path.empty() ? "" : "model." + path + " ";
  if (text.starts_with(name + ": ")) return where + text;
  return where + name + (text.starts_with(kind + ": ") ? text.substr(kind.size()) : ": " + text);
}

[[noreturn]] void rethrow_placed(const ModuleImpl& module, const Error& error) {
  if (dynamic_cast<const Placed*>(&error)) throw;
  const std::string text = placed_message(module, error.what());
  if (dynamic_cast<const ShapeError*>(&error)) throw PlacedError<ShapeError>(text);
  if (dynamic_cast<const ValueError*>(&error)) throw PlacedError<ValueError>(text);
  if (dynamic_cast<const DTypeError*>(&error)) throw PlacedError<DTypeError>(text);
  if (dynamic_cast<const IndexError*>(&error)) throw PlacedError<IndexError>(text);
  if (dynamic_cast<const StateError*>(&error)) throw PlacedError<StateError>(text);
  if (dynamic_cast<const FileError*>(&error)) throw PlacedError<FileError>(text);
  if (typeid(error) == typeid(Error)) throw PlacedError<Error>(text);
  throw;  // a class of the user's own stays what it is
}

void check_inputs(const ModuleImpl& module, const std::vector<Tensor>& inputs) {
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (!inputs[i].defined())
      fail<StateError>(module.kind(), "an input is undefined", "number " + std::to_string(i), "give it a value");
}

// A model has one dtype, and its inputs are converted to it; masks (bool) and models without parameters are left alone.
std::vector<Tensor> converted(const ModuleImpl& model, std::vector<Tensor> inputs) {
  const std::optional<DType> dtype = parameter_dtype(model);
  if (!dtype) return inputs;
  for (Tensor& x : inputs)
    if (x.dtype() != *dtype && x.dtype() != DType::boolean) x = cast(x, *dtype);
  return inputs;
}

}  // namespace

std::vector<Tensor> ModuleImpl::call(const std::vector<Tensor>& inputs) {
  const std::string name = running.empty() ? std::string() : path_below(*running.back(), this);
  const bool outermost = name.empty();  // or a model of its own, called by another one
  const Scope scope(name);
  const Running frame(this);
  try {
    check_inputs(*this, inputs);
    if (!outermost) return forward(inputs);
    if (RandomScope::current()) return forward(converted(*this, inputs));
    RandomScope random(global_seed(), &calls_);
    return forward(converted(*this, inputs));
  } catch (const Error& error) { rethrow_placed(*this, error); }
}

std::vector<Tensor> Layer::forward(const std::vector<Tensor>& inputs) {
  if (inputs.size() != 1) fail<ValueError>(repr(), "takes one input", std::to_string(inputs.size()) + " were given");
  return {forward(inputs[0])};
}

std::vector<Tensor> Module::operator()(const std::vector<Tensor>& inputs) const {
  if (!impl_) fail<StateError>("Module", "called without a layer in it", "", "assign one first");
  return impl_->call(inputs);
}

Tensor Module::operator()(const Tensor& x) const {
  std::vector<Tensor> outputs = (*this)(std::vector<Tensor>{x});
  if (outputs.size() != 1)
    fail<ValueError>(impl_->kind(), "does not have one output", std::to_string(outputs.size()) + " were given",
                     "call it with a list of inputs to get a list of outputs");
  return std::move(outputs[0]);
}

}  // namespace chainrule::nn
