// DType names, sizes and promotion; Dims and Shape.
#include <cstring>

#include "chainrule/dtype.hpp"
#include "chainrule/shape.hpp"
#include "core/fail.hpp"

namespace chainrule {

namespace {
struct Fact {
  std::string_view name;
  std::size_t size;
};
constexpr Fact facts[dtype_count] = {{"float32", 4}, {"float64", 8}, {"int32", 4},   {"int64", 8},
                                     {"uint8", 1},   {"bool", 1},    {"bfloat16", 2}};

// NumPy's promotion between different dtypes, rows and columns in DType's order; -1: refused.
constexpr signed char promotion[dtype_count][dtype_count] = {
    // f32 f64 i32 i64 u8 bool bf16
    {0, -1, 1, 1, 0, 0, -1},   // float32
    {-1, 1, 1, 1, 1, 1, -1},   // float64
    {1, 1, 2, 3, 2, 2, -1},    // int32
    {1, 1, 3, 3, 3, 3, -1},    // int64
    {0, 1, 2, 3, 4, 4, 6},     // uint8
    {0, 1, 2, 3, 4, 5, 6},     // bool
    {-1, -1, -1, -1, 6, 6, 6}  // bfloat16
};
}  // namespace

std::size_t size_of(DType dtype) noexcept { return facts[static_cast<std::size_t>(dtype)].size; }
std::string_view name_of(DType dtype) noexcept { return facts[static_cast<std::size_t>(dtype)].name; }
bool is_floating(DType dtype) noexcept {
  return dtype == DType::float32 || dtype == DType::float64 || dtype == DType::bfloat16;
}

DType dtype_from_name(std::string_view name) {
  for (int i = 0; i < dtype_count; ++i)
    if (facts[i].name == name) return static_cast<DType>(i);
  fail<DTypeError>("dtype", "not one chainrule knows", "'" + std::string(name) + "'",
                   "use float32, float64, int32, int64, uint8, bool or bfloat16");
}

DType promote(DType a, DType b, const char* op) {
  const signed char result = promotion[static_cast<std::size_t>(a)][static_cast<std::size_t>(b)];
  if (result < 0)
    fail<DTypeError>(op, "operands have two float dtypes", std::string(name_of(a)) + " and " + std::string(name_of(b)),
                     "convert one, for instance with x.astype(\"" + std::string(name_of(b)) + "\")");
  return static_cast<DType>(result);
}

void Dims::too_many() {
  fail<ShapeError>("shape", "rank is above " + std::to_string(max_rank), "a ninth size was given", "merge axes first");
}
void Dims::insert(int axis, std::int64_t value) {
  push_back(0);
  for (int i = rank_ - 1; i > axis; --i) (*this)[i] = (*this)[i - 1];
  (*this)[axis] = value;
}
void Dims::erase(int axis) {
  for (int i = axis; i + 1 < rank_; ++i) (*this)[i] = (*this)[i + 1];
  values_[static_cast<unsigned>(--rank_)] = 0;
}
std::string Dims::str() const {
  std::string text = "(";
  for (int i = 0; i < rank_; ++i) text += (i ? ", " : "") + std::to_string((*this)[i]);
  return text + (rank_ == 1 ? ",)" : ")");
}

std::int64_t Shape::checked_size(const char* op) const {
  std::int64_t n = 1;
  for (std::int64_t d : *this) {
    if (d < 0) fail<ShapeError>(op, "a size is negative", "shape is " + str(), "sizes must be 0 or more");
    if (__builtin_mul_overflow(n, d, &n) || n > (std::int64_t{1} << 56))
      fail<ShapeError>(op, "too many elements", "shape is " + str(), "use a smaller shape");
  }
  return n;
}

}  // namespace chainrule
