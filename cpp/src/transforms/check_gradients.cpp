// check_gradients: analytic derivatives beside central differences.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "chainrule/transforms.hpp"
#include "core/fail.hpp"
#include "transforms/fixed_draws.hpp"
#include "transforms/widened.hpp"

namespace chainrule {
namespace {

constexpr const char* who = "check_gradients";
constexpr std::int64_t full_jacobian = 4096;  // entries; larger ones are compared along random directions
constexpr int directions = 16;
constexpr double step = 6.0554544523933429e-06;  // cube root of float64's epsilon: the best for central differences

struct Worst {
  double numeric = 0, reverse = 0, forward = 0;  // largest derivative, largest errors relative to max(1, |derivative|)
  void add(double n, double r, double f) {
    const double scale = std::max(1.0, std::abs(n));
    const auto error = [&](double a) { return std::isnan(a) || std::isnan(n) ? INFINITY : std::abs(a - n) / scale; };
    numeric = std::max(numeric, std::abs(n));
    reverse = std::max(reverse, error(r));
    forward = std::max(forward, error(f));
  }
};

std::vector<double> values(const Tensor& t) {
  const Tensor plain = t.detach().astype(DType::float64);
  return {plain.data<double>(), plain.data<double>() + plain.size()};
}
double inner(const std::vector<double>& a, const std::vector<double>& b) {
  double total = 0;
  for (std::size_t i = 0; i < a.size(); ++i) total += a[i] * b[i];
  return total;
}

// f with argument i moved to x + t v, as one flat list.
std::vector<double> moved(const Function& f, std::vector<Tensor> x, std::size_t i, const std::vector<double>& v,
                          double t) {
  std::vector<double> at = values(x[i]);
  for (std::size_t k = 0; k < at.size(); ++k) at[k] += t * v[k];
  x[i] = Tensor::from(at, x[i].shape());
  const NoGrad nothing;
  std::vector<double> y;
  for (const Tensor& out : f(x)) {
    const std::vector<double> part = values(out);
    y.insert(y.end(), part.begin(), part.end());
  }
  return y;
}
std::vector<double> central(const Function& f, const std::vector<Tensor>& x, std::size_t i,
                            const std::vector<double>& v, double h) {
  std::vector<double> up = moved(f, x, i, v, h);
  const std::vector<double> down = moved(f, x, i, v, -h);
  for (std::size_t k = 0; k < up.size(); ++k) up[k] = (up[k] - down[k]) / (2 * h);
  return up;
}

void compare_all(const Function& f, const std::vector<Tensor>& x, std::size_t i, Worst& worst) {
  const auto by_rows = values(values_and_jacobians(f, x, JacobianMode::reverse, who).second[0][i]);
  const auto by_columns = values(values_and_jacobians(f, x, JacobianMode::forward, who).second[0][i]);
  const auto n = static_cast<std::size_t>(x[i].size());
  const std::vector<double> at = values(x[i]);
  for (std::size_t k = 0; k < n; ++k) {
    std::vector<double> unit(n);
    unit[k] = 1;
    const auto numeric = central(f, x, i, unit, step * std::max(1.0, std::abs(at[k])));
    for (std::size_t j = 0; j < numeric.size(); ++j) worst.add(numeric[j], by_rows[j * n + k], by_columns[j * n + k]);
  }
}

void compare_along_directions(const Function& f, const std::vector<Tensor>& x, std::size_t i, Worst& worst) {
  for (int d = 0; d < directions; ++d) {
    const auto stream = static_cast<std::uint32_t>(2 * d);
    const auto [y, pullback] = vjp(f, x);
    const Tensor v = random::normal(x[i].shape(), 0, stream, 0, 1, DType::float64);
    const Tensor u = random::normal(y[0].shape(), 0, stream + 1, 0, 1, DType::float64);
    std::vector<Tensor> tangents;
    for (const Tensor& t : x) tangents.push_back(Tensor::zeros(t.shape(), t.dtype()));
    tangents[i] = v;
    const auto numeric = inner(values(u), central(f, x, i, values(v), step));
    worst.add(numeric, inner(values(pullback({u})[i]), values(v)),
              inner(values(u), values(jvp(f, x, tangents).second[0])));
  }
}

// f in float64 throughout: a model or a captured tensor of float32 would round what the differences are made of. Such
// a function is traced and widened; where it branches on values it runs as it is.
Function in_float64(const Function& f, const std::vector<Tensor>& x) {
  const auto traced = [&](DType dtype) -> std::optional<GraphData> {
    Types types;
    for (const Tensor& t : x) types.push_back({dtype, t.shape()});
    try {
      return trace_types(f, types);
    } catch (const std::exception&) { return std::nullopt; }  // run on values, it says what is wrong
  };
  std::optional<GraphData> graph = traced(DType::float64);
  if (graph && all_float64(*graph) && graph->updates.empty()) return f;
  if (graph && all_float64(*graph)) {
    graph->updates.clear();  // running statistics stay as they are
    return [same = std::move(*graph)](const std::vector<Tensor>& at) { return replay(same, at); };
  }
  if (std::optional<GraphData> single = traced(DType::float32)) graph = std::move(single);  // no input is converted
  const auto calls = [](const Node& node) { return node.attrs.call != nullptr; };  // rules of float32 stay that
  if (!graph || std::any_of(graph->nodes.begin(), graph->nodes.end(), calls)) return f;
  graph->updates.clear();
  return [wide = widened(*graph)](const std::vector<Tensor>& at) { return replay(wide, at); };
}

}  // namespace

std::string check_gradients(const Function& given, const std::vector<Tensor>& x, double tolerance) {
  std::vector<Tensor> at;
  for (const Tensor& t : x) {
    if (!is_floating(t.dtype()))
      fail<DTypeError>(who, "an argument has no gradient", "dtype is " + std::string(name_of(t.dtype())),
                       "use astype(\"float32\")");
    at.push_back(t.detach().astype(DType::float64));
  }
  const Function f = in_float64(with_fixed_draws(given), at);
  const std::vector<Tensor> y = [&] {
    const NoGrad nothing;
    return f(at);
  }();
  if (y.size() != 1)
    fail<ValueError>(who, "the function does not return one tensor", std::to_string(y.size()) + " were returned",
                     "return the one to differentiate");
  std::string table = "argument  shape            largest derivative  error, reverse  error, forward\n";
  bool good = true;
  for (std::size_t i = 0; i < at.size(); ++i) {
    Worst worst;
    if (at[i].size() * y[0].size() <= full_jacobian)
      compare_all(f, at, i, worst);
    else
      compare_along_directions(f, at, i, worst);
    char line[160];
    const bool fine = worst.reverse <= tolerance && worst.forward <= tolerance;
    std::snprintf(line, sizeof line, "%-8zu  %-15s  %18.6g  %14.2e  %14.2e%s\n", i, at[i].shape().str().c_str(),
                  worst.numeric, worst.reverse, worst.forward, fine ? "" : "  <- too large");
    table += line;
    good &= fine;
  }
  if (!good) {
    char limit[32];
    std::snprintf(limit, sizeof limit, "%g", tolerance);
    fail<ValueError>(who, "analytic and numeric derivatives differ",
                     "the tolerance is " + std::string(limit) + "\n" + table,
                     "look for a kink or a wrong rule near these arguments");
  }
  return table;
}

}  // namespace chainrule
