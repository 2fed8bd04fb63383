// Every update rule against PyTorch's algorithm written out, for several steps and settings; the recorded update
// against the one in place.
#include <cmath>
#include <functional>

#include "../nn/close.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/optim.hpp"

using namespace chainrule;
using namespace close_test;

namespace {

using List = std::vector<Tensor>;

constexpr int steps = 10;
const std::vector<double> start{0.5, -1.5, 2.0, 0.0};

// Some gradient that depends on where p is and on the step.
double gradient_at(double p, int step, std::size_t i) {
  return 0.8 * p + 0.3 * std::sin(static_cast<double>(step) + static_cast<double>(i));
}

// One parameter element's own algorithm: p -> p after a step t = 1, 2, ... with gradient g.
using Element = std::function<double(double p, double g, int t)>;

void check_rule(optim::Optimizer (*make)(const std::vector<Tensor>&), const std::function<Element()>& element) {
  for (const DType dtype : {DType::float64, DType::float32}) {
    Tensor p = Tensor::empty({2, 2}, dtype);
    p.copy_(f64(start, {2, 2}));
    p.requires_grad_();
    optim::Optimizer optimizer = make({p});
    CAPTURE(optimizer.str());
    std::vector<double> want = start;
    std::vector<Element> elements;
    for (std::size_t i = 0; i < start.size(); ++i) elements.push_back(element());
    for (int t = 1; t <= steps; ++t) {
      std::vector<double> g(start.size());
      for (std::size_t i = 0; i < start.size(); ++i) g[i] = gradient_at(want[i], t, i);
      optimizer.zero_grad();
      sum(p * f64(g, {2, 2}).astype(dtype)).backward();
      optimizer.step();
      for (std::size_t i = 0; i < start.size(); ++i) want[i] = elements[i](want[i], g[i], t);
      check_close(p, want, dtype == DType::float64 ? 1e-14 : 2e-6);
    }
    CHECK(optimizer.step_count() == steps);
  }
}

Element sgd(double lr, double momentum, double dampening, double decay, bool nesterov, double sign = 1) {
  return [=, buf = 0.0](double p, double g, int t) mutable {
    g = sign * g + decay * p;
    if (momentum != 0) {
      buf = t == 1 ? g : momentum * buf + (1 - dampening) * g;
      g = nesterov ? g + momentum * buf : buf;
    }
    return p - lr * g;
  };
}

Element adam(double lr, double b1, double b2, double eps, double decay, bool decoupled, bool amsgrad, double sign = 1) {
  return [=, m = 0.0, v = 0.0, most = 0.0](double p, double g, int t) mutable {
    g *= sign;
    if (decoupled)
      p *= 1 - lr * decay;
    else
      g += decay * p;
    m = b1 * m + (1 - b1) * g;
    v = b2 * v + (1 - b2) * g * g;
    most = std::max(most, v);
    const double m_hat = m / (1 - std::pow(b1, t)), v_hat = (amsgrad ? most : v) / (1 - std::pow(b2, t));
    return p - lr * m_hat / (std::sqrt(v_hat) + eps);
  };
}

Element rmsprop(double lr, double alpha, double eps, double decay, double momentum, bool centered) {
  return [=, sq = 0.0, avg = 0.0, buf = 0.0](double p, double g, int) mutable {
    g += decay * p;
    sq = alpha * sq + (1 - alpha) * g * g;
    if (centered) avg = alpha * avg + (1 - alpha) * g;
    const double step = g / (std::sqrt(sq - avg * avg) + eps);
    buf = momentum * buf + step;
    return p - lr * (momentum > 0 ? buf : step);
  };
}

}  // namespace

TEST_CASE("sgd") {
  using O = optim::SGD;
  check_rule([](const auto& p) -> optim::Optimizer { return O(p, {.lr = 0.1}); },
             [] { return sgd(0.1, 0, 0, 0, false); });
  check_rule([](const auto& p) -> optim::Optimizer { return O(p, {.lr = 0.1, .momentum = 0.9, .dampening = 0.3}); },
             [] { return sgd(0.1, 0.9, 0.3, 0, false); });
  check_rule(
      [](const auto& p) -> optim::Optimizer {
        return O(p, {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.05, .nesterov = true});
      },
      [] { return sgd(0.1, 0.9, 0, 0.05, true); });
  check_rule([](const auto& p) -> optim::Optimizer { return O(p, {.lr = 0.1, .weight_decay = 0.2, .maximize = true}); },
             [] { return sgd(0.1, 0, 0, 0.2, false, -1); });
}

TEST_CASE("adagrad") {
  check_rule(
      [](const auto& p) -> optim::Optimizer {
        return optim::Adagrad(p, {.lr = 0.1, .lr_decay = 0.2, .weight_decay = 0.1, .initial_accumulator_value = 0.5});
      },
      [] {
        return [sum = 0.5](double p, double g, int t) mutable {
          g += 0.1 * p;
          sum += g * g;
          return p - 0.1 / (1 + (t - 1) * 0.2) * g / (std::sqrt(sum) + 1e-10);
        };
      });
}

