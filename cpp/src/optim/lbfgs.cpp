// L-BFGS in PyTorch's form (Liu and Nocedal, 1989): directions by the two-loop recursion, steps of lr or by the search
// for the strong Wolfe conditions in wolfe.cpp.
#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>

#include "core/fail.hpp"
#include "optim/driver_kinds.hpp"
#include "optim/flat.hpp"
#include "optim/wolfe.hpp"

namespace chainrule::optim {
namespace {

constexpr double least_curvature = 1e-10;  // of a pair that is remembered

class LBFGSDriver final : public Driver {
 public:
  explicit LBFGSDriver(const LBFGSOptions& options) : options_(options) {
    check_lr("LBFGS", options.lr);
    check_count("LBFGS", "max_iter", options.max_iter);
    if (options.max_eval) check_count("LBFGS", "max_eval", *options.max_eval);
    check_count("LBFGS", "history_size", options.history_size);
    check_at_least_zero("LBFGS", "tolerance_grad", options.tolerance_grad);
    check_at_least_zero("LBFGS", "tolerance_change", options.tolerance_change);
    if (!options.line_search_fn.empty() && options.line_search_fn != "strong_wolfe")
      fail<ValueError>("LBFGS", "unknown line search", "line_search_fn is '" + options.line_search_fn + "'",
                       "use \"strong_wolfe\", or none");
    lr = options.lr;
  }
  std::shared_ptr<Driver> clone() const override {
    LBFGSOptions options = options_;
    options.lr = lr;
    return std::make_shared<LBFGSDriver>(options);
  }
  std::string name() const override { return "LBFGS"; }
  nn::Arguments arguments() const override {
    nn::Arguments all{{"lr", lr}, {"max_iter", options_.max_iter}};
    if (options_.max_eval) all.emplace_back("max_eval", *options_.max_eval);
    all.emplace_back("tolerance_grad", options_.tolerance_grad);
    all.emplace_back("tolerance_change", options_.tolerance_change);
    all.emplace_back("history_size", options_.history_size);
    if (!options_.line_search_fn.empty()) all.emplace_back("line_search_fn", options_.line_search_fn);
    return all;
  }
  double step(Objective& objective, double rate) override;
  std::vector<nn::NamedTensor> state(std::size_t n) const override;
  std::string load(const std::vector<nn::NamedTensor>& state, std::size_t n) override;
  void forget() override {
    pairs_.clear();
    direction_.clear();
    gradient_before_.clear();
    unseen_.clear();
    left_.clear();
    length_ = 0;
    scale_ = 1;
    iterations_ = 0;
  }

 private:
  struct Pair {
    Vector y, s;  // what the gradient and the parameters changed by
    double rho;   // 1 / <y, s>
  };
  void remember(const Vector& g);
  Vector descent(const Vector& g) const;

