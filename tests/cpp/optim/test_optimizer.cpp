// Optimizer: what it steps and skips, its state dict, recipes, texts and refusals.
#include "../nn/close.hpp"
#include "chainrule/nn.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/optim.hpp"
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

// A rule of one's own: half of the way back to 0 along the sign of the gradient, with a count as state.
class Halving final : public optim::UpdateRule {
 public:
  std::shared_ptr<UpdateRule> clone() const override { return std::make_shared<Halving>(*this); }
  std::string name() const override { return "Halving"; }
  nn::Arguments arguments() const override { return {{"lr", lr}}; }
  std::vector<std::string> state_names() const override { return {"count"}; }
  double initial(const std::string&) const override { return 10.0; }
  optim::StepScalars scalars(double rate, std::int64_t) const override { return {rate}; }
  std::vector<Tensor> update(const Tensor& p, const Tensor& g, const std::vector<Tensor>& states,
                             const std::vector<Tensor>& scalars) const override {
    return {p - scalars[0] * sign(g), states[0] + Tensor(1.0)};
  }
};

}  // namespace

TEST_CASE("parameters without a gradient are skipped, and keep their own count") {
  Tensor a = leaf({1}), b = leaf({1});
  optim::Adam optimizer(List{a, b}, {.lr = 0.1});
  for (int step = 1; step <= 3; ++step) {
    optimizer.zero_grad();
    CHECK_FALSE(a.grad().defined());
    sum(step == 2 ? square(a) + b : square(a)).backward();
    optimizer.step();
  }
  check_close(b, {0.9}, 1e-7);  // one step, corrected as a first one
  CHECK(optimizer.step_count() == 3);
  const auto state = optimizer.state_dict();
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state) names.push_back(name);
  CHECK(names == std::vector<std::string>{"0.exp_avg", "0.exp_avg_sq", "1.exp_avg", "1.exp_avg_sq", "1.step", "step"});
  CHECK(state[4].tensor.item() == 1);
  CHECK(state[5].tensor.item() == 3);
}

TEST_CASE("a state dict resumes with the same bits") {
  const auto run = [](optim::Adam& optimizer, Tensor& p, int steps) {
    for (int i = 0; i < steps; ++i) {
      optimizer.zero_grad();
      sum(square(p)).backward();
      optimizer.step();
    }
  };
  Tensor a = leaf({1, -2, 3}), c = leaf({1, -2, 3});
  optim::Adam whole(List{a}, {.lr = 0.1}), first(List{c}, {.lr = 0.1});
  run(whole, a, 6);
  run(first, c, 3);
  Tensor d = leaf(values_of(c));
  optim::Adam second(List{d}, {.lr = 0.1});
  second.load_state_dict(first.state_dict());
  run(second, d, 3);
  CHECK(same_bits(a.detach(), d.detach()));
  CHECK(second.step_count() == 6);
  second.reset();
  CHECK(second.step_count() == 0);
  check_close(second.states(0)[0], {0, 0, 0});
}

TEST_CASE("a state dict that does not fit changes nothing") {
  Tensor p = leaf({1, 2});
  optim::Adam optimizer(List{p});
  CHECK_THROWS_WITH_AS(
      optimizer.load_state_dict({{"0.exp_avg", f64({1, 2, 3})}, {"0.sum", f64({1, 2})}, {"step", ints({1}, {})}}),
      "load_state_dict: the state does not fit Adam(lr=0.001): 0.exp_avg is (2,) here, (3,) was given, "
      "0.exp_avg_sq is missing, 0.sum is unknown; nothing was changed",
      ValueError);
  CHECK(optimizer.step_count() == 0);
}

TEST_CASE("recipes") {
  optim::AdamW recipe({.lr = 2e-3, .weight_decay = 1e-4});
  CHECK(recipe.is_recipe());
  CHECK_THROWS_WITH_AS(recipe.step(),
                       "AdamW: has no parameters to step: AdamW(lr=0.002, weight_decay=0.0001) is a recipe; pass "
                       "model.parameters() as the first argument, or hand it to a Trainer",
                       StateError);
  optim::Optimizer copy = recipe.recipe();
  copy.set_lr(0.5);
  CHECK(recipe.lr() == 2e-3);
  CHECK(copy.str() == "AdamW(lr=0.5, weight_decay=0.0001)");
  Tensor p = leaf({1});
  optim::SGD stepped(List{p}, {.lr = 1});
  CHECK_FALSE(stepped.is_recipe());
  CHECK(stepped.recipe().is_recipe());
  CHECK(stepped.parameters().size() == 1);
  CHECK_THROWS_AS(optim::Optimizer().step(), StateError);
}

