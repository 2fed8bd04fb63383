// What an Op is: every fact about it, as fields. Passes, planner, transforms and bindings read fields, never names.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "chainrule/tensor.hpp"
#include "core/small_vector.hpp"
#include "kernels/abi.hpp"

namespace chainrule {

struct TensorType {
  DType dtype = DType::float32;
  Shape shape{};
  bool operator==(const TensorType& o) const noexcept { return dtype == o.dtype && shape == o.shape; }
};
using Types = SmallVector<TensorType, 3>;
using Tensors = std::vector<Tensor>;

struct CallRule;  // graph/call_rule.hpp

// Attributes of a node; which slots mean what, and under which name, is in Op::attributes.
struct Attrs {
  std::array<Dims, 3> lists{};
  std::array<double, 6> reals{};
  std::array<std::int64_t, 4> ints{};
  std::shared_ptr<const CallRule> call{};  // the op "call" only: the function called, with its own derivative rules
  bool operator==(const Attrs&) const = default;
};

// What a new leading batch axis makes of an attribute that speaks of axes or sizes.
enum class OnBatch : std::uint8_t {
  keep,
  axis,         // an axis, or a list of them: each is one further to the right
  permutation,  // of all axes: the new one stays in front
  sizes,        // one per axis: the batch size comes first
  starts,       // bounds per axis: 0, the batch size and 1 come first, so that the new axis is kept whole
  stops,
  steps
};
struct AttributeField {
  enum class Kind : std::uint8_t { list, real, integer, flag, dtype } kind;
  int slot;
  const char* name;
  OnBatch on_batch = OnBatch::keep;
};

struct Op;

// What a derivative rule sees. x and y hold what the op saves, other entries are undefined tensors of known type.
struct RuleContext {
  const Op& op;
  const Attrs& attrs;
  std::span<const Tensor> x, y;
  std::span<const TensorType> x_types, y_types;
  std::span<const Tensor> g;    // vjp: cotangents of the outputs; jvp: tangents of the inputs. Undefined: zero.
  std::span<const char> needs;  // vjp: which inputs want one
};

enum class Derivative : std::uint8_t { none, zero, elementwise, linear, bilinear, symmetric, custom, composite };
// What a rule for a batch axis sees. Batched operands have the batch as their first axis.
struct BatchContext {
  const Op& op;
  const Attrs& attrs;
  std::span<const Tensor> x;
  std::span<const char> batched;
  std::int64_t size;
};

// How an op runs on a batch: with the axis in front and ranks aligned, as in broadcasting (elementwise); with the axis
// in front and its attributes moved as they say in OnBatch (leading); by Op::batch_rule (rule); sample by sample
// (loop).
enum class Batch : std::uint8_t { elementwise, leading, rule, loop };

// An input whose entries are positions: -n ... n - 1, or 0 ... n - 1, or `ignored`.
struct Positions {
  std::size_t input;
  std::int64_t n;
  bool from_end = true;
  std::optional<std::int64_t> ignored{};
};

// Bit i: input i (15: that and all behind it); bit 16 + j: output j.
using SaveMask = std::uint32_t;
inline constexpr SaveMask save_nothing = 0, save_inputs = 0xFFFFu, save_output = 0x10000u;
constexpr SaveMask save_input(int i) { return 1u << (i < 15 ? i : 15); }

using RowInputs = std::optional<std::uint32_t>;

struct Op {
  std::string_view name;
  std::string_view doc;
  int version = 1;
  int min_inputs = 1, max_inputs = 1;
  int outputs = 1;
  std::vector<AttributeField> attributes{};

