// Aligned memory and the blocks that own it; how many bytes of tensors there are.
#include "core/storage.hpp"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#if defined(__linux__)
#include <sys/mman.h>
#endif

#include "chainrule/memory.hpp"
#include "core/fail.hpp"

namespace chainrule {
namespace {

std::atomic<std::uint64_t> allocations{0};
std::atomic<std::size_t> live{0}, peak{0};

void count_in(std::size_t bytes) noexcept {
  const std::size_t now = live.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::size_t most = peak.load(std::memory_order_relaxed);
  while (now > most && !peak.compare_exchange_weak(most, now, std::memory_order_relaxed)) {}
}
void count_out(std::size_t bytes) noexcept { live.fetch_sub(bytes, std::memory_order_relaxed); }

constexpr std::size_t alignment = 64, huge_page = 2 * 1024 * 1024;
std::size_t padded(std::size_t bytes, std::size_t to) noexcept { return (bytes + to - 1) / to * to; }

// Small blocks that were freed on this thread, by size, as lists through the blocks themselves: a small tensor then
// costs no call of aligned_alloc, which glibc does not cache. Under the address sanitizer nothing is kept.
#ifdef __SANITIZE_ADDRESS__
constexpr int most_kept = 0;
#else
constexpr int most_kept = 32;
#endif
constexpr std::size_t largest_kept = 1024;
struct FreeBlock {
  FreeBlock* next;
};
struct FreeList {
  FreeBlock* first;
  int count;
};
// Plain data, so that it can still be used while the thread's or the program's objects are destroyed.
constinit thread_local FreeList free_lists[largest_kept / alignment] = {};
constinit thread_local bool closed = false;
struct Closing {
  ~Closing() {
    closed = true;
    for (FreeList& list : free_lists)
      while (list.first != nullptr) std::free(std::exchange(list.first, list.first->next));
  }
};
thread_local Closing closing;

FreeList* list_of(std::size_t bytes) noexcept {
  return bytes > largest_kept ? nullptr : &free_lists[bytes == 0 ? 0 : (bytes - 1) / alignment];
}

std::byte* take_block(std::size_t bytes) {
  FreeList* const list = list_of(bytes);
  if (list == nullptr || list->first == nullptr) return static_cast<std::byte*>(allocate_aligned(bytes));
  --list->count;
  return reinterpret_cast<std::byte*>(std::exchange(list->first, list->first->next));
}

void give_block(std::byte* data, std::size_t bytes) noexcept {
  FreeList* const list = list_of(bytes);
  if (list == nullptr || list->count >= most_kept || closed) return free_aligned(data);
  (void)&closing;  // its destructor runs at the end of every thread that came by here
  list->first = new (data) FreeBlock{list->first};
  ++list->count;
}

}  // namespace

std::uint64_t aligned_allocations() noexcept { return allocations.load(std::memory_order_relaxed); }

MemoryUse memory_use() noexcept { return {live.load(std::memory_order_relaxed), peak.load(std::memory_order_relaxed)}; }
void reset_peak_memory() noexcept { peak.store(live.load(std::memory_order_relaxed), std::memory_order_relaxed); }

void* allocate_aligned(std::size_t bytes) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  // Large blocks lie on huge pages where the system has them: fewer misses of the table of pages.
  const bool large = bytes >= 2 * huge_page;
  const std::size_t rounded = padded(bytes, large ? huge_page : alignment);
  void* pointer =
      rounded < bytes ? nullptr : std::aligned_alloc(large ? huge_page : alignment, rounded == 0 ? alignment : rounded);
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (large && pointer != nullptr) madvise(pointer, rounded, MADV_HUGEPAGE);
#endif
  if (pointer == nullptr)
    fail<ValueError>("allocate", "out of memory", std::to_string(bytes) + " bytes were asked for",
                     "use smaller shapes");
  return pointer;
}

void free_aligned(void* pointer) noexcept { std::free(pointer); }

std::shared_ptr<Storage> Storage::allocate(std::size_t bytes) {
  auto storage = std::make_shared<Storage>();
  storage->data = take_block(bytes);
  storage->bytes = bytes;
  count_in(bytes);
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
  if (data == nullptr) return;  // allocate() found no memory
  if (!owner) give_block(data, bytes);
  if (!borrowed) count_out(bytes);
}

void Storage::move_to(void* where, std::shared_ptr<void> arena) {
  if (bytes != 0) std::memcpy(where, data, bytes);
  if (!owner) give_block(data, bytes);
  data = static_cast<std::byte*>(where);
  owner = std::move(arena);
  ++moves;
}

bool Storage::exchange_memory(Storage& other) noexcept {
  const auto free = [](const Storage& s) { return !s.owner && !s.borrowed && !s.exported; };
  if (bytes != other.bytes || !free(*this) || !free(other)) return false;
  std::swap(data, other.data);
  return true;
}

}  // namespace chainrule
