// Tensors, tracing, replay and the text of a Graph.
#include <doctest/doctest.h>

#include <cstring>

#include "chainrule/graph.hpp"
#include "chainrule/ops.hpp"
#include "graph/graph.hpp"
#include "graph/tensor_data.hpp"

using namespace chainrule;

TEST_CASE("tensors: views share, from copies, errors say what to do") {
  float memory[] = {1, 2, 3, 4};
  const Tensor shared = Tensor::view(memory, {2, 2}),
               copied = Tensor::from(std::vector<float>(memory, memory + 4), {2, 2});
  memory[0] = 9;
  CHECK(shared.data<float>()[0] == 9);
  CHECK(copied.data<float>()[0] == 1);
  Tensor target = shared;
  CHECK_THROWS_WITH_AS(
      target.copy_(copied),
      "copy_: the tensor shares memory of the caller, which is never written: shape is (2, 2); make a copy first",
      StateError);
  CHECK_THROWS_WITH_AS(copied.data<double>(),
                       "data: the tensor has another dtype: asked for float64, is float32; use astype first",
                       DTypeError);
  CHECK_THROWS_WITH_AS(
      copied.item(), "item: the tensor does not hold exactly one element: shape is (2, 2); index it or reduce it first",
      ShapeError);
  CHECK_THROWS_WITH_AS(Tensor::from(std::vector<float>{1, 2}, {3}),
                       "from: the number of values does not fit the shape: 2 values for shape (3,) (3)", ShapeError);
  CHECK_THROWS_AS(Tensor().shape(), StateError);
  CHECK(copied.str() == "Tensor([[1., 2.],\n        [3., 4.]])");
}

TEST_CASE("scalars are weak, arrays are not") {
  const Tensor f = Tensor::ones({2}), d = Tensor::ones({2}, DType::float64), i = Tensor::ones({2}, DType::int32);
  CHECK((f + 1).dtype() == DType::float32);
  CHECK((d * 0.5f).dtype() == DType::float64);
  CHECK((i + 1).dtype() == DType::int32);
  CHECK((i * 0.5).dtype() == DType::float64);
  CHECK((Tensor(2.0) * Tensor(3.0)).dtype() == DType::float32);
  CHECK_THROWS_AS(f + d, DTypeError);
}

TEST_CASE("a traced function is recorded once, with captures and constants apart") {
  const Tensor w = Tensor::from(std::vector<float>{1, 2, 3, 4}, {2, 2});
  const Graph graph =
      trace([&](const Tensors& in) { return Tensors{tanh(matmul(in[0], w)) + 1.0}; }, {Tensor::ones({3, 2})});
  CHECK(graph.size() == 3);
  CHECK(graph.data().captures.size() == 1);
  CHECK(graph.data().constants.size() == 1);
  CHECK(graph.str() ==
        "name  computed as  shape   dtype    FLOP  saved B\n"
        "x     input        (3, 2)  float32\n"
        "p1    captured     (2, 2)  float32\n"
        "v1    x @ p1       (3, 2)  float32    24       24\n"
        "v2    tanh(v1)     (3, 2)  float32    72       24\n"
        "v3    v2 + 1       (3, 2)  float32     6        0\n"
        "returns v3\n"
        "total: 3 ops, 102 FLOP, 48 bytes saved for backward");
  const Tensor x = Tensor::from(std::vector<float>{1, 0, 0, 1, 1, 1}, {3, 2});
  const Tensors replayed = replay(graph.data(), std::span(&x, 1));
  const Tensor direct = tanh(matmul(x, w)) + 1.0;
  CHECK(std::memcmp(replayed[0].raw_data(), direct.raw_data(), 24) == 0);
}

TEST_CASE("values of symbols cannot be read, and symbols cannot leave") {
  Tensor kept;
  CHECK_THROWS_WITH_AS(
      trace([](const Tensors& in) { return in[0].item() > 0 ? in : Tensors{-in[0]}; }, {Tensor::ones({1})}),
      "tensor: has no values while a function is traced: a symbolic tensor of shape (1,); a branch or a print on "
      "values is not "
      "recorded: use where(), or call the function outside compile and Trainer",
      StateError);
  CHECK_THROWS_AS(trace(
                      [](const Tensors& in) {
                        Tensor t = in[0];
                        t.copy_(Tensor::ones({1}));
                        return in;
                      },
                      {Tensor::ones({1})}),
                  StateError);
}

TEST_CASE("a trace inside a trace sees the outer symbols as captures") {
  const Tensor x = Tensor::from(std::vector<float>{1, 2}, {2});
  const Graph outer = trace(
      [](const Tensors& in) {
        const GraphData inner =
            trace_types([&](const Tensors& y) { return Tensors{y[0] * in[0]}; }, {{DType::float32, Shape{2}}});
        CHECK(inner.captures.size() == 1);
        const Tensor twice = in[0] + in[0];
        return replay(inner, std::span(&twice, 1));
      },
      {x});
  const Tensors result = replay(outer.data(), std::span(&x, 1));
  CHECK(result[0].data<float>()[0] == 2.0f);
  CHECK(result[0].data<float>()[1] == 8.0f);
}

TEST_CASE("a symbol kept beyond its trace is refused") {
  Tensor kept;
  const Graph graph = trace(
      [&](const Tensors& in) {
        kept = in[0];
        return Tensors{in[0] * 2.0};
      },
      {Tensor::ones({2})});
  CHECK(graph.size() == 1);
  CHECK_THROWS_WITH_AS(
      kept + 1.0,
      "trace: a symbolic tensor left the function that was traced; return it from the function instead of keeping it",
      StateError);
}
