// The one way an op is called.
#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "core/parallel.hpp"
#include "graph/stand_ins.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

std::atomic<std::uint64_t> next_order{1};
constexpr double nanoseconds_worth_threads = 60'000;

// Scratch of eager calls: one block per thread, grown when asked for, freed at thread exit.
struct Scratch {
  ~Scratch() { free_aligned(data); }
  void* get(std::size_t bytes) {
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
  plan.scratch_bytes = 0;
  plan.cost = 0;
  op.plan(op, in, out, attrs, plan);
  if (plan.units <= 0) return;
  const void* in_pointers[128];
  void* out_pointers[4];
  for (std::size_t i = 0; i < inputs.size(); ++i) in_pointers[i] = inputs[i].raw_data();
  for (std::size_t i = 0; i < outputs.size(); ++i) out_pointers[i] = bytes_of(outputs[i]);
  const kernels::Args args{in_pointers, out_pointers, &plan};

  kernels::Status status = kernels::Status::ok;
  const int threads = plan.cost < nanoseconds_worth_threads
                          ? 1
                          : static_cast<int>(std::min<std::int64_t>(available_threads(), plan.units));
  if (threads == 1) {
    void* block = plan.scratch_bytes ? scratch.get(static_cast<std::size_t>(plan.scratch_bytes)) : nullptr;
    const FloatEnvironment environment;
    status = kernel(args, {0, plan.units}, block);
  } else {
    const std::size_t each = (static_cast<std::size_t>(plan.scratch_bytes) + 63) / 64 * 64;
    std::byte* block = each ? static_cast<std::byte*>(scratch.get(each * static_cast<std::size_t>(threads))) : nullptr;
    std::atomic<int> worst{0};
    run_team(threads, [&](int thread, Team& team) {
      const FloatEnvironment environment;
      const std::int64_t begin = plan.units * thread / team.size, end = plan.units * (thread + 1) / team.size;
      const auto s = kernel(args, {begin, end}, block ? block + each * static_cast<std::size_t>(thread) : nullptr);
      if (s != kernels::Status::ok) worst.store(static_cast<int>(s), std::memory_order_relaxed);
    });
    status = static_cast<kernels::Status>(worst.load());
  }
  check_status(status, op);
}

void remember(const Op& op, std::span<const Tensor> inputs, std::span<const TensorType> in,
              std::span<const Tensor> outputs, std::span<const TensorType> out, const Attrs& attrs) {
  auto node = std::make_shared<GradNode>();
  node->op = &op;
  node->attrs = attrs;
  node->input_types.assign(in.begin(), in.end());
  node->output_types.assign(out.begin(), out.end());
  node->order = next_order.fetch_add(1, std::memory_order_relaxed);
  node->edges.resize(inputs.size());
  node->saved_inputs.resize(inputs.size());
  node->saved_outputs.resize(outputs.size());
  node->versions.resize(inputs.size());
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto& data = inputs[i].data_handle();
    if (data->node) {
      node->edges[i].node = data->node;
      node->edges[i].output = data->output_index;
    } else if (data->requires_grad) {
      node->edges[i].leaf = data;
    }
    if (op.saves & save_input(static_cast<int>(i))) {
      node->saved_inputs[i] = data->node ? with_shape(inputs[i], in[i].shape) : inputs[i];
      node->versions[i] = data->storage->version;
    }
  }
  for (std::size_t j = 0; j < outputs.size(); ++j) {
    if (op.saves & (save_output << j)) node->saved_outputs[j] = with_shape(outputs[j], out[j].shape);
    if (!is_floating(out[j].dtype)) continue;
    outputs[j].data_handle()->node = node;
    outputs[j].data_handle()->output_index = static_cast<int>(j);
  }
}

}  // namespace

void check_status(kernels::Status status, const Op& op) {
  switch (status) {
    case kernels::Status::ok:
      return;
    case kernels::Status::bad_label:
      fail<IndexError>(op.name, "a label is outside the classes", "labels must be 0 ... classes - 1",
                       "check the target, or set ignore_index");
    case kernels::Status::bad_index:
      fail<IndexError>(op.name, "an index is out of range", "", "indices run from -n to n - 1");
    case kernels::Status::negative_exponent:
      fail<ValueError>(op.name, "integers to negative powers are not integers", "an exponent is below 0",
                       "use floats, for instance x.astype(\"float64\")");
    case kernels::Status::not_finite:
      fail<ValueError>(op.name, "a value is not finite", "inf or NaN was found");
  }
}

Tensors apply(const Op& op, std::span<const Tensor> given, const Attrs& attrs) {
  Tensors replaced;
  if (StandIns::active())
    for (const Tensor& t : given) replaced.push_back(StandIns::of(t));
  const std::span<const Tensor> inputs = StandIns::active() ? std::span<const Tensor>(replaced) : given;
  const int n = static_cast<int>(inputs.size());
  if (n < op.min_inputs || n > op.max_inputs)
    fail<ValueError>(op.name, "wrong number of operands", std::to_string(n) + " were given",
                     "it takes " + std::to_string(op.min_inputs));
  Types in(inputs.size());
  std::shared_ptr<Tracer> tracer;
  bool wanted = false, constant = !inputs.empty();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].defined()) fail<StateError>(op.name, "an operand is undefined", "operand " + std::to_string(i));
    const auto& data = inputs[i].data_handle();
    in[i] = data->type();
    if (data->tracer && (!tracer || data->tracer->level() > tracer->level())) tracer = data->tracer;
    wanted |= data->requires_grad || data->node != nullptr;
    constant &= data->constant;
  }
  if (Tracer* now = TraceScope::current(); now != nullptr && !tracer && !constant) tracer = now->shared_from_this();
  const Types out = op.infer(op, in, attrs);
  if (tracer) return tracer->record(op, inputs, attrs, out);

  wanted = wanted && grad_enabled() && op.derivative != Derivative::none && op.derivative != Derivative::zero;
  if (wanted && op.derivative == Derivative::composite) return op.decompose(inputs, attrs);

  Tensors outputs(out.size());
  if (op.view) {
    outputs[0] = with_shape(inputs[0], out[0].shape);
  } else if (op.run != nullptr) {
    outputs = op.run(inputs, attrs);
  } else {
    for (std::size_t j = 0; j < out.size(); ++j) outputs[j] = make_tensor(out[j]);
    run(op, inputs, in, outputs, out, attrs);
  }
  if (wanted) remember(op, inputs, in, outputs, out, attrs);
  for (const Tensor& t : outputs) t.data_handle()->constant = constant;
  return outputs;
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
