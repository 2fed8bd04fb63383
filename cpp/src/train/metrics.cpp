// Built-in metrics, on whole-set outputs and targets, in float64.
#include <cmath>

#include "chainrule/ops.hpp"
#include "chainrule/trainer.hpp"
#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "train/step_program.hpp"

namespace chainrule {
namespace {

constexpr const char* names = "accuracy, mae, rmse or r2";

// (N,) and (N, 1) are the same thing here; anything else must be equal.
void check_same(const std::string& name, const Tensor& a, const Tensor& b) {
  const auto squeezed = [](const Tensor& t) {
    Shape s = t.shape();
    while (s.rank() > 1 && s.back() == 1) s.erase(s.rank() - 1);
    return s;
  };
  if (!(squeezed(a) == squeezed(b)))
    fail<ShapeError>(name, "output and target differ",
                     "output is " + a.shape().str() + ", target is " + b.shape().str());
}

double accuracy(const Tensor& output, const Tensor& target, const std::string& link) {
  // A loss of one's own declares no link: class scores beside labels speak for themselves.
  const bool scores =
      link == "identity" && !is_floating(target.dtype()) && output.rank() == target.rank() + 1 && output.shape(-1) > 1;
  const Tensor predicted = scores ? argmax(output, -1) : link == "identity" ? output : link_classes(output, link);
  Tensor wanted = target;
  // Probabilities as targets: their largest is the class.
  if (is_floating(target.dtype()) && target.shape() == output.shape() && (link == "softmax" || link == "exp"))
    wanted = argmax(target, -1);
  if (link == "sign") wanted = cast(greater(target, Tensor(0)), DType::int64);  // -1 is class 0
  check_same("accuracy", predicted, wanted);
  const Tensor p = cast(predicted, DType::float64), t = cast(wanted, DType::float64);
  std::int64_t right = 0;
  for (std::int64_t i = 0; i < p.size(); ++i) right += p.data<double>()[i] == t.data<double>()[i];
  return static_cast<double>(right) / static_cast<double>(p.size());
}

// Out of line, so that its arithmetic stays inside the floating-point environment around the call.
[[gnu::noinline]] double computed(const std::string& name, const Tensor& output, const Tensor& target,
                                  const std::string& link) {
  if (output.size() == 0)
    fail<ShapeError>(name, "no samples", "output is " + output.shape().str(), "check for empty data");
  if (name == "accuracy") return accuracy(output, target, link);
  check_same(name, output, target);
  const Tensor y = cast(output, DType::float64), t = cast(target, DType::float64);
  const auto n = static_cast<double>(y.size());
  const double *a = y.data<double>(), *b = t.data<double>();
  double absolute = 0, squared = 0, mean = 0, spread = 0;
  for (std::int64_t i = 0; i < y.size(); ++i) {
    absolute += std::abs(a[i] - b[i]);
    squared += (a[i] - b[i]) * (a[i] - b[i]);
    mean += b[i] / n;
  }
  if (name == "mae") return absolute / n;
  if (name == "rmse") return std::sqrt(squared / n);
  if (name != "r2") Metric unknown{name};  // throws
  for (std::int64_t i = 0; i < t.size(); ++i) spread += (b[i] - mean) * (b[i] - mean);
  if (spread == 0) return squared == 0 ? 1.0 : 0.0;  // a constant target, as in scikit-learn
  return 1.0 - squared / spread;
}

}  // namespace

Metric::Metric(const char* metric) : Metric(std::string(metric)) {}
Metric::Metric(std::string metric) : name(std::move(metric)) {
  if (name != "accuracy" && name != "mae" && name != "rmse" && name != "r2")
    fail<IndexError>("metric", "no metric of this name", "'" + name + "'",
                     std::string("use ") + names + ", or a function of (output, target)");
}

double compute_metric(const std::string& name, const Tensor& output, const Tensor& target, const std::string& link) {
  const NoGrad nothing;
  const FloatEnvironment environment;
  return computed(name, output, target, link);
}

}  // namespace chainrule
