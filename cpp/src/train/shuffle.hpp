// Random orders of rows: streams of Philox words, and what is shuffled by them. Thread counts play no part.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <vector>

#include "core/philox.hpp"

namespace chainrule::data {

// Streams of Philox kept apart from those of layers and dropout, which count from 0.
constexpr std::uint32_t shuffle_stream = 0xFFFF0001u, split_stream = 0xFFFF0002u, fold_stream = 0xFFFF0003u;
constexpr std::uint32_t search_stream = 0xFFFF0004u, sampler_stream = 0xFFFF0010u;
constexpr std::uint32_t window_stream = 0xFFFF0011u;
constexpr std::uint32_t mixup_stream = 0xFFFF0020u;

// Words of one stream, in order.
class Words {
 public:
  Words(std::uint64_t seed, std::uint64_t pass, std::uint32_t stream)
      : seed_(seed), block_(pass >> 32 << 32), step_(static_cast<std::uint32_t>(pass)), stream_(stream) {}

  // Uniform in 0 .. bound - 1, without bias (Lemire: Fast random integer generation in an interval; ACM TOMACS 2019):
  // the high half of word * bound, drawn again where the low half falls into the 2^32 mod bound values too many.
  std::uint64_t below(std::uint64_t bound) {
    if (bound > 0xFFFFFFFFu) return below_wide(bound);
    std::uint64_t product = std::uint64_t{word()} * bound;
    if (static_cast<std::uint32_t>(product) < bound) {
      const std::uint64_t excess = (std::uint64_t{1} << 32) % bound;
      while (static_cast<std::uint32_t>(product) < excess) product = std::uint64_t{word()} * bound;
    }
    return product >> 32;
  }
  // Uniform in [0, 1), of 53 bits.
  double fraction() {
    const std::uint64_t high = word(), value = (high << 32 | word()) >> 11;
    return static_cast<double>(value) * 0x1p-53;
  }

 private:
  std::uint64_t below_wide(std::uint64_t bound) {  // by rejection under the next power of two
    const std::uint64_t mask = ~std::uint64_t{0} >> __builtin_clzll(bound);
    for (;;) {
      const std::uint64_t high = word(), value = (high << 32 | word()) & mask;
      if (value < bound) return value;
    }
  }
  std::uint32_t word() {
    if (next_ == 4) {
      words_ = philox(seed_, block_++, step_, stream_);
      next_ = 0;
    }
    return words_.word[next_++];
  }

  std::uint64_t seed_, block_;
  std::uint32_t step_, stream_;
  PhiloxBlock words_{};
  int next_ = 4;
};

// Fisher and Yates, from the end.
template <class T> void shuffle(std::vector<T>& order, Words& words) {
  for (std::size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[static_cast<std::size_t>(words.below(i))]);
}

inline std::vector<std::int64_t> ascending(std::int64_t n) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  return order;
}

}  // namespace chainrule::data
