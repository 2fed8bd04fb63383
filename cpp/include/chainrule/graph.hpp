// Graph: a computation as pure data. Nodes are ops in execution order; values are numbered.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "chainrule/tensor.hpp"

namespace chainrule {

struct GraphData;  // private: graph/graph.hpp

class CHAINRULE_API Graph {
 public:
  Graph() = default;
  explicit Graph(std::shared_ptr<const GraphData> data) : data_(std::move(data)) {}
  std::string str() const;   // one line per node: value, op, inputs, attributes, shape, dtype, FLOP
  std::size_t size() const;  // nodes
  std::int64_t flops() const;
  const GraphData& data() const { return *data_; }

 private:
  std::shared_ptr<const GraphData> data_;
};

using Function = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

// Calls f once on symbolic tensors shaped like the examples and records what it does.
CHAINRULE_API Graph trace(const Function& f, const std::vector<Tensor>& examples);

}  // namespace chainrule
