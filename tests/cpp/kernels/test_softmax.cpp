// kernels/softmax.cpp against long double references: values, derivatives, infinities, labels.
#include "call.hpp"

using namespace kernel_test;

namespace {

using Real = long double;

// The digits' 10 classes, one lane, packets with and without tails, a row of several blocks.
const std::int64_t widths[] = {1, 2, 5, 10, 16, 17, 31, 64, 100, 1000, 5003};

Plan row_plan(std::int64_t rows, std::int64_t n, std::int64_t i0 = 0, std::int64_t i1 = 0, double r0 = 0) {
  return make_plan(RowPlan{rows, n, {i0, i1, 0, 0}, {r0, 0, 0, 0}}, rows);
}

template <class T>
Real log_sum_exp(const T* x, std::int64_t n) {
  Real top = -infinity<Real>, sum = 0;
  for (std::int64_t j = 0; j < n; ++j) top = std::max(top, static_cast<Real>(x[j]));
  for (std::int64_t j = 0; j < n; ++j) sum += std::exp(static_cast<Real>(x[j]) - top);
  return top + std::log(sum);
}

template <class T>
void check_close(T got, Real expected, double ulps, double scale = 1) {
  const double bound = ulps * epsilon<T>() * std::max(scale, static_cast<double>(std::abs(expected)));
  CHECK_MESSAGE(std::abs(static_cast<double>(static_cast<Real>(got) - expected)) <= bound, static_cast<double>(got),
                " and ", static_cast<double>(expected), " differ by more than ", bound);
}

template <class T>
bool all_nan(const std::vector<T>& values) {
  for (const T value : values) {
    if (!std::isnan(value)) return false;
  }
  return true;
}

template <class T>
std::vector<T> run(const char* name, const Plan& plan, const std::vector<std::vector<T>>& in, std::int64_t elements) {
  std::vector<Bytes> bytes;
  for (const auto& values : in) bytes.push_back(bytes_of(values));
  return call(name, dtype_of<T>, plan, bytes, {at(elements) * sizeof(T)}).template as<T>();
}

std::vector<std::int64_t> some_labels(std::int64_t rows, std::int64_t n) {
  std::vector<std::int64_t> labels(at(rows));
  for (std::int64_t i = 0; i < rows; ++i) labels[at(i)] = (i * 7 + 3) % n;
  labels.back() = n - 1;
  return labels;
}

}  // namespace

TEST_CASE_TEMPLATE("softmax, log_softmax, logsumexp and their derivatives", T, float, double) {
  for (const std::int64_t n : widths) {
    CAPTURE(n);
    const std::int64_t rows = n > 500 ? 3 : 37, size = rows * n;
    const Plan plan = row_plan(rows, n);
    const std::vector<T> x = random_values<T>(size, 1, -6, 6), gy = random_values<T>(size, 2);
    const auto y = run<T>("softmax", plan, {x}, size), logy = run<T>("log_softmax", plan, {x}, size);
    const auto lse = run<T>("logsumexp", plan, {x}, rows);
    const auto gx = run<T>("d_softmax", plan, {y, gy}, size), glog = run<T>("d_log_softmax", plan, {logy, gy}, size);
    for (std::int64_t i = 0; i < rows; ++i) {
      const Real reference = log_sum_exp(&x[at(i * n)], n);
      check_close(lse[at(i)], reference, 8);
      Real dot = 0, sum = 0, total = 0;
      for (std::int64_t j = i * n; j < (i + 1) * n; ++j) {
        dot += static_cast<Real>(y[at(j)]) * gy[at(j)];
        sum += gy[at(j)];
        total += y[at(j)];
      }
      check_close(static_cast<T>(total), 1, 16);
      for (std::int64_t j = i * n; j < (i + 1) * n; ++j) {
        const Real p = std::exp(static_cast<Real>(x[at(j)]) - reference);
        CHECK(std::abs(static_cast<double>(y[at(j)] / p - 1)) <= 16 * epsilon<T>());
        check_close(logy[at(j)], static_cast<Real>(x[at(j)]) - reference, 8);
        check_close(gx[at(j)], y[at(j)] * (gy[at(j)] - dot), 16);
        check_close(glog[at(j)], gy[at(j)] - std::exp(static_cast<Real>(logy[at(j)])) * sum, 16,
                    static_cast<double>(1 + std::abs(sum)));
      }
    }
  }
}

