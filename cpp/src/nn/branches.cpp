// Modules with branches: Concat, Add and Multiply join what their branches give, MultiHead and Parallel give a tuple.
#include "chainrule/ops.hpp"
#include "core/fail.hpp"
#include "nn/layer_checks.hpp"
#include "nn/layer_kinds.hpp"

namespace chainrule::nn {
namespace {

using Child = std::pair<std::string, std::shared_ptr<ModuleImpl>>;

std::optional<std::int64_t> common_in(const std::vector<Child>& branches) {
  std::optional<std::int64_t> all;
  for (const auto& [name, branch] : branches) {
    const auto in = branch->in_features();
    if (in && all && *in != *all) return {};
    if (in) all = in;
  }
  return all;
}

// Every branch gets the inputs; without branches it is the inputs themselves that are joined.
class JoinImpl : public ModuleImpl {
 public:
  explicit JoinImpl(const char* kind) : kind_(kind) {}
  std::vector<Tensor> forward(const std::vector<Tensor>& inputs) override {
    if (children().empty()) {
      if (inputs.size() < 2)
        fail<ValueError>(repr(), "has no branches, and takes several inputs to join",
                         std::to_string(inputs.size()) + " was given",
                         "give it branches, or put nn.Parallel before it");
      return {join(inputs)};
    }
    std::vector<Tensor> parts;
    for (const auto& [name, branch] : children()) {
      std::vector<Tensor> outputs = branch->call(inputs);
      if (outputs.size() != 1)
        fail<ValueError>(kind_, "a branch must have one output",
                         branch->repr() + " gave " + std::to_string(outputs.size()));
      parts.push_back(std::move(outputs[0]));
    }
    return {join(parts)};
  }
  std::string kind() const override { return kind_; }
  std::optional<std::int64_t> in_features() const override { return common_in(children()); }

 protected:
  virtual Tensor join(const std::vector<Tensor>& parts) const = 0;
  // Features of a branch's output, where they are known.
  std::optional<std::int64_t> given_by(const ModuleImpl& branch) const {
    if (const auto out = branch.out_features()) return out;
    return branch.keeps_features() ? in_features() : std::nullopt;
  }

 private:
  const char* kind_;
};

class ConcatImpl final : public JoinImpl {
 public:
  explicit ConcatImpl(std::int64_t axis) : JoinImpl("Concat"), axis_(axis) {
    if (axis < -Shape::max_rank || axis >= Shape::max_rank)
      fail<IndexError>("Concat", "axis out of range", "axis is " + std::to_string(axis));
  }
  Arguments arguments() const override { return {{"axis", axis_}}; }
  std::string repr_arguments() const override { return text_of(arguments(), 0, {{"axis", std::int64_t{-1}}}); }
  std::optional<std::int64_t> out_features() const override {
    if (axis_ != -1 || children().empty()) return {};
    std::int64_t total = 0;
    for (const auto& [name, branch] : children()) {
      const auto out = given_by(*branch);
      if (!out) return {};
      total += *out;
    }
    return total;
  }

 private:
  Tensor join(const std::vector<Tensor>& parts) const override { return concat(parts, static_cast<int>(axis_)); }

  std::int64_t axis_;
};

class CombineImpl final : public JoinImpl {
 public:
  using Combine = Tensor (*)(const Tensor&, const Tensor&);
  CombineImpl(const char* kind, Combine combine) : JoinImpl(kind), combine_(combine) {}
  std::optional<std::int64_t> out_features() const override {
    for (const auto& [name, branch] : children())
      if (const auto out = given_by(*branch)) return out;
    return {};
  }

 private:
  Tensor join(const std::vector<Tensor>& parts) const override {
    Tensor result = parts[0];
    for (std::size_t i = 1; i < parts.size(); ++i) {
      if (parts[i].shape() != parts[0].shape())
        fail<ShapeError>(
            kind(), "what is joined must have one shape",
            "number 0 is " + parts[0].shape().str() + ", number " + std::to_string(i) + " is " + parts[i].shape().str(),
            "end the branches with as many features each");
      result = combine_(result, parts[i]);
    }
    return result;
  }

