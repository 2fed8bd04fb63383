// The eager tape: options, several roots, what a record keeps alive, the work and memory an op costs.
#include "autodiff/tape.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "autodiff/rules.hpp"
#include "chainrule/memory.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "chainrule/transforms.hpp"
#include "graph/tensor_data.hpp"
#include "program/passes.hpp"

using namespace chainrule;

namespace {

Tensor leaf(double value) {
  Tensor x = Tensor::from(std::vector<double>{value}, {1});
  x.requires_grad_();
  return x;
}
std::vector<bool> kept(const Tensor& y) {
  std::vector<bool> which;
  for (const SavedValue& v : y.data_handle()->node->saved_inputs) which.push_back(v.storage != nullptr);
  for (const SavedValue& v : y.data_handle()->node->saved_outputs) which.push_back(v.storage != nullptr);
  return which;
}

}  // namespace

TEST_CASE("backward's options: retained, recorded, several roots") {
  Tensor x = leaf(2.0);
  const Tensor y = x * x * x;
  y.backward({.retain_graph = true});
  CHECK(x.grad().item() == 12.0);
  x.zero_grad();
  y.backward({.create_graph = true});
  const Tensor first = x.grad();
  x.zero_grad();
  first.backward();
  CHECK(x.grad().item() == 12.0);
  x.zero_grad();
  backward({x * 2.0, x * x}, {Tensor(), Tensor::from(std::vector<double>{10.0}, {1})});
  CHECK(x.grad().item() == 42.0);
  CHECK_THROWS_WITH_AS(backward({}), "backward: no tensors were given; pass the tensors to start from", ValueError);
}

TEST_CASE("an op's record lets go of its operands' values, its leaves and what lies behind it") {
  Tensor x = leaf(2.0);
  std::weak_ptr<GradNode> node;
  std::weak_ptr<TensorData> other;
  {
    Tensor gone = leaf(3.0);
    other = gone.data_handle();
    const Tensor h = tanh(x);
    node = h.data_handle()->node;
    const Tensor y = h * gone;
    gone = Tensor();
    CHECK(other.expired());  // its gradient is nobody's business any more
    y.backward();
    CHECK(h.data_handle()->node->freed);
    CHECK(h.data_handle()->node->saved_outputs.empty());
    const double t = std::tanh(2.0);
    CHECK(x.grad().item() == doctest::Approx(3 * (1 - t * t)).epsilon(1e-14));
  }
  CHECK(node.expired());
}

TEST_CASE("a record that was made under create_graph does not keep its own leaf alive") {
  std::weak_ptr<TensorData> data;
  {
    Tensor x = leaf(2.0);
    data = x.data_handle();
    (x * x).backward({.create_graph = true});
    CHECK(x.grad().requires_grad());
  }
  CHECK(data.expired());
}

TEST_CASE("an op keeps what its rule reads, given which inputs want a gradient") {
  const Tensor w = [] {
    Tensor t = Tensor::ones({2, 2}, DType::float64);
    t.requires_grad_();
    return t;
  }();
  const Tensor x = Tensor::ones({2, 2}, DType::float64), mask = greater(x, Tensor(0));
  using Which = std::vector<bool>;
  CHECK(kept(matmul(x, w)) == Which{true, false, false});
  CHECK(kept(matmul(w, x)) == Which{false, true, false});
  CHECK(kept(matmul(w, w)) == Which{true, true, false});
  CHECK(kept(x * w) == Which{true, false, false});
  CHECK(kept(w * x) == Which{false, true, false});
  CHECK(kept(w + x) == Which{false, false, false});
  CHECK(kept(w / x) == Which{false, true, false});
  CHECK(kept(x / w) == Which{true, true, false});
  CHECK(kept(where(mask, w, x)) == Which{true, false, false, false});
  CHECK(kept(fma(x, x, w)) == Which{false, false, false, false});
  CHECK(kept(fma(w, x, x)) == Which{false, true, false, false});
  CHECK(kept(tanh(w)) == Which{false, true});
  CHECK(kept(log(w)) == Which{true, false});
}

