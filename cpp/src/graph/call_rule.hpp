// What the op "call" calls: a function as one node, with derivative rules of its own in place of those of its ops.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "graph/graph.hpp"

namespace chainrule {

struct CallRule {
  std::string name;  // for messages and printing
  Types outputs;
  std::size_t primals;       // inputs that have derivatives; those behind them were captured and have none
  std::vector<char> lost{};  // by input: captured, and the value has a derivative there, of which the rules say nothing
  GraphData primal;          // of all inputs: what a program runs; empty where only values are ever called

  // The given rules as graphs of (operands..., cotangents...) and (operands..., tangents...), for a model file.
  std::shared_ptr<const GraphData> vjp_graph{}, jvp_graph{};

  std::function<Tensors(std::span<const Tensor> x)> value;
  std::function<Tensors(std::span<const Tensor> x, std::span<const Tensor> gy)> vjp;  // one cotangent per primal
  std::function<Tensors(std::span<const Tensor> x, std::span<const Tensor> tx)> jvp;  // one tangent per output
  // The same function for a batch; inputs not marked are shared by the samples.
  std::function<std::shared_ptr<const CallRule>(std::span<const char> batched, std::int64_t size)> batch;
};

// Calls it on values or symbols as one op.
Tensors call(std::shared_ptr<const CallRule> rule, std::span<const Tensor> x);

// Call nodes replaced by what they call: what a program runs.
GraphData inline_calls(const GraphData& graph);

}  // namespace chainrule
