// Text of arguments, and reading them back with every type checked.
#include "core/arguments.hpp"

#include <charconv>
#include <cmath>

#include "core/fail.hpp"

namespace chainrule::nn {
namespace {

template <class T>
std::string join(const std::vector<T>& values) {
  std::string text = "(";
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i) text += ", ";
    if constexpr (std::is_same_v<T, double>)
      text += text_of(values[i]);
    else
      text += std::to_string(values[i]);
  }
  return text + (values.size() == 1 ? ",)" : ")");
}

}  // namespace

std::string text_of(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[40];
  const bool plain = value == 0.0 || (std::abs(value) >= 1e-4 && std::abs(value) < 1e16);  // as Python's repr
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value, format).ptr;
  std::string text(buffer, end);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

std::string text_of(const ArgumentValue& value) {
  struct Text {
    std::string operator()(bool v) const { return v ? "True" : "False"; }
    std::string operator()(std::int64_t v) const { return std::to_string(v); }
    std::string operator()(double v) const { return text_of(v); }
    std::string operator()(const std::string& v) const { return "'" + v + "'"; }
    std::string operator()(const std::vector<std::int64_t>& v) const { return join(v); }
    std::string operator()(const std::vector<double>& v) const { return join(v); }
    std::string operator()(const std::vector<Called>& v) const {
      if (v.size() == 1) return text_of(v[0]);
      std::string text;
      for (const Called& each : v) text += (text.empty() ? "" : ", ") + text_of(each);
      return "[" + text + "]";
    }
  };
  return std::visit(Text{}, value);
}

std::string text_of(const Called& called) { return called.name + "(" + text_of(called.arguments, 0, {}) + ")"; }

std::string text_of(const Arguments& arguments, std::size_t positional, const Arguments& defaults) {
  std::string text;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& [name, value] = arguments[i];
    bool usual = false;
    for (const auto& [other, otherwise] : defaults) usual |= i >= positional && other == name && otherwise == value;
    if (usual) continue;
    if (!text.empty()) text += ", ";
    if (i >= positional) text += name + "=";
    text += text_of(value);
  }
  return text;
}

ArgumentReader::ArgumentReader(std::string_view kind, const Arguments& arguments)
    : kind_(kind), arguments_(arguments), read_(arguments.size()) {}

const ArgumentValue* ArgumentReader::find(std::string_view name) {
  for (std::size_t i = 0; i < arguments_.size(); ++i)
    if (arguments_[i].first == name) {
      read_[i] = true;
      return &arguments_[i].second;
    }
  return nullptr;
}

void ArgumentReader::wrong(std::string_view name, const ArgumentValue& value, std::string_view wanted) const {
  fail<ValueError>(kind_, std::string(name) + " has the wrong type", text_of(value),
                   "it must be " + std::string(wanted));
}

bool ArgumentReader::has(std::string_view name) const {
  for (const auto& [other, value] : arguments_)
    if (other == name) return true;
  return false;
}

std::int64_t ArgumentReader::integer(std::string_view name) {
  const ArgumentValue* value = find(name);
  if (!value) fail<ValueError>(kind_, "an argument is missing", name);
  if (const auto* number = std::get_if<std::int64_t>(value)) return *number;
  wrong(name, *value, "an integer");
}

std::int64_t ArgumentReader::integer(std::string_view name, std::int64_t otherwise) {
  return has(name) ? integer(name) : otherwise;
}

bool ArgumentReader::flag(std::string_view name, bool otherwise) {
  const ArgumentValue* value = find(name);
  if (!value) return otherwise;
  if (const auto* flag = std::get_if<bool>(value)) return *flag;
  wrong(name, *value, "True or False");
}

double ArgumentReader::real(std::string_view name, double otherwise) {
  const ArgumentValue* value = find(name);
  if (!value) return otherwise;
  if (const auto* number = std::get_if<double>(value)) return *number;
  if (const auto* number = std::get_if<std::int64_t>(value)) return static_cast<double>(*number);
  wrong(name, *value, "a number");
}

std::string ArgumentReader::text(std::string_view name, const std::string& otherwise) {
  const ArgumentValue* value = find(name);
  if (!value) return otherwise;
  if (const auto* text = std::get_if<std::string>(value)) return *text;
  wrong(name, *value, "text");
}

std::vector<double> ArgumentReader::reals(std::string_view name, const std::vector<double>& otherwise) {
  const ArgumentValue* value = find(name);
  if (!value) return otherwise;
  if (const auto* numbers = std::get_if<std::vector<double>>(value)) return *numbers;
  if (const auto* numbers = std::get_if<std::vector<std::int64_t>>(value))
    return std::vector<double>(numbers->begin(), numbers->end());
  wrong(name, *value, "a list of numbers");
}

std::vector<std::int64_t> ArgumentReader::integers(std::string_view name) {
  const ArgumentValue* value = find(name);
  if (!value) fail<ValueError>(kind_, "an argument is missing", name);
  if (const auto* numbers = std::get_if<std::vector<std::int64_t>>(value)) return *numbers;
  wrong(name, *value, "a list of integers");
}

const std::vector<Called>* ArgumentReader::called(std::string_view name) {
  const ArgumentValue* value = find(name);
  return value ? std::get_if<std::vector<Called>>(value) : nullptr;
}

DType ArgumentReader::dtype() { return dtype_from_name(text("dtype", "float32")); }

void ArgumentReader::finish() const {
  for (std::size_t i = 0; i < read_.size(); ++i)
    if (!read_[i])
      fail<ValueError>(kind_, "unknown argument", arguments_[i].first + "=" + text_of(arguments_[i].second));
}

}  // namespace chainrule::nn
