// Formulas as text: the derivative of an elementwise op, written out by running its formula on names instead of
// numbers. What a reader sees is therefore the code's own rule.
#pragma once

#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "chainrule/elementwise_list.hpp"

namespace chainrule {

class Text {
 public:
  enum Binds { sum, product, atom };

  Text(std::string text, Binds binds) : text_(std::move(text)), binds_(binds) {}
  explicit Text(const std::string& name) : Text(name, atom) {}
  explicit Text(double value) : Text(std::string(), value < 0 ? sum : atom) {
    char buffer[40];
    std::snprintf(buffer, sizeof buffer, "%.4g", value);
    text_ = buffer;
  }
  const std::string& str() const { return text_; }
  std::string within(Binds at_least) const { return binds_ < at_least ? "(" + text_ + ")" : text_; }
  bool is(const char* text) const { return text_ == text; }
  bool negative() const { return !text_.empty() && text_[0] == '-'; }

 private:
  std::string text_;
  Binds binds_;
};

inline Text operator-(const Text& a) {
  if (a.is("0")) return a;
  return {"-" + a.within(Text::product), Text::sum};
}
inline Text operator+(const Text& a, const Text& b) {
  if (b.negative()) return {a.str() + " - " + b.str().substr(1), Text::sum};
  if (a.negative()) return {b.str() + " - " + a.str().substr(1), Text::sum};
  if (a.str() == b.str()) return {"2 * " + a.within(Text::product), Text::product};
  return {a.str() + " + " + b.str(), Text::sum};
}
inline Text operator-(const Text& a, const Text& b) { return {a.str() + " - " + b.within(Text::product), Text::sum}; }
inline Text operator*(const Text& a, const Text& b) {
  if (a.is("1")) return b;
  if (b.is("1")) return a;
  if (a.is("0") || b.is("0")) return Text(0.0);
  if (b.is("-1")) return -a;
  if (a.negative()) {
    const std::string rest = a.str().substr(1);
    return -(Text(rest, rest.find(' ') == std::string::npos ? Text::atom : Text::product) * b);
  }
  if (a.str() == b.str()) return {a.within(Text::atom) + "**2", Text::product};
  const bool quotient = b.str().find(" / ") != std::string::npos;
  return {a.within(Text::product) + " * " + b.within(quotient ? Text::atom : Text::product), Text::product};
}
inline Text operator/(const Text& a, const Text& b) {
  return {a.within(Text::product) + " / " + b.within(Text::atom), Text::product};
}
inline Text fma(const Text& a, const Text& b, const Text& c) {
  const Text ab = a * b;
  return ab.negative() ? c + ab : ab + c;
}
inline Text where(const Text& condition, const Text& a, const Text& b) {
  return Text("where(" + condition.str() + ", " + a.str() + ", " + b.str() + ")");
}

// How the two-operand words are written between their operands; empty: as a call.
inline std::string_view infix(std::string_view name) {
  static constexpr std::pair<std::string_view, std::string_view> written[] = {
      {"add", "+"},         {"subtract", "-"}, {"multiply", "*"},      {"divide", "/"},
      {"power", "**"},      {"equal", "=="},   {"not_equal", "!="},    {"less", "<"},
      {"less_equal", "<="}, {"greater", ">"},  {"greater_equal", ">="}};
  for (const auto& [word, symbol] : written)
    if (word == name) return symbol;
  return {};
}
inline Text two_operands(std::string_view name, const Text& a, const Text& b) {
  const std::string symbol(infix(name));
  if (symbol.empty()) return Text(std::string(name) + "(" + a.str() + ", " + b.str() + ")");
  if (symbol == "**") return {a.within(Text::atom) + "**" + b.within(Text::atom), Text::product};
  return {a.within(Text::product) + " " + symbol + " " + b.within(Text::product), Text::sum};
}

// Every op of the lists is a word of formulas; these from words.hpp stay as they are, without what only guards them.
#define CHAINRULE_WORD(name, Struct, doc) \
  inline Text name(const Text& x) { return Text(#name "(" + x.str() + ")"); }
CHAINRULE_UNARY_OPS(CHAINRULE_WORD)
CHAINRULE_WORD(normal_pdf, , )
CHAINRULE_WORD(normal_cdf, , )
#undef CHAINRULE_WORD
#define CHAINRULE_WORD(name, Struct, doc) \
  inline Text name(const Text& a, const Text& b) { return two_operands(#name, a, b); }
CHAINRULE_BINARY_OPS(CHAINRULE_WORD)
CHAINRULE_COMPARISON_OPS(CHAINRULE_WORD)
#undef CHAINRULE_WORD
inline Text times_sigmoid(const Text& x, const Text& z) { return x * sigmoid(z); }
inline Text within_1000(const Text& x) { return x; }

}  // namespace chainrule
