// Batches of consecutive rows through a Program.
#include "train/batched_run.hpp"

#include <cstring>

#include "chainrule/data.hpp"
#include "core/fail.hpp"

namespace chainrule {

std::int64_t common_rows(const char* who, const std::vector<Tensor>& x, const Tensor& y) {
  if (x.empty()) fail<ValueError>(who, "no input was given");
  std::int64_t rows = -1;
  const auto check = [&](const Tensor& t, const std::string& name) {
    if (!t.defined()) fail<StateError>(who, name + " is undefined", "", "give it a value");
    if (t.rank() == 0) fail<ShapeError>(who, name + " has no rows", "its shape is ()", "give one row per sample");
    if (rows >= 0 && t.shape(0) != rows)
      fail<ShapeError>(who, "numbers of samples differ",
                       name + " is " + t.shape().str() + ", the first input has " + std::to_string(rows) + " rows");
    rows = t.shape(0);
  };
  for (std::size_t i = 0; i < x.size(); ++i) check(x[i], x.size() == 1 ? "x" : "input " + std::to_string(i));
  if (y.defined()) check(y, "y");
  if (rows == 0) fail<ShapeError>(who, "there are no samples", "x is " + x[0].shape().str(), "check for empty data");
  return rows;
}

TensorType batch_type(const Tensor& x, std::int64_t rows) {
  TensorType type = type_of(x);
  type.shape[0] = rows;
  return type;
}

std::size_t row_bytes(const Tensor& x) {
  std::size_t bytes = size_of(x.dtype());
  for (int i = 1; i < x.rank(); ++i) bytes *= static_cast<std::size_t>(x.shape(i));
  return bytes;
}

std::vector<Tensor> take_rows(const std::vector<Tensor>& x, std::span<const std::int64_t> rows) {
  std::vector<Tensor> taken;
  for (const Tensor& t : x) taken.push_back(data::take_rows(t, rows));
  return taken;
}

void run_batches(const std::vector<Tensor>& rows_of, std::int64_t batch_size,
                 const std::function<GraphData(std::int64_t rows)>& trace,
                 const std::function<void(const Workspace&, std::int64_t first, std::int64_t rows)>& receive,
                 RowsProgram& program) {
  if (batch_size < 1) fail<ValueError>("batch_size", "must be at least 1", std::to_string(batch_size));
  const std::int64_t total = rows_of[0].shape(0);
  auto& [workspace, traced_rows] = program;
  for (std::int64_t first = 0; first < total; first += batch_size) {
    const std::int64_t rows = std::min(batch_size, total - first);
    if (rows != traced_rows) {
      workspace = std::make_unique<Workspace>(compile_program(trace(rows)), available_threads());
      traced_rows = rows;
    }
    for (std::size_t i = 0; i < rows_of.size(); ++i)
      workspace->bind_input(i, static_cast<const std::byte*>(rows_of[i].raw_data()) +
                                   static_cast<std::size_t>(first) * row_bytes(rows_of[i]));
    workspace->run();
    receive(*workspace, first, rows);
  }
}

void Gathered::receive(const Workspace& workspace, std::size_t output, std::int64_t first, std::int64_t rows,
                       std::int64_t total, const char* who) {
  const GraphData& graph = workspace.program().graph;
  TensorType type = graph.types[static_cast<std::size_t>(graph.outputs[output])];
  if (type.shape.rank() == 0 || type.shape[0] != rows)
    fail<ShapeError>(who, "the model's output does not have one row per sample",
                     "it is " + type.shape.str() + " for " + std::to_string(rows) + " samples",
                     "keep the batch as the first axis");
  type.shape[0] = total;
  if (!tensor_.defined()) tensor_ = make_tensor(type);
  const std::size_t width = row_bytes(tensor_);
  if (width * static_cast<std::size_t>(rows) != 0)
    std::memcpy(bytes_of(tensor_) + static_cast<std::size_t>(first) * width, workspace.output(output),
                width * static_cast<std::size_t>(rows));
}

}  // namespace chainrule
