// The optimizers' update kernels against their formulas in long double, in place as the planner binds them.
#include "elementwise_call.hpp"

using namespace chainrule;
using namespace chainrule::tests;

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
  check_update<T>("adadelta_update", 4, {0, 2, 3}, {0.7, 0.01}, {0.9, 1e-3}, [](V& x, const R& r) {
    const real g = x[1] + x[5] * x[0];
    x[2] = r[0] * x[2] + (1 - real{r[0]}) * g * g;
    const real step = std::sqrt(x[3] + r[1]) / std::sqrt(x[2] + r[1]) * g;
    x[3] = r[0] * x[3] + (1 - real{r[0]}) * step * step;
    x[0] -= x[4] * step;
  });
  check_update<T>("adamax_update", 4, {0, 2, 3}, {0.1, 0.01}, {0.9, 0.99, 1e-4}, [](V& x, const R& r) {
    const real g = x[1] + x[5] * x[0];
    x[2] += (1 - real{r[0]}) * (g - x[2]);
    x[3] = std::max(r[1] * x[3], std::fabs(g) + r[2]);
    x[0] -= x[4] * x[2] / x[3];
  });
  check_update<T>("nadam_update", 4, {0, 2, 3}, {0.02, 0.1, 0.7, 0.01, 0.99}, {0.9, 0.99, 1e-4}, [&](V& x, const R& r) {
    const real g = x[1] + x[7] * x[0];
    moments(x, r, 7, 8);
    x[0] -= (x[4] * g + x[5] * x[2]) / (std::sqrt(x[3]) / x[6] + r[2]);
  });
  for (const bool rectified : {false, true})
    check_update<T>("radam_update", 4, {0, 2, 3}, {rectified ? 0 : 0.1, rectified ? 0.2 : 0, 0.01, 0.99},
                    {0.9, 0.99, 1e-4}, [&](V& x, const R& r) {
                      moments(x, r, 6, 7);
                      x[0] -= rectified ? x[5] * x[2] / (std::sqrt(x[3]) + r[2]) : x[4] * x[2];
                    });
  check_update<T>("lion_update", 3, {0, 2}, {0.05, 0.99}, {0.9, 0.98}, [](V& x, const R& r) {
    const real u = r[0] * x[2] + (1 - real{r[0]}) * x[1];
    x[0] = x[4] * x[0] - x[3] * static_cast<real>((u > 0) - (u < 0));
    x[2] = r[1] * x[2] + (1 - real{r[1]}) * x[1];
  });
}
