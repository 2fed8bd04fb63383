// Passes, groups, the memory plan, and runs: the same bits as eager, whatever the threads, without an allocation.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>

#include "autodiff/rules.hpp"
#include "chainrule/nn.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "chainrule/transforms.hpp"
#include "graph/state_update.hpp"
#include "graph/tensor_data.hpp"
#include "program/memory_plan.hpp"
#include "program/passes.hpp"
#include "program/workspace.hpp"

using namespace chainrule;

namespace {
bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw_data(), b.raw_data(), static_cast<std::size_t>(a.size()) * size_of(a.dtype())) == 0;
}
}  // namespace

TEST_CASE("memory plan: buffers alive together never overlap, and dead ones are reused") {
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    std::vector<BufferLife> buffers;
    for (int i = 0; i < 40; ++i) {
      const auto born = static_cast<std::int32_t>(random() % 30);
      buffers.push_back(
          {static_cast<std::int64_t>(random() % 5000), born, born + static_cast<std::int32_t>(random() % 6)});
    }
    const std::int64_t total = plan_memory(buffers);
    for (std::size_t a = 0; a < buffers.size(); ++a) {
      CHECK(buffers[a].offset % 64 == 0);
      CHECK(buffers[a].offset + buffers[a].bytes <= total);
      for (std::size_t b = 0; b < a; ++b) {
        const bool alive = !(buffers[a].dies < buffers[b].born || buffers[b].dies < buffers[a].born);
        const bool apart = buffers[a].offset + buffers[a].bytes <= buffers[b].offset ||
                           buffers[b].offset + buffers[b].bytes <= buffers[a].offset;
        if (alive) CHECK(apart);
      }
    }
  }
  std::vector<BufferLife> chain = {{1000, 0, 1}, {1000, 1, 2}, {1000, 2, 3}, {1000, 3, 4}};
  CHECK(plan_memory(chain) == 2048);
}

TEST_CASE("memory plan: very many buffers, too") {
  std::mt19937 random(4);
  std::vector<BufferLife> buffers;
  for (int i = 0; i < 6000; ++i) {
    const auto born = static_cast<std::int32_t>(random() % 5000);
    buffers.push_back(
        {static_cast<std::int64_t>(random() % 5000), born, born + static_cast<std::int32_t>(random() % 6)});
  }
  const std::int64_t total = plan_memory(buffers);
  std::vector<std::vector<const BufferLife*>> alive(5010);
  for (const BufferLife& b : buffers)
    for (std::int32_t t = b.born; t <= b.dies; ++t) alive[static_cast<std::size_t>(t)].push_back(&b);
  std::int64_t most = 0;
  for (auto& now : alive) {
    std::sort(now.begin(), now.end(), [](auto* a, auto* b) { return a->offset < b->offset; });
    std::int64_t end = 0, bytes = 0;
    for (const BufferLife* b : now) {
      CHECK(b->offset % 64 == 0);
      CHECK(b->offset >= end);
      end = b->offset + b->bytes;
      bytes += b->bytes;
    }
    CHECK(end <= total);
    most = std::max(most, bytes);
  }
  CHECK(total < 2 * most);
  // A tape of equal buffers, the last one born being the first to die, needs no gap at all.
  std::vector<BufferLife> tape;
  for (std::int32_t i = 0; i < 5000; ++i) tape.push_back({1024, i, 10000 - i});
  CHECK(plan_memory(tape) == 5000 * 1024);
}

TEST_CASE("passes: dead nodes go, twins merge, transpositions fold") {
  const auto f = [&](const Tensors& in) {
    const Tensor dead = exp(in[0]);
    const Tensor a = tanh(matmul(in[0], transpose(in[1]))), b = tanh(matmul(in[0], transpose(in[1])));
    (void)dead;
    return Tensors{a + b};
  };
  const GraphData graph = optimize(trace_types(f, {{DType::float32, Shape{2, 3}}, {DType::float32, Shape{4, 3}}}));
  REQUIRE(graph.nodes.size() == 3);
  CHECK(graph.nodes[0].op->name == "matmul");
  CHECK(graph.nodes[0].attrs.ints[1] == 1);
  CHECK(graph.nodes[1].op->name == "tanh");
  CHECK(graph.nodes[2].op->name == "add");
}

