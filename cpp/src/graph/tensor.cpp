// Tensor: making, reading and writing. Its ops are in ops/, its backward in autodiff/.
#include "chainrule/tensor.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "core/fail.hpp"
#include "core/float_environment.hpp"
#include "graph/tensor_data.hpp"

namespace chainrule {
namespace {

thread_local bool recording = true;

template <class F> void with_type(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float32:
      f(float{});
      break;
    case DType::float64:
      f(double{});
      break;
    case DType::int32:
      f(std::int32_t{});
      break;
    case DType::int64:
      f(std::int64_t{});
      break;
    case DType::uint8:
      f(std::uint8_t{});
      break;
    case DType::boolean:
      f(bool{});
      break;
    case DType::bfloat16:
      fail<DTypeError>("tensor", "bfloat16 holds no readable elements", "", "cast it to float32 first");
  }
}

// Out of line, so that no compiler moves the conversion out of the floating-point environment around the call.
[[gnu::noinline]] void fill(const Tensor& t, double value) {
  with_type(t.data_handle()->dtype, [&](auto zero) {
    using T = decltype(zero);
    T* out = reinterpret_cast<T*>(bytes_of(t));
    std::fill_n(out, t.data_handle()->shape.size(), static_cast<T>(value));
  });
}

const TensorData& defined_data(const Tensor& t) {
  if (!t.defined())
    fail<StateError>("tensor", "undefined", "a Tensor that was never given a value",
                     "make one with Tensor::zeros or from");
  return *t.data_handle();
}

const TensorData& value_data(const Tensor& t) {
  const TensorData& data = defined_data(t);
  if (data.tracer)
    fail<StateError>(
        "tensor", "has no values while a function is traced", "a symbolic tensor of shape " + data.shape.str(),
        "a branch or a print on values is not recorded: use where(), or call the function outside compile and Trainer");
  return data;
}

}  // namespace

bool grad_enabled() noexcept { return recording; }
void set_grad_enabled(bool on) noexcept { recording = on; }

Tensor make_tensor(const TensorType& type) {
  auto data = std::make_shared<TensorData>();
  data->dtype = type.dtype;
  data->shape = type.shape;
  data->storage = Storage::allocate(static_cast<std::size_t>(type.shape.size()) * size_of(type.dtype));
  return Tensor(std::move(data));
}

Tensor with_shape(const Tensor& t, const Shape& shape) {
  const TensorData& from = defined_data(t);
  auto data = std::make_shared<TensorData>();
  data->dtype = from.dtype;
  data->shape = shape;
  data->storage = from.storage;
  data->offset = from.offset;
  data->constant = from.constant;
  return Tensor(std::move(data));
}

Tensor copy_of(const Tensor& t) {
  const void* from = t.raw_data();
  Tensor copy = make_tensor(type_of(t));
  std::memcpy(bytes_of(copy), from, static_cast<std::size_t>(t.size()) * size_of(t.dtype()));
  return copy;
}

Tensor make_constant(double value, DType dtype) {
  Tensor t = Tensor::full({}, value, dtype);
  t.data_handle()->constant = true;
  return t;
}

Tensor Tensor::empty(const Shape& shape, DType dtype) {
  shape.checked_size("empty");
  return make_tensor({dtype, shape});
}
Tensor Tensor::zeros(const Shape& shape, DType dtype) {
  shape.checked_size("zeros");
  Tensor t = make_tensor({dtype, shape});
  std::memset(bytes_of(t), 0, t.data_handle()->storage->bytes);
  return t;
}
Tensor Tensor::ones(const Shape& shape, DType dtype) { return full(shape, 1.0, dtype); }
Tensor Tensor::full(const Shape& shape, double value, DType dtype) {
  shape.checked_size("full");
  Tensor t = make_tensor({dtype, shape});
  const FloatEnvironment
      environment;  // numbers beside tensors become float32 here: to nearest, whatever the host has set
  fill(t, value);
  return t;
}
Tensor Tensor::scalar(double value, DType dtype) { return full({}, value, dtype); }

