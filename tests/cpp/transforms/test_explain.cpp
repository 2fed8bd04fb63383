// explain: the numbers of every step, in C++.
#include <doctest/doctest.h>

#include "chainrule/explain.hpp"
#include "chainrule/ops.hpp"
#include "graph/tensor_data.hpp"
#include "transforms/explain.hpp"

using namespace chainrule;

namespace {
Explanation product_and_sum() {
  const auto f = [](const Tensors& in) {
    const Tensor product = in[0] * in[1];
    return Tensors{product + in[0]};
  };
  return explain(f, {2.0, 5.0}, {.names = {"x", "y"}});
}
}  // namespace

TEST_CASE("every step: value, what arrives, local derivative, what is sent, the sum at a fork, the check") {
  const Explanation e = product_and_sum();
  CHECK(e.difference() < 1e-9);
  REQUIRE(e.data().steps.size() == 2);
  const Step& product = e.data().steps[1];
  CHECK(product.arrived.item() == 1);
  CHECK(product.operands[0].rule == "y");
  CHECK(product.operands[0].slope.item() == 5);
  CHECK(product.operands[1].sent.item() == 2);
  REQUIRE(e.data().forks.size() == 1);
  CHECK(e.data().forks[0].parts[0].item() == 1);
  CHECK(e.data().forks[0].parts[1].item() == 5);
  CHECK(e.data().forks[0].sum.item() == 6);
  CHECK(e.str().find("x is used twice: 1 + 5 = 6") != std::string::npos);
  CHECK(e.to_html().find("<table") != std::string::npos);
  CHECK(e.graph().size() == 2);
}

TEST_CASE("explain refuses what cannot be read") {
  const auto many = [](const Tensors& in) {
    Tensor x = in[0];
    for (int i = 0; i < 101; ++i) x = x + 1;
    return Tensors{x};
  };
  CHECK_THROWS_WITH_AS(
      explain(many, {1.0}),
      "explain: the function is too long to explain: 101 ops, at most 100; explain a part of it, print "
      "trace(f, ...), or use check_gradients",
      ValueError);
  const auto sums = [](const Tensors& in) { return Tensors{sum(in[0] * in[0])}; };
  CHECK_THROWS_WITH_AS(explain(sums, {Tensor::ones({5, 20})}, {.names = {"w"}}),
                       "explain: a value is too large to explain: w is (5, 20), at most 64 elements; use fewer samples "
                       "and units: the rules are the same",
                       ValueError);
  const auto same = [](const Tensors& in) { return Tensors{exp(in[0])}; };
  CHECK_THROWS_AS(explain(same, {Tensor::ones({9})}), ValueError);
  CHECK_THROWS_AS(explain(same, {}), ValueError);
  CHECK_THROWS_AS(explain([](const Tensors& in) { return Tensors{in[0], in[0]}; }, {1.0}), ValueError);
}