  Combine combine_;
};

class MultiHeadImpl final : public ModuleImpl {
 public:
  std::vector<Tensor> forward(const std::vector<Tensor>& inputs) override {
    std::vector<Tensor> all;
    for (const auto& [name, head] : children())
      for (Tensor& output : head->call(inputs)) all.push_back(std::move(output));
    return all;
  }
  std::string kind() const override { return "MultiHead"; }
  std::optional<std::int64_t> in_features() const override { return common_in(children()); }
};

class ParallelImpl final : public ModuleImpl {
 public:
  std::vector<Tensor> forward(const std::vector<Tensor>& inputs) override {
    if (inputs.size() != children().size())
      fail<ShapeError>(kind(), "takes one input per layer",
                       std::to_string(inputs.size()) + " were given for " + std::to_string(children().size()));
    std::vector<Tensor> all;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      for (Tensor& output : children()[i].second->call({inputs[i]})) all.push_back(std::move(output));
    return all;
  }
  std::string kind() const override { return "Parallel"; }
};

using Named = std::vector<std::pair<std::string, Module>>;

Named numbered(const std::vector<Module>& modules) {
  Named named;
  for (std::size_t i = 0; i < modules.size(); ++i) named.emplace_back(std::to_string(i), modules[i]);
  return named;
}

std::shared_ptr<ModuleImpl> filled(std::shared_ptr<ModuleImpl> impl, const Named& branches, std::size_t least) {
  const std::string kind = impl->kind();
  if (branches.size() < least) fail<ValueError>(kind, "needs one layer at least", "none was given");
  for (const auto& [name, branch] : branches) {
    if (!branch.impl()) fail<StateError>(kind, "a layer is undefined", "number " + name, "give it a layer first");
    impl->add_child(name, branch.impl());
  }
  check_child_dtypes(*impl);
  return impl;
}

// Sizes that are known when it is built.
std::shared_ptr<ModuleImpl> same_sizes(std::shared_ptr<ModuleImpl> impl) {
  const Child* first = nullptr;
  for (const Child& child : impl->children()) {
    const auto out = child.second->out_features();
    if (!out) continue;
    if (first == nullptr) first = &child;
    if (*first->second->out_features() != *out)
      fail<ShapeError>(impl->kind(), "branches differ in their sizes",
                       first->second->repr() + " gives " + std::to_string(*first->second->out_features()) +
                           " features, " + child.second->repr() + " gives " + std::to_string(*out),
                       "make the two equal");
  }
  return impl;
}

std::shared_ptr<ModuleImpl> sum_of() { return std::make_shared<CombineImpl>("Add", chainrule::add); }
std::shared_ptr<ModuleImpl> product_of() { return std::make_shared<CombineImpl>("Multiply", chainrule::multiply); }

}  // namespace

std::shared_ptr<ModuleImpl> read::concat(ArgumentReader& arguments) {
  return std::make_shared<ConcatImpl>(arguments.integer("axis", -1));
}
std::shared_ptr<ModuleImpl> read::add(ArgumentReader&) { return sum_of(); }
std::shared_ptr<ModuleImpl> read::multiply(ArgumentReader&) { return product_of(); }
std::shared_ptr<ModuleImpl> read::multi_head(ArgumentReader&) { return std::make_shared<MultiHeadImpl>(); }
std::shared_ptr<ModuleImpl> read::parallel(ArgumentReader&) { return std::make_shared<ParallelImpl>(); }

Concat::Concat(const std::vector<Module>& branches, int axis)
    : Module(filled(std::make_shared<ConcatImpl>(axis), numbered(branches), 0)) {}
Add::Add(const std::vector<Module>& branches) : Module(same_sizes(filled(sum_of(), numbered(branches), 0))) {}
Multiply::Multiply(const std::vector<Module>& branches)
    : Module(same_sizes(filled(product_of(), numbered(branches), 0))) {}
MultiHead::MultiHead(const std::vector<Module>& heads) : MultiHead(numbered(heads)) {}
MultiHead::MultiHead(const std::vector<std::pair<std::string, Module>>& heads)
    : Module(filled(std::make_shared<MultiHeadImpl>(), heads, 1)) {}
Parallel::Parallel(const std::vector<Module>& layers)
    : Module(filled(std::make_shared<ParallelImpl>(), numbered(layers), 1)) {}

}  // namespace chainrule::nn
