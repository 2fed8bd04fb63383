// An Explanation as text and as HTML: forward, backward, check.
#include "graph/tensor_data.hpp"
#include "transforms/explain.hpp"

namespace chainrule {
namespace {

constexpr int digits = 4;
constexpr const char* row_end = "\n ";

struct Section {
  std::string title;
  ViewTable table;
};

std::string shown(const Tensor& t, const char* rows = row_end) { return value_text(t, digits, 64, rows, 64); }

std::string local_text(const LocalDerivative& local, const Tensor& operand) {
  if (local.slope.defined()) {
    // One number where it is the same for every element.
    bool constant = local.slope.size() > 0;
    for (std::int64_t i = 1; i < local.slope.size(); ++i)
      constant &= element(local.slope, i) == element(local.slope, 0);
    const std::string value = constant ? number_text(element(local.slope, 0), digits) : shown(local.slope, "\n   ");
    std::string text =
        local.rule.empty() || local.rule == value ? value : local.rule + (constant ? " = " : "\n= ") + value;
    if (!(operand.shape() == local.slope.shape())) text += ", summed to " + operand.shape().str();
    return text;
  }
  std::string text = local.rule;
  if (local.jacobian.defined())
    text += (text.empty() ? "J =\n" : "\nwith J =\n") + shown(local.jacobian);
  else if (text.empty())
    text = "(too large to show)";
  return text;
}

std::string fork_text(const Fork& fork, const GraphText& g) {
  const std::size_t n = fork.parts.size();
  std::string text = g.name(fork.value) + " is used " + (n == 2 ? "twice" : std::to_string(n) + " times") + ": ";
  std::string sum;
  for (const Tensor& part : fork.parts) {
    const std::string value = shown(part, " ");
    sum += sum.empty() ? value : value[0] == '-' ? " - " + value.substr(1) : " + " + value;
  }
  sum += " = " + shown(fork.sum, " ");
  if (text.size() + sum.size() <= 100) return text + sum;
  std::string lines;
  for (const Tensor& part : fork.parts)
    lines += std::string(lines.empty() ? "\n      " : "\n    + ") + shown(part, "\n       ");
  return text + lines + "\n    = " + shown(fork.sum, "\n       ");
}

std::vector<Section> sections(const ExplanationData& e) {
  const GraphText g(*e.graph, *e.view);
  const std::string f = g.name(e.graph->outputs[0]);
  Section forward{"Forward: every step and its value", {{"step", "computed as", "value"}, {0, 0, 0}, {}, true}};
  const auto leaf = [&](ValueId id, const char* kind) {
    forward.table.rows.push_back({g.name(id), kind, shown(g.value(id))});
  };
  for (ValueId id : e.graph->inputs) leaf(id, "given");
  for (const BoundValue& c : e.graph->captures) leaf(c.value, "given");
  for (const BoundValue& c : e.graph->constants)
    if (!g.literal(c.value)) leaf(c.value, "constant");
  for (const Node& node : e.graph->nodes)
    for (std::size_t j = 0; j < node.outputs.size(); ++j)
      if (j == 0 || !g.uses[static_cast<std::size_t>(node.outputs[j])].empty())
        forward.table.rows.push_back({g.name(node.outputs[j]),
                                      j ? "its output " + std::to_string(j) : g.expression(node),
                                      shown(g.value(node.outputs[j]))});

  const std::string d = "d" + f + "/d";
  Section backward{"Backward: a step takes g = " + d + "step" + (e.rows ? ", one row per output," : "") +
                       " and sends g times its local derivative to its operands",
                   {{"step", "takes g", "to", "local derivative", "sends"}, {0, 0, 0, 0, 0}, {}, true}};
  for (std::size_t i = 0; i < e.steps.size(); ++i) {
    const Step& step = e.steps[i];
    const Node& node = e.graph->nodes[step.node];
    bool first = true;
    for (const LocalDerivative& local : step.operands) {
      const ValueId operand = node.inputs[local.operand];
      backward.table.rows.push_back({first ? g.name(node.outputs[0]) + " = " + g.expression(node) : "",
                                     first ? shown(step.arrived) : "", g.name(operand),
                                     local_text(local, g.value(operand)), shown(local.sent)});
      first = false;
    }
    for (const Fork& fork : e.forks)
      if (fork.after_step == i) backward.table.rows.push_back({"  " + fork_text(fork, g)});
  }

  Section check{"Check: beside central differences (f(x + h) - f(x - h)) / 2h in float64",
                {{"derivative", "chain rule", "numeric", "difference"}, {0, 0, 0, 1}, {}, true}};
  for (const Checked& c : e.checked)
    check.table.rows.push_back(
        {d + g.name(c.value), shown(c.analytic), shown(c.numeric), number_text(c.difference, 2)});
  return {forward, backward, check};
}

}  // namespace

std::string Explanation::str() const {
  std::string text;
  for (const Section& s : sections(*data_)) text += (text.empty() ? "" : "\n") + s.title + "\n\n" + s.table.text("  ");
  text.pop_back();
  return text;
}

std::string Explanation::to_html() const {
  std::string html;
  for (const Section& s : sections(*data_)) html += "<p><b>" + escape_html(s.title) + "</b></p>\n" + s.table.html();
  return html;
}

}  // namespace chainrule
