// How much memory tensors take.
#pragma once

#include <cstddef>

#include "chainrule/export.hpp"

namespace chainrule {

// Bytes of elements of all tensors of this process: now, and at most since the start or reset_peak_memory(). Memory of
// the caller (Tensor::view), work space of compiled programs and the records of ops are not in it.
struct MemoryUse {
  std::size_t live = 0, peak = 0;
};
CHAINRULE_API MemoryUse memory_use() noexcept;
CHAINRULE_API void reset_peak_memory() noexcept;  // the peak becomes what is live now

}  // namespace chainrule
