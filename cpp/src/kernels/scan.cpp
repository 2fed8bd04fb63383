// Running results along rows, x and y (rows, n): cumsum y[i] = y[i - 1] + x[i]; from the end with plan.i[0]. A unit is
// a row. Each row is one chain, so its bits do not depend on the rows beside it; four run at once to hide the latency.
// y may be the memory of x.
#include "kernels/abi.hpp"
#include "kernels/keys.hpp"
#include "kernels/lane.hpp"

namespace {

using namespace chainrule::kernels;
using chainrule::key;
using std::int64_t;

const RowPlan& row_plan(const Args& args) { return *reinterpret_cast<const RowPlan*>(args.plan->body); }

struct Sum {
  template <class T>
  static T join(T before, T x) {
    return before + x;
  }
  static int64_t join(int64_t before, int64_t x) {  // wraps around
    return static_cast<int64_t>(static_cast<std::uint64_t>(before) + static_cast<std::uint64_t>(x));
  }
};

// R rows of length n from x on; step is 1, or -1 with x and y at the rows' last elements.
template <class Op, int R, class T>
CHAINRULE_INLINE void chains(const T* x, T* y, int64_t n, int64_t step) {
  T value[R];
  for (int r = 0; r < R; ++r) y[r * n] = value[r] = x[r * n];
  for (int64_t j = 1; j < n; ++j)
    for (int r = 0; r < R; ++r) y[r * n + j * step] = value[r] = Op::join(value[r], x[r * n + j * step]);
}

template <class Op, class T>
Status scan(const Args& args, Range range, void*) {
  const RowPlan& plan = row_plan(args);
  const int64_t n = plan.n, start = plan.i[0] != 0 ? n - 1 : 0, step = plan.i[0] != 0 ? -1 : 1;
  const T* x = static_cast<const T*>(args.in[0]) + start;
  T* y = static_cast<T*>(args.out[0]) + start;
  int64_t row = range.begin;
  for (; row + 4 <= range.end; row += 4) chains<Op, 4>(x + row * n, y + row * n, n, step);
  for (; row < range.end; ++row) chains<Op, 1>(x + row * n, y + row * n, n, step);
  return Status::ok;
}

}  // namespace

CHAINRULE_KERNEL_TABLE(scan) = {
    {"cumsum", key<float>, scan<Sum, float>},
    {"cumsum", key<double>, scan<Sum, double>},
    {"cumsum", key<int64_t>, scan<Sum, int64_t>},
    {nullptr, 0, nullptr},
};
