// Two ways to lay rows of length n over lanes, with one vocabulary, so that a row-wise kernel is written once: a long
// row takes its own packets; short rows go side by side, one per lane, where nothing needs a horizontal reduction and a
// packet of 16 is full even with 2 classes. Which one is used depends on n alone.
//
// rows.source(p) reads, rows.target(p) keeps and finally writes the (.., n) operand whose first row is at p. Elements
// are addressed as (j, count), handed out by rows.each. rows.fold<Op> gives, in every lane, its own row's result.
#pragma once

#include "kernels/rows.hpp"

namespace chainrule {
inline namespace CHAINRULE_ISA {
namespace rows {

// Larger or equal, for numbers; a NaN may be passed over, so what follows must notice it (an exponential's sum does).
struct MaxOfNumbers {
  template <class T>
  static constexpr T neutral = -std::numeric_limits<T>::infinity();
  template <class T>
  CHAINRULE_INLINE static Lane<T> combine(Lane<T> a, Lane<T> b) {
    return Lane<T>::of(packet::eigen::pmax(a.v, b.v));
  }
  template <class T>
  CHAINRULE_INLINE static T across(Lane<T> a) {
    return packet::eigen::predux_max(a.v);
  }
};

template <class T>
struct LongRow {
  static constexpr std::int64_t rows_at_once = 1;
  std::int64_t n;

  struct Operand {
    T* p;
    CHAINRULE_INLINE Lane<T> at(std::int64_t j, std::int64_t count) const { return load(p + j, count, T(0)); }
    CHAINRULE_INLINE void set(std::int64_t j, std::int64_t count, Lane<T> value) { store(p + j, value, count); }
    CHAINRULE_INLINE void flush() const {}
  };

  CHAINRULE_INLINE LongRow(std::int64_t length, std::int64_t) : n(length) {}
  CHAINRULE_INLINE Operand source(const T* p) const { return {const_cast<T*>(p)}; }  // set is never called on a source
  CHAINRULE_INLINE Operand target(T* p) const { return {p}; }
  template <class Body>
  CHAINRULE_INLINE void each(const Body& body) const {
    each_packet<T>(n, body);
  }
  template <class Op, class Term>
  CHAINRULE_INLINE Lane<T> fold(const Term& term) const {
    return splat(fold_row<Op, T>(n, [&](std::int64_t j, std::int64_t count) __attribute__((always_inline)) {
      return keep(term(j, count), count, Op::template neutral<T>);
    }));
  }
  // One value per row: p points at the first row's.
  CHAINRULE_INLINE Lane<T> scalars(const T* p) const { return splat(*p); }
  CHAINRULE_INLINE void set_scalars(T* p, Lane<T> value) const { store(p, value, 1); }
  // The row's label, -1 if ignored; where an element is the one it names; and that element. The distance of a far label
  // rounds to something that is no lane number either.
  using Label = std::int64_t;
  template <class IsIgnored>
  CHAINRULE_INLINE Label labels(const std::int64_t* p, const IsIgnored& is_ignored) const {
    return is_ignored(*p) ? -1 : *p;
  }
  CHAINRULE_INLINE auto ignored(Label label) const {
    return less(splat(static_cast<T>(label < 0 ? -1 : 0)), splat(T(0)));
  }
  CHAINRULE_INLINE auto is_label(Label label, std::int64_t j) const {
    return equal(lane_numbers<T>(), splat(static_cast<T>(label - j)));
  }
  CHAINRULE_INLINE Lane<T> pick(const Operand& x, Label label) const { return splat(label < 0 ? T(0) : x.p[label]); }
};

constexpr std::int64_t longest_short_row = 32;

template <class T>
struct ShortRows {
  static constexpr std::int64_t rows_at_once = Lane<T>::width;
  std::int64_t n, rows;  // rows <= rows_at_once: the last lanes may be without a row

  struct Operand {
    T* p;
    std::int64_t n, rows;
    Lane<T> column[longest_short_row + Lane<T>::width];
    CHAINRULE_INLINE Lane<T> at(std::int64_t j, std::int64_t) const { return column[j]; }
    CHAINRULE_INLINE void set(std::int64_t j, std::int64_t, Lane<T> value) { column[j] = value; }
    CHAINRULE_INLINE void flush() {
      for (std::int64_t j = 0; j < n; j += rows_at_once) {
        const std::int64_t count = n - j < rows_at_once ? n - j : rows_at_once;
        Lane<T> square[rows_at_once];
        transpose(column + j, square);
        for (std::int64_t r = 0; r < rows; ++r) store(p + r * n + j, square[r], count);
      }
    }
  };

  CHAINRULE_INLINE ShortRows(std::int64_t length, std::int64_t row_count) : n(length), rows(row_count) {}
  CHAINRULE_INLINE Operand source(const T* p) const {
    Operand x = target(const_cast<T*>(p));
    for (std::int64_t j = 0; j < n; j += rows_at_once) {
      const std::int64_t count = n - j < rows_at_once ? n - j : rows_at_once;
      Lane<T> square[rows_at_once];
      for (std::int64_t r = 0; r < rows_at_once; ++r) square[r] = load(p + (r < rows ? r : 0) * n + j, count, T(0));
      transpose(square, x.column + j);
    }
    return x;
  }
  CHAINRULE_INLINE Operand target(T* p) const {
    Operand x;
    x.p = p;
    x.n = n;
    x.rows = rows;
    return x;
  }
  template <class Body>
  CHAINRULE_INLINE void each(const Body& body) const {
    for (std::int64_t j = 0; j < n; ++j) body(j, rows_at_once);
  }
  template <class Op, class Term>
  CHAINRULE_INLINE Lane<T> fold(const Term& term) const {
    Lane<T> result = splat(Op::template neutral<T>);
    for (std::int64_t j = 0; j < n; ++j) result = Op::combine(result, term(j, rows_at_once));
    return result;
  }
  CHAINRULE_INLINE Lane<T> scalars(const T* p) const { return load(p, rows, T(0)); }
  CHAINRULE_INLINE void set_scalars(T* p, Lane<T> value) const { store(p, value, rows); }
  using Label = Lane<T>;
  template <class IsIgnored>
  CHAINRULE_INLINE Label labels(const std::int64_t* p, const IsIgnored& is_ignored) const {
    alignas(64) T number[rows_at_once] = {};
    for (std::int64_t i = 0; i < rows; ++i) number[i] = is_ignored(p[i]) ? T(-1) : static_cast<T>(p[i]);
    return load(number, rows_at_once, T(0));
  }
  CHAINRULE_INLINE auto ignored(Label label) const { return less(label, splat(T(0))); }
  CHAINRULE_INLINE auto is_label(Lane<T> label, std::int64_t j) const { return equal(label, splat(static_cast<T>(j))); }
  CHAINRULE_INLINE Lane<T> pick(const Operand& x, Lane<T> label) const {
    Lane<T> value = splat(T(0));
    for (std::int64_t j = 0; j < n; ++j) value = where(is_label(label, j), x.column[j], value);
    return value;
  }

 private:
  CHAINRULE_INLINE static void transpose(const Lane<T>* from, Lane<T>* to) {
    if constexpr (rows_at_once == 1) {
      to[0] = from[0];
    } else {
      constexpr int W = static_cast<int>(rows_at_once);
      packet::eigen::PacketBlock<packet::Packet<T>, W> square;
      for (int i = 0; i < W; ++i) square.packet[i] = from[i].v;
      packet::eigen::ptranspose(square);
      for (int i = 0; i < W; ++i) to[i].v = square.packet[i];
    }
  }
};

// Calls body(rows, first row) for the rows of a range, laid out as their length asks for.
template <class T, class Body>
CHAINRULE_INLINE void each_row(std::int64_t n, std::int64_t begin, std::int64_t end, const Body& body) {
  if (n > longest_short_row) {
    for (std::int64_t row = begin; row < end; ++row) body(LongRow<T>(n, 1), row);
    return;
  }
  constexpr std::int64_t W = ShortRows<T>::rows_at_once;
  for (std::int64_t row = begin; row < end; row += W) body(ShortRows<T>(n, end - row < W ? end - row : W), row);
}

}  // namespace rows
}  // namespace CHAINRULE_ISA
}  // namespace chainrule