Tensor Tensor::view_raw(const void* pointer, const Shape& shape, DType dtype, std::shared_ptr<void> owner) {
  const std::int64_t n = shape.checked_size("view");
  if (pointer == nullptr && n != 0)
    fail<ValueError>("view", "the pointer is null", "shape is " + shape.str(), "give memory that holds the elements");
  auto data = std::make_shared<TensorData>();
  data->dtype = dtype;
  data->shape = shape;
  data->storage = Storage::wrap(pointer, static_cast<std::size_t>(n) * size_of(dtype), std::move(owner));
  return Tensor(std::move(data));
}

Tensor Tensor::from_raw(const void* pointer, std::size_t count, const Shape& shape, DType dtype) {
  const std::int64_t n = shape.checked_size("from");
  if (static_cast<std::size_t>(n) != count)
    fail<ShapeError>("from", "the number of values does not fit the shape",
                     std::to_string(count) + " values for shape " + shape.str() + " (" + std::to_string(n) + ")");
  Tensor t = make_tensor({dtype, shape});
  if (count != 0) std::memcpy(bytes_of(t), pointer, count * size_of(dtype));
  return t;
}

Tensor Tensor::make_scalar(double value) {
  Tensor t = make_constant(value, DType::float64);
  t.data_->weak = true;
  return t;
}
Tensor Tensor::make_scalar(std::int64_t value) {
  Tensor t = make_tensor({DType::int64, {}});
  std::memcpy(bytes_of(t), &value, sizeof value);
  t.data_->weak = t.data_->constant = true;
  return t;
}
Tensor Tensor::make_scalar(bool value) {
  Tensor t = make_constant(value ? 1.0 : 0.0, DType::boolean);
  t.data_->weak = true;
  return t;
}

const Shape& Tensor::shape() const { return defined_data(*this).shape; }
std::int64_t Tensor::shape(int axis) const {
  const Shape& s = shape();
  const int at = axis < 0 ? axis + s.rank() : axis;
  if (at < 0 || at >= s.rank())
    fail<IndexError>("shape", "axis out of range", "axis " + std::to_string(axis) + " of shape " + s.str());
  return s[at];
}
DType Tensor::dtype() const { return defined_data(*this).dtype; }
bool Tensor::symbolic() const noexcept { return data_ && data_->tracer != nullptr; }
bool Tensor::weak() const noexcept { return data_ && data_->weak; }
const void* Tensor::raw_data() const { return value_data(*this).bytes(); }
const void* Tensor::exported_data() const {
  const TensorData& data = value_data(*this);
  data.storage->exported = true;
  return data.bytes();
}
const void* Tensor::data_of(DType wanted) const {
  const TensorData& data = value_data(*this);
  if (data.dtype != wanted)
    fail<DTypeError>("data", "the tensor has another dtype",
                     "asked for " + std::string(name_of(wanted)) + ", is " + std::string(name_of(data.dtype)),
                     "use astype first");
  return data.bytes();
}

double Tensor::item() const {
  const TensorData& data = value_data(*this);
  if (data.shape.size() != 1)
    fail<ShapeError>("item", "the tensor does not hold exactly one element", "shape is " + data.shape.str(),
                     "index it or reduce it first");
  double value = 0;
  with_type(data.dtype,
            [&](auto zero) { value = static_cast<double>(*reinterpret_cast<const decltype(zero)*>(data.bytes())); });
  return value;
}

