// Axes and elements put into another order, repeated or padded: functions made of other ops.
#include <algorithm>
#include <numeric>

#include "ops/operands.hpp"
#include "ops/take.hpp"

namespace chainrule {
namespace {

Tensor int64_constant(const std::vector<std::int64_t>& values) {
  Tensor t = Tensor::from(values, {values.size()});
  return t.freeze();
}

// Every entry along the axis `times` times: in a row, or the whole axis again and again.
Tensor repeated(const Tensor& x, std::int64_t times, int axis, bool each) {
  const std::int64_t n = x.shape()[axis], inner = product(x.shape(), axis + 1, x.rank());
  const std::int64_t outer = product(x.shape(), 0, axis);
  Dims shape = x.shape();
  shape[axis] = n * times;
  const Dims from = each ? Dims{outer * n, 1, inner} : Dims{outer, 1, n * inner};
  Shape filled(from);
  filled[1] = times;
  return reshape(broadcast_to(reshape(x, from), filled), shape);
}

// Where entry i of the padded axis comes from; the axis has n entries.
std::int64_t source_of(std::int64_t i, std::int64_t n, const std::string& mode) {
  if (mode == "edge") return std::clamp<std::int64_t>(i, 0, n - 1);
  const auto modulo = [](std::int64_t a, std::int64_t b) { return (a % b + b) % b; };
  if (mode == "wrap") return modulo(i, n);
  if (mode == "reflect") {  // 0 1 2 | 1 0 1 2 ...: a period of 2 (n - 1)
    if (n == 1) return 0;
    const std::int64_t at = modulo(i, 2 * (n - 1));
    return std::min(at, 2 * (n - 1) - at);
  }
  const std::int64_t at = modulo(i, 2 * n);  // symmetric
  return std::min(at, 2 * n - 1 - at);
}

Tensor pad_with_zeros(const Tensor& x, const std::vector<std::pair<std::int64_t, std::int64_t>>& widths) {
  static const Op& op = find_op("unslice");
  Attrs attrs;
  for (int i = 0; i < x.rank(); ++i) {
    const auto [before, behind] = widths[static_cast<std::size_t>(i)];
    attrs.lists[0].push_back(before);
    attrs.lists[1].push_back(1);
    attrs.lists[2].push_back(before + x.shape()[i] + behind);
  }
  return apply1(op, std::span(&x, 1), attrs);
}

}  // namespace

Tensor moveaxis(const Tensor& x, const Dims& source, const Dims& destination) {
  if (source.rank() != destination.rank())
    fail<ValueError>("moveaxis", "source and destination name different numbers of axes",
                     source.str() + " and " + destination.str());
  const auto normal = [&](const Dims& axes) {
    Dims result;
    for (std::int64_t axis : axes) result.push_back(normal_axis(static_cast<int>(axis), x.rank(), "moveaxis"));
    (void)normal_axes(axes.empty() ? Dims{} : axes, x.rank(), "moveaxis");  // none twice
    return result;
  };
  const Dims from = normal(source), to = normal(destination);
  Dims order;  // those that stay, then each moved one at its place, lowest first
  for (int i = 0; i < x.rank(); ++i)
    if (std::find(from.begin(), from.end(), i) == from.end()) order.push_back(i);
  for (int place = 0; place < x.rank(); ++place) {
    const auto at = std::find(to.begin(), to.end(), place);
    if (at != to.end()) order.insert(place, from[static_cast<int>(at - to.begin())]);
  }
  return transpose(x, order);
}

Tensor swapaxes(const Tensor& x, int axis1, int axis2) {
  const int a = normal_axis(axis1, x.rank(), "swapaxes"), b = normal_axis(axis2, x.rank(), "swapaxes");
  Dims order;
  for (int i = 0; i < x.rank(); ++i) order.push_back(i == a ? b : i == b ? a : i);
  return transpose(x, order);
}

Tensor flip(const Tensor& x, const Dims& axes) {
  const Tensor in = settle(x, "flip");
  if (in.rank() == 0 && axes.empty()) return in;
  std::vector<Slice> slices(static_cast<std::size_t>(in.rank()));
  for (std::int64_t axis : normal_axes(axes, in.rank(), "flip")) slices[static_cast<std::size_t>(axis)].step = -1;
  return slice(in, slices);
}

Tensor repeat(const Tensor& x, std::int64_t repeats, std::optional<int> axis) {
  if (repeats < 0) fail<ValueError>("repeat", "repeats is negative", std::to_string(repeats), "use 0 or more");
  const Tensor in = axis ? settle(x, "repeat") : reshape(x, {-1});
  return repeated(in, repeats, normal_axis(axis.value_or(0), in.rank(), "repeat"), true);
}

Tensor repeat(const Tensor& x, const std::vector<std::int64_t>& repeats, std::optional<int> axis) {
  if (repeats.size() == 1) return repeat(x, repeats[0], axis);
  const Tensor in = axis ? settle(x, "repeat") : reshape(x, {-1});
  const int at = normal_axis(axis.value_or(0), in.rank(), "repeat");
  if (static_cast<std::int64_t>(repeats.size()) != in.shape()[at])
    fail<ShapeError>("repeat", "repeats does not fit the axis",
                     std::to_string(repeats.size()) + " numbers for " + std::to_string(in.shape()[at]) + " entries",
                     "give one number per entry, or one for all");
  std::vector<std::int64_t> from;
  for (std::size_t i = 0; i < repeats.size(); ++i) {
    if (repeats[i] < 0) fail<ValueError>("repeat", "repeats is negative", std::to_string(repeats[i]), "use 0 or more");
    from.insert(from.end(), static_cast<std::size_t>(repeats[i]), static_cast<std::int64_t>(i));
  }
  return take_entries(in, int64_constant(from), at);
}

Tensor tile(const Tensor& x, const Dims& repeats) {
  Tensor result = settle(x, "tile");
  Dims times = repeats;
  while (times.rank() < result.rank()) times.insert(0, 1);
  Dims shape = result.shape();
  while (shape.rank() < times.rank()) shape.insert(0, 1);
  if (shape.rank() != result.rank()) result = reshape(result, shape);
  for (int axis = 0; axis < times.rank(); ++axis) {
    if (times[axis] < 0)
      fail<ValueError>("tile", "a number of repetitions is negative", repeats.str(), "use 0 or more");
    if (times[axis] != 1) result = repeated(result, times[axis], axis, false);
  }
  return result;
}

Tensor pad(const Tensor& x, const std::vector<std::pair<std::int64_t, std::int64_t>>& widths,
           const PadOptions& options) {
  Tensor result = settle(x, "pad");
  auto each = widths;
  if (each.size() == 1) each.resize(static_cast<std::size_t>(result.rank()), widths[0]);
  if (each.size() != static_cast<std::size_t>(result.rank()))
    fail<ShapeError>("pad", "the widths do not fit",
                     std::to_string(widths.size()) + " pairs for a tensor of shape " + x.shape().str(),
                     "give one pair (before, behind) per axis, or one for all");
  for (const auto& [before, behind] : each)
    if (before < 0 || behind < 0)
      fail<ValueError>("pad", "a width is negative", "(" + std::to_string(before) + ", " + std::to_string(behind) + ")",
                       "use 0 or more; to cut, index with slices");
  const std::string& mode = options.mode;
  if (mode != "constant" && mode != "edge" && mode != "reflect" && mode != "symmetric" && mode != "wrap")
    fail<ValueError>("pad", "not a mode that is known", "'" + mode + "'",
                     "use constant, edge, reflect, symmetric or wrap");
  const Tensor& value = options.value;
  if (value.size() != 1)
    fail<ShapeError>("pad", "the constant is not one number", "it has shape " + value.shape().str(),
                     "join with concat to put other values there");
  if (mode == "constant" && value.weak() && !value.symbolic() && value.item() == 0.0)
    return pad_with_zeros(result, each);
  for (int axis = 0; axis < result.rank(); ++axis) {
    const auto [before, behind] = each[static_cast<std::size_t>(axis)];
    if (before == 0 && behind == 0) continue;
    const std::int64_t n = result.shape()[axis];
    if (mode == "constant") {
      const auto block = [&](std::int64_t size) {
        Shape shape = result.shape();
        shape[axis] = size;
        return broadcast_to(cast(reshape(value, Dims{}), result.dtype()), shape);
      };
      result = concat({block(before), result, block(behind)}, axis);
      continue;
    }
    if (n == 0)
      fail<ShapeError>("pad", "an axis of size 0 has nothing to repeat", "shape is " + x.shape().str(),
                       "use mode constant");
    std::vector<std::int64_t> from;
    for (std::int64_t i = -before; i < n + behind; ++i) from.push_back(source_of(i, n, mode));
    result = take_entries(result, int64_constant(from), axis);
  }
  return result;
}

}  // namespace chainrule
