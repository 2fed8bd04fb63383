// Programs whose products run in bfloat16: what the pass makes, its bits, and training with it. The ops' kernels are
// AMX's where the processor has it, else those on tiles in plain C++.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>

#include "../kernels/software_tiles.hpp"
#include "chainrule/config.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/random.hpp"
#include "dispatch/amx.hpp"
#include "graph/tensor_data.hpp"
#include "program/bf16_products.hpp"
#include "program/passes.hpp"
#include "program/workspace.hpp"
#include "train/compiled_step.hpp"

using namespace chainrule;

namespace {

// While one lives, bf16_ops() has kernels.
class WithKernels {
 public:
  WithKernels() : ops_(const_cast<Bf16Ops&>(bf16_ops())), before_(ops_) {
    if (dispatch::ask_for_amx().empty()) return;
    ops_.pack.kernel[static_cast<std::size_t>(DType::float32)] = &bf16::pack<kernel_test::SoftwareTiles>;
    ops_.multiply.kernel[static_cast<std::size_t>(DType::bfloat16)] = &bf16::multiply<kernel_test::SoftwareTiles>;
  }
  ~WithKernels() { ops_ = before_; }
  WithKernels(const WithKernels&) = delete;
  WithKernels& operator=(const WithKernels&) = delete;

 private:
  Bf16Ops& ops_;
  Bf16Ops before_;
};

std::vector<std::string> names(const GraphData& graph) {
  std::vector<std::string> all;
  for (const Node& node : graph.nodes) all.emplace_back(node.op->name);
  return all;
}
using Names = std::vector<std::string>;

Tensors run(const GraphData& graph, Precision precision, const Tensors& in, int threads) {
  const auto program = compile_program(graph, precision);
  Workspace workspace(program, threads);
  for (std::size_t i = 0; i < in.size(); ++i) workspace.bind_input(i, in[i].raw_data());
  workspace.run();
  Tensors out;
  for (std::size_t i = 0; i < graph.outputs.size(); ++i) {
    out.push_back(make_tensor(graph.types[static_cast<std::size_t>(graph.outputs[i])]));
    std::memcpy(bytes_of(out.back()), workspace.output(i),
                static_cast<std::size_t>(out.back().size()) * size_of(out.back().dtype()));
  }
  return out;
}

Types types_of(const Tensors& tensors) {
  Types types;
  for (const Tensor& t : tensors) types.push_back(type_of(t));
  return types;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         std::memcmp(a.raw_data(), b.raw_data(), static_cast<std::size_t>(a.size()) * size_of(a.dtype())) == 0;
}

// Rounds to bfloat16, as a float32 tensor.
Tensor rounded(const Tensor& x) { return cast(cast(x, DType::bfloat16), DType::float32); }

}  // namespace

TEST_CASE("bf16: a product becomes two roundings and a product; equal roundings are one") {
  const Types types{{DType::float32, Shape{4, 6}}, {DType::float32, Shape{5, 6}}};
  const auto pass = [&](const auto& f, const Types& in) {
    return names(products_in_bf16(optimize(trace_types(f, in)), bf16_ops()));
  };
  CHECK(pass([](const Tensors& in) { return Tensors{relu(matmul(in[0], transpose(in[1])))}; }, types) ==
        Names{"pack_bf16", "pack_bf16", "matmul_bf16", "relu"});
  CHECK(pass(
            [](const Tensors& in) {
              return Tensors{matmul(in[0], transpose(in[1])), matmul(in[0], transpose(in[1] * 2.0f))};
            },
            types) == Names{"pack_bf16", "pack_bf16", "matmul_bf16", "multiply", "pack_bf16", "matmul_bf16"});
  // What is no float32, and what has nothing to sum, stays as it is.
  CHECK(pass([](const Tensors& in) { return Tensors{matmul(in[0], in[0])}; }, {{DType::float64, Shape{3, 3}}}) ==
        Names{"matmul"});
  CHECK(pass([](const Tensors& in) { return Tensors{matmul(in[0], transpose(in[0]))}; },
             {{DType::float32, Shape{3, 0}}}) == Names{"matmul"});
}

