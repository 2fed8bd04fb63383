// Elementwise kernels, called as the executor calls them: accuracy over the whole range, special values, broadcasting,
// strides, ranges, addresses, in place, integers, optimizer updates. Higher derivatives and ops are tested elsewhere.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <numbers>
#include <random>
#include <string>
#include <vector>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

#include "chainrule/dtype.hpp"
#include "chainrule/elementwise_list.hpp"
#include "dispatch/dispatch.hpp"
#include "formulas/list.hpp"
#include "kernels/abi.hpp"

using namespace chainrule;
using kernels::ElementwisePlan, kernels::Plan, kernels::Status;
using real = long double;

namespace {

// Subnormals count as zero inside kernels.
class KernelMode {
#if defined(__SSE2__)
 public:
  KernelMode() : saved_(_mm_getcsr()) { _mm_setcsr(0x9FC0); }
  ~KernelMode() { _mm_setcsr(saved_); }
  KernelMode(const KernelMode&) = delete;
  KernelMode& operator=(const KernelMode&) = delete;

 private:
  unsigned saved_;
#endif
};

struct Input {
  const void* data;
  std::vector<std::int64_t> stride;  // elements
};

// What the caller of a kernel fills in.
struct Call {
  Plan plan{};
  std::vector<const void*> in;
  std::vector<void*> out;

  Call(const std::vector<std::int64_t>& shape, const std::vector<Input>& inputs, std::vector<void*> outputs,
       const std::vector<double>& r = {})
      : out(std::move(outputs)) {
    auto& e = *new (plan.body) ElementwisePlan{};
    e.rank = static_cast<std::int64_t>(shape.size());
    plan.units = 1;
    for (std::size_t d = 0; d < shape.size(); ++d) {
      e.size[d] = shape[d];
      plan.units *= shape[d];
      for (std::size_t k = 0; k < inputs.size(); ++k) e.stride[k][d] = inputs[k].stride[d];
    }
    for (std::size_t k = 0; k < r.size(); ++k) e.r[k] = r[k];
    for (const Input& x : inputs) in.push_back(x.data);
  }
  Status run(kernels::Kernel kernel, std::int64_t begin, std::int64_t end) const {
    const KernelMode mode;
    return kernel({in.data(), out.data(), &plan}, {begin, end}, nullptr);
  }
  Status run(kernels::Kernel kernel) const { return run(kernel, 0, plan.units); }
};

template <class T>
kernels::Kernel find(const std::string& name) {
  const kernels::Kernel kernel = dispatch::find_kernel(name, dtype_of<T>);
  REQUIRE_MESSAGE(kernel != nullptr, "no kernel ", name, " for ", std::string(name_of(dtype_of<T>)));
  return kernel;
}

// One contiguous call.
template <class T, class Out = T>
std::vector<Out> apply(const std::string& name, const std::vector<std::vector<T>>& inputs,
                       const std::vector<double>& r = {}) {
  const std::size_t n = inputs[0].size();
  std::vector<Out> y(n);
  std::vector<Input> in;
  for (const auto& x : inputs) in.push_back({x.data(), {1}});
  CHECK(Call({static_cast<std::int64_t>(n)}, in, {y.data()}, r).run(find<T>(name)) == Status::ok);
  return y;
}

template <class T>
bool same(T a, T b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0 ||
         (std::isnan(static_cast<double>(a)) && std::isnan(static_cast<double>(b)));
}

// Distance in units of the last place of `want`; results below the smallest normal may be 0.
template <class T>
double ulps(T got, real want) {
  using L = std::numeric_limits<T>;
  constexpr double wrong = 1e30;
  const real size = std::fabs(want);
  if (std::isnan(want)) return std::isnan(got) ? 0 : wrong;
  if (size > real{L::max()} * (1 + real{L::epsilon()} / 4))
    return std::isinf(got) && (got > 0) == (want > 0) ? 0 : wrong;
  if (size < L::min()) return std::fabs(got) <= L::min() ? 0 : wrong;
  if (std::isinf(got)) return size >= real{L::max()} * (1 - 4 * real{L::epsilon()}) ? 1 : wrong;
  if (std::isnan(got)) return wrong;
  int exponent;
  std::frexp(size, &exponent);
  return static_cast<double>(std::fabs(real{got} - want) / std::ldexp(real{1}, exponent - L::digits));
}

template <class T>
bool subnormal(T x) {
  return x != 0 && std::fabs(x) < std::numeric_limits<T>::min();
}

// All of float's exponents and signs; for double, random bit patterns and where functions bend.
std::vector<float> sample(float) {
  std::vector<float> x;
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 8009) {
    float v;
    const auto b = static_cast<std::uint32_t>(bits);
    std::memcpy(&v, &b, 4);
    if (!subnormal(v)) x.push_back(v);
  }
  for (float v = -110; v < 110; v += 0.0137f) x.push_back(v);
  for (float v = -3; v < 3; v += 0.00041f) x.push_back(v);
  return x;
}
std::vector<double> sample(double) {
  std::vector<double> x;
  std::mt19937_64 draw(1);
  for (int i = 0; i < 200000; ++i) {
    double v;
    const std::uint64_t b = draw();
    std::memcpy(&v, &b, 8);
    if (!subnormal(v)) x.push_back(v);
  }
  for (const double width : {0.01, 1.0, 3.0, 40.0, 800.0}) {
    std::uniform_real_distribution<double> near(-width, width);
    for (int i = 0; i < 100000; ++i) x.push_back(near(draw));
  }
  return x;
}

