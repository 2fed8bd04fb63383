// Derivatives of functions run on values.
#include "autodiff/rules.hpp"
#include "autodiff/tape.hpp"
#include "chainrule/ops.hpp"
#include "chainrule/transforms.hpp"
#include "core/fail.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

thread_local int depth = 0;  // of transforms whose function is running on this thread

// One differentiation: leaves with the values of x, so that f's gradient never reaches x itself. Inside another one
// (or where x wants a gradient) the leaves keep the way back to x, and what is computed from them is recorded in turn.
class Differentiation {
 public:
  Differentiation(const std::vector<Tensor>& x, const char* who) : nested_(depth > 0) {
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

  Tensors call(const Function& f) const {
    struct Level {
      Level() { ++depth; }
      ~Level() { --depth; }
    } level;
    return f(leaves_);
  }
  Tensor value(const Tensor& y) const { return nested_ || tracer_ ? y : y.detach(); }

  Tensors collect(std::span<const Tensor> roots, std::span<const Tensor> cotangents, bool retain) const {
    Tensors gradients(leaves_.size());
    if (tracer_) {
      gradients = gradients_in_trace(*tracer_, roots, cotangents, symbols());
    } else {
      run_tape(roots, cotangents, {.retain = retain, .create_graph = nested_, .stops = leaves_},
               [&](const std::shared_ptr<TensorData>& leaf, const Tensor& g) {
                 for (std::size_t i = 0; i < leaves_.size(); ++i)
                   if (leaves_[i].data_handle() == leaf) gradients[i] = g;
               });
    }
    for (std::size_t i = 0; i < leaves_.size(); ++i)
      if (!gradients[i].defined()) gradients[i] = zeros_of(leaves_[i]);
    return gradients;
  }

  Tensors push(const Tensors& y, const Tensors& moves) const {
    Tensors ty = tracer_ ? tangents_in_trace(*tracer_, y, symbols(), moves) : push_tape(y, leaves_, moves, nested_);
    for (std::size_t i = 0; i < y.size(); ++i)
      if (!ty[i].defined()) ty[i] = zeros_of(y[i]);
    return ty;
  }

 private:
  static Tensor zeros_of(const Tensor& like) {
    Tensor zeros = Tensor::zeros(like.shape(), like.dtype());
    zeros.data_handle()->constant = true;
    return zeros;
  }
  std::vector<ValueId> symbols() const {
    std::vector<ValueId> ids;
    for (const Tensor& leaf : leaves_) ids.push_back(tracer_->value_of(leaf));
    return ids;
  }
  Tensor symbol_of(const Tensor& t) const { return reshape(tracer_->symbol(tracer_->value_of(t)), t.shape()); }
  static Tensor leaf_of(const Tensor& t) {
    if (t.requires_grad()) return reshape(t, t.shape());  // a recorded identity
    Tensor leaf = t.detach();
    leaf.requires_grad_();
    return leaf;
  }

  bool nested_;
  std::shared_ptr<Tracer> tracer_;
  Tensors leaves_;
};

}  // namespace

std::pair<Tensor, std::vector<Tensor>> value_and_gradients(const Function& f, const std::vector<Tensor>& x) {
  const Differentiation d(x, "grad");
  const Tensors y = d.call(f);
  if (y.size() != 1)
    fail<ValueError>("grad", "the function does not return one value", std::to_string(y.size()) + " were returned");
  const Tensor start = start_cotangent(y[0], {}, "grad");
  Tensors gradients = d.collect(std::span(y).first(1), std::span(&start, 1), false);
  return {d.value(y[0]), std::move(gradients)};
}

std::pair<std::vector<Tensor>, Pullback> vjp(const Function& f, const std::vector<Tensor>& x) {
  const Differentiation d(x, "vjp");
  const Tensors y = d.call(f);
  Tensors values;
  for (const Tensor& t : y) values.push_back(d.value(t));
  return {values, [d, y](const std::vector<Tensor>& gy) {
            if (gy.size() != y.size())
              fail<ValueError>("vjp", "wrong number of cotangents",
                               std::to_string(gy.size()) + " for " + std::to_string(y.size()) + " outputs");
            Tensors starts;
            for (std::size_t i = 0; i < y.size(); ++i) starts.push_back(start_cotangent(y[i], gy[i], "vjp"));
            return d.collect(y, starts, true);
          }};
}

std::pair<std::vector<Tensor>, std::vector<Tensor>> jvp(const Function& f, const std::vector<Tensor>& x,
                                                        const std::vector<Tensor>& tangents) {
  if (x.size() != tangents.size())
    fail<ValueError>("jvp", "wrong number of tangents",
                     std::to_string(tangents.size()) + " for " + std::to_string(x.size()) + " arguments");
  Tensors moves;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!(x[i].shape() == tangents[i].shape()))
      fail<ShapeError>("jvp", "a tangent does not fit its argument",
                       tangents[i].shape().str() + " for " + x[i].shape().str(), "give one value per element");
    moves.push_back(tangents[i].astype(x[i].dtype()));
  }
  const Differentiation d(x, "jvp");
  const Tensors y = d.call(f);
  Tensors values;
  for (const Tensor& t : y) values.push_back(d.value(t));
  return {values, d.push(y, moves)};
}

}  // namespace chainrule
