// Row-wise softmax, log-softmax, log-sum-exp and the softmax cross-entropy loss, each with its derivative.
// x, y, gy, gx are (rows, n); a unit is a row. An output may be the same memory as an input of its shape.
//
// m is the row's maximum, or 0 where that is infinite or NaN, and s = sum exp(x - m). A row with +inf has log-sum-exp
// +inf and a row of -inf has -inf; softmax of either is NaN throughout, as in NumPy and SciPy.
#include "kernels/abi.hpp"
#include "kernels/keys.hpp"
#include "kernels/lane_math.hpp"
#include "kernels/row_views.hpp"

namespace {

using namespace chainrule::kernels;
using namespace chainrule::rows;
using chainrule::key;
using chainrule::Lane;
using std::int64_t;

#define ELEMENT (int64_t j, int64_t count) __attribute__((always_inline))

const RowPlan& row_plan(const Args& args) { return *reinterpret_cast<const RowPlan*>(args.plan->body); }

template <class T>
const T* input(const Args& args, int index, int64_t offset) {
  return static_cast<const T*>(args.in[index]) + offset;
}
template <class T>
T* output(const Args& args, int index, int64_t offset) {
  return static_cast<T*>(args.out[index]) + offset;
}

// y = exp(x - max) / s
template <class T>
Status softmax(const Args& args, Range range, void*) {
  const int64_t n = row_plan(args).n;
  each_row<T>(n, range.begin, range.end, [&](const auto& rows, int64_t row) {
    const auto x = rows.source(input<T>(args, 0, row * n));
    auto y = rows.target(output<T>(args, 0, row * n));
    const Lane<T> max = rows.template fold<MaxOfNumbers>([&] ELEMENT { return x.at(j, count); });
    const Lane<T> sum = rows.template fold<Add>([&] ELEMENT {
      const Lane<T> e = exp(x.at(j, count) - max);
      y.set(j, count, e);
      return e;
    });
    const Lane<T> factor = splat(T(1)) / sum;
    rows.each([&] ELEMENT { y.set(j, count, y.at(j, count) * factor); });
    y.flush();
  });
  return Status::ok;
}

// gx = y (gy - sum gy y)
template <class T>
Status d_softmax(const Args& args, Range range, void*) {
  const int64_t n = row_plan(args).n;
  each_row<T>(n, range.begin, range.end, [&](const auto& rows, int64_t row) {
    const auto y = rows.source(input<T>(args, 0, row * n)), gy = rows.source(input<T>(args, 1, row * n));
    auto gx = rows.target(output<T>(args, 0, row * n));
    const Lane<T> dot = rows.template fold<Add>([&] ELEMENT { return y.at(j, count) * gy.at(j, count); });
    rows.each([&] ELEMENT { gx.set(j, count, y.at(j, count) * (gy.at(j, count) - dot)); });
    gx.flush();
  });
  return Status::ok;
}

template <class T>
struct LogSum {
  Lane<T> shift, log_sum;  // m, log s
};

template <class T, class Rows, class Source>
CHAINRULE_INLINE LogSum<T> log_sum_exp(const Rows& rows, const Source& x) {
  const Lane<T> max = rows.template fold<MaxOfNumbers>([&] ELEMENT { return x.at(j, count); }), zero = splat(T(0));
  const Lane<T> shift = where(equal(max - max, zero), max, zero);
  return {shift, log(rows.template fold<Add>([&] ELEMENT { return exp(x.at(j, count) - shift); }))};
}

// y = (x - m) - log s
template <class T>
Status log_softmax(const Args& args, Range range, void*) {
  const int64_t n = row_plan(args).n;
  each_row<T>(n, range.begin, range.end, [&](const auto& rows, int64_t row) {
    const auto x = rows.source(input<T>(args, 0, row * n));
    auto y = rows.target(output<T>(args, 0, row * n));
    const LogSum<T> of_row = log_sum_exp<T>(rows, x);
    rows.each([&] ELEMENT { y.set(j, count, (x.at(j, count) - of_row.shift) - of_row.log_sum); });
    y.flush();
  });
  return Status::ok;
}

// gx = gy - exp(y) sum gy
template <class T>
Status d_log_softmax(const Args& args, Range range, void*) {
  const int64_t n = row_plan(args).n;
  each_row<T>(n, range.begin, range.end, [&](const auto& rows, int64_t row) {
    const auto y = rows.source(input<T>(args, 0, row * n)), gy = rows.source(input<T>(args, 1, row * n));
    auto gx = rows.target(output<T>(args, 0, row * n));
    const Lane<T> sum = rows.template fold<Add>([&] ELEMENT { return gy.at(j, count); });
    rows.each([&] ELEMENT { gx.set(j, count, gy.at(j, count) - exp(y.at(j, count)) * sum); });
    gx.flush();
  });
  return Status::ok;
}

// out = m + log s
template <class T>
Status logsumexp(const Args& args, Range range, void*) {
  const int64_t n = row_plan(args).n;
  each_row<T>(n, range.begin, range.end, [&](const auto& rows, int64_t row) {
    const LogSum<T> of_row = log_sum_exp<T>(rows, rows.source(input<T>(args, 0, row * n)));
    rows.set_scalars(output<T>(args, 0, row), of_row.shift + of_row.log_sum);
  });
  return Status::ok;
}

struct IsIgnored {
  const RowPlan& plan;
  bool operator()(int64_t label) const { return plan.i[1] != 0 && label == plan.i[0]; }
};

// Cuts the range before the first row with a bad label.
Status check_labels(const RowPlan& plan, const int64_t* labels, Range& range) {
  const IsIgnored is_ignored{plan};
  for (int64_t row = range.begin; row < range.end; ++row) {
    if (!is_ignored(labels[row]) && (labels[row] < 0 || labels[row] >= plan.n)) {
      range.end = row;
      return Status::bad_label;
    }
  }
  return Status::ok;
}

// in: logits (rows, n), labels int64 (rows); out: loss, m, log s (rows each), logsumexp being m + log s. With label
// smoothing e = r[0]: loss = (1 - e) (lse - x[label]) + e (lse - mean x), both differences taken before log s is added,
// so that large logits cancel exactly. Rows labelled i[0] have loss 0 where i[1] != 0.
template <class T>
Status softmax_cross_entropy(const Args& args, Range range, void*) {
  const RowPlan& plan = row_plan(args);
  const int64_t n = plan.n;
  const int64_t* labels = input<int64_t>(args, 1, 0);
  const Status status = check_labels(plan, labels, range);
  const T smoothing = static_cast<T>(plan.r[0]);
  const Lane<T> zero = splat(T(0)), per_class = splat(static_cast<T>(1.0 / static_cast<double>(n)));
  each_row<T>(n, range.begin, range.end, [&](const auto& rows, int64_t row) {
    const auto x = rows.source(input<T>(args, 0, row * n));
    const auto label = rows.labels(labels + row, IsIgnored{plan});
    const LogSum<T> of_row = log_sum_exp<T>(rows, x);
    Lane<T> loss = (of_row.shift - rows.pick(x, label)) + of_row.log_sum;
    if (smoothing != T(0)) {
      const Lane<T> distance = rows.template fold<Add>([&] ELEMENT { return of_row.shift - x.at(j, count); });
      loss = splat(T(1) - smoothing) * loss + splat(smoothing) * (distance * per_class + of_row.log_sum);
    }
    rows.set_scalars(output<T>(args, 0, row), where(rows.ignored(label), zero, loss));
    rows.set_scalars(output<T>(args, 1, row), of_row.shift);
    rows.set_scalars(output<T>(args, 2, row), of_row.log_sum);
  });
  return status;
}

// in: logits, labels, m, log s, gy (rows); gx = gy (exp((x - m) - log s) - (1 - e) onehot(label) - e / n), 0 in ignored
// rows. m and log s stay apart: their rounded sum would cost large logits their last digits.
template <class T>
Status d_softmax_cross_entropy(const Args& args, Range range, void*) {
  const RowPlan& plan = row_plan(args);
  const int64_t n = plan.n;
  const int64_t* labels = input<int64_t>(args, 1, 0);
  const Status status = check_labels(plan, labels, range);
  const Lane<T> hit = splat(static_cast<T>(1 - plan.r[0])), zero = splat(T(0));
  const Lane<T> spread = splat(static_cast<T>(plan.r[0] / static_cast<double>(n)));
  each_row<T>(n, range.begin, range.end, [&](const auto& rows, int64_t row) {
    const auto x = rows.source(input<T>(args, 0, row * n));
    auto gx = rows.target(output<T>(args, 0, row * n));
    const auto label = rows.labels(labels + row, IsIgnored{plan});
    const Lane<T> shift = rows.scalars(input<T>(args, 2, row)), log_sum = rows.scalars(input<T>(args, 3, row));
    const Lane<T> gy = rows.scalars(input<T>(args, 4, row));
    const auto ignored = rows.ignored(label);
    rows.each([&] ELEMENT {
      const Lane<T> target = where(rows.is_label(label, j), hit, zero);
      const Lane<T> gradient = (exp((x.at(j, count) - shift) - log_sum) - spread - target) * gy;
      gx.set(j, count, where(ignored, zero, gradient));
    });
    gx.flush();
  });
  return status;
}

}  // namespace

#define FLOAT_AND_DOUBLE(name) \
  {#name, key<float>, name<float>}, { #name, key<double>, name<double> }

CHAINRULE_KERNEL_TABLE(softmax) = {
    FLOAT_AND_DOUBLE(softmax),
    FLOAT_AND_DOUBLE(d_softmax),
    FLOAT_AND_DOUBLE(log_softmax),
    FLOAT_AND_DOUBLE(d_log_softmax),
    FLOAT_AND_DOUBLE(logsumexp),
    FLOAT_AND_DOUBLE(softmax_cross_entropy),
    FLOAT_AND_DOUBLE(d_softmax_cross_entropy),
    {nullptr, 0, nullptr},
};
