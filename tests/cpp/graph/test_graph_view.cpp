// Graphs to look at: tables, pictures, JSON, values and gradients.
#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "chainrule/graph.hpp"
#include "chainrule/ops.hpp"
#include "graph/graph.hpp"
#include "graph/view.hpp"

using namespace chainrule;

namespace {

Graph product_and_sum() {  // x y + 3 x
  const auto f = [](const Tensors& in) {
    const Tensor product = in[0] * in[1];
    return Tensors{product + in[0] * 3};
  };
  return trace(f, {Tensor::scalar(0), Tensor::scalar(0)}).named({"x", "y"});
}
Tensor at(const NamedTensors& tensors, const std::string& name) {
  for (const auto& [own, tensor] : tensors)
    if (own == name) return tensor;
  return {};
}
bool holds(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("a graph with values shows every value and gradient, and the sum at a fork") {
  const Graph graph = product_and_sum();
  CHECK(graph.values().empty());
  const Graph seen = graph.with_values({Tensor::scalar(2), Tensor::scalar(5)});
  CHECK(seen.str() ==
        "name  computed as  shape  dtype    value  gradient\n"
        "x     input        ()     float32  2      3 + 5 = 8\n"
        "y     input        ()     float32  5      2\n"
        "v1    x * y        ()     float32  10     1\n"
        "v2    x * 3        ()     float32  6      1\n"
        "v3    v1 + v2      ()     float32  16     1\n"
        "returns v3\n"
        "total: 3 ops, 3 FLOP, 8 bytes saved for backward");
  CHECK(at(seen.values(), "v3").item() == 16);
  CHECK(at(seen.gradients(), "x").item() == 8);
  CHECK(holds(seen.to_dot(), "3 + 5 = 8"));
  CHECK(holds(seen.to_dot(), "<B>v1 = x * y</B>"));
  CHECK(holds(seen.to_json(),
              R"({"id":0,"name":"x","kind":"input","dtype":"float32","shape":[],"value":[2.0],"gradient":[8.0]})"));
}

TEST_CASE("bytes kept for backward: each array once, none for parameters, views share their operand's") {
  const Tensor w = Tensor::ones({3, 2});
  const auto f = [&](const Tensors& in) {
    const Tensor h = tanh(matmul(in[0], w));  // keeps x (48 bytes) and h (32)
    return Tensors{sum(h * reshape(h, {4, 2}) * square(h))};
  };
  const Graph graph = trace(f, {Tensor::ones({4, 3})});
  // The product of h and its reshaped self is an array of 32, kept with square(h) by the second product.
  CHECK(graph.saved_bytes() == 48 + 32 + 32 + 32);
  CHECK(graph.flops() > 0);
}

TEST_CASE("with_values checks its arguments") {
  const Graph graph = trace([](const Tensors& in) { return Tensors{in[0] + in[0]}; }, {Tensor::ones({2})});
  CHECK_THROWS_WITH_AS(graph.with_values({}), "with_values: wrong number of arguments: 0 were given; the graph takes 1",
                       ValueError);
  CHECK_THROWS_WITH_AS(graph.with_values({Tensor::ones({3})}),
                       "with_values: argument 0 does not fit: it is (3,), the graph was traced for (2,); trace the "
                       "function again with this shape",
                       ShapeError);
  CHECK_THROWS_AS(graph.with_values({Tensor::ones({2})}, {Tensor::ones({3})}), ShapeError);
  CHECK_THROWS_AS(graph.with_values({Tensor::ones({2})}, {Tensor(), Tensor()}), ValueError);
  CHECK(graph.with_values({Tensor::ones({2})}).gradients().empty());
  const Graph pulled = graph.with_values({Tensor::ones({2})}, {Tensor::from(std::vector<float>{1, 10}, {2})});
  CHECK(at(pulled.gradients(), "x").data<float>()[1] == 20);
  CHECK_THROWS_AS(Graph().with_values({}), StateError);
  CHECK(Graph().str() == "(empty graph)");
}

TEST_CASE("with_values changes no state") {
  const Tensor counter = Tensor::zeros({}, DType::int64);
  GraphData data = trace([&](const Tensors& in) { return Tensors{in[0] + counter}; }, {Tensor::ones({})}).data();
  data.updates.push_back({counter, data.outputs[0]});
  const Graph graph(std::make_shared<GraphData>(data));
  graph.with_values({Tensor::scalar(1)});
  CHECK(counter.item() == 0);
  CHECK(holds(graph.str(), "updates p1 to v"));
  CHECK(holds(graph.to_dot(), "becomes p1"));
}

TEST_CASE("an eager result shows what was recorded, before and after backward") {
  Tensor x = Tensor::scalar(2, DType::float64).requires_grad_(), y = Tensor::scalar(5, DType::float64).requires_grad_();
  const Tensor product = tanh(x * y);
  const Tensor z = product + x * 3;
  CHECK(at(z.graph().values(), "v1").item() == 10);
  CHECK(z.graph().gradients().empty());
  z.backward();
  const Graph graph = z.graph().named({}, {{"x", x}, {"y", y}, {"z", z}});
  CHECK(at(graph.values(), "z").item() == z.item());
  CHECK(at(graph.gradients(), "x").item() == x.grad().item());
  CHECK(holds(graph.str(), "z     v2 + v3"));
  CHECK_THROWS_WITH_AS(Tensor::scalar(1).graph(),
                       "graph: nothing was recorded: no input of this result requires a gradient; call "
                       "requires_grad_() on a leaf before computing, or trace(f, ...) a function",
                       StateError);
}

TEST_CASE("a leaf changed since shows no value that never was") {
  Tensor x = Tensor::scalar(2).requires_grad_();
  const Tensor y = exp(x) * 2;
  x.copy_(Tensor::scalar(7));
  const Graph graph = y.graph().named({}, {{"x", x}});
  CHECK(!at(graph.values(), "x").defined());
  CHECK(at(graph.values(), "v1").item() == doctest::Approx(std::exp(2)));
  CHECK(holds(graph.str(), "changed in place"));
}

TEST_CASE("the picture is drawn where dot is found, and what to do is said where it is not") {
  const Graph graph = product_and_sum();
  if (std::system("dot -V > /dev/null 2>&1") == 0) {
    const std::string path =
        std::string(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp") + "/chainrule_view.svg";
    const std::string svg = graph.to_svg(path);
    CHECK(svg.starts_with("<svg"));
    CHECK(holds(svg, "v1 = x * y"));
    std::ifstream file(path);
    std::stringstream written;
    written << file.rdbuf();
    CHECK(written.str() == svg);
    std::remove(path.c_str());
    CHECK(graph.to_html() == svg);
  }
  const std::string before = std::getenv("PATH");
  ::setenv("PATH", "/nowhere", 1);
  CHECK_THROWS_WITH_AS(graph.to_svg(),
                       "to_svg: Graphviz's program 'dot' was not found: No such file or directory; install it (apt "
                       "install graphviz, brew install graphviz, conda install graphviz) or use to_dot(), which needs "
                       "nothing",
                       StateError);
  const std::string table = graph.to_html();
  ::setenv("PATH", before.c_str(), 1);
  CHECK(table.starts_with("<table"));
  CHECK(holds(table, ">x * y</td>"));
}

TEST_CASE("numbers are short, matrices in rows, large arrays in summary") {
  CHECK(value_text(Tensor::scalar(3.14159265)) == "3.142");
  CHECK(value_text(Tensor::scalar(-0.0)) == "0");
  CHECK(value_text(Tensor::from(std::vector<std::int64_t>{1, 2, 3, 4}, {2, 2}), 4, 16, "\n") == "[[1, 2],\n[3, 4]]");
  CHECK(value_text(Tensor::from(std::vector<float>{1, 2, 3, INFINITY}, {4}), 4, 2) == "1 to 3, mean 2, 1 not finite");
  CHECK(value_text(Tensor::zeros({0})) == "[]");
  CHECK(value_text(Tensor()) == "?");
  CHECK(escape_html("a<b>&\"") == "a&lt;b&gt;&amp;&quot;");
}
