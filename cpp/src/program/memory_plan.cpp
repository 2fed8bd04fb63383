// Greedy by size: the largest buffer first, each at the lowest offset that is free for its whole life (Pisarchyk and
// Lee: Efficient memory management for deep neural net inference, 2020).
#include "program/memory_plan.hpp"

#include <algorithm>
#include <numeric>

namespace chainrule {

std::int64_t plan_memory(std::vector<BufferLife>& buffers) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<const BufferLife*> placed;  // by offset
  std::int64_t total = 0;
  for (std::size_t index : order) {
    BufferLife& buffer = buffers[index];
    const std::int64_t bytes = std::max<std::int64_t>(64, (buffer.bytes + 63) / 64 * 64);
    std::int64_t at = 0;
    for (const BufferLife* other : placed) {
      if (other->dies < buffer.born || buffer.dies < other->born) continue;
      if (at + bytes <= other->offset) break;
      at = std::max(at, other->offset + std::max<std::int64_t>(64, (other->bytes + 63) / 64 * 64));
    }
    buffer.offset = at;
    total = std::max(total, at + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &buffer,
                                   [](const BufferLife* a, const BufferLife* b) { return a->offset < b->offset; }),
                  &buffer);
  }
  return total;
}

}  // namespace chainrule