real sigmoid(real x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
real softplus(real x) { return std::max(x, real{0}) + std::log1p(std::exp(-std::fabs(x))); }
real normal_cdf(real x) { return std::erfc(-x / std::numbers::sqrt2_v<real>) / 2; }
real normal_pdf(real x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi_v<real>); }
real gelu(real x) { return x < -1000 ? 0 : x * normal_cdf(x); }
real silu(real x) { return x < -20000 ? 0 : x * sigmoid(x); }
real gelu_tanh(real x) {
  return x < -1000 ? 0 : x * sigmoid(2 * std::sqrt(2 / std::numbers::pi_v<real>) * (x + real{0.044715L} * x * x * x));
}
real sign(real x) { return std::isnan(x) ? x : static_cast<real>((x > 0) - (x < 0)); }

struct Unary {
  std::string name;
  real (*f)(real);
  real (*slope)(real);
  double lo, hi;  // where the derivative is compared
};

const Unary unary_ops[] = {
    {"negative", [](real x) { return -x; }, nullptr, -3, 3},
    {"exp", [](real x) { return std::exp(x); }, [](real x) { return std::exp(x); }, -9, 9},
    {"log", [](real x) { return std::log(x); }, [](real x) { return 1 / x; }, 0.01, 30},
    {"log1p", [](real x) { return std::log1p(x); }, [](real x) { return 1 / (1 + x); }, -0.9, 9},
    {"expm1", [](real x) { return std::expm1(x); }, [](real x) { return std::exp(x); }, -3, 9},
    {"sqrt", [](real x) { return std::sqrt(x); }, [](real x) { return 1 / (2 * std::sqrt(x)); }, 0.01, 9},
    {"square", [](real x) { return x * x; }, nullptr, -3, 3},
    {"abs", [](real x) { return std::fabs(x); }, sign, -3, 3},
    {"sign", sign, nullptr, -3, 3},
    {"relu", [](real x) { return x < 0 ? 0 : x; }, [](real x) { return x > 0 ? real{1} : 0; }, -3, 3},
    {"sigmoid", sigmoid, [](real x) { return sigmoid(x) * sigmoid(-x); }, -6, 3},
    {"tanh", [](real x) { return std::tanh(x); }, [](real x) { return 1 - std::tanh(x) * std::tanh(x); }, -2, 2},
    {"softplus", softplus, sigmoid, -20, 20},
    {"gelu", gelu, [](real x) { return normal_cdf(x) + x * normal_pdf(x); }, -5, 9},
    {"gelu_tanh", gelu_tanh, nullptr, -5, 9},
    {"silu", silu, [](real x) { return sigmoid(x) * (1 + x * sigmoid(-x)); }, -20, 20},
    {"erf", [](real x) { return std::erf(x); },
     [](real x) { return 2 / std::sqrt(std::numbers::pi_v<real>) * std::exp(-x * x); }, -3, 3},
};

// ULP each op may be off. gelu_tanh: the exponent's own rounding is multiplied by its size, below -3 without bound.
double limit_of(const std::string& name) {
  for (const char* exact : {"negative", "sqrt", "square", "abs", "sign", "relu"})
    if (name == exact) return 0.5;
  return 4;
}

