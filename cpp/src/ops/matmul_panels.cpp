// The batched product does it: for one row, C as (panels, 1, columns) is C as (1, N).
#include "ops/matmul_panels.hpp"

#include <cstring>

namespace chainrule {
namespace {

constexpr std::int64_t panel_bytes = 512;  // of a row of a panel: wider ones measured slower

}  // namespace

std::int64_t panel_columns(const Node& node, const Types& types) {
  static const Op& matmul = find_op("matmul");
  if (node.op != &matmul || node.attrs.ints[0] != 0 || node.attrs.ints[1] != 0) return 0;
  const TensorType &row = types[static_cast<std::size_t>(node.inputs[0])],
                   &matrix = types[static_cast<std::size_t>(node.inputs[1])];
  if (row.shape.rank() != 2 || matrix.shape.rank() != 2 || row.shape[0] != 1) return 0;
  const std::int64_t n = matrix.shape[1], item = static_cast<std::int64_t>(size_of(matrix.dtype));
  const std::int64_t most = panel_bytes / item, line = 64 / item;
  if (n <= most) return 0;  // one panel already
  std::int64_t best = 0;    // whole cache lines if possible, then as wide as possible; narrow ones do not pay
  for (std::int64_t columns = most / 4; columns <= most; ++columns)
    if (n % columns == 0 && (columns % line == 0 || best % line != 0 || best == 0)) best = columns;
  return best;
}

void copy_to_panels(std::byte* to, const std::byte* from, const TensorType& matrix, std::int64_t columns) {
  const auto width = static_cast<std::size_t>(columns) * size_of(matrix.dtype);
  const auto row = static_cast<std::size_t>(matrix.shape[1]) * size_of(matrix.dtype);
  for (std::size_t at = 0; at < row; at += width)
    for (std::int64_t k = 0; k < matrix.shape[0]; ++k, to += width)
      std::memcpy(to, from + static_cast<std::size_t>(k) * row + at, width);
}

void multiply_panels(GraphData& graph, std::size_t node, ValueId panels) {
  const TensorType matrix = graph.types[static_cast<std::size_t>(panels)];
  const ValueId whole = graph.nodes[node].outputs[0];
  const TensorType result = graph.types[static_cast<std::size_t>(whole)];
  const ValueId parts = graph.add_value({result.dtype, Shape{matrix.shape[0], 1, matrix.shape[2]}});
  graph.nodes[node].inputs[1] = panels;
  graph.nodes[node].outputs[0] = parts;
  Node view{&find_op("reshape"), {parts}, {whole}};
  view.attrs.lists[0] = result.shape;
  graph.nodes.insert(graph.nodes.begin() + static_cast<std::ptrdiff_t>(node) + 1, std::move(view));
}

}  // namespace chainrule
