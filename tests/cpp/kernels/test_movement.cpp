// kernels/movement.cpp: copies, concat, take_along, put_along, one_hot and casts, against plain loops, bit for bit.
#include "call.hpp"
#include "kernels/keys.hpp"

using namespace kernel_test;

namespace {

const DType all_dtypes[] = {DType::float32, DType::float64, DType::int32,   DType::int64,
                            DType::uint8,   DType::boolean, DType::bfloat16};
const std::size_t sizes[] = {4, 8, 4, 8, 1, 1, 2};  // by DType's value

std::size_t size_of_key(DType dtype) { return sizes[static_cast<std::size_t>(dtype)]; }

Bytes random_bytes(std::size_t count, unsigned seed) {
  std::mt19937 draw(seed);
  Bytes bytes(count);
  for (auto& byte : bytes) byte = static_cast<unsigned char>(draw());
  return bytes;
}

std::int64_t product(const std::vector<std::int64_t>& size) {
  std::int64_t result = 1;
  for (const std::int64_t extent : size) result *= extent;
  return result;
}

// A contiguous output of every type against element-by-element copying.
void check_copy(const std::vector<std::int64_t>& size, const std::vector<std::int64_t>& in_stride,
                std::int64_t in_elements, std::int64_t in_offset = 0) {
  CopyPlan body{};
  body.rank = static_cast<std::int64_t>(size.size());
  std::int64_t stride = 1;
  for (std::size_t d = size.size(); d-- > 0;) {
    body.size[d] = size[d];
    body.in_stride[d] = in_stride[d];
    body.out_stride[d] = stride;
    stride *= size[d];
  }
  body.in_offset = in_offset;
  const std::int64_t units = product(size);
  for (const DType dtype : all_dtypes) {
    CAPTURE(static_cast<int>(dtype));
    const std::size_t bytes = size_of_key(dtype);
    const Bytes in = random_bytes(at(in_elements) * bytes, 1);
    const Result got = call("copy", dtype, make_plan(body, units), {in}, {at(units) * bytes});
    Bytes expected(at(units) * bytes);
    for (std::int64_t u = 0; u < units; ++u) {
      std::int64_t rest = u, from = in_offset;
      for (std::size_t d = size.size(); d-- > 0; rest /= size[d]) from += rest % size[d] * in_stride[d];
      std::memcpy(&expected[at(u) * bytes], &in[at(from) * bytes], bytes);
    }
    CHECK(got.out[0] == expected);
  }
}

template <class To, class From>
std::vector<To> cast(const char* name, DType from, const std::vector<From>& x) {
  const auto n = static_cast<std::int64_t>(x.size());
  return call(name, from, make_plan(RowPlan{n, 1, {}, {}}, n), {bytes_of(x)}, {x.size() * sizeof(To)})
      .template as<To>();
}

template <class To, class From>
std::vector<To> cast(const char* name, const std::vector<From>& x) {
  return cast<To>(name, dtype_of<From>, x);
}

float bfloat16_value(std::uint16_t bits) {
  const std::uint32_t wide = std::uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}

// The nearest bfloat16, by trying the two neighbours; ties go to the even one.
std::uint16_t nearest_bfloat16(long double x) {
  std::uint16_t below = 0;  // of the magnitude
  const long double magnitude = x < 0 ? -x : x;
  for (int bit = 14; bit >= 0; --bit) {
    const auto tried = static_cast<std::uint16_t>(below | 1u << bit);
    if (tried < 0x7F80 && bfloat16_value(tried) <= magnitude) below = tried;
  }
  const long double low = bfloat16_value(below), step = std::ldexp(1.0L, std::max(std::ilogb(low), -126) - 7);
  const bool up = magnitude - low > step / 2 || (magnitude - low == step / 2 && (below & 1) != 0);
  return static_cast<std::uint16_t>((below + (up ? 1 : 0)) | (x < 0 ? 0x8000 : 0));
}

template <class T>
constexpr bool same_key = chainrule::key<T> == static_cast<std::uint8_t>(dtype_of<T>);
static_assert(same_key<float> && same_key<double> && same_key<std::int32_t> && same_key<std::int64_t> &&
              same_key<std::uint8_t>);
static_assert(chainrule::key_bool == static_cast<std::uint8_t>(DType::boolean));
static_assert(chainrule::key_bfloat16 == static_cast<std::uint8_t>(DType::bfloat16));

}  // namespace