template <class T>
void check_unary_accuracy() {
  for (const Unary& op : unary_ops) {
    std::vector<T> x = sample(T{});
    if (op.name == "gelu_tanh") std::erase_if(x, [](T v) { return v < -1; });
    const std::vector<T> y = apply<T>(op.name, {x});
    double worst = 0;
    T where = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double u = ulps(y[i], op.f(x[i]));
      if (u > worst) worst = u, where = x[i];
    }
    CHECK_MESSAGE(worst <= limit_of(op.name), op.name, " is ", worst, " ULP off at ", where);
  }
}

template <class T>
void check_unary_derivatives() {
  const T eps = std::numeric_limits<T>::epsilon();
  for (const Unary& op : unary_ops) {
    if (op.slope == nullptr) continue;
    std::mt19937_64 draw(2);
    std::uniform_real_distribution<double> domain(op.lo, op.hi);
    std::vector<T> x(1001), g(1001);
    for (T& v : x) v = static_cast<T>(domain(draw));
    for (T& v : g) v = static_cast<T>(domain(draw) + 0.5);
    const std::string& name = op.name;
    bool saves_output = false;
    for (const char* out : {"exp", "expm1", "sqrt", "relu", "sigmoid", "tanh"}) saves_output |= name == out;
    const std::vector<T> saved = saves_output ? apply<T>(name, {x}) : x;
    const std::vector<T> d = apply<T>("d_" + name, {saved, g});
    for (std::size_t i = 0; i < x.size(); ++i) {
      const real want = real{g[i]} * op.slope(x[i]);
      // An absolute term where the saved output has lost digits (1 - y^2) or terms cancel (gelu).
      const real tolerance = 30 * eps * (std::fabs(want) + std::fabs(real{g[i]}));
      CHECK_MESSAGE(std::fabs(d[i] - want) <= tolerance, "d_", name, " at ", x[i], ": ", d[i], " against ",
                    static_cast<double>(want));
    }
  }
}

template <class T>
std::vector<T> uniform(std::size_t n, double lo, double hi, unsigned seed) {
  std::mt19937_64 draw(seed);
  std::uniform_real_distribution<double> d(lo, hi);
  std::vector<T> x(n);
  for (T& v : x) v = static_cast<T>(d(draw));
  return x;
}

}  // namespace

