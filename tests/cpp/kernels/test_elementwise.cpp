// Elementwise kernels: every listed op has one; accuracy of values and derivatives over the whole range,
// special values. Higher derivatives and ops are tested elsewhere.
#include "elementwise_call.hpp"

using namespace chainrule;
using namespace chainrule::tests;

namespace {

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
real selu(real x) {
  return 1.0507009873554804934193349852946L * (x > 0 ? x : 1.6732632423543772848170429916717L * std::expm1(x));
}
real mish(real x) {
  const real n = std::exp(std::min(x, real{60}));
  return x < -20000 ? 0 : x * (n * (n + 2) / (n * (n + 2) + 2));
}
real mish_slope(real x) {
  const real t = std::tanh(softplus(x));
  return t + x * (1 - t * t) * sigmoid(x);
}
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
    {"selu", selu,
     [](real x) {
       return 1.0507009873554804934193349852946L * (x > 0 ? 1 : 1.6732632423543772848170429916717L * std::exp(x));
     },
     -3, 3},
    {"mish", mish, mish_slope, -5, 20},
    {"softsign", [](real x) { return std::isinf(x) ? (x > 0 ? 1 : -1) : x / (1 + std::fabs(x)); },
     [](real x) { return 1 / (1 + std::fabs(x)) / (1 + std::fabs(x)); }, -9, 9},
    {"erf", [](real x) { return std::erf(x); },
     [](real x) { return 2 / std::sqrt(std::numbers::pi_v<real>) * std::exp(-x * x); }, -3, 3},
};

// ULP each op may be off.
double limit_of(const std::string& name) {
  for (const char* exact : {"negative", "sqrt", "square", "abs", "sign", "relu"})
    if (name == exact) return 0.5;
  return 4;
}

template <class T>
void check_unary_accuracy() {
  for (const Unary& op : unary_ops) {
    const std::vector<T> x = sample(T{});
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
      {"mish", {-inf, inf, nan, T(0), T(-1e4), T(1e4)}, {T(-0.0), inf, nan, T(0), T(-0.0), T(1e4)}},
      {"softsign", {-inf, inf, nan, T(0), T(-0.0), T(1)}, {T(-1), 1, nan, T(0), T(-0.0), T(0.5)}},
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
  for (const std::string name : {"d_gelu", "d_gelu_tanh", "d_silu", "d_mish", "d_softplus"})
    CHECK_MESSAGE((apply<T>(name, {{-inf, inf}, {1, 1}}) == std::vector<T>{0, 1}), name);
}
