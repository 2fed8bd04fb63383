// What a Tensor points at: type, memory, and how it came about (recorded for backward, or a symbol of a trace).
#pragma once

#include <memory>

#include "core/storage.hpp"
#include "graph/graph.hpp"
#include "graph/op.hpp"

namespace chainrule {

struct GradNode;

// A value that a derivative rule will read: the memory, and the count of writes to it when it was recorded.
struct SavedValue {
  std::shared_ptr<Storage> storage{};  // empty: not kept, no rule reads it
  std::size_t offset = 0;
  std::uint64_t version = 0;
  bool constant = false;
};

// Where a recorded op's input came from: another recorded op, a leaf that wants a gradient, or neither. A leaf is not
// kept alive: its gradient is of interest as long as somebody else holds it, and a gradient that was recorded
// (create_graph) may lead back to its own leaf.
struct Edge {
  std::shared_ptr<GradNode> node{};
  std::weak_ptr<TensorData> leaf{};
  SavedValue shown{};  // of what no op computed, for Tensor::graph: the memory only if it is small
  int output = 0;
};

// A result of a recorded op that asked for a gradient of its own.
struct RetainedGrad {
  int output = 0;
  std::weak_ptr<TensorData> tensor{};
};

// One recorded op, kept alive by its outputs. Holds what the derivative reads, and the way to the inputs' producers; a
// backward that frees it lets go of the values.
struct GradNode {
  const Op* op = nullptr;
  std::uint64_t order = 0;               // grows with every recorded op: a topological order
  std::unique_ptr<const Attrs> given{};  // empty: the default ones
  SmallVector<Edge, 2> edges;
  SmallVector<SavedValue, 2> saved_inputs;
  SmallVector<SavedValue, 1> saved_outputs;
  SmallVector<TensorType, 2> input_types;
  SmallVector<TensorType, 1> output_types;
  std::vector<RetainedGrad> retained;
  std::string scope{};  // path of the module whose forward recorded it
  bool freed = false;   // an earlier backward has used it up

  const Attrs& attrs() const noexcept;
  ~GradNode();  // iterative: a chain of any length is freed without recursion
};

struct TensorData {
  DType dtype = DType::float32;
  Shape shape{};
  std::shared_ptr<Storage> storage{};
  std::size_t offset = 0;  // bytes
  bool weak = false;       // a Python or C++ number: takes the other operand's dtype
  bool constant = false;   // a number or an array of the caller: frozen when traced
  bool requires_grad = false;
  bool retains_grad = false;  // a result of a recorded op that keeps its gradient
  Tensor grad{};
  Tensor seed{};  // the cotangent that backward() started with here, if small: for Tensor::graph

  std::shared_ptr<GradNode> node{};  // who recorded it
  int output_index = 0;

  std::shared_ptr<Tracer> tracer{};  // of which trace it is a symbol
  ValueId value = no_value;

  std::byte* bytes() const noexcept { return storage->data + offset; }
  TensorType type() const { return {dtype, shape}; }
};

// What Tensor::graph() may keep beyond what a derivative reads: up to a kilobyte each.
inline bool is_small(const TensorType& type) {
  return type.shape.size() * static_cast<std::int64_t>(size_of(type.dtype)) <= 1024;
}

inline std::byte* bytes_of(const Tensor& t) { return t.data_handle()->bytes(); }
inline TensorType type_of(const Tensor& t) { return t.data_handle()->type(); }
Tensor make_tensor(const TensorType& type);              // fresh memory
Tensor make_constant(double value, DType dtype);         // rank 0, frozen when traced
Tensor with_shape(const Tensor& t, const Shape& shape);  // same memory, other shape; records nothing
Tensor copy_of(const Tensor& t);                         // fresh memory, same values; records nothing

// The one way an op is called: checks and infers, then records a symbol's node, or runs the kernel (and remembers the
// inputs where a gradient is wanted).
Tensors apply(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs = {});
Tensor apply1(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs = {});  // its first output
// Runs op's kernel writing into the given outputs, which may be inputs where the op allows it. Records nothing.
void apply_into(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs, std::span<const Tensor> outputs);
// Rewrites the values in place; the storage's version is bumped.
void write_values(const Tensor& target, const Tensor& source);
// Gives target the memory of fresh, which nobody else may hold, instead of a copy; false where either's memory must
// stay.
bool take_values(const Tensor& target, const Tensor& fresh);
// Throws the error a kernel's status stands for; in: the operands as it read them.
void check_status(kernels::Status status, const Op& op, std::span<const TensorType> in, const void* const* in_bytes,
                  const Attrs& attrs);

}  // namespace chainrule
