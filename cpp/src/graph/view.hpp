// What a Graph shows beside its ops: names, values, gradients and what flowed along every edge. Only for looking at;
// nothing runs from it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "graph/graph.hpp"
#include "graph/view_table.hpp"

namespace chainrule {

struct GradNode;

struct GraphView {
  std::vector<std::string> names;  // by value; empty: one is made up
  Tensors values;                  // by value; undefined: not known. Both are empty where nothing was run
  Tensors gradients;               // by value; undefined: none arrived
  std::vector<Tensors> sent;       // by node and operand: what the op sent back; an operand's gradient is their sum
  std::vector<std::pair<std::weak_ptr<GradNode>, int>> origins;  // by value: the recorded op it came from, if any
  std::weak_ptr<Tracer> tracer;                                  // whose symbols name values
  std::vector<std::string> notes;                                // whole lines below the table
};

enum class ValueKind { input, captured, constant, computed };

// A graph ready to be written: every value with its name and kind, every node with its cost.
struct GraphText {
  GraphText(const GraphData& data, const GraphView& view);

  const std::string& name(ValueId id) const { return names[static_cast<std::size_t>(id)]; }
  ValueKind kind(ValueId id) const { return kinds[static_cast<std::size_t>(id)]; }
  std::string type(ValueId id) const;
  Tensor value(ValueId id) const;
  Tensor gradient(ValueId id) const;
  Tensor sent(std::size_t node, std::size_t operand) const;
  bool output(ValueId id) const;
  Tensors summands(ValueId id) const;              // of its gradient, in the order in which they are added
  bool literal(ValueId id) const;                  // a constant number: written where it is used
  std::string expression(const Node& node) const;  // "x @ W", "sum(v1, axes=(0,))"
  std::string target(const StateUpdate& update) const;

  const GraphData& data;
  const GraphView& view;
  std::vector<std::string> names;
  std::vector<ValueKind> kinds;
  std::vector<std::int64_t> saved;  // bytes, by node: each array once, where it is first needed
  // By value: (node, operand) wherever it is used, last first: the order in which backward adds.
  std::vector<std::vector<std::pair<std::size_t, std::size_t>>> uses;
  bool has_values = false, has_gradients = false;
};

// Bytes that backward keeps, by node: every array once, at the first op that reads it. Captured tensors and constants
// live anyway and are not counted.
std::vector<std::int64_t> saved_bytes(const GraphData& graph);

// --- tables (print.cpp) ---------------------------------------------------------------------------------------------
ViewTable graph_table(const GraphText& g);
std::vector<std::string> graph_footer(const GraphText& g);

// --- numbers (view_values.cpp) --------------------------------------------------------------------------------------
double element(const Tensor& t, std::int64_t i);
std::string number_text(double value, int digits = 4);
// In full up to `most` elements and `longest` in a row, "[[1, 2], [3, 4]]" with `row_end` between the rows of a matrix;
// else a summary.
std::string value_text(const Tensor& t, int digits = 4, std::int64_t most = 16, const std::string& row_end = " ",
                       std::int64_t longest = 7);
// "5 + 2 = 7" of small values, else only the sum.
std::string sum_text(const Tensors& parts, const Tensor& sum, int digits = 4);

// --- pictures (view_dot.cpp) ----------------------------------------------------------------------------------------
std::string escape_html(const std::string& text);

}  // namespace chainrule