TEST_CASE("bias and activation run behind their product, in place") {
  const nn::Linear layer(16, 32, {.seed = 1});
  const auto program = compile_program(
      trace_types([&](const Tensors& in) { return Tensors{relu(layer(in[0]))}; }, {{DType::float32, Shape{8, 16}}}));
  REQUIRE(program->groups.size() == 1);
  CHECK(program->groups[0].count == 3);
  CHECK(program->arena_bytes == 8 * 32 * 4);
}

TEST_CASE("products that threads share by columns have the bits of one thread, with all that runs behind them") {
  const int before = num_threads();
  for (const std::int64_t batch : {1, 3, 8})
    for (const bool turned : {false, true}) {
      const Tensor x = random::normal({batch, 600}, 1, 0), b = random::normal({4096}, 3, 0);
      const Tensor w = random::normal(turned ? Shape{4096, 600} : Shape{600, 4096}, 2, 0);
      const auto f = [&](const Tensors& in) {
        return Tensors{relu(matmul(in[0], in[1], false, turned) + in[2]) * in[3]};
      };
      const Tensor scale = random::normal({batch, 4096}, 4, 0);
      const Tensors in{x, w, b, scale};
      Types types;
      for (const Tensor& t : in) types.push_back(type_of(t));
      const auto program = compile_program(trace_types(f, types));
      REQUIRE(program->groups.size() == 1);
      CHECK(program->use_team);
      set_num_threads(1);
      const Tensor expected = f(in)[0];
      for (const int threads : {1, 2, 3, 5}) {
        set_num_threads(threads);
        CHECK(same_bits(f(in)[0], expected));
        Workspace workspace(program, threads);
        for (std::size_t i = 0; i < in.size(); ++i) workspace.bind_input(i, in[i].raw_data());
        workspace.run();
        CHECK(std::memcmp(workspace.output(0), expected.raw_data(), static_cast<std::size_t>(expected.size()) * 4) ==
              0);
        // A team that came up short.
        run_team(std::min(2, workspace.threads()), [&](int thread, Team& team) { workspace.run_as(thread, team); });
        CHECK(std::memcmp(workspace.output(0), expected.raw_data(), static_cast<std::size_t>(expected.size()) * 4) ==
              0);
      }
    }
  set_num_threads(before);
}

TEST_CASE("products of integers are shared by columns, too") {
  const int before = num_threads();
  const Tensor a = floor(random::uniform({3, 200}, 1, 0) * 100.0).astype(DType::int32);
  const Tensor b = floor(random::uniform({200, 4096}, 2, 0) * 100.0).astype(DType::int32);
  set_num_threads(1);
  const Tensor expected = matmul(a, b);
  for (const int threads : {2, 3, 5}) {
    set_num_threads(threads);
    CHECK(same_bits(matmul(a, b), expected));
    CHECK(same_bits(matmul(a, transpose(b), false, true), expected));
  }
  set_num_threads(before);
}

TEST_CASE("compiled and eager give the same bits, for any number of threads") {
  nn::Sequential model{nn::Linear(40, 300, {.seed = 1}), nn::ReLU(), nn::LayerNorm(300),
                       nn::Linear(300, 90, {.seed = 2}), nn::GELU(), nn::Linear(90, 7, {.seed = 3})};
  model.eval();
  const auto f = [&](const Tensors& in) {
    const Tensor y = model(in[0]);
    return Tensors{log_softmax(y, -1), mean(square(y), {0}), max(y, {1})};
  };
  const Tensor x = random::normal({203, 40}, 7, 0);
  const Tensors eager = f(Tensors{x});
  const int before = num_threads();
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const Tensors compiled = compile(f)(Tensors{x});
    for (std::size_t i = 0; i < eager.size(); ++i) CHECK(same_bits(eager[i], compiled[i]));
    const Tensors again = f(Tensors{x});
    for (std::size_t i = 0; i < eager.size(); ++i) CHECK(same_bits(eager[i], again[i]));
  }
  set_num_threads(before);
}

