// Elementwise kernels: attributes, several inputs, comparisons, bools and integers.
#include "elementwise_call.hpp"

using namespace chainrule;
using namespace chainrule::tests;

TEST_CASE_TEMPLATE("elementwise: parametric ops", T, float, double) {
  const std::vector<T> x{T(-2), T(-0.5), T(0), T(0.5), T(2)}, g{1, 2, 3, 4, 5};
  CHECK(apply<T>("leaky_relu", {x}, {0.25}) == std::vector<T>{T(-0.5), T(-0.125), 0, T(0.5), 2});
  CHECK(apply<T>("d_leaky_relu", {x, g}, {0.25}) == std::vector<T>{T(0.25), T(0.5), T(0.75), 4, 5});
  CHECK(apply<T>("clip", {x}, {-0.5, 1.0}) == std::vector<T>{T(-0.5), T(-0.5), 0, T(0.5), 1});
  CHECK(apply<T>("d_clip", {x, g}, {-0.5, 1.0}) == std::vector<T>{0, 2, 3, 4, 0});
  const std::vector<T> y = apply<T>("elu", {x}, {1.5}), d = apply<T>("d_elu", {x, g}, {1.5});
  for (std::size_t i = 0; i < x.size(); ++i) {
    CHECK(ulps(y[i], x[i] > 0 ? real{x[i]} : real{1.5} * std::expm1(real{x[i]})) <= 4);
    CHECK(ulps(d[i], x[i] > 0 ? real{g[i]} : real{1.5} * g[i] * std::exp(real{x[i]})) <= 4);
  }
}

TEST_CASE_TEMPLATE("elementwise: two inputs", T, float, double) {
  const auto a = uniform<T>(997, -4, 4, 3), b = uniform<T>(997, -4, 4, 4), g = uniform<T>(997, -1, 1, 5);
  using F = std::function<real(real, real)>;
  struct Case {
    std::string name;
    F f, d0, d1;
  };
  const Case cases[] = {
      {"add", [](real x, real y) { return x + y; }, nullptr, nullptr},
      {"subtract", [](real x, real y) { return x - y; }, nullptr, nullptr},
      {"multiply", [](real x, real y) { return x * y; }, nullptr, nullptr},
      {"divide", [](real x, real y) { return x / y; }, [](real, real y) { return 1 / y; },
       [](real x, real y) { return -x / (y * y); }},
      {"maximum", [](real x, real y) { return std::max(x, y); }, [](real x, real y) { return real(x > y); },
       [](real x, real y) { return real(y > x); }},
      {"minimum", [](real x, real y) { return std::min(x, y); }, [](real x, real y) { return real(x < y); },
       [](real x, real y) { return real(y < x); }},
  };
  for (const Case& c : cases) {
    const auto y = apply<T>(c.name, {a, b});
    for (std::size_t i = 0; i < y.size(); ++i) CHECK(ulps(y[i], c.f(a[i], b[i])) <= 0.5);
    for (int which = 0; which < 2; ++which) {
      const F& slope = which == 0 ? c.d0 : c.d1;
      if (!slope) continue;
      const auto d = apply<T>("d" + std::to_string(which) + "_" + c.name, {a, b, g});
      for (std::size_t i = 0; i < d.size(); ++i) CHECK(ulps(d[i], g[i] * slope(a[i], b[i])) <= 4);
    }
  }
  const T nan = std::numeric_limits<T>::quiet_NaN(), inf = std::numeric_limits<T>::infinity();
  for (const std::string name : {"maximum", "minimum"}) {
    const auto y = apply<T>(name, {{nan, 1, nan, inf}, {1, nan, nan, -inf}});
    CHECK((std::isnan(y[0]) && std::isnan(y[1]) && std::isnan(y[2])));
    CHECK(y[3] == (name[1] == 'a' ? inf : -inf));
    CHECK(apply<T>("d0_" + name, {{2}, {2}, {3}})[0] == T(1.5));
    CHECK(apply<T>("d1_" + name, {{2}, {2}, {3}})[0] == T(1.5));
  }
  const auto y = apply<T>("fma", {a, b, g});
  for (std::size_t i = 0; i < y.size(); ++i)
    CHECK(std::fabs(y[i] - (real{a[i]} * b[i] + g[i])) <= std::numeric_limits<T>::epsilon() * 17);
}

TEST_CASE_TEMPLATE("elementwise: power follows C", T, float, double) {
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  std::vector<T> a, b;
  const T special[] = {0, T(-0.0), 1, -1, 2, -2, T(0.5), T(-0.5), 3, -3, T(2.5), 1000, -1000, inf, -inf, nan};
  for (const T x : special)
    for (const T y : special) a.push_back(x), b.push_back(y);
  for (const T v : uniform<T>(4000, 0.001, 20, 6)) a.push_back(v);
  for (const T v : uniform<T>(4000, -9, 9, 7)) b.push_back(v);
  const auto y = apply<T>("power", {a, b});
  for (std::size_t i = 0; i < y.size(); ++i) {
    const real want = std::pow(real{a[i]}, real{b[i]});
    CHECK_MESSAGE(ulps(y[i], want) <= 4, a[i], " ** ", b[i], " is ", y[i]);
    if (want == 0 || std::isinf(want)) CHECK_MESSAGE(std::signbit(y[i]) == std::signbit(want), a[i], " ** ", b[i]);
  }
  const std::vector<T> x{0, 0, 0, 2, -2, 1}, e{0, 2, 1, 0, 3, 5}, g(6, 1);
  CHECK(apply<T>("d0_power", {x, e, g}) == std::vector<T>{0, 0, 1, 0, 12, 5});
  CHECK(apply<T>("d1_power", {{0, 0, 1}, {0, 2, 5}, {1, 1, 1}}) == std::vector<T>{0, 0, 0});
  CHECK(ulps(apply<T>("d1_power", {{2}, {3}, {1}})[0], 8 * std::numbers::ln2_v<real>) <= 4);
}

