// Loops over flat vectors. Sums run in eight lanes counted from element 0, which are added in order.
#include "optim/flat.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/float_environment.hpp"

namespace chainrule::optim {
namespace {

template <class Term> double lane_sum(std::size_t n, const Term& term) {
  constexpr std::size_t width = 8;
  const FloatEnvironment environment;
  std::array<double, width> lanes{};
  std::size_t i = 0;
  for (; i + width <= n; i += width)
    for (std::size_t k = 0; k < width; ++k) lanes[k] += term(i + k);
  for (std::size_t k = 0; i < n; ++i, ++k) lanes[k] += term(i);
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

double dot(const Vector& a, const Vector& b) {
  return lane_sum(a.size(), [&](std::size_t i) { return a[i] * b[i]; });
}
double sum_of_sizes(const Vector& x) {
  return lane_sum(x.size(), [&](std::size_t i) { return std::abs(x[i]); });
}
double largest_size(const Vector& x) {
  double largest = 0;
  for (const double value : x) largest = std::max(largest, std::abs(value));
  return largest;
}
void add(Vector& y, double a, const Vector& x) {
  const FloatEnvironment environment;
  for (std::size_t i = 0; i < y.size(); ++i) y[i] += a * x[i];
}
Vector moved(const Vector& x, double t, const Vector& d) {
  Vector y = x;
  add(y, t, d);
  return y;
}
Vector scaled(double a, const Vector& x) {
  Vector y(x.size());
  const FloatEnvironment environment;
  for (std::size_t i = 0; i < x.size(); ++i) y[i] = a * x[i];
  return y;
}
bool all_finite(const Vector& x) {
  return std::all_of(x.begin(), x.end(), [](double value) { return std::isfinite(value); });
}

}  // namespace chainrule::optim
