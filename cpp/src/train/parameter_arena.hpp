// One flat, 64-byte aligned block for the parameters of a model.
#pragma once

#include <vector>

#include "chainrule/tensor.hpp"

namespace chainrule {

// Moves the parameters that nobody owns yet (no arena, no live view) next to each other; the others stay where they
// are.
void adopt_parameters(const std::vector<Tensor>& parameters);
// The parameters' memory as few (pointer, bytes) ranges as there are, padding included.
struct MemoryRange {
  std::byte* data;
  std::size_t bytes;
};
std::vector<MemoryRange> memory_ranges(const std::vector<Tensor>& parameters);

}  // namespace chainrule
