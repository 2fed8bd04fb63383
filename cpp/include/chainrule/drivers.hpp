// Optimizers that need more than one gradient per step: L-BFGS and Levenberg-Marquardt. A driver is a loop over all
// parameters as one flat vector, which asks for the loss and its derivatives wherever it wants to look.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "chainrule/optim.hpp"

namespace chainrule::optim {

// What a driver lowers: a function of the parameters that want gradients, one behind the other, as they are at present.
class CHAINRULE_API Objective {
 public:
  explicit Objective(const std::vector<Tensor>& parameters);
  virtual ~Objective();
  Objective(const Objective&) = delete;
  Objective& operator=(const Objective&) = delete;

  std::size_t size() const noexcept { return size_; }
  void read(std::span<double> x) const;
  void write(std::span<const double> x);  // rounded to each parameter's dtype

  // The loss and its gradient; NaN where one of them is not finite.
  virtual double gradient(std::span<double> g) = 0;
  // The loss alone, for least-squares drivers; NaN where it is not finite.
  virtual double loss() = 0;
  // For a loss that is a sum of squares |r|^2 with Jacobian J: J'J (size x size) and J'r; false where one of them is
  // not finite.
  virtual bool normal_equations(std::span<double> jtj, std::span<double> jtr) = 0;

 protected:
  const std::vector<Tensor>& parameters() const noexcept { return parameters_; }

 private:
  std::vector<Tensor> parameters_;
  std::size_t size_ = 0;
};

class CHAINRULE_API Driver : public Method {
 public:
  virtual std::shared_ptr<Driver> clone() const = 0;  // without what it remembers
  // Moves the objective's parameters; the loss before. Where that is not finite nothing is changed but this: parameters
  // that the step before left where it had not looked return to the last ones that gave a finite loss. An exception of
  // the objective leaves the parameters where the loss was last known.
  virtual double step(Objective& objective, double lr) = 0;
  virtual bool least_squares() const { return false; }  // calls loss and normal_equations, not gradient
  virtual bool has_rate() const { return true; }
  // Refuses what it has no memory for.
  virtual void check_size(std::size_t parameters) const;
  // What it remembers between steps, for so many parameters; the same names and ranks at any time.
  virtual std::vector<nn::NamedTensor> state(std::size_t parameters) const = 0;
  // Takes it back; what is wrong with it, and nothing is changed, or an empty text.
  virtual std::string load(const std::vector<nn::NamedTensor>& state, std::size_t parameters) = 0;
  virtual void forget() = 0;
};

// d = -H g with H made of the last history_size differences of x and g (two-loop recursion); x += t d, t being lr
// (1 / |g|_1 lr in the very first iteration) or found by a search that ends where the strong Wolfe conditions hold.
// One step is max_iter such iterations. Nocedal and Wright (2006), algorithms 7.4, 3.5 and 3.6.
struct LBFGSOptions {
  Rate lr = 1.0;
  std::int64_t max_iter = 20;              // per step
  std::optional<std::int64_t> max_eval{};  // evaluations per step; max_iter 5 / 4 if not given
  double tolerance_grad = 1e-7;            // ends where no element of the gradient is larger,
  double tolerance_change = 1e-9;          // or the loss or every parameter changes by less
  std::int64_t history_size = 100;
  std::string line_search_fn{};  // "strong_wolfe", or empty for steps of lr
};
// Of a sum of squares |r|^2 with Jacobian J: (J'J + mu I) d = -J'r, x += d. Where the loss falls mu is multiplied by
// decrease, else by increase, and another d is tried, up to max_damping. One step is one accepted d. Marquardt (1963),
// in the form of Hagan and Menhaj (1994).
struct LevenbergMarquardtOptions {
  double damping = 1e-3;  // mu at the start
  double increase = 10.0;
  double decrease = 0.1;
  double max_damping = 1e10;
};

class CHAINRULE_API LBFGS : public Optimizer {
 public:
  explicit LBFGS(const LBFGSOptions& options = {});
  explicit LBFGS(const Parameters& parameters, const LBFGSOptions& options = {});
};
class CHAINRULE_API LevenbergMarquardt : public Optimizer {
 public:
  explicit LevenbergMarquardt(const LevenbergMarquardtOptions& options = {});
  explicit LevenbergMarquardt(const Parameters& parameters, const LevenbergMarquardtOptions& options = {});
};

}  // namespace chainrule::optim