TEST_CASE("copy: runs, fills, strides, offsets") {
  check_copy({1}, {1}, 1);
  check_copy({1000}, {1}, 1003, 3);
  check_copy({777}, {3}, 777 * 3);
  check_copy({777}, {-1}, 777, 776);
  check_copy({130}, {0}, 1);
  check_copy({50, 33}, {0, 1}, 33);           // a bias over rows
  check_copy({50, 33}, {1, 0}, 50);           // a column over columns
  check_copy({7, 5, 9}, {200, 20, 2}, 1400);  // a slice with steps
  check_copy({3, 4, 5, 6}, {0, 30, 0, 1}, 120);
  check_copy({1, 1}, {0, 0}, 3, 2);
  check_copy({40, 1, 5}, {30, 0, 1}, 1200, 7);
  check_copy({4, 0, 5}, {0, 5, 1}, 0);
  check_copy({5, 0}, {1, 5}, 0);
  check_copy({2, 1, 3, 1, 2, 2, 1, 5}, {60, 7, 20, 9, 10, 5, 3, 1}, 120);
}

TEST_CASE("copy: transpositions of two and more axes") {
  struct Plane {
    std::int64_t rows, columns;
  };
  for (const Plane& plane : {Plane{2, 2}, {3, 50}, {16, 16}, {17, 31}, {64, 48}, {100, 3}, {33, 129}}) {
    const std::int64_t rows = plane.rows, columns = plane.columns;
    CAPTURE(rows);
    CAPTURE(columns);
    check_copy({rows, columns}, {1, rows}, rows * columns);
    check_copy({rows, columns}, {1, rows + 5}, (rows + 5) * columns, 2);            // a part of a wider matrix
    check_copy({3, rows, columns}, {rows * columns, 1, rows}, 3 * rows * columns);  // batch
    check_copy({rows, 3, columns}, {1, rows, 3 * rows}, 3 * rows * columns);        // reversed axes
    check_copy({2, rows, 3, columns}, {3 * rows * columns, 1, rows * columns, rows}, 6 * rows * columns);
  }
}

TEST_CASE("copy into a strided output leaves the rest alone") {
  CopyPlan body{};  // rows of 6 into every second place of rows of 20, from place 3
  body.rank = 2;
  body.size[0] = 5, body.size[1] = 6;
  body.in_stride[0] = 6, body.in_stride[1] = 1;
  body.out_stride[0] = 20, body.out_stride[1] = 2, body.out_offset = 3;
  const std::vector<float> x = random_values<float>(30, 3);
  const auto y = call("copy", DType::float32, make_plan(body, 30), {bytes_of(x)}, {400}).as<float>();
  const auto untouched = values_of<float>(Bytes(4, 0xC3))[0];
  for (std::int64_t i = 0; i < 100; ++i) {
    const std::int64_t row = i / 20, place = i % 20 - 3;
    const bool reached = place >= 0 && place % 2 == 0 && place < 12;
    CHECK(y[at(i)] == (reached ? x[at(row * 6 + place / 2)] : untouched));
  }
}

TEST_CASE("concat") {
  for (const std::int64_t outer : {1, 3, 50}) {
    ConcatPlan body{};
    body.outer = outer;
    body.parts = 4;
    const std::int64_t extents[] = {12, 0, 4, 100};
    std::vector<Bytes> in;
    for (int p = 0; p < 4; ++p) {
      body.extent[p] = extents[p];
      body.total += extents[p];
      in.push_back(random_bytes(at(outer * extents[p]), static_cast<unsigned>(p)));
    }
    Bytes expected;
    for (std::int64_t row = 0; row < outer; ++row) {
      for (std::size_t p = 0; p < 4; ++p) {
        expected.insert(expected.end(), in[p].begin() + row * extents[p], in[p].begin() + (row + 1) * extents[p]);
      }
    }
    for (const DType dtype : all_dtypes) {
      CHECK(call("concat", dtype, make_plan(body, outer), in, {expected.size()}).out[0] == expected);
    }
  }
}

