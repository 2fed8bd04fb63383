// argsort of rows, and rows in a given order: x (rows, n) of any type, index int64 (rows, n). A unit is a row; scratch
// holds n indices. Runs of 16 are sorted by insertion, then merged; both keep the order of equals. NaN counts as behind
// everything.
#include "kernels/abi.hpp"
#include "kernels/keys.hpp"
#include "kernels/packet.hpp"

namespace {

using namespace chainrule::kernels;
using chainrule::key;
using chainrule::key_bool;
using std::int64_t;

const RowPlan& row_plan(const Args& args) { return *reinterpret_cast<const RowPlan*>(args.plan->body); }

struct Ascending {
  template <class T>
  static bool before(T a, T b) {
    return a < b || (b != b && a == a);
  }
};
struct Descending {
  template <class T>
  static bool before(T a, T b) {
    return a > b || (b != b && a == a);
  }
};

constexpr int64_t run = 16;

template <class Order, class T>
void insertion_sort(const T* x, int64_t* index, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    int64_t at = i;
    for (; at > begin && Order::before(x[i], x[index[at - 1]]); --at) index[at] = index[at - 1];
    index[at] = i;
  }
}

// The two sorted halves [begin, middle) and [middle, end) of `from` into `to`.
template <class Order, class T>
void merge(const T* x, const int64_t* from, int64_t* to, int64_t begin, int64_t middle, int64_t end) {
  int64_t left = begin, right = middle;
  for (int64_t at = begin; at < end; ++at) {
    const bool take_right = right < end && (left == middle || Order::before(x[from[right]], x[from[left]]));
    to[at] = from[take_right ? right++ : left++];
  }
}

template <class Order, class T>
void sort_row(const T* x, int64_t* index, int64_t* scratch, int64_t n) {
  int passes = 0;
  for (int64_t width = run; width < n; width *= 2) ++passes;
  int64_t *from = passes % 2 == 0 ? index : scratch, *to = passes % 2 == 0 ? scratch : index;
  for (int64_t begin = 0; begin < n; begin += run) {
    insertion_sort<Order>(x, from, begin, begin + run < n ? begin + run : n);
  }
  for (int64_t width = run; width < n; width *= 2) {
    for (int64_t begin = 0; begin < n; begin += 2 * width) {
      const int64_t middle = begin + width < n ? begin + width : n, end = middle + width < n ? middle + width : n;
      merge<Order>(x, from, to, begin, middle, end);
    }
    int64_t* const sorted = to;
    to = from;
    from = sorted;
  }
}

template <class T>
Status argsort(const Args& args, Range range, void* scratch) {
  const RowPlan& plan = row_plan(args);
  const T* x = static_cast<const T*>(args.in[0]);
  int64_t* index = static_cast<int64_t*>(args.out[0]);
  for (int64_t row = range.begin; row < range.end; ++row) {
    const int64_t start = row * plan.n;
    if (plan.i[0] != 0)
      sort_row<Descending>(x + start, index + start, static_cast<int64_t*>(scratch), plan.n);
    else
      sort_row<Ascending>(x + start, index + start, static_cast<int64_t*>(scratch), plan.n);
  }
  return Status::ok;
}

// y[j] = x[order[j]]
template <class T>
Status reorder(const Args& args, Range range, void*) {
  const int64_t n = row_plan(args).n;
  for (int64_t row = range.begin; row < range.end; ++row) {
    const T* x = static_cast<const T*>(args.in[0]) + row * n;
    const int64_t* order = static_cast<const int64_t*>(args.in[1]) + row * n;
    T* y = static_cast<T*>(args.out[0]) + row * n;
    for (int64_t j = 0; j < n; ++j) {
      if (order[j] < 0 || order[j] >= n) return Status::bad_index;
      y[j] = x[order[j]];
    }
  }
  return Status::ok;
}

}  // namespace

CHAINRULE_KERNEL_TABLE(sort) = {
    {"argsort", key<float>, argsort<float>},
    {"argsort", key<double>, argsort<double>},
    {"argsort", key<std::int32_t>, argsort<std::int32_t>},
    {"argsort", key<int64_t>, argsort<int64_t>},
    {"argsort", key<std::uint8_t>, argsort<std::uint8_t>},
    {"argsort", key_bool, argsort<std::uint8_t>},
    {"reorder", key<float>, reorder<float>},
    {"reorder", key<double>, reorder<double>},
    {"reorder", key<std::int32_t>, reorder<std::int32_t>},
    {"reorder", key<int64_t>, reorder<int64_t>},
    {"reorder", key<std::uint8_t>, reorder<std::uint8_t>},
    {"reorder", key_bool, reorder<std::uint8_t>},
    {nullptr, 0, nullptr},
};
