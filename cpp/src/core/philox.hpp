// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3; SC 2011): a counter-based
// generator. key = the 64-bit seed; counter = (block lo, block hi, step, stream). No state, so any element of any
// stream can be drawn anywhere, in any order, by any thread.
#pragma once

#include <cstdint>

namespace chainrule {
inline namespace CHAINRULE_ISA {

struct PhiloxBlock {
  std::uint32_t word[4];
};

inline PhiloxBlock philox(std::uint64_t seed, std::uint64_t block, std::uint32_t step, std::uint32_t stream) noexcept {
  PhiloxBlock c{{static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), step, stream}};
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c.word[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c.word[2];
    c = {{static_cast<std::uint32_t>(p1 >> 32) ^ c.word[1] ^ k0, static_cast<std::uint32_t>(p1),
          static_cast<std::uint32_t>(p0 >> 32) ^ c.word[3] ^ k1, static_cast<std::uint32_t>(p0)}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return c;
}

}  // namespace CHAINRULE_ISA
}  // namespace chainrule
