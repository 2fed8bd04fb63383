// A graph run on a batch gives the bits of a loop over its samples.
#include "autodiff/batching.hpp"

#include <doctest/doctest.h>

#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "graph/tensor_data.hpp"

using namespace chainrule;

namespace {

Tensor sample_of(const Tensor& batch, std::int64_t i) {
  Dims shape = batch.shape();
  shape.erase(0);
  return reshape(slice(batch, {Slice{i, i + 1, 1}}), shape);
}

}  // namespace

TEST_CASE("batched graphs give the bits of a loop") {
  const Tensor w = random::normal({3, 5}, 1, 0), x = random::normal({4, 2, 3}, 2, 0);
  const Function f = [&](const std::vector<Tensor>& in) {
    const Tensor h = tanh(matmul(in[0], w));
    return std::vector<Tensor>{sum(h, {-1}), concat({h, transpose(transpose(h))}, 0), softmax(in[0] * 2.0, -1), w};
  };
  const GraphData graph = trace_types(f, {{DType::float32, Shape{2, 3}}});
  const char batched[] = {1};
  const Tensors all = replay_batched(graph, std::span(&x, 1), batched, 4);
  const GraphData as_graph = batch(graph, batched, 4);
  const Tensors again = replay(as_graph, std::span(&x, 1));
  for (std::int64_t i = 0; i < 4; ++i) {
    const Tensors one = f({sample_of(x, i)});
    for (std::size_t j = 0; j < one.size(); ++j) {
      CHECK(sample_of(all[j], i).str() == one[j].str());
      CHECK(sample_of(again[j], i).str() == one[j].str());
    }
  }
}

TEST_CASE("operands without a batch are shared") {
  const Tensor a = random::normal({4, 3}, 1, 0), b = random::normal({3}, 2, 0);
  const Function f = [](const std::vector<Tensor>& in) { return std::vector<Tensor>{in[0] * in[1], in[1] + 1.0}; };
  const GraphData graph = trace_types(f, {{DType::float32, Shape{3}}, {DType::float32, Shape{3}}});
  const Tensor arguments[] = {a, b};
  const char batched[] = {1, 0};
  const Tensors y = replay_batched(graph, arguments, batched, 4);
  CHECK(y[0].str() == (a * b).str());
  CHECK(y[1].shape() == Shape{4, 3});  // every output has the batch in front
}

TEST_CASE("draws are shared by the samples, or every sample has its own") {
  const Function f = [](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{in[0] + random::normal({5}), dropout(Tensor::ones({5}), 0.5)};
  };
  const GraphData graph = trace_types(f, {{DType::float32, Shape{5}}});
  const Tensor x = Tensor::zeros({4, 5});
  const char batched[] = {1};
  const Tensors shared = replay_batched(graph, std::span(&x, 1), batched, 4);
  const Tensors own = replay_batched(graph, std::span(&x, 1), batched, 4, Draws::own);
  CHECK(own[1].shape() == Shape{4, 5});
  for (std::int64_t i = 1; i < 4; ++i) {
    CHECK(sample_of(shared[0], i).str() == sample_of(shared[0], 0).str());
    CHECK(sample_of(shared[1], i).str() == sample_of(shared[1], 0).str());
    CHECK(sample_of(own[0], i).str() != sample_of(own[0], 0).str());
  }
  CHECK(own[1].str() != shared[1].str());
}
