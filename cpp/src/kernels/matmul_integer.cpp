// Matrix products of integers and bools, as NumPy has them: sums wrap around in the operands' own type, and of bools it
// is whether any pair holds. Exact in any order; operands as in MatmulPlan, a unit is a row of C.
#include "kernels/abi.hpp"
#include "kernels/keys.hpp"
#include "kernels/packet.hpp"

namespace {

using namespace chainrule::kernels;
using chainrule::key;
using chainrule::key_bool;
using std::int64_t;

struct Sum {
  template <class T>
  static T add(T c, T a, T b) {
    using Word = std::uint64_t;
    return static_cast<T>(static_cast<Word>(c) + static_cast<Word>(a) * static_cast<Word>(b));
  }
};
struct Any {
  static std::uint8_t add(std::uint8_t c, std::uint8_t a, std::uint8_t b) {
    return static_cast<std::uint8_t>(c | ((a != 0) & (b != 0)));
  }
};

template <class Op, class T>
Status matmul(const Args& args, Range range, void*) {
  const MatmulPlan& plan = *reinterpret_cast<const MatmulPlan*>(args.plan->body);
  const int64_t m = plan.m, n = plan.n, k = plan.k;
  const int64_t first = args.columns.begin, last = args.columns.end != 0 ? args.columns.end : n;
  for (int64_t row = range.begin; row < range.end; ++row) {
    const int64_t batch = row / m, i = row % m;
    const T* a = static_cast<const T*>(args.in[0]) + batch * plan.stride_a + (plan.transpose_a ? i : i * k);
    const T* b = static_cast<const T*>(args.in[1]) + batch * plan.stride_b;
    T* c = static_cast<T*>(args.out[0]) + row * n;
    const int64_t step_a = plan.transpose_a ? m : 1;
    if (!plan.accumulate)
      for (int64_t j = first; j < last; ++j) c[j] = 0;
    if (plan.transpose_b) {
      for (int64_t j = first; j < last; ++j)
        for (int64_t l = 0; l < k; ++l) c[j] = Op::add(c[j], a[l * step_a], b[j * k + l]);
    } else {
      for (int64_t l = 0; l < k; ++l)
        for (int64_t j = first; j < last; ++j) c[j] = Op::add(c[j], a[l * step_a], b[l * n + j]);
    }
  }
  return Status::ok;
}

}  // namespace

CHAINRULE_KERNEL_TABLE(matmul_integer) = {
    {"matmul", key<std::int32_t>, matmul<Sum, std::int32_t>},
    {"matmul", key<int64_t>, matmul<Sum, int64_t>},
    {"matmul", key<std::uint8_t>, matmul<Sum, std::uint8_t>},
    {"matmul", key_bool, matmul<Any, std::uint8_t>},
    {nullptr, 0, nullptr},
};
