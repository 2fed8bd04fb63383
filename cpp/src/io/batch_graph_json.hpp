// A BatchGraph as JSON, and back with every field checked.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "chainrule/nn.hpp"
#include "io/batch_graph.hpp"
#include "io/json.hpp"

namespace chainrule::io {

// Constants that are no single number, kept as tensors of the file: "constants/0". Equal ones are stored once.
class ConstantStore {
 public:
  std::string add(const Tensor& constant);  // its name
  const std::vector<nn::NamedTensor>& tensors() const { return tensors_; }

 private:
  std::vector<nn::NamedTensor> tensors_;
};
inline constexpr std::string_view constant_prefix = "constants/";

Json graph_to_json(const BatchGraph& graph, ConstantStore& store);

// `constants` are those of the file by name. Throws JsonError. Checks the graph as such: ops, attributes, ids, the
// order of definitions; types are checked by check_types.
BatchGraph graph_from_json(const JsonView& view, const std::map<std::string, Tensor>& constants);

// Infers all types at several batch sizes and compares them with those stored.
void check_types(const BatchGraph& graph, const JsonView& view, std::span<const TensorType> tensors);

}  // namespace chainrule::io
