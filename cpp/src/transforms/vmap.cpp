// vmap: a function written for one sample, run on a batch of them.
#include "autodiff/batching.hpp"
#include "core/fail.hpp"
#include "ops/operands.hpp"
#include "transforms/differentiation.hpp"

namespace chainrule {
namespace {

// The tensor with `axis` moved to the front, or the front moved to `axis`.
Tensor moved(const Tensor& t, int axis, bool to_front) {
  if (axis == 0) return t;
  Dims order;
  for (int i = 0; i < t.rank(); ++i)
    if (i != (to_front ? axis : 0)) order.push_back(i);
  order.insert(to_front ? 0 : axis, to_front ? axis : 0);
  return transpose(t, order);
}

}  // namespace

std::vector<Tensor> vmap_call(const Function& f, const std::vector<Tensor>& x,
                              const std::vector<std::optional<int>>& in_axes,
                              const std::function<std::vector<int>(std::size_t outputs)>& out_axes) {
  if (in_axes.size() != x.size())
    fail<ValueError>("vmap", "in_axes does not fit the arguments",
                     std::to_string(in_axes.size()) + " for " + std::to_string(x.size()) + " tensors",
                     "give one axis (or None) per argument");
  Tensors arguments;
  std::vector<char> batched;
  Types types;
  std::optional<std::int64_t> size;
  for (std::size_t i = 0; i < x.size(); ++i) {
    batched.push_back(in_axes[i].has_value());
    if (!in_axes[i]) {
      arguments.push_back(x[i]);
      types.push_back(type_of(x[i]));
      continue;
    }
    if (x[i].rank() == 0)
      fail<ShapeError>("vmap", "an argument has no axis for the batch",
                       "argument " + std::to_string(i) + " is a scalar", "give None for it in in_axes");
    const int axis = normal_axis(*in_axes[i], x[i].rank(), "vmap");
    const std::int64_t n = x[i].shape()[axis];
    if (size && *size != n)
      fail<ShapeError>(
          "vmap", "batch sizes differ",
          "argument " + std::to_string(i) + " has " + std::to_string(n) + ", one before it " + std::to_string(*size),
          "give None in in_axes for what all samples share");
    size = n;
    arguments.push_back(moved(x[i], axis, true));
    Shape sample = arguments.back().shape();
    sample.erase(0);
    types.push_back({x[i].dtype(), sample});
  }
  if (!size) fail<ValueError>("vmap", "no argument has a batch axis", "", "in_axes must name one at least");
  const bool outermost = TraceScope::current() == nullptr;  // outer traces compare theirs
  const GraphData graph = trace_types(f, types);
  if (outermost) check_same_trace(graph, trace_types(f, types), "vmap");
  Tensors results = replay_batched(graph, arguments, batched, *size, Draws::own);
  const std::vector<int> places = out_axes(results.size());
  for (std::size_t j = 0; j < results.size(); ++j)
    results[j] = moved(results[j], normal_axis(places[j], results[j].rank(), "vmap"), false);
  return results;
}

}  // namespace chainrule
