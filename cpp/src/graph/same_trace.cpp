// A function is traced twice at first use: what differs between the two would be frozen in silence.
#include <cstring>

#include "core/fail.hpp"
#include "graph/call_rule.hpp"
#include "graph/graph.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

bool same_bytes(const Tensor& a, const Tensor& b) {
  if (!(type_of(a) == type_of(b))) return false;
  if (a.symbolic() || b.symbolic()) return a.data_handle() == b.data_handle();
  return a.size() == 0 ||
         std::memcmp(a.raw_data(), b.raw_data(), static_cast<std::size_t>(a.size()) * size_of(a.dtype())) == 0;
}

constexpr const char* todo =
    "np.random, a clock or a counter in the function would be frozen: capture a tensor and copy_ into it instead";

}  // namespace

void check_same_trace(const GraphData& first, const GraphData& second, const char* who) {
  if (first.nodes.size() != second.nodes.size())
    fail<ValueError>(who, "the function does different things when called twice",
                     std::to_string(first.nodes.size()) + " ops, then " + std::to_string(second.nodes.size()), todo);
  for (std::size_t i = 0; i < first.nodes.size(); ++i) {
    const Node &a = first.nodes[i], &b = second.nodes[i];
    if (a.attrs.call && b.attrs.call) {  // made anew by each trace
      check_same_trace(a.attrs.call->primal, b.attrs.call->primal, who);
      continue;
    }
    if (a.op != b.op || !(a.attrs == b.attrs))
      fail<ValueError>(who, "the function does different things when called twice",
                       std::string(a.op->name) + attributes_to_string(*a.op, a.attrs) + ", then " +
                           std::string(b.op->name) + attributes_to_string(*b.op, b.attrs),
                       todo);
  }
  for (std::size_t i = 0; i < first.constants.size() && i < second.constants.size(); ++i) {
    if (same_bytes(first.constants[i].tensor, second.constants[i].tensor)) continue;
    std::string op = "an output";
    for (const Node& node : first.nodes)
      for (ValueId id : node.inputs)
        if (id == first.constants[i].value) op = std::string(node.op->name);
    fail<ValueError>(who, "a constant differs between two calls of the function",
                     "of shape " + first.constants[i].tensor.shape().str() + ", used by " + op, todo);
  }
}

}  // namespace chainrule
