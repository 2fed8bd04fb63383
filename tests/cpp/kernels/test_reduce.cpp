// kernels/reduce.cpp: sum, max, min, argmax, argmin, check_finite against plain loops.
#include "call.hpp"

using namespace kernel_test;

namespace {

struct Extents {
  std::int64_t outer, n, inner;
};

// Rows shorter, equal and longer than packets and blocks; columns on both sides of the tile sizes; bias gradients.
const Extents all_extents[] = {{1, 1, 1},     {3, 2, 1},    {7, 10, 1},   {5, 16, 1},    {4, 17, 1},
                               {2, 63, 1},    {3, 300, 1},  {2, 2049, 1}, {1, 70001, 1}, {2, 3, 2},
                               {128, 1, 3},   {1, 128, 10}, {3, 5, 17},   {1, 128, 256}, {2, 1500, 5},
                               {1, 2600, 37}, {2, 4, 130},  {1, 33, 301}, {5, 1, 1}};

Plan reduce_plan(const Extents& e, double scale = 1) {
  return make_plan(ReducePlan{e.outer, e.n, e.inner, scale}, e.inner > 1 ? e.outer * e.inner : e.outer);
}

template <class T>
T element(const std::vector<T>& x, const Extents& e, std::int64_t output, std::int64_t k) {
  return x[at((output / e.inner * e.n + k) * e.inner + output % e.inner)];
}

template <class T>
std::vector<T> integers(std::int64_t count, unsigned seed) {
  std::mt19937_64 draw(seed);
  std::vector<T> values(at(count));
  for (T& value : values) value = static_cast<T>(draw() % 50);
  return values;
}

template <class T>
void check_argbest(const std::vector<T>& x, const Extents& e) {
  const auto outputs = at(e.outer * e.inner);
  const auto argmax =
      call("argmax", dtype_of<T>, reduce_plan(e), {bytes_of(x)}, {outputs * 8}).template as<std::int64_t>();
  const auto argmin =
      call("argmin", dtype_of<T>, reduce_plan(e), {bytes_of(x)}, {outputs * 8}).template as<std::int64_t>();
  for (std::int64_t i = 0; i < e.outer * e.inner; ++i) {
    std::int64_t best = 0, least = 0;
    for (std::int64_t k = 1; k < e.n; ++k) {
      const T value = element(x, e, i, k), top = element(x, e, i, best), bottom = element(x, e, i, least);
      if (top == top && (value > top || value != value)) best = k;
      if (bottom == bottom && (value < bottom || value != value)) least = k;
    }
    CHECK(argmax[at(i)] == best);
    CHECK(argmin[at(i)] == least);
  }
}

template <class T>
void check_integers(const Extents& e) {
  const std::vector<T> x = integers<T>(e.outer * e.n * e.inner, 3);
  const auto outputs = at(e.outer * e.inner);
  const auto max = call("max", dtype_of<T>, reduce_plan(e), {bytes_of(x)}, {outputs * sizeof(T)}).template as<T>();
  const auto min = call("min", dtype_of<T>, reduce_plan(e), {bytes_of(x)}, {outputs * sizeof(T)}).template as<T>();
  for (std::int64_t i = 0; i < e.outer * e.inner; ++i) {
    T top = element(x, e, i, 0), bottom = top;
    for (std::int64_t k = 1; k < e.n; ++k) {
      top = std::max(top, element(x, e, i, k));
      bottom = std::min(bottom, element(x, e, i, k));
    }
    CHECK(max[at(i)] == top);
    CHECK(min[at(i)] == bottom);
  }
  check_argbest(x, e);
}

}  // namespace

