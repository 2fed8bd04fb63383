// take: rows of x at an index; put: their transpose, which adds the rows into zeros; flat_index: positions on several
// axes as one. Outputs never alias inputs.
#include <cstring>

#include "kernels/abi.hpp"
#include "kernels/keys.hpp"

namespace {

using namespace chainrule::kernels;
using chainrule::key;
using chainrule::key_bfloat16;
using chainrule::key_bool;
using std::int64_t;

template <class P> const P& body(const Args& args) { return *reinterpret_cast<const P*>(args.plan->body); }

// The position that index names on an axis of n, negative ones counted from the end; -1 if there is none.
int64_t resolve(int64_t index, int64_t n) {
  const int64_t position = index < 0 ? index + n : index;
  return position >= 0 && position < n ? position : -1;
}

// out[b, m, j, :] = x[b, m, index[b, j], :]. units = batch * middle * count rows of `inner` elements.
template <class U> Status take(const Args& args, Range range, void*) {
  const TakePlan& plan = body<TakePlan>(args);
  const U* x = static_cast<const U*>(args.in[0]);
  const int64_t* index = static_cast<const int64_t*>(args.in[1]);
  U* out = static_cast<U*>(args.out[0]);
  if (range.begin >= range.end) return Status::ok;
  int64_t slab = range.begin / plan.count, j = range.begin % plan.count;
  for (int64_t unit = range.begin; unit < range.end; ++unit) {
    const int64_t k = resolve(index[slab / plan.middle * plan.count + j], plan.n);
    if (k < 0) return Status::bad_index;
    const U* from = x + (slab * plan.n + k) * plan.inner;
    if (plan.inner == 1)
      out[unit] = *from;
    else
      std::memcpy(out + unit * plan.inner, from, static_cast<std::size_t>(plan.inner) * sizeof(U));
    if (++j == plan.count) j = 0, ++slab;
  }
  return Status::ok;
}

// out[b, m, k, c] = sum of values[b, m, j, c] over the j with index[b, j] = k, ascending. units = batch * middle *
// inner columns, each of which one unit owns: the order of a sum never depends on the range.
template <class T> Status put(const Args& args, Range range, void*) {
  const TakePlan& plan = body<TakePlan>(args);
  const int64_t* index = static_cast<const int64_t*>(args.in[0]);
  const T* values = static_cast<const T*>(args.in[1]);
  T* out = static_cast<T*>(args.out[0]);
  for (int64_t unit = range.begin; unit < range.end;) {
    const int64_t slab = unit / plan.inner, first = unit % plan.inner;
    const int64_t columns = plan.inner - first < range.end - unit ? plan.inner - first : range.end - unit;
    T* to = out + slab * plan.n * plan.inner + first;
    const T* from = values + slab * plan.count * plan.inner + first;
    const int64_t* at = index + slab / plan.middle * plan.count;
    for (int64_t k = 0; k < plan.n; ++k)
      std::memset(to + k * plan.inner, 0, static_cast<std::size_t>(columns) * sizeof(T));
    for (int64_t j = 0; j < plan.count; ++j) {
      const int64_t k = resolve(at[j], plan.n);
      if (k < 0) return Status::bad_index;
      for (int64_t c = 0; c < columns; ++c)
        to[k * plan.inner + c] = static_cast<T>(to[k * plan.inner + c] + from[j * plan.inner + c]);
    }
    unit += columns;
  }
  return Status::ok;
}

// out[i] = row-major position of (in[0][i], in[1][i], ...) in an array of the plan's sizes. units = elements.
Status flat_index(const Args& args, Range range, void*) {
  const FlatIndexPlan& plan = body<FlatIndexPlan>(args);
  int64_t* out = static_cast<int64_t*>(args.out[0]);
  for (int64_t i = range.begin; i < range.end; ++i) {
    int64_t flat = 0;
    for (int64_t d = 0; d < plan.axes; ++d) {
      const int64_t k = resolve(static_cast<const int64_t*>(args.in[d])[i], plan.size[d]);
      if (k < 0) return Status::bad_index;
      flat = flat * plan.size[d] + k;
    }
    out[i] = flat;
  }
  return Status::ok;
}

}  // namespace

CHAINRULE_KERNEL_TABLE(take) = {
    {"take", key<float>, take<std::uint32_t>},
    {"take", key<double>, take<std::uint64_t>},
    {"take", key<std::int32_t>, take<std::uint32_t>},
    {"take", key<int64_t>, take<std::uint64_t>},
    {"take", key<std::uint8_t>, take<std::uint8_t>},
    {"take", key_bool, take<std::uint8_t>},
    {"take", key_bfloat16, take<std::uint16_t>},
    {"put", key<float>, put<float>},
    {"put", key<double>, put<double>},
    {"put", key<std::int32_t>, put<std::int32_t>},
    {"put", key<int64_t>, put<int64_t>},
    {"put", key<std::uint8_t>, put<std::uint8_t>},
    {"flat_index", key<int64_t>, flat_index},
    {nullptr, 0, nullptr},
};