TEST_CASE_TEMPLATE("elementwise: comparisons and where", T, float, double, std::int32_t, std::int64_t, std::uint8_t) {
  std::vector<T> a, b;
  for (int i = 0; i < 133; ++i) a.push_back(static_cast<T>(i % 5)), b.push_back(static_cast<T>(i % 7));
  if constexpr (std::is_floating_point_v<T>) a[3] = b[4] = a[40] = b[40] = std::numeric_limits<T>::quiet_NaN();
  const auto check = [&](const std::string& name, auto compare) {
    const auto y = apply<T, unsigned char>(name, {a, b});
    for (std::size_t i = 0; i < y.size(); ++i) CHECK_MESSAGE(y[i] == (compare(a[i], b[i]) ? 1 : 0), name, " at ", i);
  };
  check("equal", std::equal_to<T>());
  check("not_equal", std::not_equal_to<T>());
  check("less", std::less<T>());
  check("less_equal", std::less_equal<T>());
  check("greater", std::greater<T>());
  check("greater_equal", std::greater_equal<T>());

  std::vector<unsigned char> c(a.size());
  for (std::size_t i = 0; i < c.size(); ++i) c[i] = i % 3 == 0;
  std::vector<T> y(a.size());
  const auto n = static_cast<std::int64_t>(a.size());
  for (std::int64_t begin = 0; begin < 20; ++begin)
    Call({n}, {{c.data(), {1}}, {a.data(), {1}}, {b.data(), {1}}}, {y.data()}).run(find<T>("where"), begin, n);
  Call({n}, {{c.data(), {1}}, {a.data(), {1}}, {b.data(), {1}}}, {y.data()}).run(find<T>("where"), 0, 17);
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(same(y[i], c[i] ? a[i] : b[i]));
  // A broadcast condition.
  Call({19, 7}, {{c.data(), {1, 0}}, {a.data(), {7, 1}}, {b.data(), {7, 1}}}, {y.data()}).run(find<T>("where"));
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(same(y[i], c[i / 7] ? a[i] : b[i]));
}

TEST_CASE("elementwise: bool") {
  const std::vector<unsigned char> a{0, 1, 0, 1, 1}, b{0, 0, 1, 1, 0}, c{1, 1, 0, 0, 1};
  std::vector<unsigned char> y(5);
  const auto run = [&](const char* name, const std::vector<Input>& in) {
    Call({5}, in, {y.data()}).run(find<bool>(name));
    return y;
  };
  CHECK(run("equal", {{a.data(), {1}}, {b.data(), {1}}}) == std::vector<unsigned char>{1, 0, 0, 1, 0});
  CHECK(run("not_equal", {{a.data(), {1}}, {b.data(), {1}}}) == std::vector<unsigned char>{0, 1, 1, 0, 1});
  CHECK(run("where", {{c.data(), {1}}, {a.data(), {1}}, {b.data(), {1}}}) == std::vector<unsigned char>{0, 1, 1, 1, 1});
}

TEST_CASE_TEMPLATE("elementwise: integers wrap around", T, std::int32_t, std::int64_t, std::uint8_t) {
  using U = std::make_unsigned_t<T>;
  const T top = std::numeric_limits<T>::max(), bottom = std::numeric_limits<T>::min();
  const std::vector<T> a{top, bottom, 3, 100, 0}, b{1, top, 5, 100, 7};
  const auto add = apply<T>("add", {a, b}), sub = apply<T>("subtract", {a, b}), mul = apply<T>("multiply", {a, b});
  const auto neg = apply<T>("negative", {a}), square = apply<T>("square", {a}), abs = apply<T>("abs", {a});
  const auto sign = apply<T>("sign", {a}), high = apply<T>("maximum", {a, b}), low = apply<T>("minimum", {a, b});
  const auto clip = apply<T>("clip", {a}, {-1e30, 50.0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    const U x = static_cast<U>(a[i]), y = static_cast<U>(b[i]);
    CHECK(add[i] == static_cast<T>(static_cast<U>(x + y)));
    CHECK(sub[i] == static_cast<T>(static_cast<U>(x - y)));
    CHECK(mul[i] == static_cast<T>(static_cast<U>(std::uint64_t{x} * y)));
    CHECK(square[i] == static_cast<T>(static_cast<U>(std::uint64_t{x} * x)));
    CHECK(neg[i] == static_cast<T>(static_cast<U>(0 - x)));
    CHECK(abs[i] == (a[i] < 0 ? neg[i] : a[i]));
    CHECK(sign[i] == static_cast<T>((a[i] > 0) - (a[i] < 0)));
    CHECK(high[i] == std::max(a[i], b[i]));
    CHECK(low[i] == std::min(a[i], b[i]));
    CHECK(clip[i] == std::min(a[i], T(50)));
  }
}
