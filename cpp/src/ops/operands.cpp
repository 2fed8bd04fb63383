// Promotion, axes, broadcasting: the rules all op functions share.
#include "ops/operands.hpp"

#include <algorithm>
#include <limits>

#include "dispatch/dispatch.hpp"

namespace chainrule {
namespace {

Tensor weak_as(const Tensor& x, DType dtype, const char* op) {
  return x.symbolic() ? cast(x, dtype) : number_as(x, dtype, op);
}

// The dtype a weak scalar takes beside `other`; other is what it becomes where it must move too. An integer that is not
// known yet might not fit a smaller dtype.
DType weak_beside(DType weak, DType other, bool known) {
  if (weak == DType::int64 && !known && (other == DType::int32 || other == DType::uint8)) return DType::int64;
  if (weak == DType::float64) return is_floating(other) ? other : DType::float64;
  if (weak == DType::int64) return other == DType::boolean ? DType::int64 : other;
  return other;
}

}  // namespace

Tensor number_as(const Tensor& x, DType dtype, const char* op) {
  const double value = x.item();
  if (dtype == DType::uint8 && (value < 0 || value > 255))
    fail<ValueError>(op, "the number does not fit uint8", std::to_string(static_cast<long long>(value)),
                     "use astype(\"int64\") first");
  if (dtype == DType::int32 && (value < -2147483648.0 || value > 2147483647.0))
    fail<ValueError>(op, "the number does not fit int32", std::to_string(static_cast<long long>(value)),
                     "use astype(\"int64\") first");
  if (x.dtype() == DType::int64 && dtype == DType::int64) {
    Tensor t = x.detach();
    t.data_handle()->constant = true;
    return t;
  }
  return make_constant(value, dtype);
}

Tensor strong(const Tensor& x) {
  auto data = std::make_shared<TensorData>(*x.data_handle());
  data->weak = false;
  return Tensor(std::move(data));
}

Tensor settle(const Tensor& x, const char* op) {
  if (!x.weak()) return x;
  return weak_as(x, x.dtype() == DType::float64 ? DType::float32 : x.dtype(), op);
}

Tensor floating(const Tensor& x, const char* op) {
  const Tensor settled = settle(x, op);
  return is_floating(settled.dtype()) ? settled : cast(settled, DType::float64);
}

Tensor counting(const Tensor& x, const char* op) {
  const Tensor settled = settle(x, op);
  return is_floating(settled.dtype()) ? settled : cast(settled, DType::int64);
}

void promote_operands(Tensor& a, Tensor& b, const char* op, bool floats) {
  if (a.weak() && b.weak()) {  // the one of the larger kind settles: a float beside an int stays float32
    const auto kind = [](const Tensor& t) { return is_floating(t.dtype()) ? 2 : t.dtype() == DType::int64 ? 1 : 0; };
    Tensor& larger = kind(a) >= kind(b) ? a : b;
    larger = settle(larger, op);
  }
  DType common;
  if (a.weak() || b.weak()) {
    const Tensor& weak = a.weak() ? a : b;
    const Tensor& other = a.weak() ? b : a;
    common = weak_beside(weak.dtype(), other.dtype(), !weak.symbolic());
  } else {
    common = promote(a.dtype(), b.dtype(), op);
  }
  if (floats && !is_floating(common)) common = DType::float64;
  const auto convert = [&](Tensor& t) {
    if (t.weak())
      t = weak_as(t, common, op);
    else if (t.dtype() != common)
      t = cast(t, common);
  };
  convert(a);
  convert(b);
}

std::vector<Tensor> promoted(const std::vector<Tensor>& parts, const char* op) {
  if (parts.empty()) fail<ValueError>(op, "no tensors were given", "", "give at least one");
  Tensor common = parts[0];  // only its dtype and weakness matter
  for (std::size_t i = 1; i < parts.size(); ++i) {
    if (common.weak() || (!parts[i].weak() && promote(common.dtype(), parts[i].dtype(), op) != common.dtype()))
      common = parts[i];
  }
  std::vector<Tensor> result;
  for (const Tensor& part : parts) {
    Tensor a = part, b = common;
    promote_operands(a, b, op, false);
    result.push_back(a);
    common = b;
  }
  return result;
}

Tensor as_index(const Tensor& index, const char* op) {
  const Tensor i = settle(index, op);
  if (is_floating(i.dtype()) || i.dtype() == DType::boolean)
    fail<DTypeError>(op, "the index is not of integers", std::string(name_of(i.dtype())), "use astype(\"int64\")");
  return cast(i, DType::int64);
}

int normal_axis(int axis, int rank, const char* op) {
  const int at = axis < 0 ? axis + rank : axis;
  if (at < 0 || at >= rank)
    fail<IndexError>(op, "axis out of range",
                     "axis " + std::to_string(axis) + " of a tensor of rank " + std::to_string(rank));
  return at;
}

Dims normal_axes(const Dims& axes, int rank, const char* op) {
  Dims result;
  if (axes.empty()) {
    for (int i = 0; i < rank; ++i) result.push_back(i);
    return result;
  }
  for (std::int64_t axis : axes) result.push_back(normal_axis(static_cast<int>(axis), rank, op));
  std::sort(result.begin(), result.end());
  if (std::adjacent_find(result.begin(), result.end()) != result.end())
    fail<ValueError>(op, "an axis is named twice", "axes are " + axes.str());
  return result;
}

std::int64_t product(const Shape& shape, int begin, int end) noexcept {
  std::int64_t n = 1;
  for (int i = begin; i < end; ++i) n *= shape[i];
  return n;
}

Shape broadcast_shapes(const Shape& a, const Shape& b, const char* op) {
  Shape result;
  const int rank = std::max(a.rank(), b.rank());
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank()), ib = i - (rank - b.rank());
    const std::int64_t da = ia < 0 ? 1 : a[ia], db = ib < 0 ? 1 : b[ib];
    if (da != db && da != 1 && db != 1)
      fail<ShapeError>(op, "shapes do not broadcast", a.str() + " and " + b.str(),
                       "sizes must be equal or 1, counted from the last axis");
    result.push_back(da == 1 ? db : da);
  }
  return result;
}

Tensor zeros_like_type(const TensorType& type) {
  Tensor t = Tensor::zeros(type.shape, type.dtype);
  t.data_handle()->constant = true;
  return t;
}

Tensor sum_to(const Tensor& g, const Shape& shape) {
  if (g.shape() == shape) return g;
  const int extra = g.rank() - shape.rank();
  Dims axes;
  for (int i = 0; i < g.rank(); ++i)
    if (i < extra || (shape[i - extra] == 1 && g.shape()[i] != 1)) axes.push_back(i);
  const Tensor s = axes.empty() ? g : sum(g, axes, true);
  return s.shape() == shape ? s : reshape(s, shape);
}

void attach_kernels(Op& op, std::string_view kernel_name) {
  for (int d = 0; d < dtype_count; ++d)
    op.kernel[static_cast<std::size_t>(d)] = dispatch::find_kernel(kernel_name, static_cast<DType>(d));
}

}  // namespace chainrule
