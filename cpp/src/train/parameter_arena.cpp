// Adoption of parameters into one block, and the ranges they occupy.
#include "train/parameter_arena.hpp"

#include <cstring>

#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

std::size_t padded(std::size_t bytes) { return (bytes + 63) / 64 * 64; }

bool adoptable(const Tensor& p) {
  const auto& data = p.data_handle();
  const Storage& storage = *data->storage;
  return !storage.owner && !storage.exported && !storage.borrowed && data->offset == 0 &&
         storage.bytes == static_cast<std::size_t>(data->shape.size()) * size_of(data->dtype);
}

}  // namespace

void adopt_parameters(const std::vector<Tensor>& parameters) {
  std::size_t total = 0;
  for (const Tensor& p : parameters)
    if (adoptable(p)) total += padded(p.data_handle()->storage->bytes);
  if (total == 0) return;
  auto* block = static_cast<std::byte*>(allocate_aligned(total));
  const std::shared_ptr<void> arena(block, free_aligned);
  std::size_t at = 0;
  for (const Tensor& p : parameters) {
    if (!adoptable(p)) continue;
    Storage& storage = *p.data_handle()->storage;
    const std::size_t bytes = storage.bytes;
    storage.move_to(block + at, arena);
    std::memset(block + at + bytes, 0, padded(bytes) - bytes);
    at += padded(bytes);
  }
}

std::vector<MemoryRange> memory_ranges(const std::vector<Tensor>& parameters) {
  std::vector<MemoryRange> ranges;
  for (const Tensor& p : parameters) {
    const Storage& storage = *p.data_handle()->storage;
    if (!ranges.empty() && ranges.back().data + padded(ranges.back().bytes) == storage.data) {
      ranges.back().bytes = padded(ranges.back().bytes) + storage.bytes;
    } else {
      ranges.push_back({storage.data, storage.bytes});
    }
  }
  return ranges;
}

}  // namespace chainrule
