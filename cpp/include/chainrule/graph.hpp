// Graph: a computation as pure data. Nodes are ops in execution order; values are numbered.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/tensor.hpp"

namespace chainrule {

struct GraphData;  // private: graph/graph.hpp
struct GraphView;  // private: graph/view.hpp
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

class CHAINRULE_API Graph {
 public:
  Graph() = default;
  explicit Graph(std::shared_ptr<const GraphData> data, std::shared_ptr<const GraphView> view = {})
      : data_(std::move(data)), view_(std::move(view)) {}

  std::size_t size() const;  // nodes
  std::int64_t flops() const;
  std::int64_t saved_bytes() const;  // what backward keeps of one run, each array once; parameters are not counted

  // A table, one line per node: name, op, inputs, attributes, shape, dtype, FLOP, bytes saved for backward, module;
  // with values and gradients where they are known.
  std::string str() const;
  std::string to_dot() const;   // for Graphviz; needs nothing
  std::string to_json() const;  // docs/differentiation.md tells the members
  // Drawn by Graphviz's program `dot`; written to the path if one is given. Throws StateError where dot is missing.
  std::string to_svg(const std::string& path = {}) const;
  std::string to_html() const;  // what a notebook shows: the picture, or the table where dot is missing

  // The same graph with names: of its arguments in order, and of tensors it refers to. Others are called v1, v2, ...
  Graph named(const std::vector<std::string>& arguments, const NamedTensors& tensors = {}) const;
  // Run on these arguments, with every value kept, and every gradient: of the one output's only element, or of all
  // outputs weighted with cotangents of their shapes. Changes no state.
  Graph with_values(const std::vector<Tensor>& arguments, const std::vector<Tensor>& cotangents = {}) const;
  NamedTensors values() const;     // those known, by name, in the table's order
  NamedTensors gradients() const;  // likewise

  const GraphData& data() const { return *data_; }
  const GraphView& view() const;

 private:
  std::shared_ptr<const GraphData> data_;
  std::shared_ptr<const GraphView> view_;
};

using Function = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

// Whether a function is being traced on this thread: what it computes has no values yet.
CHAINRULE_API bool tracing() noexcept;

// Calls f once on symbolic tensors shaped like the examples and records what it does.
CHAINRULE_API Graph trace(const Function& f, const std::vector<Tensor>& examples);

}  // namespace chainrule
