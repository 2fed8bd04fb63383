// Modules as a model file gives them back. LoadedPart: one module of the saved tree, with its name, text and tensors.
// LoadedModel: the root, which runs the graphs of the file; the parts below it only hold what belongs to them.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "chainrule/data.hpp"
#include "chainrule/nn.hpp"
#include "io/batch_graph.hpp"

namespace chainrule::io {

struct PartFacts {
  std::string kind, repr_arguments;
  nn::Arguments arguments;
  std::optional<std::int64_t> in_features, out_features;
  bool keeps_features = false;
};

// A part of a built-in kind can also be called by itself, and drawn anew; others need the program that defined them.
class LoadedPart : public nn::ModuleImpl {
 public:
  explicit LoadedPart(PartFacts facts) : facts_(std::move(facts)) {}

  std::vector<Tensor> forward(const std::vector<Tensor>& inputs) override;
  std::string kind() const override { return facts_.kind; }
  nn::Arguments arguments() const override;
  std::string repr_arguments() const override { return facts_.repr_arguments; }
  std::optional<std::int64_t> in_features() const override { return facts_.in_features; }
  std::optional<std::int64_t> out_features() const override { return facts_.out_features; }
  bool keeps_features() const override { return facts_.keeps_features; }
  void init_own(std::uint64_t key, std::uint32_t stream) override;
  std::shared_ptr<nn::ModuleImpl> clone_structure(const CloneChild& clone_child) const override;

 protected:
  void copy_structure_to(LoadedPart& copy, const CloneChild& clone_child) const;
  const PartFacts& facts() const { return facts_; }

 private:
  PartFacts facts_;
};

// What a file holds besides the tree; shared by a model and its clones.
struct LoadedFacts {
  BatchGraph train, eval;
  bool same_graph = false;          // train is eval
  std::vector<Shape> input_shapes;  // of one sample
  DType dtype = DType::float32;     // the model's when it was saved
  std::optional<data::Schema> schema;
  std::string training = "{}";
};

class LoadedModel final : public LoadedPart {
 public:
  LoadedModel(PartFacts facts, std::shared_ptr<const LoadedFacts> file)
      : LoadedPart(std::move(facts)), file_(std::move(file)) {}

  std::vector<Tensor> forward(const std::vector<Tensor>& inputs) override;
  std::shared_ptr<nn::ModuleImpl> clone_structure(const CloneChild& clone_child) const override;
  const LoadedFacts& file() const { return *file_; }

 private:
  struct Place {  // of a parameter or buffer in the tree; the handle is read when needed, since clone() may replace it
    nn::ModuleImpl* module;
    bool buffer;
    std::size_t index;
  };
  struct Bound {  // the tensors of one graph
    std::vector<Place> tensors, updated;
  };
  struct Planned {
    Types key;
    std::shared_ptr<const BatchPlan> plan;
  };

  const Bound& bound(bool train);
  std::shared_ptr<const BatchPlan> plan(const BatchGraph& graph, const std::vector<Tensor>& inputs,
                                        const std::vector<Tensor>& tensors, const std::vector<Tensor>& constants);
  void check_inputs(const std::vector<Tensor>& inputs, const BatchGraph& graph) const;

  std::shared_ptr<const LoadedFacts> file_;
  std::mutex mutex_;
  std::optional<Bound> bound_[2];
  std::vector<Planned> planned_[2];  // the latest few
};

}  // namespace chainrule::io
