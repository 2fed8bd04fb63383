// unslice: zeros, with the input written at a strided place: the transpose of slice. CopyPlan with units = 1;
// in_offset holds the number of output elements to zero first. The output never aliases the input.
#include <cstring>

#include "kernels/abi.hpp"

namespace {

using namespace chainrule::kernels;

template <class E> Status unslice(const Args& args, Range range, void*) {
  if (range.begin >= range.end) return Status::ok;
  const auto& plan = *reinterpret_cast<const CopyPlan*>(args.plan->body);
  const E* in = static_cast<const E*>(args.in[0]);
  E* out = static_cast<E*>(args.out[0]);
  std::memset(out, 0, static_cast<std::size_t>(plan.in_offset) * sizeof(E));
  out += plan.out_offset;
  std::int64_t index[max_rank] = {};
  const int last = static_cast<int>(plan.rank) - 1;
  for (int d = 0; d <= last; ++d)
    if (plan.size[d] == 0) return Status::ok;
  for (;;) {
    std::int64_t from = 0, to = 0;
    for (int d = 0; d < last; ++d) {
      from += index[d] * plan.in_stride[d];
      to += index[d] * plan.out_stride[d];
    }
    for (std::int64_t i = 0; i < plan.size[last]; ++i)
      out[to + i * plan.out_stride[last]] = in[from + i * plan.in_stride[last]];
    int d = last - 1;
    while (d >= 0 && ++index[d] == plan.size[d]) index[d--] = 0;
    if (d < 0) return Status::ok;
  }
}

}  // namespace

CHAINRULE_KERNEL_TABLE(unslice) = {{"unslice", 0, unslice<std::uint32_t>}, {"unslice", 1, unslice<std::uint64_t>},
                                   {"unslice", 2, unslice<std::uint32_t>}, {"unslice", 3, unslice<std::uint64_t>},
                                   {"unslice", 4, unslice<std::uint8_t>},  {"unslice", 5, unslice<std::uint8_t>},
                                   {"unslice", 6, unslice<std::uint16_t>}, {nullptr, 0, nullptr}};