TEST_CASE("what stands in for an operand that was not kept does not matter") {
  // Every way of wanting gradients of a quotient, broadcast, in both modes and twice.
  const Tensor a = random::uniform({3}, 1, 0, 1.0, 2.0, DType::float64),
               b = random::uniform({2, 3}, 2, 0, 1.0, 2.0, DType::float64);
  const auto by_a = [&](const Tensor& t) { return sum(square(t / b)); };
  const Tensor g = grad(by_a)(a), h = grad([&](const Tensor& t) { return sum(grad(by_a)(t) * t); })(a);
  const auto tangents = jvp([&](const Tensors& in) { return Tensors{by_a(in[0])}; }, {a}, {a}).second;
  double slope = 0;
  for (int i = 0; i < 3; ++i) {
    double expected = 0;
    for (int k = 0; k < 2; ++k) expected += 2 * a.data<double>()[i] / std::pow(b.data<double>()[3 * k + i], 2);
    CHECK(g.data<double>()[i] == doctest::Approx(expected).epsilon(1e-13));
    CHECK(h.data<double>()[i] == doctest::Approx(2 * expected).epsilon(1e-13));
    slope += expected * a.data<double>()[i];
  }
  CHECK(tangents[0].item() == doctest::Approx(slope).epsilon(1e-13));
}

TEST_CASE("gradients that fork are added in place where nobody else can see") {
  const std::size_t n = 1000;
  Tensor x = Tensor::ones({static_cast<std::int64_t>(n)}, DType::float64);
  x.requires_grad_();
  Tensor y = x * 1.0;
  for (int i = 0; i < 20; ++i) y = y + x * static_cast<double>(i);
  const Tensor s = sum(y);
  y = Tensor();
  reset_peak_memory();
  const std::size_t before = memory_use().live;
  s.backward();
  // x's gradient, the cotangent on its way, and the product that is being added.
  CHECK(memory_use().peak - before <= 3 * n * sizeof(double) + 100);
  CHECK(x.grad().data<double>()[n - 1] == 191.0);
}

TEST_CASE("storage counts its bytes, whoever frees them") {
  const std::size_t before = memory_use().live;
  {
    const Tensor a = Tensor::zeros({100});
    CHECK(memory_use().live == before + 400);
    const float outside[4] = {};
    const Tensor view = Tensor::view(outside, {4});
    CHECK(memory_use().live == before + 400);
    alignas(64) float arena[100];
    a.data_handle()->storage->move_to(arena, std::make_shared<int>());
    CHECK(memory_use().live == before + 400);
  }
  CHECK(memory_use().live == before);
}

TEST_CASE("stop_gradient is an op in a graph, and nothing in a program") {
  const auto f = [](const Tensors& in) { return Tensors{sum(in[0] * stop_gradient(in[0]) + in[0].detach())}; };
  const Tensor x = Tensor::full({3}, 2.0, DType::float64), one = Tensor::ones({}, DType::float64);
  const Graph graph = trace(f, {x});
  CHECK(graph.str().find("stop_gradient") != std::string::npos);
  CHECK(replay(vjp(graph.data()), Tensors{x, one})[1].data<double>()[0] == 2.0);
  CHECK(replay(jvp(graph.data()), Tensors{x, x})[1].item() == 12.0);
  for (const Node& node : optimize(graph.data()).nodes) CHECK_FALSE(node.op->view);
}

TEST_CASE("what no_grad computes in a trace has no derivative there; no_grad around a trace does not reach in") {
  const auto f = [](const Tensors& in) {
    const Tensor y = [&] {
      const NoGrad nothing;
      return square(in[0]);
    }();
    return Tensors{sum(in[0] * y)};
  };
  const Tensor x = Tensor::full({1}, 3.0, DType::float64), one = Tensor::ones({}, DType::float64);
  const NoGrad outside;
  CHECK(replay(vjp(trace(f, {x}).data()), Tensors{x, one})[1].item() == 9.0);
}
