// Programs that run slab by slab: the bits of group by group, for any slab and number of threads, in less memory.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "chainrule/losses.hpp"
#include "chainrule/nn.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "chainrule/trainer.hpp"
#include "chainrule/transforms.hpp"
#include "graph/tensor_data.hpp"
#include "ops/random_scope.hpp"
#include "program/workspace.hpp"
#include "train/step_program.hpp"

using namespace chainrule;

namespace {

constexpr SlabLimits never{std::numeric_limits<std::int64_t>::max(), 1}, always{1, 1};

struct ThreadsPutBack {
  int before = num_threads();
  ~ThreadsPutBack() { set_num_threads(before); }
};

using Bits = std::vector<std::byte>;

Tensor normal(const Shape& shape, std::uint64_t key, DType dtype = DType::float32) {
  return random::normal(shape, key, 0).astype(dtype);
}
Tensor labels(std::int64_t rows, std::int64_t classes) {
  std::vector<std::int64_t> values(static_cast<std::size_t>(rows));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int64_t>(i * 2654435761u >> 7) % classes;
  return Tensor::from(values, {rows});
}

// What a program leaves: its outputs and the tensors it writes, which are put back.
std::vector<Bits> run(const std::shared_ptr<const Program>& program, const Tensors& inputs, int threads) {
  const auto bits = [](const void* from, std::int64_t bytes) {
    const auto* begin = static_cast<const std::byte*>(from);
    return Bits(begin, begin + bytes);
  };
  const auto size = [](const TensorType& type) {
    return type.shape.size() * static_cast<std::int64_t>(size_of(type.dtype));
  };
  std::vector<Bits> before, result;
  for (std::int32_t at : program->written) {
    const Tensor& t = program->bound[static_cast<std::size_t>(at)];
    before.push_back(bits(t.raw_data(), size(type_of(t))));
  }
  set_num_threads(threads);
  Workspace workspace(program, threads);
  for (std::size_t i = 0; i < inputs.size(); ++i) workspace.bind_input(i, inputs[i].raw_data());
  workspace.run();
  for (std::size_t i = 0; i < program->outputs.size(); ++i)
    result.push_back(
        bits(workspace.output(i), size(program->graph.types[static_cast<std::size_t>(program->graph.outputs[i])])));
  for (std::size_t i = 0; i < before.size(); ++i) {
    const Tensor& t = program->bound[static_cast<std::size_t>(program->written[i])];
    result.push_back(bits(t.raw_data(), size(type_of(t))));
    std::memcpy(bytes_of(t), before[i].data(), before[i].size());
  }
  return result;
}

// The stretches found, after checking that they change no bit.
std::vector<SlabGroups> same_in_slabs(const GraphData& graph, const Tensors& inputs) {
  const ThreadsPutBack threads_put_back;
  const auto whole = compile_program(graph, Precision::float32, never);
  REQUIRE(whole->slabs.empty());
  const std::vector<Bits> expected = run(whole, inputs, 1);
  std::vector<SlabGroups> found;
  for (const std::int64_t rows : {1, 2}) {
    // Twice the memory of the smallest slabs gives slabs of twice the rows.
    SlabLimits limits = always;
    auto program = compile_program(graph, Precision::float32, limits);
    while (rows == 2 && !program->slabs.empty() && program->slabs[0].rows == 1024 && limits.slab_bytes < 1 << 28) {
      limits.slab_bytes *= 2;
      program = compile_program(graph, Precision::float32, limits);
    }
    if (rows == 1) found = program->slabs;
    for (const int threads : {1, 2, 3}) {
      const std::vector<Bits> now = run(program, inputs, threads);
      REQUIRE(now.size() == expected.size());
      for (std::size_t i = 0; i < now.size(); ++i) {
        INFO("result " << i << " with " << threads << " threads\n" << program->str());
        CHECK(now[i] == expected[i]);
      }
    }
  }
  return found;
}
std::vector<SlabGroups> same_in_slabs(const Function& f, const Tensors& inputs) {
  Types types;
  for (const Tensor& t : inputs) types.push_back(type_of(t));
  return same_in_slabs(trace_types(f, types), inputs);
}

struct Step {
  nn::Module model;
  Loss loss = nn::CrossEntropyLoss();
  std::int64_t rows = 5001, features = 20;
  DType dtype = DType::float32;
  bool weighted = false, clip = false;
  Tensor target{};

