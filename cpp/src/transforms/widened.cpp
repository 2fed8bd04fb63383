// A graph's computation in float64.
#include "transforms/widened.hpp"

#include <algorithm>

#include "ops/operands.hpp"

namespace chainrule {
namespace {

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

}  // namespace

bool all_float64(const GraphData& graph) {
  return std::none_of(graph.types.begin(), graph.types.end(),
                      [](const TensorType& type) { return is_floating(type.dtype) && type.dtype != DType::float64; });
}

GraphData widened(const GraphData& from) {
  GraphData to = from;
  to.nodes.clear();
  const auto widen = [](DType d) { return is_floating(d) ? DType::float64 : d; };
  for (ValueId id : to.inputs) to.types[index(id)].dtype = widen(to.types[index(id)].dtype);
  for (auto* bound : {&to.captures, &to.constants})
    for (BoundValue& c : *bound) {
      const Tensor before = c.tensor;
      c.tensor = cast(before.detach(), widen(before.dtype()));
      c.tensor.data_handle()->requires_grad = before.data_handle()->requires_grad;
      c.tensor.data_handle()->constant = before.data_handle()->constant;
      to.types[index(c.value)] = type_of(c.tensor);
    }
  for (Node node : from.nodes) {
    Types in;
    for (ValueId id : node.inputs) in.push_back(to.types[index(id)]);
    const Types out = node.op->infer(*node.op, in, node.attrs);
    for (std::size_t j = 0; j < out.size(); ++j) to.types[index(node.outputs[j])] = out[j];
    std::vector<Node> casts;
    for (ValueId& id : node.outputs) {
      TensorType& type = to.types[index(id)];
      if (!is_floating(type.dtype) || type.dtype == DType::float64) continue;
      const ValueId narrow = to.add_value(type);
      to.types[index(id)].dtype = DType::float64;
      Node& wide = casts.emplace_back();
      wide.op = &find_op("cast_to_float64");
      wide.inputs = {narrow};
      wide.outputs = {id};
      wide.scope = node.scope;
      id = narrow;
    }
    to.nodes.push_back(std::move(node));
    to.nodes.insert(to.nodes.end(), casts.begin(), casts.end());
  }
  return to;
}

}  // namespace chainrule
