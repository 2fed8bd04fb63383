// The registry as plain facts for readers outside the library.
#include "chainrule/registry.hpp"

#include <cstdio>

#include "graph/op.hpp"

namespace chainrule {
namespace {

const char* word(Derivative d) {
  constexpr const char* words[] = {"none",     "zero",      "elementwise", "linear",
                                   "bilinear", "symmetric", "custom",      "composite"};
  return words[static_cast<std::size_t>(d)];
}
const char* word(Batch b) {
  constexpr const char* words[] = {"elementwise", "leading", "rule", "loop"};
  return words[static_cast<std::size_t>(b)];
}
const char* word(AttributeField::Kind k) {
  constexpr const char* words[] = {"list", "real", "integer", "flag", "dtype"};
  return words[static_cast<std::size_t>(k)];
}

std::string operand_name(const Op& op, int i) {
  if (op.max_inputs == 1) return "x";
  if (op.max_inputs > 6) return "x" + std::to_string(i);
  return std::string(1, static_cast<char>('a' + i));
}

std::string saved_operands(const Op& op) {
  std::string text;
  const auto add = [&](const std::string& name) { text += (text.empty() ? "" : ", ") + name; };
  const bool all = (op.saves & save_inputs) == save_inputs && op.max_inputs > 6;
  if (all) add("all operands");
  for (int i = 0; !all && i < op.max_inputs; ++i)
    if (op.saves & save_input(i)) add(operand_name(op, i));
  for (int j = 0; j < op.outputs; ++j)
    if (op.saves & (save_output << j)) add(op.outputs == 1 ? "y" : "y" + std::to_string(j));
  return text;
}

// The rule for every operand, "ga = ..., gb = ..."; attributes appear by name.
std::string written_rule(const Op& op) {
  if (op.rule == nullptr) return {};
  std::vector<std::string> names;
  for (int i = 0; i < op.max_inputs; ++i) names.push_back(operand_name(op, i));
  Attrs attrs;
  for (std::size_t i = 0; i < attrs.reals.size(); ++i) attrs.reals[i] = static_cast<double>(i + 1) * 1e71;
  std::string text;
  for (int i = 0; i < op.max_inputs; ++i) {
    const std::string rule = op.rule(i, names, "y", "g", attrs);
    if (!rule.empty()) text += (text.empty() ? "g" : ", g") + names[static_cast<std::size_t>(i)] + " = " + rule;
  }
  for (const AttributeField& field : op.attributes) {
    const std::string number = std::to_string(field.slot + 1) + "e+71";
    for (std::size_t at; field.kind == AttributeField::Kind::real && (at = text.find(number)) != std::string::npos;)
      text.replace(at, number.size(), field.name);
  }
  return text;
}

std::string written_flops(const Op& op) {
  if (op.view) return "0";
  if (op.flops) return "from the shapes";
  char text[40];
  std::snprintf(text, sizeof text, "%g per element", op.flops_per_output);
  return text;
}

}  // namespace

std::vector<OpFacts> op_table() {
  std::vector<OpFacts> table;
  for (const Op& op : all_ops()) {
    OpFacts facts{std::string(op.name),
                  std::string(op.doc),
                  op.version,
                  op.min_inputs,
                  op.max_inputs,
                  op.outputs,
                  {},
                  word(op.derivative),
                  word(op.batch),
                  saved_operands(op),
                  written_rule(op),
                  std::string(op.symbol),
                  written_flops(op),
                  op.internal,
                  op.pure,
                  op.elementwise,
                  op.broadcasts,
                  {}};
    for (const AttributeField& field : op.attributes) facts.attributes.emplace_back(field.name, word(field.kind));
    for (int d = 0; d < dtype_count; ++d)
      if (op.kernel[static_cast<std::size_t>(d)] != nullptr) facts.dtypes.push_back(static_cast<DType>(d));
    table.push_back(std::move(facts));
  }
  return table;
}

}  // namespace chainrule
