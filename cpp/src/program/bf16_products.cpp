// The two ops of products in bfloat16, and the pass that puts them in.
#include "program/bf16_products.hpp"

#include <cstring>
#include <new>
#include <string_view>

#include "dispatch/amx.hpp"
#include "kernels/bf16_tiles.hpp"
#include "program/passes.hpp"

namespace chainrule {
namespace {

template <class P> void set_body(kernels::Plan& plan, const P& body) {
  static_assert(sizeof body <= sizeof plan.body);
  std::memcpy(plan.body, &body, sizeof body);
}

// attrs: lists[0] = items, extent, depth; ints = rows_are_sums, for_b, as in PackBf16Plan.
void plan_pack(const Op&, std::span<const TensorType>, std::span<const TensorType>, const Attrs& attrs,
               kernels::Plan& plan) {
  const Dims& size = attrs.lists[0];
  set_body(plan, kernels::PackBf16Plan{size[0], size[1], size[2], static_cast<std::int32_t>(attrs.ints[0]),
                                       static_cast<std::int32_t>(attrs.ints[1])});
  plan.units = size[0] * kernels::bf16_groups(size[1]);
  plan.cost = 50 + static_cast<double>(size[0] * size[1] * size[2]) * 0.4;  // read 4 bytes, write 2
}

// attrs: lists[0] = batch, m, n, k; ints: whether all items share A, and B.
void plan_multiply(const Op&, std::span<const TensorType>, std::span<const TensorType>, const Attrs& attrs,
                   kernels::Plan& plan) {
  const Dims& size = attrs.lists[0];
  kernels::MatmulPlan body{};
  body.batch = size[0], body.m = size[1], body.n = size[2], body.k = size[3];
  body.stride_a = attrs.ints[0] != 0 ? 0 : kernels::bf16_packed(body.m, body.k);
  body.stride_b = attrs.ints[1] != 0 ? 0 : kernels::bf16_packed(body.n, body.k);
  set_body(plan, body);
  plan.units = body.batch * body.m;
  plan.least_units = 256;  // each call reads all of B
  // A tile of 16 by 16 by 32 takes 16 cycles; the operands once and C twice from the cache.
  const double m = static_cast<double>(plan.units), n = static_cast<double>(body.n), k = static_cast<double>(body.k);
  plan.cost = 50 + m * n * k / 1000 + (m * k * 2 + static_cast<double>(body.batch) * n * k * 2 + m * n * 8) / 40;
}

std::int64_t flops_multiply(std::span<const TensorType>, std::span<const TensorType>, const Attrs& attrs) {
  const Dims& size = attrs.lists[0];
  return 2 * size[0] * size[1] * size[2] * size[3];
}

Bf16Ops make_ops() {
  Bf16Ops ops;
  ops.pack.name = "pack_bf16";
  ops.pack.doc = "A matrix rounded to bfloat16, in tiles.";
  ops.pack.plan = plan_pack;
  ops.pack.flops_per_output = 0;
  ops.multiply.name = "matmul_bf16";
  ops.multiply.doc = "The float32 product of two matrices in bfloat16 tiles.";
  ops.multiply.min_inputs = ops.multiply.max_inputs = 2;
  ops.multiply.plan = plan_multiply;
  ops.multiply.flops = flops_multiply;
  ops.multiply.symbol = "@";
  ops.multiply.epilogue = true;
  for (Op* op : {&ops.pack, &ops.multiply}) op->internal = true;
  if (dispatch::why_no_amx().empty())
    for (const kernels::KernelEntry* entry = dispatch::amx_kernels(); entry->name != nullptr; ++entry)
      for (Op* op : {&ops.pack, &ops.multiply})
        if (op->name == std::string_view(entry->name)) op->kernel[entry->dtype] = entry->kernel;
  return ops;
}

class Rewriter {
 public:
  Rewriter(const GraphData& graph, const Bf16Ops& ops) : ops_(ops), result_(graph) { result_.nodes.clear(); }

  void add(const Node& node) {
    const Op& op = *node.op;
    if (!op.matrix_product || !is_float32_with_values(node.inputs[0]) || !is_float32_with_values(node.inputs[1])) {
      result_.nodes.push_back(node);
      return;
    }
    const Types in{type(node.inputs[0]), type(node.inputs[1])}, out{type(node.outputs[0])};
    kernels::Plan plan{};
    op.plan(op, in, out, node.attrs, plan);
    auto& p = *std::launder(reinterpret_cast<kernels::MatmulPlan*>(plan.body));
    if (p.stride_b == 0 && p.transpose_a == 0 && p.stride_a == p.m * p.k) {  // rows that follow one another
      p.m *= p.batch;
      p.batch = 1;
    }
    const bool shared_a = p.stride_a == 0, shared_b = p.stride_b == 0;
    Node product = node;
    product.op = &ops_.multiply;
    product.inputs = {packed(node, 0, shared_a ? 1 : p.batch, p.m, p.k, p.transpose_a == 0, false),
                      packed(node, 1, shared_b ? 1 : p.batch, p.n, p.k, p.transpose_b != 0, true)};
    product.attrs = Attrs{};
    product.attrs.lists[0] = Dims{p.batch, p.m, p.n, p.k};
    product.attrs.ints[0] = shared_a;
    product.attrs.ints[1] = shared_b;
    result_.nodes.push_back(std::move(product));
  }
  GraphData take() { return std::move(result_); }

 private:
  const TensorType& type(ValueId id) const { return result_.types[static_cast<std::size_t>(id)]; }
  bool is_float32_with_values(ValueId id) const {
    return type(id).dtype == DType::float32 && type(id).shape.size() != 0;
  }
  ValueId packed(const Node& product, std::size_t operand, std::int64_t items, std::int64_t extent, std::int64_t depth,
                 bool rows_are_sums, bool for_b) {
    Node node;
    node.op = &ops_.pack;
    node.inputs = {product.inputs[operand]};
    node.outputs = {result_.add_value({DType::bfloat16, Shape{items * kernels::bf16_packed(extent, depth)}})};
    node.attrs.lists[0] = Dims{items, extent, depth};
    node.attrs.ints[0] = rows_are_sums;
    node.attrs.ints[1] = for_b;
    node.scope = product.scope;
    result_.nodes.push_back(node);
    return node.outputs[0];
  }

  const Bf16Ops& ops_;
  GraphData result_;
};

}  // namespace

const Bf16Ops& bf16_ops() {
  static const Bf16Ops* const ops = new Bf16Ops(make_ops());  // lives until the process ends: Programs refer to it
  return *ops;
}

GraphData products_in_bf16(const GraphData& graph, const Bf16Ops& ops) {
  Rewriter rewriter(graph, ops);
  for (const Node& node : graph.nodes) rewriter.add(node);
  return remove_dead_nodes(merge_common_subexpressions(rewriter.take()));
}

}  // namespace chainrule
