// Numbers and small tensors as they are written on graphs.
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>

#include "graph/tensor_data.hpp"
#include "graph/view.hpp"

namespace chainrule {
namespace {

template <class T> double read(const Tensor& t, std::int64_t i) {
  T value;
  std::memcpy(&value, bytes_of(t) + static_cast<std::size_t>(i) * sizeof(T), sizeof(T));
  return static_cast<double>(value);
}

std::string summary(const Tensor& t, int digits) {
  double low = std::numeric_limits<double>::infinity(), high = -low, sum = 0;
  std::int64_t odd = 0;
  for (std::int64_t i = 0; i < t.size(); ++i) {
    const double v = element(t, i);
    if (!std::isfinite(v)) {
      ++odd;
      continue;
    }
    low = v < low ? v : low;
    high = v > high ? v : high;
    sum += v;
  }
  const std::string not_finite = odd ? std::to_string(odd) + " not finite" : "";
  if (odd == t.size()) return "all " + not_finite;
  return number_text(low, digits) + " to " + number_text(high, digits) + ", mean " +
         number_text(sum / static_cast<double>(t.size() - odd), digits) + (odd ? ", " + not_finite : "");
}

}  // namespace

double element(const Tensor& t, std::int64_t i) {
  switch (t.dtype()) {
    case DType::float32:
      return static_cast<double>(read<float>(t, i));
    case DType::float64:
      return read<double>(t, i);
    case DType::int32:
      return read<std::int32_t>(t, i);
    case DType::int64:
      return read<std::int64_t>(t, i);
    case DType::uint8:
      return read<std::uint8_t>(t, i);
    case DType::boolean:
      return read<bool>(t, i);
    case DType::bfloat16: {  // the upper half of a float32
      std::uint16_t half;
      std::memcpy(&half, bytes_of(t) + static_cast<std::size_t>(i) * sizeof half, sizeof half);
      const std::uint32_t whole = std::uint32_t{half} << 16;
      float value;
      std::memcpy(&value, &whole, sizeof value);
      return static_cast<double>(value);
    }
  }
  return 0;
}

std::string number_text(double value, int digits) {
  if (value == 0) value = 0;  // no minus sign
  if (std::isnan(value)) return "nan";
  char buffer[40];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
  return buffer;
}

std::string value_text(const Tensor& t, int digits, std::int64_t most, const std::string& row_end,
                       std::int64_t longest) {
  if (!t.defined()) return "?";
  const Shape& shape = t.shape();
  if (shape.size() > most || (shape.rank() > 0 && shape.back() > longest)) return summary(t, digits);
  if (shape.size() == 0) return "[]";
  std::string text;
  const auto write = [&](auto&& self, int axis, std::int64_t at) -> void {
    if (axis == shape.rank()) {
      if (t.dtype() == DType::boolean)
        text += element(t, at) != 0 ? "true" : "false";
      else if (is_floating(t.dtype()))
        text += number_text(element(t, at), digits);
      else
        text += std::to_string(static_cast<std::int64_t>(element(t, at)));
      return;
    }
    std::int64_t step = 1;
    for (int i = axis + 1; i < shape.rank(); ++i) step *= shape[i];
    text += "[";
    for (std::int64_t i = 0; i < shape[axis]; ++i) {
      if (i) text += axis + 1 < shape.rank() ? "," + row_end : ", ";
      self(self, axis + 1, at + i * step);
    }
    text += "]";
  };
  write(write, 0, 0);
  return text;
}

std::string sum_text(const Tensors& parts, const Tensor& sum, int digits) {
  const std::string whole = value_text(sum, digits);
  if (parts.size() < 2 || parts.size() > 4 || !sum.defined() || sum.size() > 4) return whole;
  std::string text;
  for (const Tensor& part : parts) {
    const std::string shown = value_text(part, digits);
    text += text.empty() ? shown : shown[0] == '-' ? " - " + shown.substr(1) : " + " + shown;
  }
  return text + " = " + whole;
}

}  // namespace chainrule
