// Running results along rows, x and y (rows, n): cumsum y[j] = y[j - 1] + x[j], cumprod y[j] = y[j - 1] x[j], and
// recurrence y[j] = x[j] y[j - 1] + b[j], y[-1] = 0; from the end with plan.i[0]. A unit is a row. Each row is one
// chain, so its bits do not depend on the rows beside it; four run at once to hide the latency. y may be the memory of
// x or b.
#include <limits>

#include "kernels/abi.hpp"
#include "kernels/keys.hpp"
#include "kernels/lane.hpp"

namespace {

using namespace chainrule::kernels;
using chainrule::key;
using std::int64_t;

const RowPlan& row_plan(const Args& args) { return *reinterpret_cast<const RowPlan*>(args.plan->body); }

using Word = std::uint64_t;  // integers wrap around

struct Sum {
  static constexpr int inputs = 1;
  template <class T>
  static T join(T before, T x, T) {
    if constexpr (std::numeric_limits<T>::is_integer)
      return static_cast<T>(static_cast<Word>(before) + static_cast<Word>(x));
    return before + x;
  }
};
struct Product {
  static constexpr int inputs = 1;
  template <class T>
  static T join(T before, T x, T) {
    if constexpr (std::numeric_limits<T>::is_integer)
      return static_cast<T>(static_cast<Word>(before) * static_cast<Word>(x));
    return before * x;
  }
};
struct Recurrence {
  static constexpr int inputs = 2;
  template <class T>
  static T join(T before, T a, T b) {
    return a * before + b;
  }
};

// R rows of length n; step is 1, or -1 with the pointers at the rows' last elements. Each begins with its last operand.
template <class Op, int R, class T>
CHAINRULE_INLINE void chains(const T* x, const T* b, T* y, int64_t n, int64_t step) {
  T value[R];
  for (int r = 0; r < R; ++r) y[r * n] = value[r] = b[r * n];
  for (int64_t j = 1; j < n; ++j) {
    for (int r = 0; r < R; ++r) {
      const int64_t at = r * n + j * step;
      y[at] = value[r] = Op::join(value[r], x[at], b[at]);
    }
  }
}

template <class Op, class T>
Status scan(const Args& args, Range range, void*) {
  const RowPlan& plan = row_plan(args);
  const int64_t n = plan.n, start = plan.i[0] != 0 ? n - 1 : 0, step = plan.i[0] != 0 ? -1 : 1;
  const T* x = static_cast<const T*>(args.in[0]) + start;
  const T* b = static_cast<const T*>(args.in[Op::inputs - 1]) + start;
  T* y = static_cast<T*>(args.out[0]) + start;
  int64_t row = range.begin;
  for (; row + 4 <= range.end; row += 4) chains<Op, 4>(x + row * n, b + row * n, y + row * n, n, step);
  for (; row < range.end; ++row) chains<Op, 1>(x + row * n, b + row * n, y + row * n, n, step);
  return Status::ok;
}

}  // namespace

CHAINRULE_KERNEL_TABLE(scan) = {
    {"cumsum", key<float>, scan<Sum, float>},
    {"cumsum", key<double>, scan<Sum, double>},
    {"cumsum", key<int64_t>, scan<Sum, int64_t>},
    {"cumprod", key<float>, scan<Product, float>},
    {"cumprod", key<double>, scan<Product, double>},
    {"cumprod", key<int64_t>, scan<Product, int64_t>},
    {"recurrence", key<float>, scan<Recurrence, float>},
    {"recurrence", key<double>, scan<Recurrence, double>},
    {nullptr, 0, nullptr},
};
