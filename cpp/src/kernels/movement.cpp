// Kernels that move or convert elements and compute nothing: strided copy, concat, take_along and its transpose
// put_along, one_hot, casts. Outputs never alias inputs.
#include "kernels/abi.hpp"
#include "kernels/convert.hpp"
#include "kernels/keys.hpp"
#include "kernels/strided_copy.hpp"

namespace {

using namespace chainrule::kernels;
using namespace chainrule::movement;
using chainrule::key;
using chainrule::key_bfloat16;
using chainrule::key_bool;
using std::int64_t;

template <class P>
const P& body(const Args& args) {
  return *reinterpret_cast<const P*>(args.plan->body);
}

template <class U>
Status copy(const Args& args, Range range, void*) {
  strided_copy(body<CopyPlan>(args), static_cast<const U*>(args.in[0]), static_cast<U*>(args.out[0]), range.begin,
               range.end);
  return Status::ok;
}

// Extents are in bytes, so one function serves every type.
Status concat(const Args& args, Range range, void*) {
  const ConcatPlan& plan = body<ConcatPlan>(args);
  for (int64_t row = range.begin; row < range.end; ++row) {
    char* to = static_cast<char*>(args.out[0]) + row * plan.total;
    for (int64_t part = 0; part < plan.parts; ++part) {
      const int64_t bytes = plan.extent[part];
      if (bytes == 0) continue;
      std::memcpy(to, static_cast<const char*>(args.in[part]) + row * bytes, static_cast<std::size_t>(bytes));
      to += bytes;
    }
  }
  return Status::ok;
}

// The position that index names on an axis of n, negative ones counted from the end; -1 if there is none.
int64_t resolve(int64_t index, int64_t n) {
  const int64_t position = index < 0 ? index + n : index;
  return position >= 0 && position < n ? position : -1;
}

// in: x (outer, n, inner), index int64 (outer, inner); out[o, i] = x[o, index[o, i], i]. units = outer * inner.
template <class U>
Status take_along(const Args& args, Range range, void*) {
  const ReducePlan& plan = body<ReducePlan>(args);
  const U* x = static_cast<const U*>(args.in[0]);
  const int64_t* index = static_cast<const int64_t*>(args.in[1]);
  U* out = static_cast<U*>(args.out[0]);
  if (range.begin >= range.end) return Status::ok;
  int64_t o = range.begin / plan.inner, i = range.begin % plan.inner;
  for (int64_t unit = range.begin; unit < range.end; ++unit) {
    const int64_t k = resolve(index[unit], plan.n);
    if (k < 0) return Status::bad_index;
    out[unit] = x[(o * plan.n + k) * plan.inner + i];
    if (++i == plan.inner) i = 0, ++o;
  }
  return Status::ok;
}

// in: index int64 (outer, inner), values (outer, inner); out (outer, n, inner) is zero but for out[o, index[o, i], i] =
// values[o, i]. units = outer * inner: a unit owns one column of n elements.
template <class U>
Status put_along(const Args& args, Range range, void*) {
  const ReducePlan& plan = body<ReducePlan>(args);
  const int64_t* index = static_cast<const int64_t*>(args.in[0]);
  const U* values = static_cast<const U*>(args.in[1]);
  U* out = static_cast<U*>(args.out[0]);
  for (int64_t unit = range.begin; unit < range.end;) {
    const int64_t o = unit / plan.inner, i = unit % plan.inner;
    const int64_t columns = plan.inner - i < range.end - unit ? plan.inner - i : range.end - unit;
    U* slab = out + o * plan.n * plan.inner + i;
    if (columns == plan.inner) {
      std::memset(slab, 0, static_cast<std::size_t>(plan.n * columns) * sizeof(U));
    } else {
      for (int64_t k = 0; k < plan.n; ++k) {
        std::memset(slab + k * plan.inner, 0, static_cast<std::size_t>(columns) * sizeof(U));
      }
    }
    for (int64_t c = 0; c < columns; ++c) {
      const int64_t k = resolve(index[unit + c], plan.n);
      if (k < 0) return Status::bad_index;
      slab[k * plan.inner + c] = values[unit + c];
    }
    unit += columns;
  }
  return Status::ok;
}

// in: index int64 (rows); out (rows, n). A class has no "from the end": negative indices are refused.
template <class T>
Status one_hot(const Args& args, Range range, void*) {
  const RowPlan& plan = body<RowPlan>(args);
  const int64_t* index = static_cast<const int64_t*>(args.in[0]);
  T* out = static_cast<T*>(args.out[0]);
  for (int64_t row = range.begin; row < range.end; ++row) {
    if (index[row] < 0 || index[row] >= plan.n) return Status::bad_index;
    for (int64_t j = 0; j < plan.n; ++j) out[row * plan.n + j] = T(0);
    out[row * plan.n + index[row]] = T(1);
  }
  return Status::ok;
}

// units = elements.
template <class To, class From>
Status cast(const Args& args, Range range, void*) {
  const From* x = static_cast<const From*>(args.in[0]);
  To* out = static_cast<To*>(args.out[0]);
  for (int64_t i = range.begin; i < range.end; ++i) out[i] = convert<To>(x[i]);
  return Status::ok;
}

}  // namespace

// clang-format off
#define BY_ELEMENT_SIZE(name, kernel)                        \
  {name, key<float>, kernel<std::uint32_t>},         \
  {name, key<double>, kernel<std::uint64_t>},        \
  {name, key<std::int32_t>, kernel<std::uint32_t>},  \
  {name, key<int64_t>, kernel<std::uint64_t>},       \
  {name, key<std::uint8_t>, kernel<std::uint8_t>},   \
  {name, key_bool, kernel<std::uint8_t>},                    \
  {name, key_bfloat16, kernel<std::uint16_t>}

#define FROM_EVERY_TYPE(name, To)                            \
  {name, key<float>, cast<To, float>},               \
  {name, key<double>, cast<To, double>},             \
  {name, key<std::int32_t>, cast<To, std::int32_t>}, \
  {name, key<int64_t>, cast<To, int64_t>},           \
  {name, key<std::uint8_t>, cast<To, std::uint8_t>}, \
  {name, key_bool, cast<To, Bool>},                          \
  {name, key_bfloat16, cast<To, BFloat16>}
// clang-format on

CHAINRULE_KERNEL_TABLE(movement) = {
    BY_ELEMENT_SIZE("copy", copy),
    BY_ELEMENT_SIZE("take_along", take_along),
    BY_ELEMENT_SIZE("put_along", put_along),
    {"concat", key<float>, concat},
    {"concat", key<double>, concat},
    {"concat", key<std::int32_t>, concat},
    {"concat", key<int64_t>, concat},
    {"concat", key<std::uint8_t>, concat},
    {"concat", key_bool, concat},
    {"concat", key_bfloat16, concat},
    {"one_hot", key<float>, one_hot<float>},
    {"one_hot", key<double>, one_hot<double>},
    FROM_EVERY_TYPE("cast_to_float32", float),
    FROM_EVERY_TYPE("cast_to_float64", double),
    FROM_EVERY_TYPE("cast_to_int32", std::int32_t),
    FROM_EVERY_TYPE("cast_to_int64", int64_t),
    FROM_EVERY_TYPE("cast_to_uint8", std::uint8_t),
    FROM_EVERY_TYPE("cast_to_bool", Bool),
    FROM_EVERY_TYPE("cast_to_bfloat16", BFloat16),
    {nullptr, 0, nullptr},
};