TEST_CASE("take_along and put_along") {
  struct Extents {
    std::int64_t outer, n, inner;
  };
  for (const Extents& e : {Extents{1, 1, 1}, {37, 10, 1}, {1, 9, 40}, {3, 7, 5}}) {
    const std::int64_t units = e.outer * e.inner;
    const Plan plan = make_plan(ReducePlan{e.outer, e.n, e.inner, 1}, units);
    std::vector<std::int64_t> index(at(units));
    for (std::int64_t u = 0; u < units; ++u) index[at(u)] = (u * 5 + 2) % (2 * e.n) - e.n;  // negative ones too
    for (const DType dtype : all_dtypes) {
      const std::size_t bytes = size_of_key(dtype);
      const Bytes x = random_bytes(at(units * e.n) * bytes, 4), values = random_bytes(at(units) * bytes, 5);
      Bytes taken(at(units) * bytes), spread(at(units * e.n) * bytes, 0);
      for (std::int64_t u = 0; u < units; ++u) {
        const std::int64_t k = index[at(u)] < 0 ? index[at(u)] + e.n : index[at(u)];
        const std::size_t place = at((u / e.inner * e.n + k) * e.inner + u % e.inner);
        std::memcpy(&taken[at(u) * bytes], &x[place * bytes], bytes);
        std::memcpy(&spread[place * bytes], &values[at(u) * bytes], bytes);
      }
      CHECK(call("take_along", dtype, plan, {x, bytes_of(index)}, {taken.size()}).out[0] == taken);
      CHECK(call("put_along", dtype, plan, {bytes_of(index), values}, {spread.size()}).out[0] == spread);
      for (const std::int64_t bad :
           {e.n, -e.n - 1, std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::min()}) {
        std::vector<std::int64_t> wrong = index;
        wrong.back() = bad;
        CHECK(call("take_along", dtype, plan, {x, bytes_of(wrong)}, {taken.size()}).status == Status::bad_index);
        CHECK(call("put_along", dtype, plan, {bytes_of(wrong), values}, {spread.size()}).status == Status::bad_index);
      }
    }
  }
}

TEST_CASE_TEMPLATE("one_hot", T, float, double) {
  const std::vector<std::int64_t> index{3, 0, 9, 9, 5};
  const Plan plan = make_plan(RowPlan{5, 10, {}, {}}, 5);
  const auto y = call("one_hot", dtype_of<T>, plan, {bytes_of(index)}, {50 * sizeof(T)}).template as<T>();
  for (std::int64_t i = 0; i < 50; ++i) CHECK(y[at(i)] == (i % 10 == index[at(i / 10)] ? 1 : 0));
  for (const std::int64_t bad : {-1, 10}) {
    std::vector<std::int64_t> wrong = index;
    wrong[2] = bad;
    CHECK(call("one_hot", dtype_of<T>, plan, {bytes_of(wrong)}, {50 * sizeof(T)}).status == Status::bad_index);
  }
}

TEST_CASE("casts between integers wrap, to bool test for zero") {
  const std::vector<std::int64_t> x{0, 1, -1, 255, 256, 1LL << 31, (1LL << 32) + 7, -(1LL << 40) - 3};
  const auto i32 = cast<std::int32_t>("cast_to_int32", x);
  const auto u8 = cast<std::uint8_t>("cast_to_uint8", x);
  const auto b = cast<std::uint8_t>("cast_to_bool", x);
  const auto f32 = cast<float>("cast_to_float32", x);
  const auto f64 = cast<double>("cast_to_float64", x);
  for (std::size_t k = 0; k < x.size(); ++k) {
    CHECK(i32[k] == static_cast<std::int32_t>(x[k]));
    CHECK(u8[k] == static_cast<std::uint8_t>(x[k]));
    CHECK(b[k] == (x[k] != 0));
    CHECK(f32[k] == static_cast<float>(x[k]));
    CHECK(f64[k] == static_cast<double>(x[k]));
  }
  const std::vector<std::uint8_t> flags{0, 1, 1, 0, 2};  // a foreign array may hold other bytes than 0 and 1
  CHECK(cast<float>("cast_to_float32", DType::boolean, flags) == std::vector<float>{0, 1, 1, 0, 1});
  CHECK(cast<std::int64_t>("cast_to_int64", DType::boolean, flags) == std::vector<std::int64_t>{0, 1, 1, 0, 1});
  CHECK(cast<float>("cast_to_float32", flags) == std::vector<float>{0, 1, 1, 0, 2});
  CHECK(cast<std::uint16_t>("cast_to_bfloat16", flags) == std::vector<std::uint16_t>{0, 0x3F80, 0x3F80, 0, 0x4000});
}

