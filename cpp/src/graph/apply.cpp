// The one way an op is called.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "core/parallel.hpp"
#include "graph/grid.hpp"
#include "graph/stand_ins.hpp"
#include "graph/stop_op.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {

const Op* stop_gradient_op = nullptr;

namespace {

std::atomic<std::uint64_t> next_order{1};
constexpr double nanoseconds_worth_threads = 60'000;

// Scratch of eager calls: one block per thread, grown when asked for, freed at thread exit.
thread_local bool scratch_gone = false;  // needs no destructor, so that it outlives the scratch
struct Scratch {
  ~Scratch() {
    free_aligned(data);
    scratch_gone = true;
  }
  void* get(std::size_t bytes) {
    if (scratch_gone) return allocate_aligned(bytes);  // the thread ends: the process will take it back
    if (bytes > size) {
      free_aligned(data);
      data = nullptr;
      size = 0;
      data = allocate_aligned(bytes);
      size = bytes;
    }
    return data;
  }
  void* data = nullptr;
  std::size_t size = 0;
};
thread_local Scratch scratch;

kernels::Kernel kernel_for(const Op& op, std::span<const TensorType> in, std::span<const TensorType> out) {
  const DType key = op.key < 0 ? out[0].dtype : in[static_cast<std::size_t>(op.key)].dtype;
  const kernels::Kernel kernel = op.kernel[static_cast<std::size_t>(key)];
  if (kernel == nullptr)
    fail<DTypeError>(op.name, "not defined for this dtype", std::string(name_of(key)), "use astype(\"float32\")");
  return kernel;
}

void run(const Op& op, std::span<const Tensor> inputs, std::span<const TensorType> in, std::span<const Tensor> outputs,
         std::span<const TensorType> out, const Attrs& attrs) {
  const kernels::Kernel kernel = kernel_for(op, in, out);
  kernels::Plan plan;
  op.plan(op, in, out, attrs, plan);
  if (plan.units <= 0) return;
  const void* in_pointers[128];
  void* out_pointers[4];
  for (std::size_t i = 0; i < inputs.size(); ++i) in_pointers[i] = bytes_of(inputs[i]);
  for (std::size_t i = 0; i < outputs.size(); ++i) out_pointers[i] = bytes_of(outputs[i]);
  const kernels::Args args{in_pointers, out_pointers, &plan};

  kernels::Status status = kernels::Status::ok;
  const Grid grid = plan.cost < nanoseconds_worth_threads ? Grid{} : grid_for(plan, available_threads());
  if (grid.parts() == 1) {
    void* block = plan.scratch_bytes ? scratch.get(static_cast<std::size_t>(plan.scratch_bytes)) : nullptr;
    const FloatEnvironment environment;
    status = kernel(args, {0, plan.units}, block);
  } else {
    const int threads = grid.parts();
    const std::size_t each = (static_cast<std::size_t>(plan.scratch_bytes) + 63) / 64 * 64;
    std::byte* block = each ? static_cast<std::byte*>(scratch.get(each * static_cast<std::size_t>(threads))) : nullptr;
    std::atomic<int> worst{0};
    run_team(threads, [&](int thread, Team& team) {
      const FloatEnvironment environment;
      kernels::Args mine = args;
      const Part part = part_of(plan, team.size == threads ? grid : Grid{}, thread);
      mine.columns = part.columns;
      const auto s = kernel(mine, part.rows, block ? block + each * static_cast<std::size_t>(thread) : nullptr);
      if (s != kernels::Status::ok) worst.store(static_cast<int>(s), std::memory_order_relaxed);
    });
    status = static_cast<kernels::Status>(worst.load());
  }
  check_status(status, op, in, in_pointers, attrs);
}

SavedValue save(const Tensor& t) {
  const TensorData& data = *t.data_handle();
  return {data.storage, data.offset, data.storage->version, data.constant};
}

const Attrs& default_attrs() {
  static const Attrs none{};
  return none;
}

bool is_default(const Attrs& attrs) {
  for (const Dims& list : attrs.lists)
    if (!list.empty()) return false;
  return !attrs.call && attrs.reals == default_attrs().reals && attrs.ints == default_attrs().ints;
}

void remember(const Op& op, std::span<const Tensor> inputs, std::span<const TensorType> in,
              std::span<const Tensor> outputs, std::span<const TensorType> out, const Attrs& attrs) {
  const auto made = std::make_shared<GradNode>();
  GradNode& node = *made;
  node.op = &op;
  node.order = next_order.fetch_add(1, std::memory_order_relaxed);
  if (!is_default(attrs)) node.given = std::make_unique<const Attrs>(attrs);
  node.input_types.assign(in.begin(), in.end());
  node.output_types.assign(out.begin(), out.end());
  node.scope = Scope::path();
  node.edges.resize(inputs.size());
  SaveMask saves = save_nothing;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto& data = inputs[i].data_handle();
    if (!data->node) {
      if (is_small(in[i])) node.edges[i].shown = save(inputs[i]);
      node.edges[i].shown.version = data->storage->version;
    }
    if (data->node) {
      node.edges[i].node = data->node;
      node.edges[i].output = data->output_index;
    } else if (data->requires_grad) {
      node.edges[i].leaf = data;
    } else {
      continue;
    }
    saves |= op.saves & op.reads[std::min(i, op.reads.size() - 1)];
  }
  node.saved_inputs.resize(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (saves & save_input(static_cast<int>(i))) node.saved_inputs[i] = save(inputs[i]);
  node.saved_outputs.resize(outputs.size());
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    if (saves & (save_output << j)) node.saved_outputs[j] = save(outputs[j]);
    if (!is_floating(out[j].dtype)) continue;
    outputs[j].data_handle()->node = made;
    outputs[j].data_handle()->output_index = static_cast<int>(j);
  }
}