  LBFGSOptions options_;
  std::deque<Pair> pairs_;
  Vector direction_, gradient_before_;  // of the last iteration
  double length_ = 0;                   // t: it moved by t times its direction
  double scale_ = 1;                    // of the first guess of H
  std::int64_t iterations_ = 0;
  Vector left_;    // the parameters at the end of the last step
  Vector unseen_;  // the parameters before a move whose loss nobody has computed yet
};

// The last move as a pair, if the loss curves upwards along it.
void LBFGSDriver::remember(const Vector& g) {
  const Vector y = moved(g, -1.0, gradient_before_), s = scaled(length_, direction_);
  const double ys = dot(y, s);
  if (!(ys > least_curvature)) return;
  if (pairs_.size() == static_cast<std::size_t>(options_.history_size)) pairs_.pop_front();
  scale_ = ys / dot(y, y);
  pairs_.push_back({y, s, 1.0 / ys});
}

Vector LBFGSDriver::descent(const Vector& g) const {
  Vector d = scaled(-1.0, g), alpha(pairs_.size());
  for (std::size_t i = pairs_.size(); i-- > 0;) {
    alpha[i] = dot(pairs_[i].s, d) * pairs_[i].rho;
    add(d, -alpha[i], pairs_[i].y);
  }
  d = scaled(scale_, d);
  for (std::size_t i = 0; i < pairs_.size(); ++i) add(d, alpha[i] - dot(pairs_[i].y, d) * pairs_[i].rho, pairs_[i].s);
  return d;
}

double LBFGSDriver::step(Objective& f, double rate) {
  const std::size_t n = f.size();
  if (iterations_ > 0 && direction_.size() != n)
    fail<StateError>("LBFGS", "the number of parameters that want gradients has changed",
                     std::to_string(direction_.size()) + " in the step before, " + std::to_string(n) + " now",
                     "call reset() after freezing or unfreezing");
  Vector g(n), x(n);
  f.read(x);
  if (left_.size() == n && left_ != x) forget();  // somebody else has moved the parameters
  const double first_loss = f.gradient(g);
  if (!std::isfinite(first_loss)) {
    if (unseen_.size() == n) {
      f.write(unseen_);
      forget();
    }
    return first_loss;
  }
  unseen_.clear();
  if (largest_size(g) <= options_.tolerance_grad) return first_loss;

  double loss = first_loss;
  std::int64_t evaluations = 1;
  const std::int64_t most = options_.max_eval.value_or(options_.max_iter * 5 / 4);
  for (std::int64_t iteration = 1; iteration <= options_.max_iter; ++iteration) {
    if (++iterations_ > 1) remember(g);
    direction_ = descent(g);
    gradient_before_ = g;
    const double loss_before = loss;
    const bool very_first = iterations_ == 1;
    length_ = very_first ? std::min(1.0, 1.0 / sum_of_sizes(g)) * rate : rate;
    const double slope = dot(g, direction_);
    if (!(slope <= -options_.tolerance_change)) {
      length_ = 0;
      break;
    }

    const bool last = iteration == options_.max_iter;
    const auto come_back = [&] {  // to x, with no move to remember
      f.write(x);
      length_ = 0;
      if (very_first) forget();
    };
    try {
      if (options_.line_search_fn.empty()) {
        Vector there = moved(x, length_, direction_);
        f.write(there);
        if (last) {
          unseen_ = std::move(x);
          break;
        }
        loss = f.gradient(g);
        ++evaluations;
        if (!std::isfinite(loss)) {
          f.write(x);
          forget();
          break;
        }
        x = std::move(there);
      } else {
        const auto at = [&](double t) {
          RayPoint point{t, 0, 0, Vector(n)};
          f.write(moved(x, t, direction_));
          point.f = f.gradient(point.gradient);
          if (!std::isfinite(point.f)) point.f = std::numeric_limits<double>::infinity();
          point.slope = dot(point.gradient, direction_);
          return point;
        };
        RaySearch search = strong_wolfe(at, {0, loss, slope, g}, length_, largest_size(direction_), most - evaluations);
        evaluations += search.evaluations;
        loss = search.found.f;
        g = std::move(search.found.gradient);
        length_ = search.found.t;
        x = moved(x, length_, direction_);
        f.write(x);
        if (search.met_infinity && length_ == 0) {
          forget();
          break;
        }
      }
    } catch (...) {
      come_back();
      throw;
    }
    if (last || evaluations >= most || largest_size(g) <= options_.tolerance_grad) break;
    if (largest_size(direction_) * std::abs(length_) <= options_.tolerance_change) break;
    if (std::abs(loss - loss_before) < options_.tolerance_change) break;
  }
  left_.resize(n);
  f.read(left_);
  return first_loss;
}

std::vector<nn::NamedTensor> LBFGSDriver::state(std::size_t n) const {
  const bool begun = iterations_ > 0;
  const auto size = static_cast<std::int64_t>(begun ? direction_.size() : n);
  const auto pairs = static_cast<std::int64_t>(pairs_.size());
  Vector old_dirs, old_stps, ro;
  for (const Pair& pair : pairs_) {
    old_dirs.insert(old_dirs.end(), pair.y.begin(), pair.y.end());
    old_stps.insert(old_stps.end(), pair.s.begin(), pair.s.end());
    ro.push_back(pair.rho);
  }
  const Vector nothing(begun ? 0 : n);
  return {{"n_iter", Tensor::from(std::vector{iterations_}, {})},
          {"d", Tensor::from(begun ? direction_ : nothing, {size})},
          {"prev_flat_grad", Tensor::from(begun ? gradient_before_ : nothing, {size})},
          {"t", Tensor::scalar(length_, DType::float64)},
          {"H_diag", Tensor::scalar(scale_, DType::float64)},
          {"old_dirs", Tensor::from(old_dirs, {pairs, size})},
          {"old_stps", Tensor::from(old_stps, {pairs, size})},
          {"ro", Tensor::from(ro, {pairs})}};
}

std::string LBFGSDriver::load(const std::vector<nn::NamedTensor>& given, std::size_t n) {
  StateReader read(given);
  const auto size = static_cast<std::int64_t>(n);
  const Tensor& kept = read.tensor("ro");
  const std::int64_t pairs = kept.defined() && kept.rank() == 1 ? kept.shape(0) : 0;
  const double iterations = read.number("n_iter"), length = read.number("t"), scale = read.number("H_diag");
  const Vector direction = read.values("d", {size}), gradient = read.values("prev_flat_grad", {size}),
               y = read.values("old_dirs", {pairs, size}), s = read.values("old_stps", {pairs, size}),
               rho = read.values("ro", {pairs});
  if (pairs > options_.history_size)
    read.differs("ro has " + std::to_string(pairs) + " entries, history_size is " +
                 std::to_string(options_.history_size));
  if (!(iterations >= 0 && iterations < 1e15)) read.differs("n_iter is negative or not a count");
  read.finish();
  if (!read.differences().empty()) return read.differences();
  forget();
  iterations_ = static_cast<std::int64_t>(iterations);
  if (iterations_ == 0) return {};
  direction_ = direction;
  gradient_before_ = gradient;
  length_ = length;
  scale_ = scale;
  for (std::size_t i = 0; i < rho.size(); ++i) {
    const auto row = [&](const Vector& all) {
      const auto first = all.begin() + static_cast<std::ptrdiff_t>(i * n);
      return Vector(first, first + static_cast<std::ptrdiff_t>(n));
    };
    pairs_.push_back({row(y), row(s), rho[i]});
  }
  return {};
}

}  // namespace

std::shared_ptr<Driver> read::lbfgs(nn::ArgumentReader& arguments) {
  LBFGSOptions options;
  options.lr = read_rate(arguments, "lr", options.lr);
  options.max_iter = arguments.integer("max_iter", options.max_iter);
  if (arguments.has("max_eval")) options.max_eval = arguments.integer("max_eval");
  options.tolerance_grad = arguments.real("tolerance_grad", options.tolerance_grad);
  options.tolerance_change = arguments.real("tolerance_change", options.tolerance_change);
  options.history_size = arguments.integer("history_size", options.history_size);
  options.line_search_fn = arguments.text("line_search_fn", options.line_search_fn);
  return std::make_shared<LBFGSDriver>(options);
}

LBFGS::LBFGS(const LBFGSOptions& options) : Optimizer(std::make_shared<LBFGSDriver>(options), {}) {}
LBFGS::LBFGS(const Parameters& parameters, const LBFGSOptions& options)
    : Optimizer(std::make_shared<LBFGSDriver>(options), some_parameters("LBFGS", parameters)) {}

}  // namespace chainrule::optim
