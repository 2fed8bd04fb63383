// A number as the shortest text that reads back the same; whole numbers without a point: 3, 0.1, 1e+30.
#pragma once

#include <charconv>
#include <cmath>
#include <optional>
#include <string>
#include <string_view>

namespace chainrule::io {

inline std::string number_text(double value) {
  if (std::isnan(value)) return {};
  char text[64];
  const bool whole = std::fabs(value) < 1e15 && value == std::floor(value);
  const auto end = whole ? std::to_chars(text, text + sizeof text, static_cast<long long>(value)).ptr
                         : std::to_chars(text, text + sizeof text, value).ptr;
  return {text, end};
}

inline std::optional<double> text_number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return {};
  return value;
}

}  // namespace chainrule::io
