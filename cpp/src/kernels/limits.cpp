// What one core can do at best: multiply-adds that wait for nothing. A profile compares instructions with it.
#include <cstdint>

#include "kernels/abi.hpp"
#include "kernels/lane.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace {

using kernels::Args, kernels::Range, kernels::Status;

// Units are rounds of 32 multiply-adds of packets; out[0] takes their sum, out[1] the operations of one round.
Status fma_peak(const Args& args, Range range, void*) {
  using L = Lane<float>;
  constexpr int chains = 16;
  L sum[chains];
  for (int i = 0; i < chains; ++i) sum[i] = L(i);
  const L a(0.5), b(0.25);
  for (std::int64_t round = range.begin; round < range.end; ++round)
    for (int twice = 0; twice < 2; ++twice)
      for (int i = 0; i < chains; ++i) sum[i] = fma(sum[i], a, b);
  for (int i = 1; i < chains; ++i) sum[0] = sum[0] + sum[i];
  sum[0].store(static_cast<float*>(args.out[0]), L::width);
  *static_cast<double*>(args.out[1]) = 2.0 * chains * 2.0 * L::width;
  return Status::ok;
}

}  // namespace
}  // namespace CHAINRULE_ISA
}  // namespace chainrule

CHAINRULE_KERNEL_TABLE(limits) = {
    {"fma_peak", 0, &chainrule::fma_peak},
    {nullptr, 0, nullptr},
};
