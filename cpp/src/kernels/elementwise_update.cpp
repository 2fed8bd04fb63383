// Kernels of the optimizers' update rules. What is read element by element comes first (parameter, gradient, states,
// one more than there are outputs), then the optimizer's numbers, which stay in registers. An output may be an input's
// memory.
#include "kernels/elementwise.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace {

constexpr int prefetch_bytes = 1024;  // ahead; hardware follows too few streams for an update: 12 % at 10^7 parameters

template <class F>
constexpr int dense_inputs = F::outputs + 1;

// Elements i ... i + n - 1: one packet.
template <class F, class T>
CHAINRULE_INLINE void update_packet(const T* const* in, T* const* out, const Lane<T>* numbers, const double* r,
                                    std::int64_t i, int n) {
  Lane<T> x[F::inputs], y[F::outputs];
  for (int k = 0; k < dense_inputs<F>; ++k) x[k] = Lane<T>::load(in[k] + i, n);
  for (int k = dense_inputs<F>; k < F::inputs; ++k) x[k] = numbers[k - dense_inputs<F>];
  F::f(x, y, r);
  for (int j = 0; j < F::outputs; ++j) y[j].store(out[j] + i, n);
}

template <class F, class T>
Status update(const Args& args, Range range, void* scratch) {
  using X = Lane<T>;
  constexpr int dense = dense_inputs<F>, width = X::width;
  const auto& plan = *reinterpret_cast<const ElementwisePlan*>(args.plan->body);
  bool usual = plan.rank == 1;
  for (int k = 0; k < F::inputs; ++k) usual = usual && plan.stride[k][0] == (k < dense ? 1 : 0);
  if (!usual) return kernel<Value<F>, T>(args, range, scratch);
  const T* in[dense];
  T* out[F::outputs];
  for (int k = 0; k < dense; ++k) in[k] = static_cast<const T*>(args.in[k]);
  for (int j = 0; j < F::outputs; ++j) out[j] = static_cast<T*>(args.out[j]);
  X numbers[F::inputs - dense];
  for (int k = dense; k < F::inputs; ++k)
    numbers[k - dense] = X(static_cast<double>(*static_cast<const T*>(args.in[k])));
  double r[F::params + 1];  // a copy no store can alias
  for (int k = 0; k < F::params; ++k) r[k] = plan.r[k];
  std::int64_t i = range.begin;
  for (; i + width <= range.end; i += width) {
    for (int k = 0; k < dense; ++k) __builtin_prefetch(reinterpret_cast<const char*>(in[k] + i) + prefetch_bytes);
    update_packet<F, T>(in, out, numbers, r, i, width);
  }
  if constexpr (width > 1)
    if (i < range.end) update_packet<F, T>(in, out, numbers, r, i, static_cast<int>(range.end - i));
  return Status::ok;
}

template <class F, class T>
constexpr KernelEntry update_entry(const char* name) {
  return {name, dtype<T>, update<F, T>};
}

}  // namespace
}  // namespace CHAINRULE_ISA
}  // namespace chainrule

using namespace chainrule;

#define CHAINRULE_ENTRIES(name, Struct, doc) update_entry<Struct, float>(#name), update_entry<Struct, double>(#name),

CHAINRULE_KERNEL_TABLE(elementwise_update) = {CHAINRULE_UPDATE_OPS(CHAINRULE_ENTRIES) end_of_table};