bool differentiable(const Op& op) { return op.derivative != Derivative::none && op.derivative != Derivative::zero; }

// What a call needs to know of its operands.
struct Operands {
  Types types;
  std::shared_ptr<Tracer> tracer;  // the innermost of those they are symbols of
  bool wanted = false;             // one of them leads to a leaf
  bool constant = true;            // all of them are numbers or arrays of the caller
};

Operands look_at(const Op& op, std::span<const Tensor> inputs) {
  const int n = static_cast<int>(inputs.size());
  if (n < op.min_inputs || n > op.max_inputs)
    fail<ValueError>(op.name, "wrong number of operands", std::to_string(n) + " were given",
                     "it takes " + std::to_string(op.min_inputs));
  Operands operands;
  operands.constant = !inputs.empty();
  operands.types.reserve(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) fail<StateError>(op.name, "an operand is undefined", "operand " + std::to_string(i));
    const TensorData& data = *inputs[i].data_handle();
    operands.types.push_back({data.dtype, data.shape});
    if (data.tracer && (!operands.tracer || data.tracer->level() > operands.tracer->level()))
      operands.tracer = data.tracer;
    operands.wanted |= data.requires_grad || data.node != nullptr;
    operands.constant &= data.constant;
  }
  // A draw belongs to the function that makes it, wherever its counter comes from: to each of its samples, in vmap.
  if (Tracer* now = TraceScope::current(); now != nullptr && (operands.tracer ? op.draws : !operands.constant))
    operands.tracer = now->shared_from_this();
  return operands;
}

// In a trace no_grad is written down: what was computed under it has no derivative there either.
Tensors record(Tracer& tracer, const Op& op, std::span<const Tensor> inputs, const Attrs& attrs, const Types& out) {
  Tensors outputs = tracer.record(op, inputs, attrs, out);
  if (grad_enabled() || !differentiable(op)) return outputs;
  const Op& stop = *stop_gradient_op;
  for (std::size_t j = 0; j < outputs.size(); ++j)
    if (is_floating(out[j].dtype)) outputs[j] = tracer.record(stop, std::span(&outputs[j], 1), {}, {out[j]})[0];
  return outputs;
}

using Results = SmallVector<Tensor, 2>;

Results call(const Op& op, std::span<const Tensor> given, const Attrs& attrs) {
  SmallVector<Tensor, 2> replaced;
  if (StandIns::active())
    for (const Tensor& t : given) replaced.push_back(StandIns::of(t));
  const std::span<const Tensor> inputs = StandIns::active() ? std::span<const Tensor>(replaced) : given;
  const Operands operands = look_at(op, inputs);
  const Types out = op.infer(op, operands.types, attrs);
  const auto several = [](const Tensors& tensors) { return Results(tensors.begin(), tensors.end()); };
  if (operands.tracer) return several(record(*operands.tracer, op, inputs, attrs, out));
  const bool wanted = operands.wanted && grad_enabled() && differentiable(op);
  if (wanted && op.derivative == Derivative::composite) return several(op.decompose(inputs, attrs));

  Results outputs(out.size());
  if (op.view) {
    outputs[0] = with_shape(inputs[0], out[0].shape);
  } else if (op.run != nullptr) {
    outputs = several(op.run(inputs, attrs));
  } else {
    for (std::size_t j = 0; j < out.size(); ++j) outputs[j] = make_tensor(out[j]);
    run(op, inputs, operands.types, outputs, out, attrs);
  }
  if (wanted) remember(op, inputs, operands.types, outputs, out, attrs);
  for (const Tensor& t : outputs) t.data_handle()->constant = operands.constant;
  return outputs;
}

}  // namespace