bool Tensor::requires_grad() const noexcept { return data_ && (data_->requires_grad || data_->node != nullptr); }
Tensor& Tensor::requires_grad_(bool on) {
  defined_data(*this);
  if (on && !is_floating(data_->dtype))
    fail<DTypeError>("requires_grad_", "only floating tensors have gradients",
                     "dtype is " + std::string(name_of(data_->dtype)), "use astype(\"float32\")");
  if (!on && data_->node)
    fail<StateError>("requires_grad_", "the tensor is the result of a recorded op", "", "use detach()");
  data_->requires_grad = on;
  return *this;
}
bool Tensor::is_leaf() const noexcept { return !data_ || data_->node == nullptr; }
Tensor& Tensor::retain_grad() {
  if (!requires_grad())
    fail<StateError>("retain_grad", "the tensor has no gradient", "no input of it requires one",
                     "call requires_grad_() on a leaf before computing");
  if (data_->node && !data_->retains_grad) {
    data_->node->retained.push_back({data_->output_index, data_});
    data_->retains_grad = true;
  }
  return *this;
}
bool Tensor::retains_grad() const noexcept { return data_ && data_->retains_grad; }
Tensor Tensor::grad() const { return defined_data(*this).grad; }
void Tensor::zero_grad() {
  defined_data(*this);
  data_->grad = Tensor();
}
Tensor& Tensor::freeze() {
  data_->constant = true;
  return *this;
}
void write_values(const Tensor& target, const Tensor& source) {
  const auto& data = target.data_handle();
  if (data->storage->borrowed)
    fail<StateError>("copy_", "the tensor shares memory of the caller, which is never written",
                     "shape is " + data->shape.str(), "make a copy first");
  std::memmove(data->bytes(), source.raw_data(), static_cast<std::size_t>(data->shape.size()) * size_of(data->dtype));
  ++data->storage->version;
}
bool take_values(const Tensor& target, const Tensor& fresh) {
  const TensorData &to = *target.data_handle(), &from = *fresh.data_handle();
  if (to.tracer || to.node || from.tracer || from.node || to.dtype != from.dtype) return false;
  if (to.offset != 0 || from.offset != 0 || !to.storage->exchange_memory(*from.storage)) return false;
  ++to.storage->version;
  return true;
}

std::string Tensor::str() const {
  if (!defined()) return "Tensor(undefined)";
  const TensorData& data = *data_;
  if (data.tracer)
    return "Tensor(symbolic, shape=" + data.shape.str() + ", dtype=" + std::string(name_of(data.dtype)) + ")";
  Tensor values = *this;
  if (data.dtype == DType::bfloat16) {  // the upper half of a float32
    values = make_tensor({DType::float32, data.shape});
    for (std::int64_t i = 0; i < data.shape.size(); ++i)
      reinterpret_cast<std::uint32_t*>(bytes_of(values))[i] =
          std::uint32_t{reinterpret_cast<const std::uint16_t*>(data.bytes())[i]} << 16;
  }
  const auto element = [&](std::int64_t i) {
    std::string text;
    with_type(values.dtype(), [&](auto zero) {
      using T = decltype(zero);
      const T v = reinterpret_cast<const T*>(bytes_of(values))[i];
      if constexpr (std::is_same_v<T, bool>) {
        text = v ? "true" : "false";
      } else if constexpr (std::is_floating_point_v<T>) {
        char buffer[40];
        std::snprintf(buffer, sizeof buffer, "%.6g", static_cast<double>(v));
        text = std::isnan(v) ? "nan" : buffer;  // without its sign
        if (text.find_first_of(".en") == std::string::npos) text += ".";
      } else {
        text = std::to_string(v);
      }
    });
    return text;
  };
  const Shape& s = data.shape;
  std::string text = "Tensor(";
  const auto write = [&](auto&& self, int axis, std::int64_t at) -> void {
    if (axis == s.rank()) {
      text += element(at);
      return;
    }
    std::int64_t step = 1;
    for (int i = axis + 1; i < s.rank(); ++i) step *= s[i];
    text += "[";
    const std::int64_t n = s[axis], shown = n > 8 ? 3 : n;
    for (std::int64_t i = 0; i < n; ++i) {
      if (n > 8 && i == shown) {
        text += ", ...";
        i = n - shown - 1;
        continue;
      }
      if (i) text += axis + 1 < s.rank() ? ",\n" + std::string(static_cast<std::size_t>(axis) + 8, ' ') : ", ";
      self(self, axis + 1, at + i * step);
    }
    text += "]";
  };
  if (s.size() == 0) {
    text += "[], shape=" + s.str();
  } else {
    write(write, 0, 0);
  }
  if (data.dtype != DType::float32) text += ", dtype=" + std::string(name_of(data.dtype));
  if (data.requires_grad)
    text += ", requires_grad=True";
  else if (data.node)
    text += ", from=" + std::string(data.node->op->name);
  return text + ")";
}

}  // namespace chainrule
