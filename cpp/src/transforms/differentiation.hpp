// One differentiation of a function run on values (or, while a function is traced, on its symbols).
#pragma once

#include <memory>
#include <span>

#include "autodiff/rules.hpp"
#include "chainrule/transforms.hpp"

namespace chainrule {

// Leaves with the values of x, so that f's gradient never reaches x itself. Inside another differentiation (or where x
// wants a gradient) the leaves keep the way back to x, and what is computed from them is recorded in turn.
class Differentiation {
 public:
  Differentiation(std::span<const Tensor> x, const char* who);

  Tensors call(const Function& f);
  Tensor value(const Tensor& y) const { return nested_ || tracer_ ? y : y.detach(); }

  // Cotangents of the leaves; zeros where none arrives. retain: another pullback may follow.
  Tensors pull(std::span<const Tensor> y, std::span<const Tensor> gy, bool retain) const;
  // Tangents of y; zeros where none arrives. Undefined tangents of leaves are zero.
  Tensors push(std::span<const Tensor> y, std::span<const Tensor> tx) const;

  // Many cotangents (tangents) at once, along a first axis of `size` that every result has, too.
  Tensors pull_many(std::span<const Tensor> y, std::span<const Tensor> gy, std::int64_t size) const;
  Tensors push_many(std::span<const Tensor> y, std::span<const Tensor> tx, std::int64_t size) const;

 private:
  std::vector<ValueId> symbols() const;
  Tensor symbol_of(const Tensor& t) const;
  static Tensor leaf_of(const Tensor& t);

  bool nested_;
  std::shared_ptr<Tracer> tracer_;
  Tensors leaves_;
};

}  // namespace chainrule
