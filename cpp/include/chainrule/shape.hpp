// Shape: up to eight non-negative sizes, stored inline. Dims: the same container for axes and other signed lists.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "chainrule/export.hpp"

namespace chainrule {

// One size in a braced list; lets {n, 64} mix any integer types.
struct Dim {
  template <std::integral I> constexpr Dim(I v) : value(static_cast<std::int64_t>(v)) {}
  std::int64_t value;
};

class CHAINRULE_API Dims {
 public:
  static constexpr int max_rank = 8;

  constexpr Dims() = default;
  constexpr Dims(std::initializer_list<Dim> values) {
    for (Dim d : values) push_back(d.value);
  }
  explicit Dims(std::span<const std::int64_t> values) {
    for (std::int64_t v : values) push_back(v);
  }

  constexpr int rank() const noexcept { return rank_; }
  constexpr bool empty() const noexcept { return rank_ == 0; }
  constexpr std::int64_t operator[](int axis) const noexcept { return values_[static_cast<unsigned>(axis)]; }
  constexpr std::int64_t& operator[](int axis) noexcept { return values_[static_cast<unsigned>(axis)]; }
  constexpr std::int64_t back() const noexcept { return (*this)[rank_ - 1]; }
  constexpr const std::int64_t* begin() const noexcept { return values_.data(); }
  constexpr const std::int64_t* end() const noexcept { return values_.data() + rank_; }
  constexpr std::int64_t* begin() noexcept { return values_.data(); }
  constexpr std::int64_t* end() noexcept { return values_.data() + rank_; }
  constexpr void push_back(std::int64_t value) {
    if (rank_ == max_rank) too_many();
    values_[static_cast<unsigned>(rank_++)] = value;
  }
  void insert(int axis, std::int64_t value);
  void erase(int axis);
  constexpr bool operator==(const Dims& other) const noexcept {
    if (rank_ != other.rank_) return false;
    for (int i = 0; i < rank_; ++i)
      if ((*this)[i] != other[i]) return false;
    return true;
  }
  std::string str() const;  // "(2, 3)", "(4,)", "()"

 private:
  [[noreturn]] static void too_many();
  std::array<std::int64_t, max_rank> values_{};
  int rank_ = 0;
};

class CHAINRULE_API Shape : public Dims {
 public:
  using Dims::Dims;
  constexpr Shape() = default;
  explicit constexpr Shape(const Dims& dims) : Dims(dims) {}

  // Number of elements. Sizes are checked against overflow where shapes enter from outside (checked_size).
  constexpr std::int64_t size() const noexcept {
    std::int64_t n = 1;
    for (std::int64_t d : *this) n *= d;
    return n;
  }
  std::int64_t checked_size(const char* op) const;  // throws ShapeError on a negative size or an overflow
};

}  // namespace chainrule
