// Storage: a block of bytes with identity. Tensors share it; a parameter is one. Its pointer may be moved (into a
// parameter arena, and by initializers), so nobody keeps the pointer without keeping the Storage and its version.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace chainrule {

struct Storage {
  static std::shared_ptr<Storage> allocate(std::size_t bytes);  // 64-byte aligned, contents undefined
  static std::shared_ptr<Storage> wrap(const void* data, std::size_t bytes, std::shared_ptr<void> owner);

  Storage() = default;
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  ~Storage();

  // Moves the contents into memory kept alive by `arena`. Only for storages nobody else owns or has a view on.
  void move_to(void* where, std::shared_ptr<void> arena);
  // Each gets the other's memory, if both have as many bytes and are the only owners; else nothing happens.
  bool exchange_memory(Storage& other) noexcept;

  std::byte* data = nullptr;
  std::size_t bytes = 0;
  std::uint64_t version = 0;    // counts writes
  std::uint64_t moves = 0;      // counts move_to
  std::shared_ptr<void> owner;  // whoever frees `data`; empty: this does
  bool borrowed = false;        // memory of the user: never written
  bool exported = false;        // a live view was handed out: never moved
};

void* allocate_aligned(std::size_t bytes);  // 64-byte aligned, never null; throws ValueError when memory runs out
void free_aligned(void* pointer) noexcept;
std::uint64_t aligned_allocations() noexcept;  // how often allocate_aligned was called: counted things are tests

}  // namespace chainrule