TEST_CASE_TEMPLATE("a row gives the same bits alone, among others, and in place", T, float, double) {
  for (const std::int64_t n : {10, 33, 3000}) {
    const std::vector<T> x = random_values<T>(21 * n, 8, -5, 5);
    const std::vector<T> row(x.begin() + 13 * n, x.begin() + 14 * n);
    for (const char* name : {"softmax", "log_softmax", "logsumexp"}) {
      const std::int64_t width = std::string(name) == "logsumexp" ? 1 : n;
      const auto all = run<T>(name, row_plan(21, n), {x}, 21 * width);
      const auto alone = run<T>(name, row_plan(1, n), {row}, width);
      CHECK(std::memcmp(alone.data(), &all[at(13 * width)], at(width) * sizeof(T)) == 0);
      if (width == 1) continue;
      std::vector<T> both = x;
      const Plan plan = row_plan(21, n);
      const void* in = both.data();
      void* out = both.data();
      const FloatingPointMode mode;
      const Kernel kernel = chainrule::dispatch::find_kernel(name, dtype_of<T>);
      CHECK(kernel({&in, &out, &plan}, {0, 21}, nullptr) == Status::ok);
      CHECK(bytes_of(both) == bytes_of(all));
    }
  }
}

TEST_CASE_TEMPLATE("infinities and NaN in a row", T, float, double) {
  for (const std::int64_t n : {3, 10, 40, 700}) {
    CAPTURE(n);
    const Plan plan = row_plan(1, n);
    for (const std::int64_t place : {std::int64_t{0}, n / 2, n - 1}) {
      std::vector<T> x = random_values<T>(n, 3);
      x[at(place)] = infinity<T>;
      CHECK(run<T>("logsumexp", plan, {x}, 1)[0] == infinity<T>);
      CHECK(all_nan(run<T>("softmax", plan, {x}, n)));
      const auto logy = run<T>("log_softmax", plan, {x}, n);
      for (std::int64_t j = 0; j < n; ++j) CHECK((j == place ? std::isnan(logy[at(j)]) : logy[at(j)] == -infinity<T>));
      x[at(place)] = not_a_number<T>;
      for (const char* name : {"softmax", "log_softmax"}) CHECK(all_nan(run<T>(name, plan, {x}, n)));
      CHECK(std::isnan(run<T>("logsumexp", plan, {x}, 1)[0]));
      x[at(place)] = -infinity<T>;  // a masked class
      const auto y = run<T>("softmax", plan, {x}, n);
      CHECK(y[at(place)] == 0);
      CHECK(std::isfinite(run<T>("logsumexp", plan, {x}, 1)[0]));
      CHECK(run<T>("log_softmax", plan, {x}, n)[at(place)] == -infinity<T>);
    }
    const std::vector<T> nothing(at(n), -infinity<T>);
    CHECK(run<T>("logsumexp", plan, {nothing}, 1)[0] == -infinity<T>);
    CHECK(all_nan(run<T>("softmax", plan, {nothing}, n)));
    CHECK(all_nan(run<T>("log_softmax", plan, {nothing}, n)));
    std::vector<T> far(at(n), T(-1e4));  // far apart and far from zero
    far[1] = T(1e4);
    const auto y = run<T>("softmax", plan, {far}, n);
    CHECK(y[1] == 1);
    CHECK(y[0] == 0);
    CHECK(run<T>("log_softmax", plan, {far}, n)[0] == T(-2e4));
  }
  CHECK(call("logsumexp", dtype_of<T>, row_plan(2, 0), {{}}, {2 * sizeof(T)}).template as<T>()[1] == -infinity<T>);
}

