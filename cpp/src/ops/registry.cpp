// The one list of ops. Built at first use; no self-registering statics, which static libraries drop.
#include <string>
#include <unordered_map>

#include "core/fail.hpp"
#include "graph/stop_op.hpp"
#include "ops/operands.hpp"

namespace chainrule {
namespace {

struct Registry {
  std::vector<Op> ops;
  std::unordered_map<std::string_view, const Op*> by_name;
};

const Registry& registry() {
  static const Registry* const built = [] {
    auto* r = new Registry;  // lives until the process ends: ops are referred to from everywhere
    add_elementwise_ops(r->ops);
    add_shape_ops(r->ops);
    add_slice_ops(r->ops);
    add_matmul_ops(r->ops);
    add_reduction_ops(r->ops);
    add_scan_ops(r->ops);
    add_softmax_ops(r->ops);
    add_sort_ops(r->ops);
    add_picking_ops(r->ops);
    add_take_ops(r->ops);
    add_random_ops(r->ops);
    add_call_op(r->ops);
    for (const Op& op : r->ops) r->by_name.emplace(op.name, &op);
    stop_gradient_op = r->by_name.at("stop_gradient");
    return r;
  }();
  return *built;
}

}  // namespace

const Op* find_op_or_null(std::string_view name) noexcept {
  const auto found = registry().by_name.find(name);
  return found == registry().by_name.end() ? nullptr : found->second;
}
const Op& find_op(std::string_view name) {
  const Op* op = find_op_or_null(name);
  if (op == nullptr) fail<IndexError>("registry", "no op of this name", "'" + std::string(name) + "'");
  return *op;
}
std::span<const Op> all_ops() { return registry().ops; }

}  // namespace chainrule
