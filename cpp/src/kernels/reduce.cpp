// Reductions of x seen as (outer, n, inner) along n: sum, prod, max, min, argmax, argmin; and the check for finite
// values. Nothing here depends on where a Range starts: a row has fixed lanes, a column is one ascending chain.
#include <cstring>

#include "kernels/abi.hpp"
#include "kernels/keys.hpp"
#include "kernels/row_views.hpp"

namespace {

using namespace chainrule::kernels;
using namespace chainrule::rows;
using chainrule::key;
using chainrule::key_bool;
using chainrule::Lane;
using std::int64_t;

const ReducePlan& reduce_plan(const Args& args) { return *reinterpret_cast<const ReducePlan*>(args.plan->body); }

// --- inner > 1: one chain per output element, the columns of an (n, inner) slab side by side in packets ---

constexpr int64_t block_rows = 1024;  // block sums are added ascending

// K packets of columns from x on, `count` valid lanes in the last one. The first `open_rows` rows may read a whole
// packet there: what lies behind is the next row, whose lanes are dropped.
template <class Op, int K, class T>
void fold_columns(const ReducePlan& plan, const T* x, int64_t count, int64_t open_rows, T* out) {
  constexpr int64_t W = width<T>();
  const int64_t n = plan.n, inner = plan.inner;
  const T scale = static_cast<T>(plan.scale);
  Lane<T> total[K];
  for (int k = 0; k < K; ++k) {
    const int64_t valid = k == K - 1 ? count : W;
    total[k] = plan.accumulate != 0 ? load(out + k * W, valid, T(0)) : splat(Op::template neutral<T>);
  }
  for (int64_t first = 0; first < n; first += block_rows) {
    const int64_t last = first + block_rows < n ? first + block_rows : n;
    const int64_t open = open_rows < last ? open_rows : last;
    Lane<T> sum[K];
    for (int k = 0; k < K; ++k) sum[k] = splat(Op::template neutral<T>);
    int64_t row = first;
    for (; row < open; ++row) {
      for (int k = 0; k < K; ++k) sum[k] = Op::combine(sum[k], load(x + row * inner + k * W, W, T(0)));
    }
    for (; row < last; ++row) {
      for (int k = 0; k < K; ++k) {
        sum[k] = Op::combine(sum[k], load(x + row * inner + k * W, k == K - 1 ? count : W, T(0)));
      }
    }
    for (int k = 0; k < K; ++k) total[k] = Op::combine(total[k], sum[k]);
  }
  for (int k = 0; k < K; ++k) {
    if (scale != T(1)) total[k] = total[k] * splat(scale);
    store(out + k * W, total[k], k == K - 1 ? count : W);
  }
}

template <class Op, class T>
void fold_slab(const ReducePlan& plan, const T* x, const T* x_end, int64_t columns, T* out) {
  constexpr int64_t W = width<T>();
  int64_t c = 0;
  for (; c + 8 * W <= columns; c += 8 * W) fold_columns<Op, 8>(plan, x + c, W, plan.n, out + c);
  for (; c + 4 * W <= columns; c += 4 * W) fold_columns<Op, 4>(plan, x + c, W, plan.n, out + c);
  for (; c + W <= columns; c += W) fold_columns<Op, 1>(plan, x + c, W, plan.n, out + c);
  if (c < columns) {
    const int64_t room = x_end - (x + c) - W;  // the last row whose whole packet is inside x is room / inner
    fold_columns<Op, 1>(plan, x + c, columns - c, room < 0 ? 0 : room / plan.inner + 1, out + c);
  }
}

// --- sum, prod, max, min of floating-point numbers ---

template <class Op, class T>
Status fold(const Args& args, Range range, void*) {
  const ReducePlan& plan = reduce_plan(args);
  const T* x = static_cast<const T*>(args.in[0]);
  T* out = static_cast<T*>(args.out[0]);
  const T scale = static_cast<T>(plan.scale);
  if (plan.n == 0) {  // only a sum or product may be empty; the mean is 0 * inf = NaN, as in NumPy
    constexpr T empty = T(0) + Op::template neutral<T>;
    for (int64_t i = range.begin; i < range.end; ++i) out[i] = plan.scale == 1 ? empty : empty * scale;
    return Status::ok;
  }
  if (plan.inner == 1) {
    each_row<T>(plan.n, range.begin, range.end, [&](const auto& rows, int64_t row) {
      const auto source = rows.source(x + row * plan.n);
      const auto element = [&](int64_t j, int64_t count) __attribute__((always_inline)) { return source.at(j, count); };
      const Lane<T> value = rows.template fold<Op>(element);
      rows.set_scalars(out + row, scale == T(1) ? value : value * splat(scale));
    });
    return Status::ok;
  }
  const T* x_end = x + plan.outer * plan.n * plan.inner;
  for (int64_t i = range.begin; i < range.end;) {
    const int64_t o = i / plan.inner, column = i % plan.inner;
    const int64_t columns = plan.inner - column < range.end - i ? plan.inner - column : range.end - i;
    fold_slab<Op>(plan, x + o * plan.n * plan.inner + column, x_end, columns, out + i);
    i += columns;
  }
  return Status::ok;
}

// --- sum, prod, max, min of integers: exact in any order, left to the compiler's vectorizer ---

template <class T>
struct IntegerSum {
  static constexpr T neutral = 0;
  static T combine(T a, T b) { return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b)); }
};
template <class T>
struct IntegerProduct {
  static constexpr T neutral = 1;
  static T combine(T a, T b) { return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b)); }
};
template <class T>
struct IntegerMax {
  static constexpr T neutral = std::numeric_limits<T>::min();
  static T combine(T a, T b) { return a < b ? b : a; }
};
template <class T>
struct IntegerMin {
  static constexpr T neutral = std::numeric_limits<T>::max();
  static T combine(T a, T b) { return b < a ? b : a; }
};

