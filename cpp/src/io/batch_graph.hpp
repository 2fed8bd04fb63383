// BatchGraph: a graph that serves any batch size B, as the model file holds it. Sizes and integer attributes that move
// with B are stored as a*B + b. Tracing one, giving it a batch size, running it; as JSON in batch_graph_json.cpp.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.hpp"

namespace chainrule::io {

struct Affine {
  std::int64_t a = 0, b = 0;
  std::int64_t at(std::int64_t batch) const;  // throws ShapeError on an overflow
  bool operator==(const Affine&) const = default;
};

// a*B + b in each place of Attrs.
struct BatchAttrs {
  std::array<std::vector<Affine>, 3> lists{};
  std::array<double, 6> reals{};
  std::array<Affine, 4> ints{};
  Attrs at(std::int64_t batch) const;
};

struct BatchValue {
  DType dtype = DType::float32;
  std::vector<std::optional<Affine>> shape;  // none: depends on B in another way
};

struct BatchCall;
struct BatchNode {
  const Op* op = nullptr;
  std::vector<ValueId> inputs, outputs;
  BatchAttrs attrs{};
  std::string scope;
  std::shared_ptr<const BatchCall> call{};  // of the op "call"
};

// Values are numbered in the order of their first appearance: inputs, rng, then per node its operands and its outputs.
struct BatchGraph {
  std::vector<BatchValue> values;
  std::vector<ValueId> inputs;
  ValueId rng = no_value;                                // the counter of dropout, where there is any
  std::vector<std::pair<ValueId, std::string>> tensors;  // parameters and buffers, by path
  std::vector<BoundValue> constants;
  std::vector<BatchNode> nodes;
  std::vector<ValueId> outputs;
  std::vector<std::pair<std::string, ValueId>> updates;  // buffers and their new values
};

// A function with derivative rules of its own, all as graphs of the call's operands (CallRule); one rule at least.
struct BatchCall {
  std::string name;
  std::size_t primals = 0;
  BatchGraph value;
  std::optional<BatchGraph> vjp{}, jvp{};
};
// Calls it on operands, values or symbols, at a batch size; the types of its results.
std::vector<Tensor> run_call(const BatchCall& call, std::int64_t batch, std::span<const Tensor> operands);
Types call_types(const BatchCall& call, std::int64_t batch, std::span<const TensorType> operands);

// Batch sizes a model is traced at. Above 1, since statistics over one sample are refused in train mode.
inline constexpr std::array<std::int64_t, 3> traced_batches{2, 3, 5};

// The path of a parameter or buffer; null for other tensors, which are frozen into the file.
using PathOf = std::function<const std::string*(const Tensor&)>;
// Traces f (model inputs, then the random counter) at the three batch sizes. Throws ValueError, naming the op and what
// to write instead, where a batch size became a constant.
BatchGraph trace_batches(const Function& f, std::span<const TensorType> samples, const PathOf& path_of);

// The types of all values and the attributes of all nodes for given inputs. Everything is inferred anew and every size
// is checked; throws what the ops' shape rules throw.
struct BatchPlan {
  std::int64_t batch = 0;
  Types types;
  std::vector<Attrs> attrs;
};
BatchPlan plan_batch(const BatchGraph& graph, std::int64_t batch, std::span<const TensorType> inputs,
                     std::span<const TensorType> tensors, std::span<const TensorType> constants);

// What a graph runs with, in the graph's order.
struct BatchOperands {
  std::span<const Tensor> inputs, tensors, constants;
};
// On values, or on symbols of a trace. Random ops take the counter and fresh streams of the current RandomScope. Gives
// the outputs and, behind them, the new values of the updates.
std::vector<Tensor> run_batch(const BatchGraph& graph, const BatchPlan& plan, const BatchOperands& operands);

// Attributes of a node as its op names them.
bool attributes_fit(const Op& op, const Attrs& attrs);  // nothing but named attributes is set, all within file limits
int stream_slot(const Op& op);                          // of the integer named "stream"; -1: none

}  // namespace chainrule::io