TEST_CASE("a learning rate can be set between steps") {
  Tensor p = leaf({1});
  optim::SGD optimizer(List{p}, {.lr = 0.1});
  sum(p).backward();
  optimizer.step();
  optimizer.set_lr(0.25);
  optimizer.step();
  check_close(p, {0.65});
  CHECK_THROWS_WITH_AS(optimizer.set_lr(-1), "SGD: lr must be finite and >= 0: lr is -1.0", ValueError);
}

TEST_CASE("optimizers' texts") {
  CHECK(optim::Adam({.lr = 1}).str() == "Adam(lr=1.0)");
  CHECK(optim::Adam({.betas = {0.8, 0.9}, .amsgrad = true}).str() == "Adam(lr=0.001, betas=(0.8, 0.9), amsgrad=True)");
  CHECK(optim::SGD({.lr = 0.1, .momentum = 0.9, .nesterov = true}).str() == "SGD(lr=0.1, momentum=0.9, nesterov=True)");
  CHECK(optim::Adagrad().str() == "Adagrad(lr=0.01)");
  CHECK(optim::RMSprop({.centered = true}).str() == "RMSprop(lr=0.01, centered=True)");
  for (const optim::Optimizer& optimizer :
       std::vector<optim::Optimizer>{optim::SGD({.momentum = 0.5}), optim::AdamW({.eps = 1e-6}), optim::Adagrad(),
                                     optim::RMSprop({.momentum = 0.5}), optim::Adam({.amsgrad = true})}) {
    const optim::UpdateRule& rule = *optimizer.rule();
    CHECK(optim::Optimizer(optim::make_rule(rule.name(), rule.arguments()), {}).str() == optimizer.str());
  }
  CHECK_THROWS_AS(optim::make_rule("Rprop", {}), IndexError);
  CHECK_THROWS_AS(optim::make_rule("SGD", {{"beta", 1.0}}), ValueError);
}

TEST_CASE("arguments out of range") {
  CHECK_THROWS_WITH_AS(optim::Adam({.lr = -1}), "Adam: lr must be finite and >= 0: lr is -1.0", ValueError);
  CHECK_THROWS_WITH_AS(optim::AdamW({.betas = {1.0, 0.9}}), "AdamW: betas[0] must lie in [0, 1): betas[0] is 1.0",
                       ValueError);
  CHECK_THROWS_AS(optim::Adam({.betas = {0.9, -0.1}}), ValueError);
  CHECK_THROWS_AS(optim::Adam({.eps = -1}), ValueError);
  CHECK_THROWS_AS(optim::Adam({.lr = NAN}), ValueError);
  CHECK_THROWS_WITH_AS(optim::SGD({.nesterov = true}),
                       "SGD: nesterov needs a momentum and no dampening: momentum is 0.0, dampening is 0.0",
                       ValueError);
  CHECK_THROWS_AS(optim::SGD({.momentum = 0.9, .dampening = 0.1, .nesterov = true}), ValueError);
  CHECK_THROWS_AS(optim::SGD({.momentum = -0.1}), ValueError);
  CHECK_THROWS_AS(optim::RMSprop({.alpha = -1}), ValueError);
  CHECK_THROWS_AS(optim::Adagrad({.lr_decay = -1}), ValueError);
}

TEST_CASE("what cannot be stepped") {
  const Tensor p = leaf({1});
  CHECK_THROWS_WITH_AS(optim::Adam(std::vector<Tensor>{}),
                       "Adam: the list of parameters is empty; pass model.parameters(), or nothing for a recipe",
                       ValueError);
  CHECK_THROWS_WITH_AS(optim::Adam(List{p, p}), "Adam: a parameter is given twice: parameter 1 is parameter 0",
                       ValueError);
  CHECK_THROWS_WITH_AS(optim::Adam(List{p * p}),
                       "Adam: a parameter must be a leaf: parameter 0 is the result of an op; pass "
                       "model.parameters()",
                       ValueError);
  CHECK_THROWS_AS(optim::Adam(List{ints({1})}), DTypeError);
  CHECK_THROWS_AS(optim::Adam(List{Tensor()}), StateError);
  const std::vector<double> mine{1, 2};
  CHECK_THROWS_WITH_AS(
      optim::SGD(List{Tensor::view(mine.data(), {2})}),
      "SGD: a parameter must not be a view of the caller's memory: parameter 0; copy it with Tensor::from", ValueError);
  nn::Linear layer(2, 2, {.seed = 0});
  optim::Adam optimizer(layer.parameters());
  const auto step = [&] {
    optimizer.zero_grad();
    sum(layer(f64({1, 2}, {1, 2}))).backward();
    optimizer.step();
  };
  step();
  layer.astype(DType::float64);
  CHECK_THROWS_WITH_AS(
      step(),
      "Adam: a parameter was converted after its first step: parameter 0 is float64, its state is float32; "
      "make a new optimizer, or reset() this one",
      StateError);
  optimizer.reset();
  CHECK_NOTHROW(step());
}