constexpr int64_t tile = 64;  // columns whose running results stay in L1

// Calls body(first output, column count, start of those columns in x) for the pieces of a range that share a slab.
template <class T, class Body>
void each_tile(const ReducePlan& plan, Range range, const T* x, const Body& body) {
  for (int64_t i = range.begin; i < range.end;) {
    const int64_t o = i / plan.inner, column = i % plan.inner;
    int64_t columns = plan.inner - column < range.end - i ? plan.inner - column : range.end - i;
    if (columns > tile) columns = tile;
    body(i, columns, x + o * plan.n * plan.inner + column);
    i += columns;
  }
}

template <class Op, class T>
Status fold_integers(const Args& args, Range range, void*) {
  const ReducePlan& plan = reduce_plan(args);
  const T* x = static_cast<const T*>(args.in[0]);
  T* out = static_cast<T*>(args.out[0]);
  if (plan.inner == 1) {
    for (int64_t o = range.begin; o < range.end; ++o) {
      const T* row = x + o * plan.n;
      T value = Op::neutral;
      for (int64_t j = 0; j < plan.n; ++j) value = Op::combine(value, row[j]);
      out[o] = value;
    }
    return Status::ok;
  }
  each_tile(plan, range, x, [&](int64_t first, int64_t columns, const T* from) {
    T value[tile];
    for (int64_t c = 0; c < columns; ++c) value[c] = plan.accumulate != 0 ? out[first + c] : Op::neutral;
    for (int64_t k = 0; k < plan.n; ++k) {
      const T* row = from + k * plan.inner;
      for (int64_t c = 0; c < columns; ++c) value[c] = Op::combine(value[c], row[c]);
    }
    for (int64_t c = 0; c < columns; ++c) out[first + c] = value[c];
  });
  return Status::ok;
}

// --- argmax, argmin: the first of equals; the first NaN wins over all numbers ---

struct Greater {
  using Fold = Max;
  template <class T>
  using FoldIntegers = IntegerMax<T>;
  template <class T>
  static bool not_better(T a, T b) {
    return a <= b;
  }
};
struct Less {
  using Fold = Min;
  template <class T>
  using FoldIntegers = IntegerMin<T>;
  template <class T>
  static bool not_better(T a, T b) {
    return a >= b;
  }
};

// A NaN value is never "not better", and nothing replaces a NaN.
template <class Order, class T>
CHAINRULE_INLINE bool is_better(T value, T best) {
  return !Order::not_better(value, best) & (best == best);
}

// The first j for which is_it(row[j]); there is one. Blocks without it are passed over by vectorized code.
template <class T, class Test>
int64_t find_first(const T* row, int64_t n, const Test& is_it) {
  int64_t j = 0;
  for (; j + tile <= n; j += tile) {
    unsigned found = 0;
    for (int64_t k = 0; k < tile; ++k) found |= is_it(row[j + k]) ? 1u : 0u;
    if (found != 0) break;
  }
  while (j < n - 1 && !is_it(row[j])) ++j;
  return j;
}

template <class Order, class T>
int64_t best_of_row(const T* row, int64_t n) {
  if (n <= tile) {
    int64_t at = 0;
    for (int64_t j = 1; j < n; ++j) at = is_better<Order>(row[j], row[at]) ? j : at;
    return at;
  }
  T best;
  if constexpr (std::numeric_limits<T>::is_integer) {
    using Op = typename Order::template FoldIntegers<T>;
    best = Op::neutral;
    for (int64_t j = 0; j < n; ++j) best = Op::combine(best, row[j]);
  } else {
    using Op = typename Order::Fold;
    best = fold_row<Op, T>(n, [&](int64_t j, int64_t count) __attribute__((always_inline)) {
      return load(row + j, count, Op::template neutral<T>);
    });
    if (best != best) return find_first(row, n, [](T value) { return value != value; });
  }
  return find_first(row, n, [best](T value) { return value == best; });
}

