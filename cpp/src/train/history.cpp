// History: what happened, epoch by epoch.
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "chainrule/trainer.hpp"
#include "core/fail.hpp"

namespace chainrule {
namespace {

std::string cell(double value, const char* format) {
  char buffer[48];
  std::snprintf(buffer, sizeof buffer, format, value);
  return buffer;
}

std::string json_number(double value) {
  if (!std::isfinite(value)) return "null";
  return cell(value, "%.17g");
}

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20)
      out += ' ';
    else
      out += c;
  }
  return out + "\"";
}

}  // namespace

const std::vector<double>& History::operator[](const std::string& name) const {
  std::string known;
  for (const auto& [column, values] : columns_) {
    if (column == name) return values;
    known += (known.empty() ? "" : ", ") + column;
  }
  fail<IndexError>("History", "no column of this name", "'" + name + "'", "there are " + known);
}

std::size_t History::epochs() const { return columns_.empty() ? 0 : columns_[0].second.size(); }

void History::append(const std::string& name, double value) {
  for (auto& [column, values] : columns_)
    if (column == name) {
      values.push_back(value);
      return;
    }
  columns_.emplace_back(name, std::vector<double>{value});
}

void History::log(const std::vector<std::pair<std::string, double>>& values) {
  const std::size_t rows = epochs();
  for (const auto& [name, value] : values) {
    auto at = columns_.begin();
    while (at != columns_.end() && at->first != name) ++at;
    if (at == columns_.end()) at = columns_.emplace(at, name, std::vector<double>{});
    at->second.resize(rows, std::nan(""));
    if (rows > 0) at->second.back() = value;
  }
  for (auto& [name, column] : columns_) column.resize(rows, std::nan(""));
}

std::string History::str() const {
  std::string text = "epoch";
  for (const auto& [name, values] : columns_) text += std::string(name.size() > 12 ? 1 : 13 - name.size(), ' ') + name;
  const std::size_t n = epochs();
  for (std::size_t e = 0; e < n; ++e) {
    if (n > 40 && e == 20) {
      text += "\n  ...";
      e = n - 20;
    }
    char buffer[24];
    std::snprintf(buffer, sizeof buffer, "\n%5zu", e + 1);
    text += buffer;
    for (const auto& [name, values] : columns_) {
      const std::string value = e < values.size() ? cell(values[e], "%.5g") : "";
      const std::size_t width = std::max<std::size_t>(13, name.size() + 1);
      text += std::string(value.size() > width ? 1 : width - value.size(), ' ') + value;
    }
  }
  if (!stopped.empty()) text += "\nstopped: " + stopped;
  return text + "\n";
}

std::string History::json() const {
  std::string text = "{";
  for (const auto& [name, values] : columns_) {
    text += (text.size() > 1 ? ", " : "") + json_text(name) + ": [";
    for (std::size_t i = 0; i < values.size(); ++i) text += (i ? ", " : "") + json_number(values[i]);
    text += "]";
  }
  if (!stopped.empty()) text += std::string(text.size() > 1 ? ", " : "") + "\"stopped\": " + json_text(stopped);
  return text + "}";
}

}  // namespace chainrule
