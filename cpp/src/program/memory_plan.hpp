// Offsets in the arena for buffers with lifetimes. Knows nothing about ops.
#pragma once

#include <cstdint>
#include <vector>

namespace chainrule {

// Lives from step `born` to step `dies`, both included.
struct BufferLife {
  std::int64_t bytes;
  std::int32_t born, dies;
  std::int64_t offset = -1;
};

// Sets the offsets (multiples of 64) so that buffers alive together never overlap; returns the arena's size.
std::int64_t plan_memory(std::vector<BufferLife>& buffers);

}  // namespace chainrule