TEST_CASE_TEMPLATE("sum, max, min agree with plain loops", T, float, double) {
  for (const Extents& e : all_extents) {
    CAPTURE(e.outer);
    CAPTURE(e.n);
    CAPTURE(e.inner);
    const std::vector<T> x = random_values<T>(e.outer * e.n * e.inner, 1);
    const auto outputs = at(e.outer * e.inner);
    const double scale = 1.0 / static_cast<double>(e.n);
    const auto sum = call("sum", dtype_of<T>, reduce_plan(e), {bytes_of(x)}, {outputs * sizeof(T)}).template as<T>();
    const auto mean =
        call("sum", dtype_of<T>, reduce_plan(e, scale), {bytes_of(x)}, {outputs * sizeof(T)}).template as<T>();
    const auto max = call("max", dtype_of<T>, reduce_plan(e), {bytes_of(x)}, {outputs * sizeof(T)}).template as<T>();
    const auto min = call("min", dtype_of<T>, reduce_plan(e), {bytes_of(x)}, {outputs * sizeof(T)}).template as<T>();
    for (std::int64_t i = 0; i < e.outer * e.inner; ++i) {
      long double exact = 0, magnitude = 0;
      T top = element(x, e, i, 0), bottom = top;
      for (std::int64_t k = 0; k < e.n; ++k) {
        const T value = element(x, e, i, k);
        exact += value;
        magnitude += value < 0 ? -value : value;
        top = std::max(top, value);
        bottom = std::min(bottom, value);
      }
      const double bound = epsilon<T>() * static_cast<double>(magnitude) * (e.inner == 1 ? 2 : 8);
      CHECK(std::abs(static_cast<double>(sum[at(i)] - exact)) <= bound);
      CHECK(mean[at(i)] == static_cast<T>(sum[at(i)] * static_cast<T>(scale)));
      CHECK(max[at(i)] == top);
      CHECK(min[at(i)] == bottom);
    }
    check_argbest(x, e);
  }
}

TEST_CASE("column sums are ascending chains, in blocks of 1024") {
  const Extents e{1, 2600, 37};
  const std::vector<float> x = random_values<float>(e.n * e.inner, 9);
  const auto sum = call("sum", DType::float32, reduce_plan(e), {bytes_of(x)}, {at(e.inner) * 4}).as<float>();
  for (std::int64_t i = 0; i < e.inner; ++i) {
    volatile float total = 0;
    for (std::int64_t first = 0; first < e.n; first += 1024) {
      volatile float block = 0;
      for (std::int64_t k = first; k < std::min(first + 1024, e.n); ++k) block = block + x[at(k * e.inner + i)];
      total = total + block;
    }
    CHECK(sum[at(i)] == total);
  }
}

TEST_CASE("a row's sum does not depend on the rows around it, a column's not on the columns") {
  const std::vector<float> x = random_values<float>(40 * 333, 4);
  const auto rows = call("sum", DType::float32, reduce_plan({40, 333, 1}), {bytes_of(x)}, {160}).as<float>();
  const std::vector<float> row(x.begin() + 17 * 333, x.begin() + 18 * 333);
  CHECK(call("sum", DType::float32, reduce_plan({1, 333, 1}), {bytes_of(row)}, {4}).as<float>()[0] == rows[17]);
  const auto columns = call("sum", DType::float32, reduce_plan({1, 40, 333}), {bytes_of(x)}, {333 * 4}).as<float>();
  std::vector<float> pair;  // the columns 300, 301 alone
  for (std::int64_t k = 0; k < 40; ++k) pair.insert(pair.end(), {x[at(k * 333 + 300)], x[at(k * 333 + 301)]});
  CHECK(call("sum", DType::float32, reduce_plan({1, 40, 2}), {bytes_of(pair)}, {8}).as<float>()[1] == columns[301]);
}

TEST_CASE("integer reductions are exact") {
  for (const Extents& e : all_extents) {
    CAPTURE(e.outer);
    CAPTURE(e.n);
    CAPTURE(e.inner);
    check_integers<std::int32_t>(e);
    check_integers<std::int64_t>(e);
    check_integers<std::uint8_t>(e);
    std::vector<std::int64_t> x = integers<std::int64_t>(e.outer * e.n * e.inner, 8);
    x.back() = std::numeric_limits<std::int64_t>::max();  // wraps, no undefined behaviour
    const auto sum =
        call("sum", DType::int64, reduce_plan(e), {bytes_of(x)}, {at(e.outer * e.inner) * 8}).as<std::int64_t>();
    for (std::int64_t i = 0; i < e.outer * e.inner; ++i) {
      std::uint64_t exact = 0;
      for (std::int64_t k = 0; k < e.n; ++k) exact += static_cast<std::uint64_t>(element(x, e, i, k));
      CHECK(static_cast<std::uint64_t>(sum[at(i)]) == exact);
    }
  }
  const Bytes flags{0, 1, 1, 0};
  CHECK(call("argmax", DType::boolean, reduce_plan({1, 4, 1}), {flags}, {8}).as<std::int64_t>()[0] == 1);
  CHECK(call("max", DType::boolean, reduce_plan({2, 2, 1}), {flags}, {2}).out[0] == Bytes{1, 1});
}

