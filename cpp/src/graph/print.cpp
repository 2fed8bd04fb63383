// A Graph as a table, one line per value: the text of print(graph), and of a notebook where there is no picture.
#include "graph/tensor_data.hpp"
#include "graph/view.hpp"

namespace chainrule {
namespace {

std::size_t index(ValueId id) { return static_cast<std::size_t>(id); }

std::string thousands(std::int64_t n) {
  std::string text = std::to_string(n);
  for (int at = static_cast<int>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<std::size_t>(at), ",");
  return text;
}

constexpr std::size_t widest_table = 110;  // columns of a terminal

// What stands in the row of one value.
struct Row {
  ValueId id;
  std::string op, flops, saved, module;
};

std::vector<Row> rows_of(const GraphText& g) {
  std::vector<Row> rows;
  for (ValueId id : g.data.inputs) rows.push_back({id, "input", {}, {}, {}});
  for (const BoundValue& c : g.data.captures) rows.push_back({c.value, "captured", {}, {}, {}});
  for (const BoundValue& c : g.data.constants)
    if (!g.literal(c.value)) rows.push_back({c.value, "constant", {}, {}, {}});
  for (std::size_t n = 0; n < g.data.nodes.size(); ++n) {
    const Node& node = g.data.nodes[n];
    for (std::size_t j = 0; j < node.outputs.size(); ++j) {
      const ValueId id = node.outputs[j];
      if (j == 0)
        rows.push_back(
            {id, g.expression(node), thousands(node_flops(g.data, node)), thousands(g.saved[n]), node.scope});
      else if (!g.uses[index(id)].empty() || g.output(id))
        rows.push_back({id, "  its output " + std::to_string(j), {}, {}, node.scope});
    }
  }
  return rows;
}

std::string gradient_text(const GraphText& g, ValueId id, const std::string& row_end) {
  const Tensor sum = g.gradient(id);
  if (!sum.defined()) return {};
  return sum.size() == 1 ? sum_text(g.summands(id), sum) : value_text(sum, 4, 16, row_end);
}

// Costs where nothing was run; else values and gradients, in columns or, where that is too wide, in lines of their own.
ViewTable table_of(const GraphText& g, const std::vector<Row>& rows, bool columns) {
  const bool numbers = g.has_values || g.has_gradients;
  bool modules = false;
  for (const Row& row : rows) modules |= !row.module.empty();
  ViewTable table;
  const auto column = [&](const char* title, bool right) {
    table.header.emplace_back(title);
    table.right.push_back(right);
  };
  column("name", false);
  column("computed as", false);
  column("shape", false);
  column("dtype", false);
  if (!numbers) {
    column("FLOP", true);
    column("saved B", true);
  } else if (columns) {
    column("value", false);
    if (g.has_gradients) column("gradient", false);
  }
  if (modules) column("module", false);
  for (const Row& row : rows) {
    const TensorType& type = g.data.types[index(row.id)];
    std::vector<std::string> cells = {g.name(row.id), row.op, type.shape.str(), std::string(name_of(type.dtype))};
    if (!numbers) {
      cells.push_back(row.flops);
      cells.push_back(row.saved);
    } else if (columns) {
      cells.push_back(value_text(g.value(row.id), 4, 16, "\n "));
      if (g.has_gradients) cells.push_back(gradient_text(g, row.id, "\n "));
    }
    if (modules) cells.push_back(row.module);
    table.rows.push_back(std::move(cells));
    if (numbers && !columns) {
      const std::string rows_below = "\n" + std::string(14, ' ');
      std::string text = "    value    " + value_text(g.value(row.id), 4, 16, rows_below);
      if (const std::string g_text = gradient_text(g, row.id, rows_below); !g_text.empty())
        text += "\n    gradient " + g_text;
      table.rows.push_back({text});
    }
  }
  return table;
}

}  // namespace

ViewTable graph_table(const GraphText& g) {
  const std::vector<Row> rows = rows_of(g);
  ViewTable table = table_of(g, rows, true);
  return table.width() <= widest_table ? table : table_of(g, rows, false);
}

std::vector<std::string> graph_footer(const GraphText& g) {
  std::vector<std::string> lines;
  std::string result = "returns ";
  for (std::size_t i = 0; i < g.data.outputs.size(); ++i) result += (i ? ", " : "") + g.name(g.data.outputs[i]);
  lines.push_back(result);
  for (const StateUpdate& update : g.data.updates)
    lines.push_back("updates " + g.target(update) + " to " + g.name(update.value));
  std::int64_t flops = 0, bytes = 0;
  for (const Node& node : g.data.nodes) flops += node_flops(g.data, node);
  for (std::int64_t b : g.saved) bytes += b;
  lines.push_back("total: " + std::to_string(g.data.nodes.size()) + (g.data.nodes.size() == 1 ? " op, " : " ops, ") +
                  thousands(flops) + " FLOP, " + thousands(bytes) + " bytes saved for backward");
  lines.insert(lines.end(), g.view.notes.begin(), g.view.notes.end());
  return lines;
}

const GraphView& Graph::view() const {
  static const GraphView nothing;
  return view_ ? *view_ : nothing;
}

std::string Graph::str() const {
  if (!data_) return "(empty graph)";
  const GraphText g(*data_, view());
  std::string text = graph_table(g).text();
  for (const std::string& line : graph_footer(g)) text += line + "\n";
  text.pop_back();
  return text;
}
std::size_t Graph::size() const { return data_ ? data_->nodes.size() : 0; }
std::int64_t Graph::flops() const {
  std::int64_t total = 0;
  if (data_)
    for (const Node& node : data_->nodes) total += node_flops(*data_, node);
  return total;
}
std::int64_t Graph::saved_bytes() const {
  std::int64_t total = 0;
  if (data_)
    for (std::int64_t bytes : chainrule::saved_bytes(*data_)) total += bytes;
  return total;
}

}  // namespace chainrule