TEST_CASE("stepping writes the same memory, and an old record notices") {
  Tensor p = leaf({1, 2});
  const void* memory = p.raw_data();
  const Tensor y = sum(square(p));
  optim::SGD optimizer(List{p}, {.lr = 0.1});
  sum(p).backward();
  optimizer.step();
  CHECK(p.raw_data() == memory);
  CHECK_THROWS_AS(y.backward(), StateError);  // p changed after it was recorded
}

TEST_CASE("rules of one's own, from op functions alone") {
  Tensor p = leaf({1, -1});
  auto rule = std::make_shared<Halving>();
  rule->lr = 0.25;
  optim::Optimizer optimizer(rule, {p});
  sum(square(p)).backward();
  optimizer.step();
  check_close(p, {0.75, -0.75});
  check_close(optimizer.states(0)[0], {11, 11});
  CHECK(optimizer.str() == "Halving(lr=0.25)");
}

TEST_CASE("a network learns xor by hand") {
  const Tensor x = f32({0, 0, 0, 1, 1, 0, 1, 1}, {4, 2}), t = f32({0, 1, 1, 0}, {4, 1});
  nn::Sequential model({nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1)}, {.seed = 0});
  optim::Adam optimizer(model.parameters(), {.lr = 0.05});
  for (int step = 0; step < 300; ++step) {
    optimizer.zero_grad();
    mean(square(sigmoid(model(x)) - t)).backward();
    optimizer.step();
  }
  const std::vector<double> y = values_of(sigmoid(model(x)));
  CHECK((y[0] < 0.2 && y[1] > 0.8 && y[2] > 0.8 && y[3] < 0.2));
}

TEST_CASE("groups: lists, names, and the one way back to a recipe") {
  nn::Linear a(3, 2), b(2, 1);
  const std::vector<optim::Group> parts{{a.parameters(), {{"lr", 0.5}, {"momentum", 0.9}}},
                                        {b.parameters(), {{"lr_scale", 0.1}}}};
  optim::SGD by_hand(parts, {.lr = 0.2, .weight_decay = 0.1}, {.decay_bias_and_norm = false});
  CHECK(by_hand.str() == "SGD(lr=0.2, weight_decay=0.1, 4 groups, decay_bias_and_norm=False)");
  REQUIRE(by_hand.group_count() == 4);
  CHECK(by_hand.group_of(1) == 1);
  std::vector<double> rates(4);
  by_hand.rates_at(0, rates);
  CHECK(rates == std::vector{0.5, 0.5, 0.2 * 0.1, 0.2 * 0.1});
  CHECK(by_hand.groups()[3].name() == "1, no decay");
  CHECK(by_hand.groups()[3].str() ==
        "ParameterGroup('1, no decay', 1 parameter, lr=0.2, momentum=0.0, dampening=0.0, weight_decay=0.0, "
        "nesterov=False, maximize=False, lr_scale=0.1)");
  CHECK_THROWS_AS(by_hand.recipe(), StateError);
  CHECK_THROWS_AS(by_hand.with(b.parameters()), StateError);

  const std::vector<nn::NamedTensor> names{
      {"w[0]", a.parameters()[0]}, {"w[1]", a.parameters()[1]}, {"v*", b.parameters()[0]}, {"vv", b.parameters()[1]}};
  const optim::Optimizer again = by_hand.recipe(names).with(names);
  REQUIRE(again.group_count() == 4);
  for (std::size_t g = 0; g < 4; ++g) {
    CHECK(again.groups()[g].arguments() == by_hand.groups()[g].arguments());
    CHECK(again.groups()[g].parameters()[0].data_handle() == names[g].tensor.data_handle());
  }
  CHECK_THROWS_AS(by_hand.recipe({names[0]}), StateError);

  CHECK(optim::Adam({.lr = 1}, {.groups = {{{"*.bias", "0.*"}, {{"freeze", true}}}}}).str() ==
        "Adam(lr=1.0, groups={('*.bias', '0.*'): {'freeze': True}})");
  CHECK_THROWS_AS(optim::SGD(parts, {}, {.groups = {{{"*"}, {}}}}), ValueError);
  CHECK_THROWS_AS(optim::SGD(std::vector<optim::Group>{}), ValueError);
}

TEST_CASE("groups of a rule of one's own are refused") {
  Tensor p = Tensor::ones({2});
  const auto halving = std::make_shared<Halving>();
  CHECK_THROWS_WITH_AS(optim::Optimizer(halving, List{p}, {.decay_bias_and_norm = false}),
                       "Halving: groups are made of the built-in optimizers: Halving is a rule of your own; make one "
                       "optimizer for each group of parameters",
                       ValueError);
}
