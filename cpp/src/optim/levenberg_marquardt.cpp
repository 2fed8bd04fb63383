// Levenberg-Marquardt: Gauss-Newton steps on a sum of squares, damped until the loss falls (Marquardt, 1963), with the
// damping of Hagan and Menhaj, Training feedforward networks with the Marquardt algorithm (1994). Eigen's decomposition
// runs on one thread and under a name of its own, so that the bits do not depend on threads or on another copy of Eigen
// in the program.
#define EIGEN_DONT_PARALLELIZE
#define Eigen Eigen_optim
#include <Eigen/Cholesky>

#include <algorithm>
#include <cmath>

#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "optim/driver_kinds.hpp"

namespace chainrule::optim {
namespace {

constexpr std::size_t most_parameters = 8192;  // J'J and its factor are 512 MiB each
constexpr double least_damping = 1e-20;

// d of (A + mu I) d = -b; empty where the matrix is not positive definite.
Vector damped_solution(const Vector& a, double mu, const Vector& b) {
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic>;
  const auto n = static_cast<Eigen::Index>(b.size());
  const FloatEnvironment environment;
  Matrix factored = Eigen::Map<const Matrix>(a.data(), n, n);
  factored.diagonal().array() += mu;
  const Eigen::LLT<Eigen::Ref<Matrix>> cholesky(factored);
  if (cholesky.info() != Eigen::Success) return {};
  Vector d(b.size());
  Eigen::Map<Eigen::VectorXd> solution(d.data(), n);
  solution = -Eigen::Map<const Eigen::VectorXd>(b.data(), n);
  cholesky.solveInPlace(solution);
  return all_finite(d) ? d : Vector();
}

class LevenbergMarquardtDriver final : public Driver {
 public:
  explicit LevenbergMarquardtDriver(const LevenbergMarquardtOptions& options)
      : options_(options), damping_(options.damping) {
    const auto refuse = [](const char* name, double value, const char* wanted) {
      fail<ValueError>("LevenbergMarquardt", std::string(name) + " must be " + wanted,
                       std::string(name) + " is " + nn::text_of(value));
    };
    const auto finite_above = [&](double value, double least) { return value > least && std::isfinite(value); };
    if (!finite_above(options.damping, 0.0)) refuse("damping", options.damping, "finite and above 0");
    if (!finite_above(options.increase, 1.0)) refuse("increase", options.increase, "finite and above 1");
    if (!(options.decrease > 0.0 && options.decrease <= 1.0)) refuse("decrease", options.decrease, "in (0, 1]");
    if (!(options.max_damping >= options.damping && std::isfinite(options.max_damping)))
      refuse("max_damping", options.max_damping, "finite and at least damping");
    lr = 1.0;
  }
  std::shared_ptr<Driver> clone() const override { return std::make_shared<LevenbergMarquardtDriver>(options_); }
  std::string name() const override { return "LevenbergMarquardt"; }
  nn::Arguments arguments() const override {
    return {{"damping", options_.damping},
            {"increase", options_.increase},
            {"decrease", options_.decrease},
            {"max_damping", options_.max_damping}};
  }
  bool least_squares() const override { return true; }
  bool has_rate() const override { return false; }
  void check_size(std::size_t n) const override {
    if (n <= most_parameters) return;
    const double gibibytes = static_cast<double>(n) * static_cast<double>(n) * 8.0 / 1073741824.0;
    fail<ValueError>("LevenbergMarquardt", "too many parameters",
                     std::to_string(n) + ", whose J'J alone takes " + nn::text_of(std::round(gibibytes * 10) / 10) +
                         " GiB; at most " + std::to_string(most_parameters),
                     "use LBFGS or Adam, or freeze a part of the model");
  }

  double step(Objective& f, double) override {
    const std::size_t n = f.size();
    check_size(n);
    const double loss = f.loss();
    if (!std::isfinite(loss)) return loss;
    Vector x(n), a(n * n), b(n);
    f.read(x);
    if (!f.normal_equations(a, b)) return std::numeric_limits<double>::quiet_NaN();
    if (largest_size(b) == 0.0) return loss;
    try {
      for (double mu = damping_; mu <= options_.max_damping; mu *= options_.increase) {
        const Vector d = damped_solution(a, mu, b);
        if (d.empty()) continue;
        f.write(moved(x, 1.0, d));
        if (!(f.loss() < loss)) continue;
        damping_ = std::max(mu * options_.decrease, least_damping);
        return loss;
      }
    } catch (...) {
      f.write(x);
      throw;
    }
    f.write(x);  // no damping helped: it begins anew in the next step
    damping_ = options_.damping;
    return loss;
  }

  std::vector<nn::NamedTensor> state(std::size_t) const override {
    return {{"damping", Tensor::scalar(damping_, DType::float64)}};
  }
  std::string load(const std::vector<nn::NamedTensor>& given, std::size_t) override {
    StateReader read(given);
    const double damping = read.number("damping");
    if (read.differences().empty() && !(damping > 0)) read.differs("damping is not above 0");
    read.finish();
    if (read.differences().empty()) damping_ = damping;
    return read.differences();
  }
  void forget() override { damping_ = options_.damping; }

 private:
  LevenbergMarquardtOptions options_;
  double damping_;
};

}  // namespace

std::shared_ptr<Driver> read::levenberg_marquardt(nn::ArgumentReader& arguments) {
  LevenbergMarquardtOptions options;
  options.damping = arguments.real("damping", options.damping);
  options.increase = arguments.real("increase", options.increase);
  options.decrease = arguments.real("decrease", options.decrease);
  options.max_damping = arguments.real("max_damping", options.max_damping);
  return std::make_shared<LevenbergMarquardtDriver>(options);
}

LevenbergMarquardt::LevenbergMarquardt(const LevenbergMarquardtOptions& options)
    : Optimizer(std::make_shared<LevenbergMarquardtDriver>(options), {}) {}
LevenbergMarquardt::LevenbergMarquardt(const Parameters& parameters, const LevenbergMarquardtOptions& options)
    : Optimizer(std::make_shared<LevenbergMarquardtDriver>(options),
                some_parameters("LevenbergMarquardt", parameters)) {}

}  // namespace chainrule::optim
