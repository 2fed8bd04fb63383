// Tensors joined along a new axis, and taken apart again: functions made of concat and slice.
#include "ops/operands.hpp"

namespace chainrule {
namespace {

Tensor with_rank(const Tensor& x, int rank) {  // 1s in front
  Dims shape = x.shape();
  while (shape.rank() < rank) shape.insert(0, 1);
  return shape.rank() == x.rank() ? x : reshape(x, shape);
}

// concat under another name in errors.
Tensor joined(const Tensors& parts, int axis, const char* op) {
  const Shape& first = parts[0].shape();
  for (const Tensor& t : parts) {
    bool fits = t.rank() == first.rank();
    for (int i = 0; fits && i < first.rank(); ++i) fits = i == axis || t.shape()[i] == first[i];
    if (!fits)
      fail<ShapeError>(op, "sizes differ outside the axis",
                       first.str() + " and " + t.shape().str() + " along axis " + std::to_string(axis));
  }
  return concat(parts, axis);
}

Tensor part(const Tensor& x, int axis, std::int64_t begin, std::int64_t end) {
  std::vector<Slice> slices(static_cast<std::size_t>(axis) + 1);
  slices.back() = {begin, end, 1};
  return slice(x, slices);
}

}  // namespace

Tensor stack(const std::vector<Tensor>& parts, int axis) {
  Tensors in = promoted(parts, "stack");
  const Shape shape = in[0].shape();
  const int at = normal_axis(axis, shape.rank() + 1, "stack");
  for (Tensor& t : in) {
    if (!(t.shape() == shape))
      fail<ShapeError>("stack", "shapes differ", shape.str() + " and " + t.shape().str(), "all must be equal");
    t = expand_dims(t, at);
  }
  return concat(in, at);
}

Tensor vstack(const std::vector<Tensor>& parts) {
  Tensors in = promoted(parts, "vstack");
  for (Tensor& t : in) t = with_rank(t, 2);
  return joined(in, 0, "vstack");
}

Tensor hstack(const std::vector<Tensor>& parts) {
  Tensors in = promoted(parts, "hstack");
  for (Tensor& t : in) t = with_rank(t, 1);
  return joined(in, in[0].rank() == 1 ? 0 : 1, "hstack");
}

std::vector<Tensor> split(const Tensor& x, std::int64_t sections, int axis) {
  const Tensor in = settle(x, "split");
  const int at = normal_axis(axis, in.rank(), "split");
  const std::int64_t n = in.shape()[at];
  if (sections < 1) fail<ValueError>("split", "the number of parts must be 1 at least", std::to_string(sections));
  if (n % sections != 0)
    fail<ShapeError>(
        "split", "the axis does not divide into equal parts",
        std::to_string(n) + " entries along axis " + std::to_string(at) + " into " + std::to_string(sections),
        "give the indices to split at, for instance [" + std::to_string(n / sections) + ", ...]");
  Tensors parts;
  for (std::int64_t i = 0; i < sections; ++i)
    parts.push_back(part(in, at, i * (n / sections), (i + 1) * (n / sections)));
  return parts;
}

std::vector<Tensor> split_at(const Tensor& x, const std::vector<std::int64_t>& indices, int axis) {
  const Tensor in = settle(x, "split");
  const int at = normal_axis(axis, in.rank(), "split");
  Tensors parts;
  std::int64_t begin = 0;
  for (std::int64_t end : indices) {
    parts.push_back(part(in, at, begin, end));
    begin = end;
  }
  parts.push_back(part(in, at, begin, in.shape()[at]));
  return parts;
}

}  // namespace chainrule