template <class Order, class T>
Status arg_best(const Args& args, Range range, void*) {
  const ReducePlan& plan = reduce_plan(args);
  const T* x = static_cast<const T*>(args.in[0]);
  int64_t* out = static_cast<int64_t*>(args.out[0]);
  if (plan.inner == 1) {
    for (int64_t o = range.begin; o < range.end; ++o) out[o] = best_of_row<Order>(x + o * plan.n, plan.n);
    return Status::ok;
  }
  each_tile(plan, range, x, [&](int64_t first, int64_t columns, const T* from) {
    T best[tile];
    int64_t at[tile];
    for (int64_t c = 0; c < columns; ++c) best[c] = from[c], at[c] = 0;
    for (int64_t k = 1; k < plan.n; ++k) {
      const T* row = from + k * plan.inner;
      for (int64_t c = 0; c < columns; ++c) {
        const T value = row[c];
        const bool better = is_better<Order>(value, best[c]);
        best[c] = better ? value : best[c];
        at[c] = better ? k : at[c];
      }
    }
    for (int64_t c = 0; c < columns; ++c) out[first + c] = at[c];
  });
  return Status::ok;
}

// --- check_finite: inf and NaN are the values whose exponent bits are all set ---

template <class T, class Bits>
Status check_finite(const Args& args, Range range, void*) {
  constexpr Bits magnitude = std::numeric_limits<Bits>::max();
  constexpr Bits infinity = sizeof(T) == 4 ? Bits(0x7F800000) : static_cast<Bits>(0x7FF0000000000000);
  constexpr int64_t chunk = 4096;
  const T* x = static_cast<const T*>(args.in[0]);
  for (int64_t begin = range.begin; begin < range.end; begin += chunk) {
    const int64_t end = begin + chunk < range.end ? begin + chunk : range.end;
    Bits largest = 0;
    for (int64_t i = begin; i < end; ++i) {
      Bits bits;
      std::memcpy(&bits, x + i, sizeof bits);
      bits &= magnitude;
      largest = largest < bits ? bits : largest;
    }
    if (largest >= infinity) return Status::not_finite;
  }
  return Status::ok;
}

}  // namespace

CHAINRULE_KERNEL_TABLE(reduce) = {
    {"sum", key<float>, fold<Add, float>},
    {"sum", key<double>, fold<Add, double>},
    {"sum", key<int64_t>, fold_integers<IntegerSum<int64_t>, int64_t>},
    {"prod", key<float>, fold<Product, float>},
    {"prod", key<double>, fold<Product, double>},
    {"prod", key<int64_t>, fold_integers<IntegerProduct<int64_t>, int64_t>},
    {"max", key<float>, fold<Max, float>},
    {"max", key<double>, fold<Max, double>},
    {"max", key<std::int32_t>, fold_integers<IntegerMax<std::int32_t>, std::int32_t>},
    {"max", key<int64_t>, fold_integers<IntegerMax<int64_t>, int64_t>},
    {"max", key<std::uint8_t>, fold_integers<IntegerMax<std::uint8_t>, std::uint8_t>},
    {"max", key_bool, fold_integers<IntegerMax<std::uint8_t>, std::uint8_t>},
    {"min", key<float>, fold<Min, float>},
    {"min", key<double>, fold<Min, double>},
    {"min", key<std::int32_t>, fold_integers<IntegerMin<std::int32_t>, std::int32_t>},
    {"min", key<int64_t>, fold_integers<IntegerMin<int64_t>, int64_t>},
    {"min", key<std::uint8_t>, fold_integers<IntegerMin<std::uint8_t>, std::uint8_t>},
    {"min", key_bool, fold_integers<IntegerMin<std::uint8_t>, std::uint8_t>},
    {"argmax", key<float>, arg_best<Greater, float>},
    {"argmax", key<double>, arg_best<Greater, double>},
    {"argmax", key<std::int32_t>, arg_best<Greater, std::int32_t>},
    {"argmax", key<int64_t>, arg_best<Greater, int64_t>},
    {"argmax", key<std::uint8_t>, arg_best<Greater, std::uint8_t>},
    {"argmax", key_bool, arg_best<Greater, std::uint8_t>},
    {"argmin", key<float>, arg_best<Less, float>},
    {"argmin", key<double>, arg_best<Less, double>},
    {"argmin", key<std::int32_t>, arg_best<Less, std::int32_t>},
    {"argmin", key<int64_t>, arg_best<Less, int64_t>},
    {"argmin", key<std::uint8_t>, arg_best<Less, std::uint8_t>},
    {"argmin", key_bool, arg_best<Less, std::uint8_t>},
    {"check_finite", key<float>, check_finite<float, std::int32_t>},
    {"check_finite", key<double>, check_finite<double, int64_t>},
    {nullptr, 0, nullptr},
};