TEST_CASE("elementwise: every listed op has its kernels") {
#define CHECK_FLOATS(name, Struct, doc)                           \
  CHECK(dispatch::find_kernel(#name, DType::float32) != nullptr); \
  CHECK(dispatch::find_kernel(#name, DType::float64) != nullptr);
  CHAINRULE_UNARY_OPS(CHECK_FLOATS)
  CHAINRULE_BINARY_OPS(CHECK_FLOATS)
  CHAINRULE_COMPARISON_OPS(CHECK_FLOATS)
  CHAINRULE_PARAMETRIC_OPS(CHECK_FLOATS)
  CHAINRULE_TERNARY_OPS(CHECK_FLOATS)
  CHAINRULE_UPDATE_OPS(CHECK_FLOATS)
#undef CHECK_FLOATS
  CHECK(dispatch::find_kernel("exp", DType::int32) == nullptr);
  CHECK(dispatch::find_kernel("d_add", DType::float32) == nullptr);
  CHECK(dispatch::find_kernel("d_sign", DType::float32) == nullptr);
}

TEST_CASE("elementwise: one input, accuracy over the whole range") {
  SUBCASE("float32") { check_unary_accuracy<float>(); }
  SUBCASE("float64") { check_unary_accuracy<double>(); }
}

TEST_CASE("elementwise: one input, derivatives") {
  SUBCASE("float32") { check_unary_derivatives<float>(); }
  SUBCASE("float64") { check_unary_derivatives<double>(); }
}

TEST_CASE_TEMPLATE("elementwise: special values", T, float, double) {
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  struct Case {
    std::string name;
    std::vector<T> x, y;
  };
  const Case cases[] = {
      {"exp", {inf, -inf, nan, T(-0.0), 1000, -1000}, {inf, 0, nan, 1, inf, 0}},
      {"expm1", {inf, -inf, nan, T(-0.0), T(0), 1000}, {inf, -1, nan, T(-0.0), T(0), inf}},
      {"log", {inf, -inf, nan, T(-0.0), T(0), T(-1), T(1)}, {inf, nan, nan, -inf, -inf, nan, 0}},
      {"log1p", {inf, -inf, nan, T(-0.0), T(-1), T(-2)}, {inf, nan, nan, T(-0.0), -inf, nan}},
      {"sqrt", {inf, T(-1), nan, T(-0.0)}, {inf, nan, nan, T(-0.0)}},
      {"abs", {-inf, nan, T(-0.0)}, {inf, nan, T(0)}},
      {"sign", {-inf, inf, nan, T(-0.0)}, {T(-1), 1, nan, T(0)}},
      {"relu", {-inf, inf, nan}, {T(0), inf, nan}},
      {"tanh", {-inf, inf, nan, T(-0.0), T(-1e4)}, {T(-1), 1, nan, T(-0.0), T(-1)}},
      {"sigmoid", {-inf, inf, nan, T(0), T(-1e4), T(1e4)}, {T(0), 1, nan, T(0.5), T(0), 1}},
      {"softplus", {-inf, inf, nan, T(-1e4), T(1e4)}, {T(0), inf, nan, T(0), T(1e4)}},
      {"gelu", {-inf, inf, nan, T(0), T(-1e4), T(1e4)}, {T(-0.0), inf, nan, T(0), T(-0.0), T(1e4)}},
      {"gelu_tanh", {-inf, inf, nan, T(0), T(-1e4), T(1e4)}, {T(-0.0), inf, nan, T(0), T(-0.0), T(1e4)}},
      {"silu", {-inf, inf, nan, T(0), T(-1e4), T(1e4)}, {T(-0.0), inf, nan, T(0), T(-0.0), T(1e4)}},
      {"erf", {-inf, inf, nan, T(-0.0), T(-50)}, {T(-1), 1, nan, T(-0.0), T(-1)}},
  };
  for (const Case& c : cases) {
    const std::vector<T> y = apply<T>(c.name, {c.x});
    for (std::size_t i = 0; i < y.size(); ++i)
      CHECK_MESSAGE(same(y[i], c.y[i]), c.name, "(", c.x[i], ") is ", y[i], ", not ", c.y[i]);
  }
  // A NaN keeps being one, whatever its payload and sign.
  for (const Unary& op : unary_ops) {
    std::vector<T> x(64, nan);
    for (std::size_t i = 0; i < x.size(); ++i) {
      using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
      Bits b;
      std::memcpy(&b, &x[i], sizeof(T));
      b |= static_cast<Bits>(i) | (i % 2 ? Bits{1} << (8 * sizeof(T) - 1) : 0);
      std::memcpy(&x[i], &b, sizeof(T));
    }
    for (const T y : apply<T>(op.name, {x})) CHECK_MESSAGE(std::isnan(y), op.name);
  }
  // Derivatives pick, they do not multiply by zero: an infinite cotangent stays where it belongs.
  const std::vector<T> x{T(-1), T(0), T(1)}, g(3, inf);
  CHECK(apply<T>("d_relu", {x, g}) == std::vector<T>{0, 0, inf});
  CHECK(apply<T>("d_abs", {x, g}) == std::vector<T>{-inf, 0, inf});
  CHECK(apply<T>("d_clip", {x, g}, {-0.5, 0.5}) == std::vector<T>{0, inf, 0});
  CHECK(apply<T>("d0_maximum", {x, {0, 0, 0}, g}) == std::vector<T>{0, inf, inf});
  // The limits of slopes at infinity.
  for (const std::string name : {"d_gelu", "d_gelu_tanh", "d_silu", "d_softplus"})
    CHECK_MESSAGE((apply<T>(name, {{-inf, inf}, {1, 1}}) == std::vector<T>{0, 1}), name);
}

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

namespace {

// One update rule in long double, element by element: arrays p, g, state..., then scalars.
using Rule = std::function<void(std::vector<real>& x, const std::vector<double>& r)>;

template <class T>
void check_update(const std::string& name, std::size_t arrays, std::vector<std::size_t> written,
                  std::vector<double> scalars, const std::vector<double>& r, const Rule& rule) {
  constexpr std::size_t n = 83;
  std::vector<std::vector<T>> x;
  for (unsigned k = 0; k < arrays; ++k) x.push_back(uniform<T>(n, k < 2 ? -1 : 0.1, 1, 20 + k));
  std::vector<T> s(scalars.begin(), scalars.end());
  const auto before = x;
  for (int step = 0; step < 3; ++step) {
    std::vector<Input> in;
    for (auto& v : x) in.push_back({v.data(), {1}});
    for (T& v : s) in.push_back({&v, {0}});
    std::vector<void*> out;
    for (const std::size_t k : written) out.push_back(x[k].data());  // in place, as the planner binds them
    CHECK(Call({n}, in, out, r).run(find<T>(name)) == Status::ok);
  }
  for (std::size_t i = 0; i < n; ++i) {
    std::vector<real> v;
    for (const auto& array : before) v.push_back(array[i]);
    for (const T scalar : s) v.push_back(scalar);
    for (int step = 0; step < 3; ++step) rule(v, r);
    for (const std::size_t k : written)
      CHECK_MESSAGE(std::fabs(x[k][i] - v[k]) <= 40 * std::numeric_limits<T>::epsilon() * (1 + std::fabs(v[k])), name,
                    " operand ", k, ": ", x[k][i], " against ", static_cast<double>(v[k]));
  }
}

}  // namespace

TEST_CASE_TEMPLATE("elementwise: optimizer updates", T, float, double) {
  using V = std::vector<real>;
  using R = std::vector<double>;
  check_update<T>("sgd_update", 2, {0}, {0.1, 0.01}, {}, [](V& x, const R&) { x[0] -= x[2] * (x[1] + x[3] * x[0]); });
  check_update<T>("sgd_momentum_update", 3, {0, 2}, {0.1, 0.01, 0.9, 0.8}, {}, [](V& x, const R&) {
    x[2] = x[5] * x[2] + x[6] * (x[1] + x[4] * x[0]);
    x[0] -= x[3] * x[2];
  });
  check_update<T>("sgd_nesterov_update", 3, {0, 2}, {0.1, 0.01, 0.9, 1.0}, {}, [](V& x, const R&) {
    const real g = x[1] + x[4] * x[0];
    x[2] = x[5] * x[2] + x[6] * g;
    x[0] -= x[3] * (g + x[5] * x[2]);
  });
  check_update<T>("adagrad_update", 3, {0, 2}, {0.1, 0.01}, {1e-3}, [](V& x, const R& r) {
    const real g = x[1] + x[4] * x[0];
    x[2] += g * g;
    x[0] -= x[3] * g / (std::sqrt(x[2]) + r[0]);
  });
  check_update<T>("rmsprop_update", 3, {0, 2}, {0.1, 0.01}, {0.9, 1e-3}, [](V& x, const R& r) {
    const real g = x[1] + x[4] * x[0];
    x[2] = r[0] * x[2] + (1 - real{r[0]}) * g * g;
    x[0] -= x[3] * g / (std::sqrt(x[2]) + r[1]);
  });
  for (const double centered : {0.0, 1.0})
    check_update<T>("rmsprop_full_update", 5, {0, 2, 3, 4}, {0.01, 0.01}, {0.9, 1.0, 0.8, centered},
                    [](V& x, const R& r) {
                      const real g = x[1] + x[6] * x[0];
                      x[2] = r[0] * x[2] + (1 - real{r[0]}) * g * g;
                      if (r[3] != 0) x[3] += (1 - real{r[0]}) * (g - x[3]);
                      const real spread = r[3] != 0 ? std::max(x[2] - x[3] * x[3], real{0}) : x[2];
                      x[4] = r[2] * x[4] + g / (std::sqrt(spread) + r[1]);
                      x[0] -= x[5] * x[4];
                    });
  const auto moments = [](V& x, const R& r, std::size_t l2, std::size_t decay) {
    const real g = x[1] + x[l2] * x[0];
    x[0] *= x[decay];
    x[2] += (1 - real{r[0]}) * (g - x[2]);
    x[3] = r[1] * x[3] + (1 - real{r[1]}) * g * g;
  };
  check_update<T>("adam_update", 4, {0, 2, 3}, {0.1, 0.7, 0.01, 0.99}, {0.9, 0.99, 1e-4}, [&](V& x, const R& r) {
    moments(x, r, 6, 7);
    x[0] -= x[4] * x[2] / (std::sqrt(x[3]) / x[5] + r[2]);
  });
  check_update<T>("amsgrad_update", 5, {0, 2, 3, 4}, {0.1, 0.7, 0.01, 0.99}, {0.9, 0.99, 1e-4}, [&](V& x, const R& r) {
    moments(x, r, 7, 8);
    x[4] = std::max(x[4], x[3]);
    x[0] -= x[5] * x[2] / (std::sqrt(x[4]) / x[6] + r[2]);
  });
}