  std::vector<SlabGroups> same() const {
    nn::Module copy = model;
    optim::Optimizer optimizer(optim::Adam({.lr = 0.01}).rule()->clone(), copy.parameters());
    const Tensor y = target.defined() ? target : labels(rows, 7);
    Tensors inputs{normal({rows, features}, 5, dtype), y};
    StepInputs types{{type_of(inputs[0])}, type_of(y), {}};
    if (weighted) {
      inputs.push_back(abs(normal({rows}, 6, dtype)));
      types.weight = type_of(inputs.back());
    }
    const GraphData graph = trace_step(copy, loss, optimizer, types, {clip ? Clip::norm : Clip::none});
    inputs.push_back(make_counter(3, 4));
    if (clip) inputs.push_back(Tensor::full({}, 0.01, DType::float64));
    const optim::StepScalars scalars = optimizer.rule()->scalars(0.01, 1);
    for (std::size_t k = 0; inputs.size() < graph.inputs.size(); ++k)
      inputs.push_back(Tensor::full({}, scalars[k], dtype));
    REQUIRE(inputs.size() == graph.inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i)
      REQUIRE(graph.types[static_cast<std::size_t>(graph.inputs[i])] == type_of(inputs[i]));
    return same_in_slabs(graph, inputs);
  }
};

}  // namespace

TEST_CASE("slabs: a training step gives the bits of one that runs group by group") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t rows : {4096, 5001, 6144}) {
      Step step{nn::MLP({20, 33, 64, 7}, {.activation = "tanh", .dropout = 0.3, .dtype = dtype, .seed = 1})};
      step.rows = rows;
      step.dtype = dtype;
      INFO(rows << " rows");
      CHECK(step.same().size() == 1);
    }
}

TEST_CASE("slabs: every layer and loss keeps its bits") {
  const auto layers = [](std::initializer_list<nn::Module> list) { return nn::Sequential(list, {.seed = 2}); };
  SUBCASE("BatchNorm's statistics need all rows: a stretch before them and one behind") {
    CHECK(Step{layers({nn::Linear(20, 32), nn::BatchNorm1d(32), nn::ReLU(), nn::Linear(32, 7)})}.same().size() > 2);
  }
  SUBCASE("LayerNorm, Softplus") {
    CHECK(Step{layers({nn::Linear(20, 32), nn::LayerNorm(32), nn::Softplus(), nn::Linear(32, 7)})}.same().size() == 1);
  }
  SUBCASE("a fork") {
    const nn::Residual fork(layers({nn::Linear(20, 20), nn::GELU(), nn::Linear(20, 20)}));
    CHECK(Step{layers({fork, nn::SiLU(), nn::Linear(20, 7)})}.same().size() == 1);
  }
  SUBCASE("sample weights, clipped gradients") {
    Step step{nn::MLP({20, 40, 7}, {.seed = 3})};
    step.weighted = step.clip = true;
    CHECK(step.same().size() >= 1);
  }
  SUBCASE("label smoothing") {
    Step step{nn::MLP({20, 40, 7}, {.seed = 3}), nn::CrossEntropyLoss({.label_smoothing = 0.1})};
    CHECK(step.same().size() == 1);
  }
  SUBCASE("a loss over all elements") {
    Step step{nn::MLP({20, 40, 3}, {.activation = "gelu", .seed = 3}), nn::MSELoss()};
    step.target = normal({step.rows, 3}, 8);
    CHECK(step.same().size() == 1);
  }
}

TEST_CASE("slabs: functions of many rows") {
  const Tensor x = normal({5003, 12}, 1), w = normal({12, 12}, 2), v = normal({4096, 12}, 3);
  SUBCASE("rows, columns and scalars broadcast") {
    CHECK(same_in_slabs(
              [](const Tensors& in) {
                const Tensor h = tanh(matmul(in[0], in[1]));
                const Tensor centered = h - mean(h, {1}, true);
                return Tensors{sum(square(centered), {0}), softmax(centered * sum(in[1], {0}), -1) + 1.0};
              },
              {x, w})
              .size() == 1);
  }
  SUBCASE("rows moved within themselves") {
    CHECK(same_in_slabs(
              [](const Tensors& in) {
                const Tensor h = exp(reshape(in[0], {5003, 3, 4}));
                const Tensor turned = transpose(h, {0, 2, 1});
                const Tensor both = concat({reshape(turned, {5003, 12}), sort(in[0] * 2.0, 1)}, 1);
                return Tensors{sum(square(both), {1}), mean(slice(both, {{}, {2, 20, 3}}) * 3.0, {0}),
                               cumsum(sigmoid(both), 1)};
              },
              {x, w})
              .size() == 1);
  }
  SUBCASE("products of their own for every row, and several rows per row") {
    CHECK(same_in_slabs(
              [](const Tensors& in) {
                const Tensor h = reshape(sin(in[0]), {5003, 3, 4});
                const Tensor square_of = matmul(h, h, true, false);
                const Tensor rows = reshape(square_of * 0.5, {-1, 4});
                const Tensor y = matmul(rows, slice(in[1], {{0, 4}, {0, 6}}));
                return Tensors{matmul(rows, y, true, false), sum(y, {0}), tanh(y)};
              },
              {x, w})
              .size() >= 1);
  }
  SUBCASE("a value with as many rows that is read whole") {
    CHECK(same_in_slabs(
              [](const Tensors& in) {
                const Tensor y = tanh(in[0]) * 2.0;  // rows of it are the columns of a product with all of it
                const Tensor z = matmul(slice(y, {{0, 50}}), y, false, true);
                return Tensors{sum(z, {1}), y + 1.0};
              },
              {v})
              .size() <= 1);
  }
  SUBCASE("one axis only") {
    same_in_slabs(
        [](const Tensors& in) {
          const Tensor p = softmax(reshape(in[0] * 2.0, {-1}), -1);
          return Tensors{p, cumsum(p, 0), flip(exp(p), {0})};
        },
        {v});
  }
}