TEST_CASE_TEMPLATE("casts from floating point truncate and saturate", T, float, double) {
  const std::vector<T> x{T(0),
                         T(-0.0),
                         T(0.9),
                         T(-0.9),
                         T(1.5),
                         T(-1.5),
                         T(254.9),
                         T(255),
                         T(256),
                         T(1e6),
                         T(-1e6),
                         T(3e9),
                         T(-3e9),
                         T(1e20),
                         T(-1e20),
                         infinity<T>,
                         -infinity<T>,
                         not_a_number<T>,
                         std::numeric_limits<T>::max()};
  const auto i32 = cast<std::int32_t>("cast_to_int32", x);
  const auto i64 = cast<std::int64_t>("cast_to_int64", x);
  const auto u8 = cast<std::uint8_t>("cast_to_uint8", x);
  const auto b = cast<std::uint8_t>("cast_to_bool", x);
  const auto clamp = [](long double value, long double low, long double high) {
    return std::isnan(value) ? 0 : std::trunc(std::min(std::max(value, low), high));
  };
  for (std::size_t k = 0; k < x.size(); ++k) {
    const long double value = x[k];
    CHECK(static_cast<long double>(i32[k]) == clamp(value, -0x1p31L, 0x1p31L - 1));
    CHECK(static_cast<long double>(i64[k]) == clamp(value, -0x1p63L, 0x1p63L - 1));
    CHECK(static_cast<long double>(u8[k]) == clamp(value, 0, 255));
    CHECK(b[k] == (x[k] != 0));
  }
  CHECK(cast<T>(sizeof(T) == 4 ? "cast_to_float32" : "cast_to_float64", x).size() == x.size());
}

TEST_CASE("bfloat16 rounds to nearest even from every type and widens exactly") {
  std::vector<double> x;
  for (const float value : random_values<float>(200, 9, -300, 300)) x.push_back(value);
  for (int bits = 0x3F80; bits < 0x3F90; ++bits) {  // ties, and values one float64 step beside a tie
    const double tie = bfloat16_value(static_cast<std::uint16_t>(bits)) + 0x1p-8;
    for (const double sign : {1.0, -1.0}) {
      for (const double value : {tie, std::nextafter(tie, 0.0), std::nextafter(tie, 4.0), tie + 0x1p-30})
        x.push_back(sign * value);
    }
  }
  const auto from_double = cast<std::uint16_t>("cast_to_bfloat16", x);
  std::vector<float> narrow(x.begin(), x.end());
  const auto from_float = cast<std::uint16_t>("cast_to_bfloat16", narrow);
  for (std::size_t k = 0; k < x.size(); ++k) {
    CHECK(from_double[k] == nearest_bfloat16(x[k]));
    CHECK(from_float[k] == nearest_bfloat16(narrow[k]));
  }
  const std::vector<std::int64_t> integers{0,
                                           1,
                                           -1,
                                           257,
                                           259,
                                           0x101'0000'0000'0001,
                                           0x101'0000'0000'0000,
                                           0x103'0000'0000'0000,
                                           -0x101'0000'0000'0001,
                                           std::numeric_limits<std::int64_t>::max(),
                                           std::numeric_limits<std::int64_t>::min()};
  const auto from_integer = cast<std::uint16_t>("cast_to_bfloat16", integers);
  for (std::size_t k = 0; k < integers.size(); ++k)
    CHECK(from_integer[k] == nearest_bfloat16(static_cast<long double>(integers[k])));

  const std::vector<float> special{infinity<float>, -infinity<float>, 3.4028235e38f, -0.0f};
  CHECK(cast<std::uint16_t>("cast_to_bfloat16", special) == std::vector<std::uint16_t>{0x7F80, 0xFF80, 0x7F80, 0x8000});
  // Payloads in the half that is cut off.
  const std::vector<std::uint32_t> nan_bits{0x7F800001u, 0x7FFFFFFFu, 0xFF800001u};
  for (const std::uint16_t bits : cast<std::uint16_t>("cast_to_bfloat16", DType::float32, nan_bits))
    CHECK((bits & 0x7FFF) > 0x7F80);
  for (const std::uint16_t bits :
       cast<std::uint16_t>("cast_to_bfloat16", std::vector<double>{not_a_number<double>, 1e300, -1e300})) {
    CHECK((bits & 0x7FFF) >= 0x7F80);
  }
  std::vector<std::uint16_t> every;
  for (unsigned bits = 0; bits < 0x10000; bits += 1) {
    if ((bits & 0x7F80) != 0) every.push_back(static_cast<std::uint16_t>(bits));
  }
  const auto wide = cast<float>("cast_to_float32", DType::bfloat16, every);
  const auto back = cast<std::uint16_t>("cast_to_bfloat16", wide);
  for (std::size_t k = 0; k < every.size(); ++k) {
    const float value = bfloat16_value(every[k]);
    CHECK((wide[k] == value || value != value));
    CHECK((back[k] == every[k] || value != value));
  }
}