namespace {

// The first entry that names no position: what it is and how many there are; where they begin.
struct WrongPosition {
  std::int64_t entry = 0;
  Positions allowed{};
  std::int64_t first() const { return allowed.from_end ? -allowed.n : 0; }
};
WrongPosition wrong_position(const Op& op, std::span<const TensorType> in, const void* const* in_bytes,
                             const Attrs& attrs) {
  if (op.positions == nullptr) return {};
  for (const Positions& p : op.positions(in, attrs)) {
    const auto* at = static_cast<const std::int64_t*>(in_bytes[p.input]);
    for (std::int64_t i = 0; i < in[p.input].shape.size(); ++i)
      if (const WrongPosition wrong{at[i], p}; (at[i] < wrong.first() || at[i] >= p.n) && at[i] != p.ignored)
        return wrong;
  }
  return {};
}

}  // namespace

void check_status(kernels::Status status, const Op& op, std::span<const TensorType> in, const void* const* in_bytes,
                  const Attrs& attrs) {
  switch (status) {
    case kernels::Status::ok:
      return;
    case kernels::Status::bad_label: {
      const WrongPosition wrong = wrong_position(op, in, in_bytes, attrs);
      fail<IndexError>(
          op.name, "a label is outside the classes",
          "label " + std::to_string(wrong.entry) + ", " + std::to_string(wrong.allowed.n) + " classes",
          "labels must be 0 ... " + std::to_string(wrong.allowed.n - 1) + "; check the target, or set ignore_index");
    }
    case kernels::Status::bad_index: {
      const WrongPosition wrong = wrong_position(op, in, in_bytes, attrs);
      fail<IndexError>(
          op.name, "an index is out of range",
          std::to_string(wrong.entry) + " for " + std::to_string(wrong.allowed.n) + " entries",
          "indices run from " + std::to_string(wrong.first()) + " to " + std::to_string(wrong.allowed.n - 1));
    }
    case kernels::Status::negative_exponent:
      fail<ValueError>(op.name, "integers to negative powers are not integers", "an exponent is below 0",
                       "use floats, for instance x.astype(\"float64\")");
    case kernels::Status::not_finite:
      fail<ValueError>(op.name, "a value is not finite", "inf or NaN was found");
  }
}

Tensors apply(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs) {
  Results results = call(op, inputs, attrs);
  return Tensors(std::move_iterator(results.begin()), std::move_iterator(results.end()));
}

Tensor apply1(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs) {
  return std::move(call(op, inputs, attrs)[0]);
}

void apply_into(const Op& op, std::span<const Tensor> inputs, const Attrs& attrs, std::span<const Tensor> outputs) {
  Types in(inputs.size()), given(outputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) in[i] = type_of(inputs[i]);
  for (std::size_t j = 0; j < outputs.size(); ++j) given[j] = type_of(outputs[j]);
  const Types out = op.infer(op, in, attrs);
  for (std::size_t j = 0; j < out.size(); ++j)
    if (!(out[j] == given[j]))
      fail<ShapeError>(op.name, "output does not fit", given[j].shape.str() + " for " + out[j].shape.str());
  run(op, inputs, in, outputs, out, attrs);
  for (const Tensor& t : outputs) ++t.data_handle()->storage->version;
}

const Attrs& GradNode::attrs() const noexcept { return given ? *given : default_attrs(); }

GradNode::~GradNode() {
  // A chain is taken apart here, one node at a time, so that its length is not the depth of a recursion.
  std::vector<std::shared_ptr<GradNode>> pending;
  const auto take = [&](GradNode& node) {
    for (Edge& edge : node.edges)
      if (edge.node) pending.push_back(std::move(edge.node));
  };
  take(*this);
  while (!pending.empty()) {
    std::shared_ptr<GradNode> node = std::move(pending.back());
    pending.pop_back();
    if (node.use_count() == 1) take(*node);
  }
}

}  // namespace chainrule
