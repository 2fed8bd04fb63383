// Drivers by hand in C++: closures, residuals, recipes and what they remember.
#include "../nn/close.hpp"
#include "chainrule/drivers.hpp"
#include "chainrule/ops.hpp"
#include "optim/rules.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

using List = std::vector<Tensor>;

Tensor leaf(const std::vector<double>& values) {
  Tensor p = f64(values);
  p.requires_grad_();
  return p;
}

Tensor rosenbrock(const Tensor& p) {
  const Tensor x = p.index({0}), y = p.index({1});
  return square(Tensor(1.0) - x) + Tensor(100.0) * square(y - square(x));
}

}  // namespace

TEST_CASE("L-BFGS finds the end of Rosenbrock's valley, and a state dict goes on with the same bits") {
  const auto run = [](Tensor& p, optim::LBFGS& optimizer, int steps) {
    const auto closure = [&] {
      const Tensor loss = rosenbrock(p);
      loss.backward();
      return loss;
    };
    for (int i = 0; i < steps; ++i) optimizer.step(closure);
  };
  const optim::LBFGSOptions options{.max_iter = 5, .line_search_fn = "strong_wolfe"};
  Tensor p = leaf({-1.2, 1.0}), q = leaf({-1.2, 1.0});
  optim::LBFGS whole(List{p}, options), first(List{q}, options);
  run(p, whole, 4);
  run(q, first, 2);
  Tensor r = leaf(values_of(q));
  optim::LBFGS second(List{r}, options);
  second.load_state_dict(first.state_dict());
  run(r, second, 2);
  CHECK(same_bits(p.detach(), r.detach()));
  CHECK(second.step_count() == 4);
  run(p, whole, 10);
  check_close(p, {1.0, 1.0}, 1e-3);
}

TEST_CASE("Levenberg-Marquardt solves a linear problem in a few steps") {
  Tensor p = leaf({0.0, 0.0});
  optim::LevenbergMarquardt optimizer(List{p}, {.damping = 1e-6});
  const Tensor t = f64({0, 1, 2, 3}), y = f64({1, 3, 5, 7});
  for (int i = 0; i < 4; ++i) optimizer.step([&] { return p.index({0}) + p.index({1}) * t - y; });
  check_close(p, {1.0, 2.0}, 1e-10);
}

TEST_CASE("a driver is its name and arguments") {
  const optim::LBFGS lbfgs({.lr = 0.5, .max_eval = 7});
  CHECK(lbfgs.str() == "LBFGS(lr=0.5, max_eval=7)");
  CHECK(lbfgs.driver() != nullptr);
  CHECK(lbfgs.rule() == nullptr);
  CHECK(lbfgs.recipe().str() == lbfgs.str());
  CHECK(optim::LevenbergMarquardt().str() == "LevenbergMarquardt()");
  CHECK(optim::Adam().driver() == nullptr);
  Tensor p = leaf({1.0});
  CHECK_THROWS_AS(optim::LBFGS(List{p}).step(), StateError);
  CHECK_THROWS_AS(optim::LBFGS({.history_size = 0}), ValueError);
}