TEST_CASE_TEMPLATE("softmax_cross_entropy and its derivative", T, float, double) {
  for (const std::int64_t n : widths) {
    for (const double smoothing : {0.0, 0.1, 1.0}) {
      for (const bool ignores : {false, true}) {
        CAPTURE(n);
        CAPTURE(smoothing);
        const std::int64_t rows = n > 500 ? 3 : 37, size = rows * n;
        const std::vector<T> x = random_values<T>(size, 5, -6, 6), gy = random_values<T>(rows, 6);
        std::vector<std::int64_t> labels = some_labels(rows, n);
        const std::int64_t ignored = ignores ? -100 : labels[1];
        if (ignores) labels[1] = -100;
        const Plan plan = row_plan(rows, n, ignored, ignores ? 1 : 0, smoothing);
        const Result result = call("softmax_cross_entropy", dtype_of<T>, plan, {bytes_of(x), bytes_of(labels)},
                                   {at(rows) * sizeof(T), at(rows) * sizeof(T), at(rows) * sizeof(T)});
        REQUIRE(result.status == Status::ok);
        const auto loss = result.template as<T>(0), shift = result.template as<T>(1),
                   log_sum = result.template as<T>(2);
        const auto gx = call("d_softmax_cross_entropy", dtype_of<T>, plan,
                             {bytes_of(x), bytes_of(labels), bytes_of(shift), bytes_of(log_sum), bytes_of(gy)},
                             {at(size) * sizeof(T)})
                            .template as<T>();
        for (std::int64_t i = 0; i < rows; ++i) {
          const bool skip = ignores && i == 1;
          const Real reference = log_sum_exp(&x[at(i * n)], n);
          Real mean = 0;
          for (std::int64_t j = 0; j < n; ++j) mean += static_cast<Real>(x[at(i * n + j)]) / static_cast<Real>(n);
          const Real picked = skip ? 0 : x[at(i * n + labels[at(i)])];
          check_close(shift[at(i)] + log_sum[at(i)], reference, 8);
          check_close(loss[at(i)], skip ? 0 : (1 - smoothing) * (reference - picked) + smoothing * (reference - mean),
                      16);
          for (std::int64_t j = 0; j < n; ++j) {
            const Real p = std::exp(static_cast<Real>(x[at(i * n + j)]) - reference);
            const Real target = (j == labels[at(i)] ? 1 - smoothing : 0) + smoothing / static_cast<Real>(n);
            check_close(gx[at(i * n + j)], skip ? 0 : gy[at(i)] * (p - target), 32);
          }
        }
      }
    }
  }
}

TEST_CASE_TEMPLATE("labels outside the classes are refused", T, float, double) {
  const std::int64_t rows = 40, n = 10;
  const std::vector<T> x = random_values<T>(rows * n, 5), one(at(rows), T(1));
  for (const std::int64_t label : {std::int64_t{-1}, n, std::int64_t{-100}, std::numeric_limits<std::int64_t>::min(),
                                   std::numeric_limits<std::int64_t>::max()}) {
    for (const std::int64_t row : {0, 15, 16, 39}) {
      std::vector<std::int64_t> labels = some_labels(rows, n);
      labels[at(row)] = label;
      const Plan plan = row_plan(rows, n);
      CHECK(call("softmax_cross_entropy", dtype_of<T>, plan, {bytes_of(x), bytes_of(labels)},
                 {rows * sizeof(T), rows * sizeof(T), rows * sizeof(T)})
                .status == Status::bad_label);
      CHECK(call("d_softmax_cross_entropy", dtype_of<T>, plan,
                 {bytes_of(x), bytes_of(labels), bytes_of(one), bytes_of(one), bytes_of(one)}, {rows * n * sizeof(T)})
                .status == Status::bad_label);
      const Plan ignoring = row_plan(rows, n, label, 1);  // an ignored label may be any number
      CHECK(call("softmax_cross_entropy", dtype_of<T>, ignoring, {bytes_of(x), bytes_of(labels)},
                 {rows * sizeof(T), rows * sizeof(T), rows * sizeof(T)})
                .status == Status::ok);
    }
  }
}

TEST_CASE_TEMPLATE("cross-entropy of large logits is exact where it can be", T, float, double) {
  const std::vector<T> x{T(1e4), T(-1e4), T(1e4) - 8, T(3e4), T(-3e4), T(0)};
  const std::vector<std::int64_t> labels{0, 1};
  const auto loss = call("softmax_cross_entropy", dtype_of<T>, row_plan(2, 3), {bytes_of(x), bytes_of(labels)},
                         {2 * sizeof(T), 2 * sizeof(T), 2 * sizeof(T)})
                        .template as<T>();
  check_close(loss[0], std::log1p(std::exp(Real(-8))), 2);
  CHECK(loss[1] == T(6e4));
}