TEST_CASE("gradients of a compiled graph have the eager ones' bits") {
  const Tensor w = random::normal({6, 5}, 1, 0), x = random::normal({9, 6}, 2, 0);
  const auto f = [&](const Tensors& in) { return Tensors{sum(square(sigmoid(matmul(x, in[0]))) * tanh(in[0]).sum())}; };
  const Tensor eager = value_and_gradients(f, {w}).second[0];
  const auto g = compile([&](const Tensors& in) {
    return replay(vjp(trace(f, in).data()), Tensors{in[0], Tensor(1.0).astype(DType::float32)});
  });
  CHECK(same_bits(g(Tensors{w})[1], eager));
}

TEST_CASE("captured tensors are read when the program runs; views and identities work as outputs") {
  Tensor alpha = Tensor::from(std::vector<float>{2}, {1});
  const Compiled scaled =
      compile([&](const Tensors& in) { return Tensors{in[0] * alpha, reshape(in[0], {3, 1}), alpha, in[0]}; });
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3}, {3});
  CHECK(scaled(Tensors{x})[0].data<float>()[2] == 6);
  alpha.copy_(Tensor::from(std::vector<float>{5}, {1}));
  const Tensors y = scaled(Tensors{x});
  CHECK(y[0].data<float>()[2] == 15);
  CHECK(y[1].shape() == Shape{3, 1});
  CHECK(y[2].item() == 5);
  CHECK(same_bits(y[3], x));
}

TEST_CASE("state updates read the old value and write the new one, also crosswise") {
  const Tensor a = Tensor::from(std::vector<float>{1}, {1}), b = Tensor::from(std::vector<float>{2}, {1});
  const auto program = compile_program(trace_types(
      [&](const Tensors& in) {
        const Tensor next_a = b + 0.0 * in[0], next_b = a + 0.0 * in[0];
        update_buffer(a, next_a);
        update_buffer(b, next_b);
        return Tensors{a + b};
      },
      {{DType::float32, Shape{1}}}));
  Workspace workspace(program, 1);
  const float zero = 0;
  workspace.bind_input(0, &zero);
  workspace.run();
  CHECK(a.item() == 2);
  CHECK(b.item() == 1);
  CHECK(*static_cast<const float*>(workspace.output(0)) == 3);
}

TEST_CASE("a bad label ends the run as an error that names the layer") {
  const Compiled loss = compile([](const Tensors& in) { return Tensors{softmax_cross_entropy(in[0], in[1])}; });
  const Tensor logits = Tensor::zeros({2, 3});
  CHECK_THROWS_AS(loss(Tensors{logits, Tensor::from(std::vector<std::int64_t>{0, 5}, {2})}), IndexError);
  CHECK_NOTHROW(loss(Tensors{logits, Tensor::from(std::vector<std::int64_t>{0, 2}, {2})}));
}

TEST_CASE("a number that differs between two calls would be frozen: an error") {
  double clock = 0;
  const Compiled f = compile([&](const Tensors& in) { return Tensors{in[0] * (clock += 1.0)}; });
  CHECK_THROWS_WITH_AS(f(Tensors{Tensor::ones({2})}),
                       "compile: a constant differs between two calls of the function: of shape (), used by multiply; "
                       "np.random, a clock or a counter in "
                       "the function would be frozen: capture a tensor and copy_ into it instead",
                       ValueError);
}

TEST_CASE("a derivative inside a compiled function is compiled with it") {
  const auto f = [](const Tensor& t) { return sum(tanh(t) * t); };
  const Tensor x = random::normal({7}, 3, 0), v = random::normal({7}, 4, 0);
  const Compiled gradient = compile([&](const Tensors& in) {
    return Tensors{grad(f)(in[0]), grad([&](const Tensor& t) { return sum(grad(f)(t) * v); })(in[0])};
  });
  const Tensors compiled = gradient(Tensors{x});
  CHECK(same_bits(compiled[0], grad(f)(x)));
  const Tensor hv = grad([&](const Tensor& t) { return sum(grad(f)(t) * v); })(x);
  for (std::int64_t i = 0; i < 7; ++i)
    CHECK(compiled[1].data<float>()[i] == doctest::Approx(hv.data<float>()[i]).epsilon(1e-5));
  const Compiled forward = compile([&](const Tensors& in) {
    return jvp([&](const Tensors& y) { return Tensors{f(y[0])}; }, {in[0]}, {in[1]}).second;
  });
  CHECK(forward(Tensors{x, v})[0].item() == doctest::Approx(sum(grad(f)(x) * v).item()).epsilon(1e-5));
}
