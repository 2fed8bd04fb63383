// x[items] by NumPy's rules: integers, slices, newaxis and the ellipsis become slice and reshape; tensors of integers
// become take, those on several axes at once through flat_index.
#include <algorithm>
#include <utility>

#include "graph/graph.hpp"
#include "ops/operands.hpp"
#include "ops/take.hpp"

namespace chainrule {
namespace {

constexpr const char* name = "index";

// Whether the values can be looked at now and are the same in every run.
bool has_fixed_values(const Tensor& t) {
  return !t.symbolic() && (TraceScope::current() == nullptr || t.data_handle()->constant || t.weak());
}

// What happens to one axis of x.
struct AxisIndex {
  Slice slice{};
  bool picked = false;  // by an integer: the axis goes
  Tensor entries{};     // by a tensor of integers
};

// The items with bools replaced by the positions where they hold, the ellipsis by slices.
constexpr int new_axis = -1, nothing = -2;  // an ellipsis that stands for no axis still parts its neighbours
struct Plan {
  std::vector<AxisIndex> axes;  // of x
  std::vector<int> order;       // of the result before tensors are applied: axes of x and new ones
  bool tensors = false;
};

void check_mask(const Tensor& mask, const Tensor& x, int axis) {
  if (!has_fixed_values(mask))
    fail<StateError>(name, "a mask has no values while a function is traced, so the result's shape is unknown",
                     "mask of shape " + mask.shape().str(),
                     "use where(mask, x, 0) and reduce, or index outside the compiled function");
  if (mask.rank() == 0) fail<IndexError>(name, "a single bool is no index", "", "use where(condition, a, b)");
  for (int i = 0; i < mask.rank(); ++i)
    if (axis + i >= x.rank() || mask.shape()[i] != x.shape()[axis + i])
      fail<IndexError>(
          name, "the mask does not fit",
          "mask is " + mask.shape().str() + ", x is " + x.shape().str() + " from axis " + std::to_string(axis),
          "their sizes must be equal");
}

int axes_used(const IndexItem& item) {
  if (std::holds_alternative<NewAxis>(item.item()) || std::holds_alternative<Ellipsis>(item.item())) return 0;
  const auto* t = std::get_if<Tensor>(&item.item());
  return t != nullptr && t->dtype() == DType::boolean ? t->rank() : 1;
}

Plan plan_of(const Tensor& x, const std::vector<IndexItem>& items) {
  int used = 0, ellipses = 0;
  for (const IndexItem& item : items) {
    used += axes_used(item);
    ellipses += std::holds_alternative<Ellipsis>(item.item());
  }
  if (ellipses > 1) fail<IndexError>(name, "only one ... is allowed", "");
  if (used > x.rank())
    fail<IndexError>(name, "too many indices", std::to_string(used) + " for a tensor of shape " + x.shape().str());
  Plan plan;
  const auto next = [&] {
    plan.order.push_back(static_cast<int>(plan.axes.size()));
    return static_cast<int>(plan.axes.size());
  };
  const auto pass = [&](int count) {
    for (int i = 0; i < count; ++i) {
      next();
      plan.axes.push_back({});
    }
  };
  for (const IndexItem& item : items) {
    if (std::holds_alternative<Ellipsis>(item.item())) {
      pass(x.rank() - used);
      if (used == x.rank()) plan.order.push_back(nothing);
    } else if (std::holds_alternative<NewAxis>(item.item())) {
      plan.order.push_back(new_axis);
    } else if (const auto* range = std::get_if<Slice>(&item.item())) {
      if (range->step == 0) fail<ValueError>(name, "a slice's step cannot be 0", "");
      next();
      plan.axes.push_back({*range});
    } else if (const auto* i = std::get_if<std::int64_t>(&item.item())) {
      const int axis = next();
      const std::int64_t n = x.shape()[axis];
      check_bounds(*i, x, axis, name);
      const std::int64_t at = *i < 0 ? *i + n : *i;
      plan.axes.push_back({{at, at + 1, 1}, true});
    } else {
      const Tensor& given = std::get<Tensor>(item.item());
      plan.tensors = true;
      if (given.dtype() == DType::boolean) {
        check_mask(given, x, static_cast<int>(plan.axes.size()));
        for (const Tensor& where : nonzero(given)) {
          next();
          plan.axes.push_back({{}, false, where});
        }
        continue;
      }
      const int axis = next();
      const Tensor entries = as_index(given, name);
      check_bounds(entries, x, axis, name);
      plan.axes.push_back({{}, false, entries});
    }
  }
  pass(x.rank() - static_cast<int>(plan.axes.size()));
  return plan;
}

// x with slices applied and axes inserted; what integers and tensors pick from is still there.
Tensor sliced(const Tensor& x, const Plan& plan) {
  std::vector<Slice> slices;
  for (const AxisIndex& axis : plan.axes) slices.push_back(axis.slice);
  return slice(x, slices);
}

Tensor without_tensors(const Tensor& x, const Plan& plan) {
  const Tensor part = sliced(x, plan);
  Dims shape;
  for (int axis : plan.order)
    if (axis == new_axis)
      shape.push_back(1);
    else if (axis >= 0 && !plan.axes[static_cast<std::size_t>(axis)].picked)
      shape.push_back(part.shape()[axis]);
  return part.shape() == Shape(shape) ? part : reshape(part, shape);
}

// Integers count as tensors of one entry here, as in NumPy. The entries' axes stand where the tensors were if those are
// neighbours, else in front.
Tensor with_tensors(const Tensor& x, const Plan& plan) {
  Tensor part = sliced(x, plan);
  Dims shape;  // of the part with its new axes
  std::vector<int> picked;
  Tensors entries;
  int groups = 0;  // of picked axes that are neighbours
  bool in_group = false;
  for (int axis : plan.order) {
    const int place = shape.rank();
    const bool was_in_group = std::exchange(in_group, false);
    if (axis == nothing) continue;
    shape.push_back(axis == new_axis ? 1 : part.shape()[axis]);
    if (axis == new_axis) continue;
    const AxisIndex& at = plan.axes[static_cast<std::size_t>(axis)];
    if (!at.picked && !at.entries.defined()) continue;
    in_group = true;
    groups += was_in_group ? 0 : 1;
    picked.push_back(place);
    entries.push_back(at.picked ? make_constant(0, DType::int64) : at.entries);
  }
  if (!(part.shape() == Shape(shape))) part = reshape(part, shape);
  Shape common;
  for (const Tensor& t : entries) common = broadcast_shapes(common, t.shape(), name);
  for (Tensor& t : entries) t = broadcast_to(t, common);
  if (picked.size() == 1) return take_entries(part, entries[0], picked[0]);

  const int count = static_cast<int>(picked.size());
  int first = picked[0];
  if (groups > 1) {
    Dims order;
    for (int place : picked) order.push_back(place);
    for (int place = 0; place < shape.rank(); ++place)
      if (std::find(picked.begin(), picked.end(), place) == picked.end()) order.push_back(place);
    part = transpose(part, order);
    first = 0;
  }
  Dims sizes, merged;
  for (int i = 0; i < count; ++i) sizes.push_back(part.shape()[first + i]);
  for (int i = 0; i < first; ++i) merged.push_back(part.shape()[i]);
  merged.push_back(Shape(sizes).size());
  for (int i = first + count; i < part.rank(); ++i) merged.push_back(part.shape()[i]);
  return take_entries(reshape(part, merged), flat_index(entries, sizes), first);
}

}  // namespace

Tensor index(const Tensor& x, const std::vector<IndexItem>& items) {
  const Tensor in = settle(x, name);
  const Plan plan = plan_of(in, items);
  return plan.tensors ? with_tensors(in, plan) : without_tensors(in, plan);
}
Tensor Tensor::index(const std::vector<IndexItem>& items) const { return chainrule::index(*this, items); }

std::vector<Tensor> nonzero(const Tensor& x) {
  const Tensor in = settle(x, "nonzero");
  if (!has_fixed_values(in))
    fail<StateError>("nonzero", "a traced tensor has no values, so the number of results is unknown",
                     "shape is " + in.shape().str(), "use where(condition, a, b)");
  if (in.rank() == 0) fail<ShapeError>("nonzero", "a tensor of shape () has no positions", "", "reshape it to (1,)");
  const NoGrad no_record;
  const Tensor holds = cast(in.detach(), DType::boolean);
  const auto* values = static_cast<const std::uint8_t*>(holds.raw_data());
  std::vector<std::vector<std::int64_t>> found(static_cast<std::size_t>(in.rank()));
  for (std::int64_t i = 0; i < in.size(); ++i) {
    if (values[i] == 0) continue;
    std::int64_t rest = i;
    for (int axis = in.rank() - 1; axis >= 0; --axis) {
      found[static_cast<std::size_t>(axis)].push_back(rest % in.shape()[axis]);
      rest /= in.shape()[axis];
    }
  }
  Tensors result;
  for (const auto& positions : found) {
    result.push_back(Tensor::from(positions, {positions.size()}));
    if (in.data_handle()->constant) result.back().freeze();
  }
  return result;
}

}  // namespace chainrule