TEST_CASE("slabs: Jacobians of many samples") {
  const nn::MLP net({6, 16, 16, 3}, {.activation = "tanh", .seed = 4});
  const Tensor x = normal({4500, 6}, 9);
  const auto f = vmap(jacobian([&](const Tensor& in) { return net(in); }));
  CHECK(same_in_slabs([&](const Tensors& in) { return Tensors{f(in[0])}; }, {x}).size() == 1);
}

TEST_CASE("slabs: errors of later rows name what they found, and nothing has changed") {
  nn::MLP model({20, 40, 7}, {.seed = 3});
  optim::Optimizer optimizer = optim::Adam(model.parameters(), {.lr = 0.01});
  const Tensor x = normal({5000, 20}, 5), y = labels(5000, 7), counter = make_counter(3, 4);
  const GraphData graph = trace_step(model, nn::CrossEntropyLoss(), optimizer, {{type_of(x)}, type_of(y), {}}, {});
  const auto program = compile_program(graph, Precision::float32, always);
  REQUIRE(program->slabs.size() == 1);
  REQUIRE(program->slabs[0].slabs() == 5);
  const Tensor before = copy_of(model.parameters()[0]);
  const optim::StepScalars values = optimizer.rule()->scalars(0.01, 1);
  Tensors scalars;
  for (std::size_t i = 3; i < graph.inputs.size(); ++i) scalars.push_back(Tensor::full({}, values[i - 3]));
  const ThreadsPutBack threads_put_back;
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Workspace workspace(program, threads);
    const auto bind = [&](const Tensor& data, const Tensor& target) {
      workspace.bind_input(0, data.raw_data());
      workspace.bind_input(1, target.raw_data());
      workspace.bind_input(2, counter.raw_data());
      for (std::size_t i = 3; i < program->graph.inputs.size(); ++i) workspace.bind_input(i, scalars[i - 3].raw_data());
    };
    const Tensor wrong = copy_of(y), bad = copy_of(x);
    reinterpret_cast<std::int64_t*>(bytes_of(wrong))[1500] = 9;
    reinterpret_cast<float*>(bytes_of(bad))[4100 * 20] = std::numeric_limits<float>::quiet_NaN();
    bind(x, wrong);
    CHECK_THROWS_WITH_AS(workspace.run(), doctest::Contains("label 9, 7 classes"), IndexError);
    bind(bad, y);
    CHECK_THROWS_WITH_AS(workspace.run(), doctest::Contains("not finite"), ValueError);
    CHECK(std::memcmp(before.raw_data(), model.parameters()[0].raw_data(), 20 * 40 * 4) == 0);
    bind(x, y);
    CHECK_NOTHROW(workspace.run());
    CHECK(std::memcmp(before.raw_data(), model.parameters()[0].raw_data(), 20 * 40 * 4) != 0);
    std::memcpy(bytes_of(model.parameters()[0]), before.raw_data(), 20 * 40 * 4);
  }
}

