// Memory for the operands of a kernel that faults where one is read or written past its end.
#pragma once

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>

namespace kernel_test {

// `count` elements whose last byte is followed by an inaccessible page; `gap` bytes nearer to the front on demand.
template <class T> class Guarded {
 public:
  explicit Guarded(std::int64_t count, std::int64_t gap = 0) : count_(count) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T) + static_cast<std::size_t>(gap);
    length_ = (bytes + page - 1) / page * page + page;
    memory_ = static_cast<char*>(mmap(nullptr, length_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    REQUIRE(memory_ != MAP_FAILED);
    REQUIRE(mprotect(memory_ + length_ - page, page, PROT_NONE) == 0);
    data_ = reinterpret_cast<T*>(memory_ + length_ - page - bytes);
  }
  Guarded(Guarded&& other) noexcept
      : count_(other.count_),
        length_(other.length_),
        memory_(std::exchange(other.memory_, nullptr)),
        data_(other.data_) {}
  ~Guarded() {
    if (memory_ != nullptr) munmap(memory_, length_);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;

  T* data() { return data_; }
  T& operator[](std::int64_t i) { return data_[i]; }
  std::int64_t size() const { return count_; }
  void fill_random(unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_real_distribution<double> uniform(-1, 1);
    for (std::int64_t i = 0; i < count_; ++i) data_[i] = static_cast<T>(uniform(random));
  }
  void fill(T value) { std::fill(data_, data_ + count_, value); }

 private:
  std::int64_t count_;
  std::size_t length_;
  char* memory_;
  T* data_;
};

}  // namespace kernel_test