TEST_CASE("bf16: programs compute products of rounded operands, with the same bits for any number of threads") {
  const WithKernels kernels;
  const auto check = [&](const auto& f, const auto& reference, const Tensors& in) {
    const GraphData graph = trace_types(f, types_of(in));
    const Tensors once = run(graph, Precision::bf16, in, 1), expected = reference(in);
    for (std::size_t i = 0; i < once.size(); ++i) {
      const double size = max(abs(expected[i])).item();
      CHECK(max(abs(once[i] - expected[i])).item() <= 1e-5 * size);
      for (const int threads : {2, 3}) CHECK(same_bits(run(graph, Precision::bf16, in, threads)[i], once[i]));
    }
  };
  const Tensor x = random::normal({203, 150}, 1, 0), w = random::normal({150, 270}, 2, 0),
               b = random::normal({270}, 3, 0), g = random::normal({203, 270}, 4, 0);
  check([](const Tensors& in) { return Tensors{relu(matmul(in[0], in[1]) + in[2])}; },
        [](const Tensors& in) { return Tensors{relu(matmul(rounded(in[0]), rounded(in[1])) + in[2])}; }, {x, w, b});
  // A layer's backward: products with either operand transposed.
  check([](const Tensors& in) { return Tensors{matmul(in[1], in[0], true), matmul(in[0], in[2], false, true)}; },
        [](const Tensors& in) {
          return Tensors{matmul(rounded(in[1]), rounded(in[0]), true),
                         matmul(rounded(in[0]), rounded(in[2]), false, true)};
        },
        {g, x, w});
  // A batch, of which one operand is shared.
  const Tensor many = random::normal({5, 20, 33}, 5, 0), few = random::normal({33, 18}, 6, 0),
               others = random::normal({5, 33, 18}, 7, 0), one = random::normal({1, 20, 33}, 8, 0);
  const auto products = [](const Tensors& in) {
    return Tensors{matmul(in[0], in[1]), matmul(in[0], in[2]), matmul(in[3], in[2])};
  };
  check(products,
        [&](const Tensors& in) { return products({rounded(in[0]), rounded(in[1]), rounded(in[2]), rounded(in[3])}); },
        {many, few, others, one});
}

TEST_CASE("bf16: a step trains float32 weights nearly as float32 does, with the same bits for any number of threads") {
  const WithKernels kernels;
  const Tensor x = random::normal({96, 40}, 5, 0);
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < 96; ++i) labels.push_back(x.data<float>()[i * 40] > 0 ? 1 : 0);
  const Tensor y = Tensor::from(labels, {96});
  std::vector<std::int64_t> rows(96);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
  const auto train = [&](Precision precision) {
    nn::MLP model({40, 200, 200, 2}, {.seed = 1});
    optim::Adam optimizer(model.parameters(), {.lr = 1e-2});
    CompiledStep step(model, nn::CrossEntropyLoss(), optimizer, {{type_of(x)}, type_of(y), {}}, {}, precision);
    std::vector<double> losses;
    for (std::uint64_t i = 0; i < 20; ++i) {
      step.load({x}, y, {}, rows, optimizer, std::vector{optimizer.lr()}, 0, i, static_cast<std::int64_t>(i) + 1, 0);
      step.workspace().run();
      losses.push_back(step.scalar(step_loss));
    }
    for (const Tensor& p : model.parameters()) CHECK(p.dtype() == DType::float32);
    return losses;
  };
  const std::vector<double> single = train(Precision::float32);
  const int before = num_threads();
  std::vector<double> first;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const std::vector<double> losses = train(Precision::bf16);
    if (first.empty()) first = losses;
    CHECK(losses == first);
  }
  set_num_threads(before);
  CHECK(first != single);
  CHECK(first[0] == doctest::Approx(single[0]).epsilon(0.01));
  CHECK(first[19] < 0.2 * first[0]);
  CHECK(single[19] < 0.2 * single[0]);
}
