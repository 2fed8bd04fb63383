// Elementwise kernels: broadcasting, strides, ranges, addresses, in place, nothing to do.
#include "elementwise_call.hpp"

using namespace chainrule;
using namespace chainrule::tests;

TEST_CASE_TEMPLATE("elementwise: bits do not depend on place, address or range", T, float, double) {
  constexpr std::int64_t n = 150;
  const auto x = uniform<T>(n, -6, 6, 8), g = uniform<T>(n, -2, 2, 9);
  for (const std::string name :
       {"tanh", "exp", "gelu", "sigmoid", "log1p", "erf", "softplus", "d_tanh", "d_gelu", "power"}) {
    const kernels::Kernel kernel = find<T>(name);
    std::vector<T> whole(n);
    Call({n}, {{x.data(), {1}}, {g.data(), {1}}}, {whole.data()}).run(kernel);
    bool equal = true;
    for (std::size_t offset = 0; offset < 64 / sizeof(T); ++offset) {
      std::vector<T> in(n + 64), in2(n + 64), out(n + 64);
      std::copy(x.begin(), x.end(), in.begin() + static_cast<std::ptrdiff_t>(offset));
      std::copy(g.begin(), g.end(), in2.begin() + static_cast<std::ptrdiff_t>(offset / 2));
      Call({n}, {{in.data() + offset, {1}}, {in2.data() + offset / 2, {1}}}, {out.data() + 63 - offset}).run(kernel);
      for (std::size_t i = 0; i < n; ++i) equal &= same(out[63 - offset + i], whole[i]);
      for (std::size_t i = 0; i < out.size(); ++i) equal &= (i >= 63 - offset && i < 63 - offset + n) || out[i] == 0;
    }
    CHECK_MESSAGE(equal, name, " by address");
    equal = true;
    for (std::int64_t cut = 0; cut <= n; ++cut) {
      std::vector<T> out(n);
      const Call call({n}, {{x.data(), {1}}, {g.data(), {1}}}, {out.data()});
      call.run(kernel, cut, n);
      for (std::int64_t i = 0; i < cut; ++i) equal &= out[static_cast<std::size_t>(i)] == 0;
      call.run(kernel, 0, cut / 2);
      call.run(kernel, cut / 2, cut);
      for (std::size_t i = 0; i < n; ++i) equal &= same(out[i], whole[i]);
    }
    CHECK_MESSAGE(equal, name, " by range");
  }
}

TEST_CASE_TEMPLATE("elementwise: broadcasting and strides", T, float, double, std::int32_t, std::uint8_t) {
  std::vector<T> a(5000), b(5000);
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = static_cast<T>(i % 97), b[i] = static_cast<T>(i % 89);
  struct Layout {
    std::vector<std::int64_t> shape, a, b;
  };
  const Layout layouts[] = {
      {{4, 33}, {33, 1}, {0, 1}},   // a row added to a matrix
      {{33, 40}, {40, 1}, {1, 0}},  // a column
      {{65}, {0}, {1}},             // a scalar
      {{7, 3}, {1, 7}, {3, 1}},     // a transposed
      {{5, 2}, {2, 1}, {1, 0}},     // short rows
      {{3, 4, 5, 20}, {400, 100, 20, 1}, {0, 20, 0, 1}},
      {{2, 3, 4, 5}, {0, 20, 5, 1}, {60, 20, 0, 3}},
      {{70}, {3}, {2}},           // strided
      {{9, 17}, {0, 0}, {0, 0}},  // two scalars
      {{2, 2, 2, 2, 2, 2, 2, 3}, {192, 96, 48, 24, 12, 6, 3, 1}, {1, 2, 4, 8, 16, 32, 64, 128}},
  };
  for (const Layout& l : layouts) {
    std::int64_t n = 1;
    for (const std::int64_t d : l.shape) n *= d;
    std::vector<T> want(static_cast<std::size_t>(n));
    for (std::int64_t i = 0; i < n; ++i) {
      std::int64_t rest = i, ia = 0, ib = 0;
      for (std::size_t d = l.shape.size(); d-- > 0; rest /= l.shape[d]) {
        ia += rest % l.shape[d] * l.a[d];
        ib += rest % l.shape[d] * l.b[d];
      }
      want[static_cast<std::size_t>(i)] =
          static_cast<T>(a[static_cast<std::size_t>(ia)] - b[static_cast<std::size_t>(ib)]);
    }
    for (const std::int64_t cut : {std::int64_t{0}, n, n / 2, n / 3, std::int64_t{1}}) {
      std::vector<T> got(static_cast<std::size_t>(n));
      const Call call(l.shape, {{a.data(), l.a}, {b.data(), l.b}}, {got.data()});
      call.run(find<T>("subtract"), 0, cut);
      call.run(find<T>("subtract"), cut, n);
      CHECK(got == want);
    }
  }
}

TEST_CASE_TEMPLATE("elementwise: in place", T, float, double) {
  const auto a = uniform<T>(77, -3, 3, 11), b = uniform<T>(77, -3, 3, 12);
  const auto want = apply<T>("subtract", {a, b});
  for (int k = 0; k < 2; ++k) {
    auto x = a, y = b;
    T* out = k == 0 ? x.data() : y.data();
    Call({77}, {{x.data(), {1}}, {y.data(), {1}}}, {out}).run(find<T>("subtract"));
    CHECK((k == 0 ? x : y) == want);
  }
  auto x = a;  // a matrix minus its own shape's row, over the matrix
  Call({7, 11}, {{x.data(), {11, 1}}, {b.data(), {0, 1}}}, {x.data()}).run(find<T>("subtract"));
  for (std::size_t i = 0; i < 77; ++i) CHECK(x[i] == a[i] - b[i % 11]);
}

TEST_CASE("elementwise: nothing to do") {
  float x = 1, y = 2;
  CHECK(Call({0}, {{&x, {1}}}, {&y}).run(find<float>("exp")) == Status::ok);
  CHECK(Call({3, 0}, {{&x, {0, 1}}, {&x, {0, 0}}}, {&y}).run(find<float>("add")) == Status::ok);
  CHECK(y == 2);
}
