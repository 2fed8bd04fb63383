// GraphData: nodes in execution order over numbered values. Pure data; transforms are functions GraphData -> GraphData.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "chainrule/graph.hpp"
#include "graph/op.hpp"

namespace chainrule {

using ValueId = std::int32_t;
inline constexpr ValueId no_value = -1;

struct Node {
  const Op* op = nullptr;
  std::vector<ValueId> inputs, outputs;
  Attrs attrs{};
  std::string scope{};  // path of the module whose forward recorded it: "2"
};

// A tensor the graph refers to: read when the graph runs (capture) or frozen (constant).
struct BoundValue {
  ValueId value;
  Tensor tensor;
};

// An output that becomes the new value of a tensor when the graph has run: a running statistic, a counter.
struct StateUpdate {
  Tensor target;
  ValueId value;
};

struct GraphData {
  Types types;  // of every value
  std::vector<Node> nodes;
  std::vector<ValueId> inputs;       // the function's arguments, in order
  std::vector<BoundValue> captures;  // parameters, buffers, captured tensors
  std::vector<BoundValue> constants;
  std::vector<ValueId> outputs;
  std::vector<StateUpdate> updates;

  ValueId add_value(const TensorType& type) {
    types.push_back(type);
    return static_cast<ValueId>(types.size() - 1);
  }
};

// Records ops called on its symbolic tensors.
class Tracer : public std::enable_shared_from_this<Tracer> {
 public:
  static std::shared_ptr<Tracer> create();
  Tensor input(const TensorType& type);    // a new argument
  Tensor symbol(ValueId value);            // the tensor standing for a value
  ValueId value_of(const Tensor& tensor);  // captures or freezes what is not a symbol of this tracer
  Tensors record(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs, const Types& outputs);
  void set_outputs(std::span<const Tensor> outputs);
  void add_update(const Tensor& target, const Tensor& value);
  Tensor present(const Tensor& state);  // as the updates recorded so far leave it
  const GraphData& graph() const { return graph_; }
  GraphData take();  // ends the trace: its symbols are of no use from then on
  int level() const { return level_; }

 private:
  void check_open() const;
  GraphData graph_;
  std::unordered_map<const void*, ValueId> captured_;  // by TensorData
  int level_ = 0;
  bool finished_ = false;
};

// While one lives, ops on this thread are recorded by the tracer even where no operand is a symbol: a parameter's
// exponential must follow the parameter, not the value it had when traced. Only constants are computed at once. What
// was set outside by no_grad does not reach in: a trace may be differentiated by whoever asked for it.
class TraceScope {
 public:
  explicit TraceScope(Tracer& tracer);
  ~TraceScope();
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;
  static Tracer* current() noexcept;

 private:
  Tracer* before_;
  GradMode grad_mode_;
};

// The module path that nodes recorded from now on belong to, on this thread.
class Scope {
 public:
  explicit Scope(const std::string& name);
  ~Scope();
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  static const std::string& path();

 private:
  std::size_t length_before_;
};

// Runs f on fresh symbols of the given types.
GraphData trace_types(const Function& f, const Types& types);
// Calls the graph's ops on tensors (values: runs it eagerly; symbols: inlines it). captures may be replaced.
Tensors replay(const GraphData& graph, std::span<const Tensor> arguments);
Tensors replay_with(const GraphData& graph, std::span<const Tensor> arguments, std::span<const Tensor> captures);
// Throws ValueError where two traces of one function differ: numbers that would be frozen.
void check_same_trace(const GraphData& first, const GraphData& second, const char* who);
std::int64_t node_flops(const GraphData& graph, const Node& node);
std::string attributes_to_string(const Op& op, const Attrs& attrs);

}  // namespace chainrule