TEST_CASE("rmsprop") {
  check_rule([](const auto& p) -> optim::Optimizer { return optim::RMSprop(p, {.weight_decay = 0.1}); },
             [] { return rmsprop(0.01, 0.99, 1e-8, 0.1, 0, false); });
  check_rule([](const auto& p) -> optim::Optimizer { return optim::RMSprop(p, {.alpha = 0.9, .momentum = 0.8}); },
             [] { return rmsprop(0.01, 0.9, 1e-8, 0, 0.8, false); });
  check_rule(
      [](const auto& p) -> optim::Optimizer {
        return optim::RMSprop(p, {.eps = 1e-3, .momentum = 0.5, .centered = true});
      },
      [] { return rmsprop(0.01, 0.99, 1e-3, 0, 0.5, true); });
}

TEST_CASE("adam") {
  check_rule([](const auto& p) -> optim::Optimizer { return optim::Adam(p); },
             [] { return adam(1e-3, 0.9, 0.999, 1e-8, 0, false, false); });
  check_rule(
      [](const auto& p) -> optim::Optimizer {
        return optim::Adam(p, {.lr = 0.1, .betas = {0.8, 0.95}, .eps = 1e-3, .weight_decay = 0.3});
      },
      [] { return adam(0.1, 0.8, 0.95, 1e-3, 0.3, false, false); });
  check_rule([](const auto& p) -> optim::Optimizer { return optim::Adam(p, {.lr = 0.1, .amsgrad = true}); },
             [] { return adam(0.1, 0.9, 0.999, 1e-8, 0, false, true); });
  check_rule([](const auto& p) -> optim::Optimizer { return optim::Adam(p, {.lr = 0.1, .maximize = true}); },
             [] { return adam(0.1, 0.9, 0.999, 1e-8, 0, false, false, -1); });
}

TEST_CASE("adamw decays beside the gradient") {
  check_rule([](const auto& p) -> optim::Optimizer { return optim::AdamW(p, {.lr = 0.1, .weight_decay = 0.4}); },
             [] { return adam(0.1, 0.9, 0.999, 1e-8, 0.4, true, false); });
  check_rule([](const auto& p) -> optim::Optimizer { return optim::AdamW(p, {.lr = 0.1, .amsgrad = true}); },
             [] { return adam(0.1, 0.9, 0.999, 1e-8, 1e-2, true, true); });
}

TEST_CASE("adadelta") {
  check_rule(
      [](const auto& p) -> optim::Optimizer {
        return optim::Adadelta(p, {.lr = 0.8, .rho = 0.7, .eps = 1e-3, .weight_decay = 0.1});
      },
      [] {
        return [sq = 0.0, acc = 0.0](double p, double g, int) mutable {
          g += 0.1 * p;
          sq = 0.7 * sq + 0.3 * g * g;
          const double step = std::sqrt(acc + 1e-3) / std::sqrt(sq + 1e-3) * g;
          acc = 0.7 * acc + 0.3 * step * step;
          return p - 0.8 * step;
        };
      });
}

TEST_CASE("adamax") {
  check_rule([](const auto& p) -> optim::Optimizer { return optim::Adamax(p, {.lr = 0.1, .weight_decay = 0.1}); },
             [] {
               return [m = 0.0, u = 0.0](double p, double g, int t) mutable {
                 g += 0.1 * p;
                 m = 0.9 * m + 0.1 * g;
                 u = std::max(0.999 * u, std::abs(g) + 1e-8);
                 return p - 0.1 / (1 - std::pow(0.9, t)) * m / u;
               };
             });
}

Element nadam(double lr, double decay, bool decoupled) {
  return [=, m = 0.0, v = 0.0, product = 1.0](double p, double g, int t) mutable {
    if (decoupled)
      p *= 1 - lr * decay;
    else
      g += decay * p;
    const double mu = 0.9 * (1 - 0.5 * std::pow(0.96, t * 4e-3)),
                 next = 0.9 * (1 - 0.5 * std::pow(0.96, (t + 1) * 4e-3));
    product *= mu;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    const double root = std::sqrt(v / (1 - std::pow(0.999, t))) + 1e-8;
    return p - lr * (1 - mu) / (1 - product) * g / root - lr * next / (1 - product * next) * m / root;
  };
}

TEST_CASE("nadam") {
  check_rule([](const auto& p) -> optim::Optimizer { return optim::NAdam(p, {.lr = 0.05, .weight_decay = 0.1}); },
             [] { return nadam(0.05, 0.1, false); });
  check_rule(
      [](const auto& p) -> optim::Optimizer {
        return optim::NAdam(p, {.lr = 0.05, .weight_decay = 0.1, .decoupled_weight_decay = true});
      },
      [] { return nadam(0.05, 0.1, true); });
}

