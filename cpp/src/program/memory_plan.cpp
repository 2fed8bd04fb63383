// Greedy by size: the largest buffer first, each at the lowest offset that is free for its whole life (Pisarchyk and
// Lee: Efficient memory management for deep neural net inference, 2020). Its time is quadratic, so very long programs
// are planned in the order of birth instead, each buffer in the smallest gap that holds it.
#include "program/memory_plan.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <set>

namespace chainrule {
namespace {

constexpr std::size_t most_by_size = 4096;

std::int64_t padded(std::int64_t bytes) { return std::max<std::int64_t>(64, (bytes + 63) / 64 * 64); }

// Free memory below the arena's present end, by place and by size.
class Gaps {
 public:
  std::int64_t take(std::int64_t bytes) {
    const auto fit = by_size_.lower_bound({bytes, 0});
    if (fit == by_size_.end()) {  // grow; a gap at the end is grown into
      const auto last = by_place_.empty() ? by_place_.end() : std::prev(by_place_.end());
      const bool open = last != by_place_.end() && last->first + last->second == end_;
      const std::int64_t at = open ? last->first : end_;
      if (open) erase(last);
      end_ = at + bytes;
      return at;
    }
    const auto [size, at] = *fit;
    erase(by_place_.find(at));
    if (size > bytes) insert(at + bytes, size - bytes);
    return at;
  }
  void give(std::int64_t at, std::int64_t bytes) {
    auto next = by_place_.lower_bound(at);
    if (next != by_place_.end() && next->first == at + bytes) {
      bytes += next->second;
      next = erase(next);
    }
    if (next != by_place_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == at) {
        at = before->first;
        bytes += before->second;
        erase(before);
      }
    }
    insert(at, bytes);
  }
  std::int64_t end() const { return end_; }

 private:
  using ByPlace = std::map<std::int64_t, std::int64_t>;
  void insert(std::int64_t at, std::int64_t bytes) {
    by_place_.emplace(at, bytes);
    by_size_.emplace(bytes, at);
  }
  ByPlace::iterator erase(ByPlace::iterator gap) {
    by_size_.erase({gap->second, gap->first});
    return by_place_.erase(gap);
  }

  ByPlace by_place_;                                         // offset -> bytes
  std::set<std::pair<std::int64_t, std::int64_t>> by_size_;  // (bytes, offset)
  std::int64_t end_ = 0;
};

std::int64_t plan_by_birth(std::vector<BufferLife>& buffers) {
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return buffers[a].born < buffers[b].born; });
  const auto later = [&](std::size_t a, std::size_t b) { return buffers[a].dies > buffers[b].dies; };
  std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> alive(later);
  Gaps gaps;
  for (std::size_t index : order) {
    for (; !alive.empty() && buffers[alive.top()].dies < buffers[index].born; alive.pop())
      gaps.give(buffers[alive.top()].offset, padded(buffers[alive.top()].bytes));
    buffers[index].offset = gaps.take(padded(buffers[index].bytes));
    alive.push(index);
  }
  return gaps.end();
}

}  // namespace

std::int64_t plan_memory(std::vector<BufferLife>& buffers) {
  if (buffers.size() > most_by_size) return plan_by_birth(buffers);
  std::vector<std::size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<const BufferLife*> placed;  // by offset
  std::int64_t total = 0;
  for (std::size_t index : order) {
    BufferLife& buffer = buffers[index];
    const std::int64_t bytes = padded(buffer.bytes);
    std::int64_t at = 0;
    for (const BufferLife* other : placed) {
      if (other->dies < buffer.born || buffer.dies < other->born) continue;
      if (at + bytes <= other->offset) break;
      at = std::max(at, other->offset + padded(other->bytes));
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
