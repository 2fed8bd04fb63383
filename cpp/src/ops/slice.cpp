// Parts of a tensor and their opposite: slice, its transpose unslice, concat.
#include <algorithm>

#include "ops/copy_plan.hpp"

namespace chainrule {
namespace {

constexpr auto list = AttributeField::Kind::list;

// --- slice and its transpose -----------------------------------------------------------------------------------------
std::int64_t slice_size(std::int64_t start, std::int64_t stop, std::int64_t step) {
  return step > 0 ? std::max<std::int64_t>(0, (stop - start + step - 1) / step)
                  : std::max<std::int64_t>(0, (start - stop - step - 1) / -step);
}
Types infer_slice(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  const auto& [starts, stops, steps] = attrs.lists;
  Shape shape = in[0].shape;
  if (starts.rank() != shape.rank() || stops.rank() != shape.rank() || steps.rank() != shape.rank())
    fail<ShapeError>(op.name, "one bound per axis is needed",
                     "starts are " + starts.str() + " for shape " + shape.str());
  for (int i = 0; i < shape.rank(); ++i) {
    const std::int64_t n = shape[i];
    if (steps[i] == 0) fail<ValueError>(op.name, "the step is 0", "axis " + std::to_string(i));
    const std::int64_t size = slice_size(starts[i], stops[i], steps[i]);
    if (size > 0 && (starts[i] < 0 || starts[i] >= n || starts[i] + (size - 1) * steps[i] < 0 ||
                     starts[i] + (size - 1) * steps[i] >= n))
      fail<IndexError>(op.name, "bounds out of range", "axis " + std::to_string(i) + " of shape " + shape.str());
    shape[i] = size;
  }
  return {{in[0].dtype, shape}};
}
void plan_slice(const Op&, std::span<const TensorType> in, std::span<const TensorType> out, const Attrs& attrs,
                kernels::Plan& plan) {
  std::int64_t from[Shape::max_rank] = {};
  auto& body = start_copy(plan, in[0].shape, out[0].shape, from);
  for (int i = 0; i < body.rank; ++i) {
    body.in_stride[i] = from[i] * attrs.lists[2][i];
    body.in_offset += from[i] * attrs.lists[0][i];
  }
  finish_copy(plan, body, size_of(in[0].dtype));
}
// lists: starts, steps, shape of the result.
Types infer_unslice(const Op& op, std::span<const TensorType> in, const Attrs& attrs) {
  const auto& [starts, steps, sizes] = attrs.lists;
  const Shape shape(sizes);
  const Shape& from = in[0].shape;
  bool fits = from.rank() == shape.rank() && starts.rank() == shape.rank() && steps.rank() == shape.rank();
  for (int i = 0; fits && i < shape.rank(); ++i) {
    if (from[i] == 0) continue;
    const std::int64_t last = starts[i] + (from[i] - 1) * steps[i];
    fits = starts[i] >= 0 && starts[i] < shape[i] && last >= 0 && last < shape[i];
  }
  if (!fits) fail<ShapeError>(op.name, "the part does not fit", from.str() + " into " + shape.str());
  return {{in[0].dtype, shape}};
}
void plan_unslice(const Op&, std::span<const TensorType> in, std::span<const TensorType> out, const Attrs& attrs,
                  kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::CopyPlan>(plan);
  std::int64_t to[Shape::max_rank] = {};
  row_major(out[0].shape, to);
  body.rank = in[0].shape.rank();
  row_major(in[0].shape, body.in_stride);
  for (int i = 0; i < body.rank; ++i) {
    body.size[i] = in[0].shape[i];
    body.out_stride[i] = to[i] * attrs.lists[1][i];
    body.out_offset += to[i] * attrs.lists[0][i];
  }
  finish_copy(plan, body, size_of(in[0].dtype));
  body.in_offset = out[0].shape.size();  // the unslice kernel's own meaning: elements to zero first
  plan.units = 1;
}
Tensor unslice(const Tensor& g, const Attrs& slice_attrs, const Shape& shape) {
  static const Op& op = find_op("unslice");
  Attrs attrs;
  attrs.lists = {slice_attrs.lists[0], slice_attrs.lists[2], shape};
  return apply1(op, std::span(&g, 1), attrs);
}
Tensor slice_with(const Tensor& x, const Attrs& attrs) {
  static const Op& op = find_op("slice");
  return apply1(op, std::span(&x, 1), attrs);
}

// --- concat ----------------------------------------------------------------------------------------------------------
Types infer_concat(const Op&, std::span<const TensorType> in, const Attrs& attrs) {
  const int axis = static_cast<int>(attrs.ints[0]);
  Shape shape = in[0].shape;
  if (axis < 0 || axis >= shape.rank()) fail<IndexError>("concat", "axis out of range", std::to_string(axis));
  for (std::size_t p = 1; p < in.size(); ++p) {
    bool fits = in[p].shape.rank() == shape.rank();
    for (int i = 0; fits && i < shape.rank(); ++i) fits = i == axis || in[p].shape[i] == shape[i];
    if (!fits)
      fail<ShapeError>("concat", "sizes differ outside the axis",
                       in[0].shape.str() + " and " + in[p].shape.str() + " along axis " + std::to_string(axis));
    if (in[p].dtype != in[0].dtype)
      fail<DTypeError>("concat", "parts have different dtypes",
                       std::string(name_of(in[0].dtype)) + " and " + std::string(name_of(in[p].dtype)), "use astype");
    shape[axis] += in[p].shape[axis];
  }
  return {{in[0].dtype, shape}};
}
void plan_concat(const Op&, std::span<const TensorType> in, std::span<const TensorType> out, const Attrs& attrs,
                 kernels::Plan& plan) {
  auto& body = new_plan_body<kernels::ConcatPlan>(plan);
  const int axis = static_cast<int>(attrs.ints[0]);
  const auto width = static_cast<std::int64_t>(size_of(out[0].dtype));
  body.outer = product(out[0].shape, 0, axis);
  body.parts = static_cast<std::int64_t>(in.size());
  for (std::size_t p = 0; p < in.size(); ++p) {
    body.extent[p] = product(in[p].shape, axis, in[p].shape.rank()) * width;
    body.total += body.extent[p];
  }
  plan.units = body.outer;
  plan.cost =
      static_cast<double>(body.outer) * (2.0 * static_cast<double>(in.size()) + 0.05 * static_cast<double>(body.total));
}
Tensors vjp_concat(const RuleContext& c) {
  const int axis = static_cast<int>(c.attrs.ints[0]);
  Tensors gx(c.x_types.size());
  std::int64_t at = 0;
  for (std::size_t p = 0; p < c.x_types.size(); ++p) {
    const std::int64_t n = c.x_types[p].shape[axis];
    if (c.needs[p]) {
      Attrs attrs;
      for (int i = 0; i < c.y_types[0].shape.rank(); ++i) {
        attrs.lists[0].push_back(i == axis ? at : 0);
        attrs.lists[1].push_back(i == axis ? at + n : c.y_types[0].shape[i]);
        attrs.lists[2].push_back(1);
      }
      gx[p] = slice_with(c.g[0], attrs);
    }
    at += n;
  }
  return gx;
}
Tensors jvp_concat(const RuleContext& c) {
  Tensors parts;
  for (std::size_t p = 0; p < c.g.size(); ++p)
    parts.push_back(c.g[p].defined() ? c.g[p] : zeros_like_type(c.x_types[p]));
  return {concat(parts, static_cast<int>(c.attrs.ints[0]))};
}

}  // namespace

void add_slice_ops(std::vector<Op>& ops) {
  Op op = structured("slice", "x[start:stop:step] along every axis.", infer_slice, plan_slice);
  op.attributes = {
      {list, 0, "starts", OnBatch::starts}, {list, 1, "stops", OnBatch::stops}, {list, 2, "steps", OnBatch::steps}};
  op.vjp = [](const RuleContext& c) { return Tensors{unslice(c.g[0], c.attrs, c.x_types[0].shape)}; };
  op.jvp = [](const RuleContext& c) { return Tensors{slice_with(c.g[0], c.attrs)}; };
  op.rowwise = true;
  attach_kernels(op, "copy");
  ops.push_back(op);

  op = structured("unslice", "Zeros of a shape with x written at [start::step]: the transpose of slice.", infer_unslice,
                  plan_unslice);
  op.attributes = {
      {list, 0, "starts", OnBatch::starts}, {list, 1, "steps", OnBatch::steps}, {list, 2, "shape", OnBatch::sizes}};
  op.internal = true;
  op.vjp = [](const RuleContext& c) {
    Attrs attrs;
    attrs.lists[0] = c.attrs.lists[0];
    attrs.lists[2] = c.attrs.lists[1];
    for (int i = 0; i < c.attrs.lists[0].rank(); ++i) {
      const std::int64_t n = c.x_types[0].shape[i], step = c.attrs.lists[1][i];
      attrs.lists[1].push_back(n == 0 ? c.attrs.lists[0][i]
                                      : c.attrs.lists[0][i] + (n - 1) * step + (step > 0 ? 1 : -1));
    }
    return Tensors{slice_with(c.g[0], attrs)};
  };
  op.jvp = [](const RuleContext& c) {
    static const Op& self = find_op("unslice");
    return apply(self, c.g, c.attrs);
  };
  attach_kernels(op, "unslice");
  ops.push_back(op);

  op = structured("concat", "Tensors joined along an axis.", infer_concat, plan_concat);
  op.attributes = {{AttributeField::Kind::integer, 0, "axis", OnBatch::axis}};
  op.max_inputs = 100;
  op.vjp = vjp_concat;
  op.jvp = jvp_concat;
  op.rowwise = true;
  attach_kernels(op, "concat");
  ops.push_back(op);
}

Tensor slice(const Tensor& x, const std::vector<Slice>& slices) {
  if (slices.size() > static_cast<std::size_t>(x.rank()))
    fail<IndexError>("slice", "more slices than axes", std::to_string(slices.size()) + " for shape " + x.shape().str());
  Attrs attrs;
  bool whole = true;
  std::vector<Slice> all = slices;
  all.resize(static_cast<std::size_t>(x.rank()));
  for (int i = 0; i < x.rank(); ++i) {
    Slice& s = all[static_cast<std::size_t>(i)];
    const std::int64_t n = x.shape()[i];
    s.step = std::clamp<std::int64_t>(s.step, -n - 1, n + 1);  // a longer one reaches nothing more
    if (s.step == 0) fail<ValueError>("slice", "the step is 0", "axis " + std::to_string(i), "use 1 or -1");
    const auto clamp = [&](const std::optional<std::int64_t>& v, std::int64_t missing) {
      if (!v) return missing;
      const std::int64_t at = *v < 0 ? *v + n : *v;
      return s.step > 0 ? std::clamp<std::int64_t>(at, 0, n) : std::clamp<std::int64_t>(at, -1, n - 1);
    };
    const std::int64_t start = clamp(s.start, s.step > 0 ? 0 : n - 1), stop = clamp(s.stop, s.step > 0 ? n : -1);
    attrs.lists[0].push_back(start);
    attrs.lists[1].push_back(stop);
    attrs.lists[2].push_back(s.step);
    whole &= start == 0 && stop == n && s.step == 1;
  }
  return whole ? x : slice_with(x, attrs);
}

Tensor concat(const std::vector<Tensor>& parts, std::optional<int> axis) {
  static const Op& op = find_op("concat");
  Tensors in = promoted(parts, "concat");
  if (!axis)
    for (Tensor& part : in) part = reshape(part, {-1});
  const int at = normal_axis(axis.value_or(0), in[0].rank(), "concat");
  const auto most = static_cast<std::size_t>(op.max_inputs);
  while (in.size() > most) {  // in groups, then the groups
    Tensors groups;
    for (std::size_t i = 0; i < in.size(); i += most)
      groups.push_back(concat({in.begin() + static_cast<std::ptrdiff_t>(i),
                               in.begin() + static_cast<std::ptrdiff_t>(std::min(in.size(), i + most))},
                              at));
    in = std::move(groups);
  }
  Attrs attrs;
  attrs.ints[0] = at;
  return apply1(op, in, attrs);
}

}  // namespace chainrule
