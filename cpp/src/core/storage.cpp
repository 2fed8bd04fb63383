// Aligned memory and the blocks that own it.
#include "core/storage.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/fail.hpp"

namespace chainrule {
namespace {
std::atomic<std::uint64_t> allocations{0};
}

std::uint64_t aligned_allocations() noexcept { return allocations.load(std::memory_order_relaxed); }

void* allocate_aligned(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  const std::size_t rounded = (bytes + 63) / 64 * 64;
  void* pointer = rounded < bytes ? nullptr : std::aligned_alloc(64, rounded == 0 ? 64 : rounded);
  if (pointer == nullptr)
    fail<ValueError>("allocate", "out of memory", std::to_string(bytes) + " bytes were asked for",
                     "use smaller shapes");
  return pointer;
}

void free_aligned(void* pointer) noexcept { std::free(pointer); }

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes) {
  auto storage = std::make_shared<Storage>();
  storage->data = static_cast<std::byte*>(allocate_aligned(bytes));
  storage->bytes = bytes;
  return storage;
}

std::shared_ptr<Storage> Storage::wrap(const void* data, std::size_t bytes, std::shared_ptr<void> owner) {
  auto storage = std::make_shared<Storage>();
  storage->data = const_cast<std::byte*>(static_cast<const std::byte*>(data));
  storage->bytes = bytes;
  storage->owner = owner ? std::move(owner) : std::shared_ptr<void>(std::make_shared<char>());
  storage->borrowed = true;
  return storage;
}

Storage::~Storage() {
  if (!owner) free_aligned(data);
}

void Storage::move_to(void* where, std::shared_ptr<void> arena) {
  if (bytes != 0) std::memcpy(where, data, bytes);
  if (!owner) free_aligned(data);
  data = static_cast<std::byte*>(where);
  owner = std::move(arena);
  ++moves;
}

}  // namespace chainrule