TEST_CASE("nadam's numbers depend on the step alone, in whatever order they are asked for") {
  const optim::NAdam forward, mixed;
  std::vector<optim::StepScalars> in_order;
  for (int t = 1; t <= 20; ++t) in_order.push_back(forward.rule()->scalars(0.1, t));
  for (const int t : {20, 3, 4, 17, 1, 20}) {
    const optim::StepScalars there = mixed.rule()->scalars(0.1, t);
    for (std::size_t i = 0; i < there.size(); ++i) CHECK(there[i] == in_order[static_cast<std::size_t>(t) - 1][i]);
  }
}

Element radam(double lr, double b2, double decay, bool decoupled) {
  return [=, m = 0.0, v = 0.0](double p, double g, int t) mutable {
    if (decoupled)
      p *= 1 - lr * decay;
    else
      g += decay * p;
    m = 0.9 * m + 0.1 * g;
    v = b2 * v + (1 - b2) * g * g;
    const double most = 2 / (1 - b2) - 1, power = std::pow(b2, t), rho = most - 2 * t * power / (1 - power);
    const double mean = m / (1 - std::pow(0.9, t));
    if (rho <= 5) return p - lr * mean;
    const double r = std::sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho));
    return p - lr * mean * r * std::sqrt(1 - power) / (std::sqrt(v) + 1e-8);
  };
}

TEST_CASE("radam, before and behind its rectification") {
  check_rule(  // rectified from the sixth step on
      [](const auto& p) -> optim::Optimizer { return optim::RAdam(p, {.lr = 0.05, .weight_decay = 0.1}); },
      [] { return radam(0.05, 0.999, 0.1, false); });
  check_rule(  // rho_inf = 9: rectified from the seventh step on
      [](const auto& p) -> optim::Optimizer {
        return optim::RAdam(p, {.lr = 0.05, .betas = {0.9, 0.8}, .weight_decay = 0.1, .decoupled_weight_decay = true});
      },
      [] { return radam(0.05, 0.8, 0.1, true); });
  check_rule([](const auto& p) -> optim::Optimizer { return optim::RAdam(p, {.lr = 0.05, .betas = {0.9, 0.99}}); },
             [] { return radam(0.05, 0.99, 0, false); });
}

TEST_CASE("lion") {
  check_rule([](const auto& p) -> optim::Optimizer { return optim::Lion(p, {.lr = 0.05, .weight_decay = 0.2}); },
             [] {
               return [m = 0.0](double p, double g, int) mutable {
                 const double u = 0.9 * m + 0.1 * g;
                 m = 0.99 * m + 0.01 * g;
                 return p * (1 - 0.05 * 0.2) - 0.05 * ((u > 0) - (u < 0));
               };
             });
}

TEST_CASE("adam's first step is lr long, whatever the gradient") {
  for (const double g : {1e-3, 1.0, 1e4}) {
    Tensor p = f64({3});
    p.requires_grad_();
    optim::Adam optimizer(List{p}, {.lr = 0.01});
    sum(p * Tensor(g)).backward();
    optimizer.step();
    check_close(p, {2.99}, 1e-7);
  }
}

TEST_CASE("update gives the bits of update_in_place") {
  const std::vector<double> g{0.3, -0.2, 0.1, 1}, s{0.4, 0.1, 0.2, 0.3};
  for (const optim::Optimizer& optimizer : std::vector<optim::Optimizer>{
           optim::SGD({.momentum = 0.9}), optim::SGD({.maximize = true}), optim::Adagrad(), optim::RMSprop(),
           optim::RMSprop({.centered = true}), optim::Adam(), optim::AdamW({.amsgrad = true}), optim::Adadelta(),
           optim::Adamax(), optim::NAdam(), optim::RAdam(), optim::Lion({.maximize = true})}) {
    CAPTURE(optimizer.str());
    const optim::UpdateRule& rule = *optimizer.rule();
    const Tensor p = f64(start);
    std::vector<Tensor> states, scalars;
    for (std::size_t i = 0; i < rule.state_names().size(); ++i) states.push_back(f64(s));
    const auto values = rule.scalars(0.1, 3);
    for (std::size_t i = 0; i < values.size(); ++i) scalars.push_back(Tensor::scalar(values[i], DType::float64));
    const std::vector<Tensor> fresh = rule.update(p, f64(g), states, scalars);
    rule.update_in_place(p, f64(g), states, scalars);
    REQUIRE(fresh.size() == states.size() + 1);
    CHECK(same_bits(fresh[0], p));
    for (std::size_t i = 0; i < states.size(); ++i) CHECK(same_bits(fresh[i + 1], states[i]));
  }
}
