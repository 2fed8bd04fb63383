// Tensor: a handle on a contiguous row-major array that may record how it was computed. Copies share the array.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "chainrule/dtype.hpp"
#include "chainrule/error.hpp"
#include "chainrule/export.hpp"
#include "chainrule/shape.hpp"

namespace chainrule {

class Graph;        // graph.hpp
struct TensorData;  // private
struct Storage;     // private
class IndexItem;    // structure.hpp

template <class T>
concept Scalar = std::is_arithmetic_v<T>;

struct BackwardOptions {
  bool retain_graph = false;  // keep what was recorded, for another backward
  bool create_graph = false;  // record the backward too (and keep the rest): gradients can be differentiated again
};

class CHAINRULE_API Tensor {
 public:
  Tensor() = default;                                                  // undefined: holds nothing
  template <Scalar T> Tensor(T value) : Tensor(make_scalar(value)) {}  // a weak scalar: takes the other operand's dtype
  explicit Tensor(std::shared_ptr<TensorData> data) : data_(std::move(data)) {}

  // --- making tensors ---------------------------------------------------------------------------------------------
  static Tensor empty(const Shape& shape, DType dtype = DType::float32);
  static Tensor zeros(const Shape& shape, DType dtype = DType::float32);
  static Tensor ones(const Shape& shape, DType dtype = DType::float32);
  static Tensor full(const Shape& shape, double value, DType dtype = DType::float32);
  static Tensor scalar(double value, DType dtype = DType::float32);  // rank 0, not weak
  // Shares memory of the caller, who keeps it alive (or hands over `owner`); never written through.
  template <class T> static Tensor view(const T* data, const Shape& shape, std::shared_ptr<void> owner = {}) {
    return view_raw(data, shape, dtype_of<T>, std::move(owner));
  }
  static Tensor view_raw(const void* data, const Shape& shape, DType dtype, std::shared_ptr<void> owner = {});
  // Copies.
  template <class T> static Tensor from(std::span<const T> values, const Shape& shape) {
    return from_raw(values.data(), values.size(), shape, dtype_of<T>);
  }
  template <class T> static Tensor from(const std::vector<T>& values, const Shape& shape) {
    return from(std::span<const T>(values), shape);
  }
  static Tensor from_raw(const void* data, std::size_t count, const Shape& shape, DType dtype);

  // --- looking at them ---------------------------------------------------------------------------------------------
  bool defined() const noexcept { return data_ != nullptr; }
  explicit operator bool() const noexcept = delete;
  const Shape& shape() const;
  std::int64_t shape(int axis) const;  // negative axes count from the end
  int rank() const { return shape().rank(); }
  std::int64_t size() const { return shape().size(); }
  DType dtype() const;
  bool symbolic() const noexcept;  // has no values: recorded in a Graph that is being traced
  bool weak() const noexcept;
  template <class T> const T* data() const { return static_cast<const T*>(data_of(dtype_of<T>)); }
  template <class T> std::span<const T> span() const { return {data<T>(), static_cast<std::size_t>(size())}; }
  const void* raw_data() const;       // any dtype
  const void* exported_data() const;  // raw_data(), which from now on never moves: for live views handed to others
  double item() const;                // the only element, as double
  std::string str() const;            // values and shape, as printed

  // --- gradients ---------------------------------------------------------------------------------------------------
  bool requires_grad() const noexcept;
  Tensor& requires_grad_(bool on = true);
  bool is_leaf() const noexcept;  // not the result of a recorded op
  Tensor grad() const;            // undefined where none has arrived
  void zero_grad();
  Tensor& retain_grad();  // backward leaves a grad in this result of an op, too; leaves have one anyway
  bool retains_grad() const noexcept;
  // Adds the derivative of this tensor into the grad of every leaf. `gradient` is the cotangent to start from: 1 for a
  // single element; otherwise one of this tensor's shape.
  void backward(const Tensor& gradient = {}, const BackwardOptions& options = {}) const;
  void backward(const BackwardOptions& options) const;
  Tensor detach() const;  // the same values, cut off from what computed them; holds in traced functions, too
  // What was recorded behind this tensor, with the values, and after backward() on it with the gradients.
  Graph graph() const;
  Tensor& freeze();  // a constant where a function is traced, as numbers are; other tensors are read when it runs

  // --- changing in place -------------------------------------------------------------------------------------------
  void copy_(const Tensor& source);  // same shape; converts the dtype

  // --- ops as methods ----------------------------------------------------------------------------------------------
  Tensor astype(DType dtype) const;
  Tensor reshape(const Dims& shape) const;  // one size may be -1
  Tensor transpose(const Dims& axes = {}) const;
  Tensor T() const { return transpose(); }
  Tensor index(const std::vector<IndexItem>& items) const;         // x.index({0, ellipsis, newaxis}); see structure.hpp
  Tensor sum(const Dims& axes = {}, bool keepdims = false) const;  // no axes: all
  Tensor mean(const Dims& axes = {}, bool keepdims = false) const;
  Tensor max(const Dims& axes = {}, bool keepdims = false) const;
  Tensor min(const Dims& axes = {}, bool keepdims = false) const;
  Tensor tanh() const;
  Tensor exp() const;
  Tensor log() const;
  Tensor relu() const;
  Tensor sigmoid() const;

  const std::shared_ptr<TensorData>& data_handle() const noexcept { return data_; }

 private:
  static Tensor make_scalar(double value);
  static Tensor make_scalar(float value) { return make_scalar(static_cast<double>(value)); }
  static Tensor make_scalar(std::int64_t value);
  static Tensor make_scalar(bool value);
  template <std::integral I> static Tensor make_scalar(I value) {
    return make_scalar(static_cast<std::int64_t>(value));
  }
  const void* data_of(DType dtype) const;  // throws DTypeError if this has another dtype

  std::shared_ptr<TensorData> data_;
};

// Backward from several tensors at once: each recorded op is visited once. Gradients as in Tensor::backward, one for
// each tensor, or none at all.
CHAINRULE_API void backward(const std::vector<Tensor>& tensors, const std::vector<Tensor>& gradients = {},
                            const BackwardOptions& options = {});

CHAINRULE_API bool grad_enabled() noexcept;  // whether ops on this thread are recorded
CHAINRULE_API void set_grad_enabled(bool on) noexcept;

// While one lives, ops on this thread are recorded, or are not.
class GradMode {
 public:
  explicit GradMode(bool on) : before_(grad_enabled()) { set_grad_enabled(on); }
  ~GradMode() { set_grad_enabled(before_); }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};
// While one lives, ops on this thread record nothing; in a traced function no gradient flows through them.
class NoGrad : public GradMode {
 public:
  NoGrad() : GradMode(false) {}
};

}  // namespace chainrule