TEST_CASE_TEMPLATE("NaN and infinity propagate from any place", T, float, double) {
  for (const Extents& e : {Extents{1, 40, 1}, Extents{1, 700, 1}, Extents{1, 40, 3}, Extents{1, 9, 40}}) {
    for (std::int64_t place = 0; place < e.n; place += 3) {
      std::vector<T> x = random_values<T>(e.n * e.inner, 2);
      const auto outputs = at(e.inner);
      x[at(place * e.inner + e.inner - 1)] = not_a_number<T>;
      for (const char* name : {"sum", "max", "min"}) {
        const auto y = call(name, dtype_of<T>, reduce_plan(e), {bytes_of(x)}, {outputs * sizeof(T)}).template as<T>();
        CHECK(std::isnan(y.back()));
        if (outputs > 1) CHECK(std::isfinite(y.front()));
      }
      x.back() = not_a_number<T>;  // the last row's: argmax and argmin want the first of the two
      check_argbest(x, e);
      x = std::vector<T>(at(e.n * e.inner), -infinity<T>);
      x[at(place * e.inner)] = infinity<T>;
      CHECK(call("max", dtype_of<T>, reduce_plan(e), {bytes_of(x)}, {outputs * sizeof(T)}).template as<T>()[0] ==
            infinity<T>);
      check_argbest(x, e);
      x.assign(at(e.n * e.inner), -infinity<T>);
      CHECK(call("max", dtype_of<T>, reduce_plan(e), {bytes_of(x)}, {outputs * sizeof(T)}).template as<T>()[0] ==
            -infinity<T>);
    }
  }
}

TEST_CASE("empty sums are 0 and empty means NaN; signs of zero survive") {
  CHECK(call("sum", DType::float32, reduce_plan({2, 0, 1}), {{}}, {8}).as<float>() == std::vector<float>{0, 0});
  CHECK(call("sum", DType::float64, reduce_plan({1, 0, 3}), {{}}, {24}).as<double>() == std::vector<double>{0, 0, 0});
  CHECK(std::isnan(call("sum", DType::float32, reduce_plan({1, 0, 1}, infinity<double>), {{}}, {4}).as<float>()[0]));
  for (const std::int64_t inner : {1, 5}) {
    const std::vector<float> x(at(7 * inner), -0.0f);
    const auto y = call("sum", DType::float32, reduce_plan({1, 7, inner}), {bytes_of(x)}, {at(inner) * 4}).as<float>();
    CHECK(y[0] == 0.0f);
    CHECK(std::signbit(y[0]));
  }
}

TEST_CASE("long float32 sums keep their accuracy") {
  const std::int64_t n = 1 << 22;
  const std::vector<float> x(at(n), 0.1f);
  const auto y = call("sum", DType::float32, reduce_plan({1, n, 1}), {bytes_of(x)}, {4}).as<float>();
  CHECK(std::abs(y[0] / (0.1f * static_cast<float>(n)) - 1) < 2e-6);
}

TEST_CASE_TEMPLATE("check_finite finds one bad element anywhere", T, float, double) {
  for (const std::int64_t n : {1, 5, 31, 4096, 10000}) {
    std::vector<T> x = random_values<T>(n, 5);
    x[0] = std::numeric_limits<T>::max();
    const Plan plan = make_plan(RowPlan{n, 1, {}, {}}, n);
    CHECK(call("check_finite", dtype_of<T>, plan, {bytes_of(x)}, {}).status == Status::ok);
    for (const T bad : {infinity<T>, -infinity<T>, not_a_number<T>, -not_a_number<T>}) {
      for (const std::int64_t place : {std::int64_t{0}, n / 2, n - 1}) {
        std::vector<T> y = x;
        y[at(place)] = bad;
        CHECK(call("check_finite", dtype_of<T>, plan, {bytes_of(y)}, {}).status == Status::not_finite);
      }
    }
  }
}