TEST_CASE("slabs: a large batch takes the memory of a slab, an ordinary one is left alone") {
  const nn::MLP model({64, 128, 64, 10}, {.seed = 3});
  const auto program = [&](std::int64_t rows, const SlabLimits& limits = {}) {
    optim::Optimizer optimizer = optim::Adam(model.parameters());
    const GraphData graph = trace_step(model, nn::CrossEntropyLoss(), optimizer,
                                       {{{DType::float32, {rows, 64}}}, {DType::int64, {rows}}, {}}, {});
    return compile_program(graph, Precision::float32, limits);
  };
  CHECK(program(2048)->slabs.empty());
  CHECK(program(4096)->slabs.empty());
  const auto large = program(65536);
  REQUIRE(large->slabs.size() == 1);
  CHECK(large->slabs[0].slabs() == 64);
  CHECK(large->groups.size() < 64 * 20);
  CHECK(large->str().find("64 slabs of 1024 rows:\n") != std::string::npos);
  // Of what is there for all slabs the logits are most: 65536 x 10, an output of the step.
  CHECK(large->arena_bytes < 65536 * 10 * 4 + 2'000'000);
  CHECK(large->arena_bytes * 20 < program(65536, never)->arena_bytes);
}

namespace {

// A function of rows (R, 6), a matrix (6, 6) and a row (6): steps that pick operands, and what fits them, at random.
Function random_function(std::uint32_t seed, std::int64_t rows) {
  return [seed, rows](const Tensors& in) {
    std::mt19937 random(seed);
    const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    Tensors values{in[0] * 0.5, in[2]}, results;
    const auto some = [&](auto&& fits) {
      for (int attempt = 0; attempt < 20; ++attempt)
        if (const Tensor& t = values[values.size() - 1 - pick(std::min<std::size_t>(values.size(), 6))]; fits(t))
          return t;
      return values[0];
    };
    const auto matrix = [&](const Tensor& t) { return t.rank() == 2 && t.shape()[0] == rows; };
    for (int step = 0; step < 14; ++step) {
      const Tensor a = some([](const Tensor&) { return true; }), m = some(matrix);
      Tensor y;
      switch (pick(14)) {
        case 0:
          y = tanh(a);
          break;
        case 1:
          y = a * sigmoid(a);
          break;
        case 2:
          y = m + tanh(mean(m, {static_cast<std::int64_t>(pick(2))}, true));
          break;
        case 3:
          y = m.shape()[1] == 6 ? matmul(m, in[1]) : sum(m, {1}, true);
          break;
        case 4:
          y = matmul(m, some(matrix), true, false) * (1.0 / static_cast<double>(rows));
          break;
        case 5:
          y = mean(m, {0}, pick(2) == 0);
          break;
        case 6:
          y = softmax(m, -1);
          break;
        case 7: {
          const Tensor both = concat({m, some(matrix)}, 1);
          y = slice(both, {{}, {0, 6}});
          break;
        }
        case 8:
          y = transpose(reshape(tanh(m), {rows, 1, -1}), {0, 2, 1});
          y = reshape(cumsum(y, 1), m.shape());
          break;
        case 9:
          y = reshape(max(reshape(m, {-1}), {0}), {1}) + m;
          break;
        case 10:
          y = sum(square(m), {0}) * (1.0 / static_cast<double>(rows));
          break;
        case 11:
          y = reshape(sin(reshape(m, {-1})), m.shape());
          break;
        case 12:
          y = m * sum(in[1] * 0.1) + flip(m, {static_cast<std::int64_t>(pick(2))});
          break;
        default:
          y = m.shape()[1] == 6 ? m - matmul(m, in[1], false, true) * 0.1 + in[2] : exp(-square(m));
      }
      if (y.rank() == 2 && y.shape()[0] != rows && y.size() > 36) y = sum(y);
      values.push_back(y);
      if (pick(4) == 0) results.push_back(y);
    }
    results.push_back(values.back());
    return results;
  };
}

}  // namespace

TEST_CASE("slabs: random functions of rows and their gradients") {
  const std::int64_t rows = 4099;
  const Tensors inputs{normal({rows, 6}, 1), normal({6, 6}, 2), normal({6}, 3)};
  int by_slabs = 0, in_parts = 0;
  for (std::uint32_t seed = 0; seed < 60; ++seed) {
    INFO("seed " << seed);
    const Function f = random_function(seed, rows);
    const auto found = same_in_slabs(
        [&](const Tensors& in) {
          Tensors results = f(in);
          const auto total = [&](const Tensors& x) {
            Tensor sum_of = Tensor(0.0);
            for (const Tensor& y : f(x)) sum_of = sum_of + sum(sin(y));
            return Tensors{sum_of};
          };
          for (const Tensor& g : value_and_gradients(total, in).second) results.push_back(g);
          return results;
        },
        inputs);
    by_slabs += !found.empty();
    in_parts += found.size() > 1;
  }
  CHECK(by_slabs > 50);
  CHECK(in_parts > 20);
}
