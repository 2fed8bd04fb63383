// Leaves, and the ways between them and the results: the tape for values, the trace for symbols.
#include "transforms/differentiation.hpp"

#include "autodiff/batching.hpp"
#include "autodiff/tape.hpp"
#include "core/fail.hpp"
#include "ops/operands.hpp"

namespace chainrule {
namespace {

thread_local int depth = 0;  // of differentiations whose function is running on this thread

// A linear map of tensors recorded as a graph, then run on `size` vectors at once; record: as something to
// differentiate.
Tensors map_many(const Function& linear, std::span<const Tensor> vectors, std::int64_t size, bool record) {
  Types types;
  Tensors arguments;
  for (const Tensor& v : vectors) {
    if (!v.defined()) continue;
    Shape shape = v.shape();
    shape.erase(0);
    types.push_back({v.dtype(), shape});
    arguments.push_back(v);
  }
  const auto tracer = Tracer::create();
  GraphData graph;
  {
    const TraceScope recording(*tracer);
    Tensors one;
    for (std::size_t i = 0, given = 0; i < vectors.size(); ++i)
      one.push_back(vectors[i].defined() ? tracer->input(types[given++]) : Tensor());
    tracer->set_outputs(linear(one));
    graph = tracer->take();
  }
  const std::vector<char> batched(arguments.size(), 1);
  if (record) return replay_batched(graph, arguments, batched, size);
  const NoGrad nothing;
  return replay_batched(graph, arguments, batched, size);
}

}  // namespace

bool differentiating() noexcept { return depth > 0; }

Differentiation::Differentiation(std::span<const Tensor> x, const char* who) : nested_(depth > 0) {
  for (const Tensor& t : x) {
    if (!is_floating(t.dtype()))
      fail<DTypeError>(who, "an argument has no gradient", "dtype is " + std::string(name_of(t.dtype())),
                       "use astype(\"float32\")");
    nested_ |= t.requires_grad();
  }
  // While a function is traced the derivative is recorded, too: the leaves are symbols, and no tape is needed.
  if (Tracer* now = TraceScope::current()) tracer_ = now->shared_from_this();
  for (const Tensor& t : x) leaves_.push_back(tracer_ ? symbol_of(t) : leaf_of(t));
}

Tensors Differentiation::call(const Function& f) {
  const bool recorded = grad_enabled();
  struct Level {
    Level() { ++depth; }
    ~Level() { --depth; }
  } level;
  const GradMode recording(true);  // a no_grad around the transform does not reach in
  Tensors y = f(leaves_);
  // A parameter that f captured: its gradient must find the way through the derivative.
  if (!nested_ && !tracer_ && recorded) nested_ = reaches_other_leaves(y, leaves_);
  return y;
}

namespace {

// A pullback made outside a differentiation may be given what is being differentiated now.
bool any_recorded(std::span<const Tensor> vectors) {
  return grad_enabled() &&
         std::any_of(vectors.begin(), vectors.end(), [](const Tensor& t) { return t.defined() && t.requires_grad(); });
}

}  // namespace

Tensors Differentiation::pull(std::span<const Tensor> y, std::span<const Tensor> gy, bool retain) const {
  Tensors gx(leaves_.size());
  if (tracer_) {
    gx = gradients_in_trace(*tracer_, y, gy, symbols());
  } else {
    run_tape(y, gy, {.retain = retain, .create_graph = nested_ || any_recorded(gy), .stops = leaves_},
             [&](const std::shared_ptr<TensorData>& leaf, const Tensor& g) {
               for (std::size_t i = 0; i < leaves_.size(); ++i)
                 if (leaves_[i].data_handle() == leaf) gx[i] = g;
             });
  }
  for (std::size_t i = 0; i < leaves_.size(); ++i)
    if (!gx[i].defined()) gx[i] = zeros_like_type(type_of(leaves_[i]));
  return gx;
}

Tensors Differentiation::push(std::span<const Tensor> y, std::span<const Tensor> tx) const {
  Tensors ty =
      tracer_ ? tangents_in_trace(*tracer_, y, symbols(), tx) : push_tape(y, leaves_, tx, nested_ || any_recorded(tx));
  for (std::size_t i = 0; i < y.size(); ++i)
    if (!ty[i].defined()) ty[i] = zeros_like_type(type_of(y[i]));
  return ty;
}

Tensors Differentiation::pull_many(std::span<const Tensor> y, std::span<const Tensor> gy, std::int64_t size) const {
  return map_many([&](const Tensors& one) { return pull(y, one, true); }, gy, size,
                  nested_ || tracer_ || any_recorded(gy));
}
Tensors Differentiation::push_many(std::span<const Tensor> y, std::span<const Tensor> tx, std::int64_t size) const {
  return map_many([&](const Tensors& one) { return push(y, one); }, tx, size, nested_ || tracer_ || any_recorded(tx));
}

std::vector<ValueId> Differentiation::symbols() const {
  std::vector<ValueId> ids;
  for (const Tensor& leaf : leaves_) ids.push_back(tracer_->value_of(leaf));
  return ids;
}

Tensor Differentiation::symbol_of(const Tensor& t) const {
  return reshape(tracer_->symbol(tracer_->value_of(t)), t.shape());
}

Tensor Differentiation::leaf_of(const Tensor& t) {
  if (t.requires_grad()) return reshape(t, t.shape());  // a recorded identity
  Tensor leaf = t.detach();
  leaf.requires_grad_();
  return leaf;
}

}  // namespace chainrule