  // Output types from input types; throws ShapeError, DTypeError or ValueError.
  Types (*infer)(const Op&, std::span<const TensorType>, const Attrs&) = nullptr;
  void (*plan)(const Op&, std::span<const TensorType> in, std::span<const TensorType> out, const Attrs&,
               kernels::Plan&) = nullptr;
  Tensors (*run)(std::span<const Tensor> x, const Attrs&) = nullptr;  // in place of a kernel: a call of a function
  int key = 0;  // the operand whose dtype selects the kernel; -1: the first output
  std::array<kernels::Kernel, dtype_count> kernel{};  // filled from the dispatch table

  SaveMask saves = save_nothing;
  // What of it the rules read where only input i wants a gradient (the last entry: any later input). Nothing else is
  // kept for backward.
  std::array<SaveMask, 3> reads{~0u, ~0u, ~0u};
  Derivative derivative = Derivative::none;
  Tensors (*vjp)(const RuleContext&) = nullptr;  // one cotangent per input
  Tensors (*jvp)(const RuleContext&) = nullptr;  // one tangent per output
  // Derivative::composite: the same computation from ops that have rules; used when it is differentiated again.
  Tensors (*decompose)(std::span<const Tensor> x, const Attrs&) = nullptr;

  // The inputs that name positions, so that the error of a kernel that met a wrong one can tell it.
  std::vector<Positions> (*positions)(std::span<const TensorType> in, const Attrs&) = nullptr;

  // How it is written: between two operands ("+"), before one ("-"); empty: as a call.
  std::string_view symbol{};
  // The rule in words of arrays: the cotangent of input i, given the names of inputs, output and g, its cotangent.
  // For an elementwise op with g = "1" the local derivative. Null where there is nothing short to say.
  std::string (*rule)(int i, std::span<const std::string> x, const std::string& y, const std::string& g,
                      const Attrs&) = nullptr;

  Batch batch = Batch::loop;
  Tensors (*batch_rule)(const BatchContext&) = nullptr;  // Batch::rule: every output has the batch in front
  bool draws = false;                                    // random: in vmap every sample draws its own
  bool pure = true;                                      // same inputs, same outputs; may be merged or dropped
  bool elementwise = false;    // one output element from the same element of the (broadcast) inputs
  bool broadcasts = false;     // inputs follow NumPy's broadcasting; cotangents are summed back in one place
  bool view = false;           // the output is the input's memory under another shape
  std::uint32_t inplace = 0;   // bit i: output 0 may take input i's memory (same type); see inplace_pair
  bool inplace_pairs = false;  // output j may take input pair(j)'s memory (updates)
  std::array<std::int8_t, 4> pair{-1, -1, -1, -1};
  std::uint32_t transposable = 0;  // bit i: a transposition of the last two axes of input i folds into ints[i]
  bool matrix_product = false;     // its plan is a MatmulPlan of two operands: may run at another precision
  bool epilogue = false;           // an elementwise chain may run behind each range of units
  bool rowwise = false;            // units are in the order of the first axis, as elementwise ones are: may run by slab
  // Of a rowwise op whose `batch` is a rule: the inputs of which row r of the outputs reads row r only (bit i); it
  // reads the others whole. None: rows are not the outputs' first axis. What other ops do is in their `batch`.
  RowInputs (*row_inputs)(std::span<const TensorType> in, std::span<const TensorType> out, const Attrs&) = nullptr;
  // Of an op that may sum over the first axis of its inputs, in blocks of 1024 added ascending: narrows a plan to
  // `rows` of `all` from `first` on, a multiple of 1024, for a call that goes on where the one before stopped. False:
  // it sums over something else.
  bool (*narrow)(kernels::Plan&, std::int64_t all, std::int64_t first, std::int64_t rows) = nullptr;
  bool internal = false;  // no public name
  double flops_per_output = 1.0;
  std::int64_t (*flops)(std::span<const TensorType> in, std::span<const TensorType> out, const Attrs&) = nullptr;
};

const Op& find_op(std::string_view name);  // throws IndexError; ops/registry.cpp
const Op* find_op_or_null(std::string_view name) noexcept;
std::span<const Op> all_ops();

}  // namespace chainrule
