// Runs a compiled function over consecutive batches of rows, reading the caller's memory where it lies.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "graph/tensor_data.hpp"
#include "program/workspace.hpp"

namespace chainrule {

// The common number of rows; throws ShapeError where they differ or there are none.
std::int64_t common_rows(const char* who, const std::vector<Tensor>& x, const Tensor& y = {});
// The type of a batch of `rows` rows of x.
TensorType batch_type(const Tensor& x, std::int64_t rows);
std::size_t row_bytes(const Tensor& x);
std::vector<Tensor> take_rows(const std::vector<Tensor>& x, std::span<const std::int64_t> rows);  // of each

// Compiled for so many rows.
struct RowsProgram {
  std::unique_ptr<Workspace> workspace{};
  std::int64_t rows = -1;
};
// For each batch: after the run, receive(workspace, first row, rows). trace makes the graph for a number of rows.
void run_batches(const std::vector<Tensor>& rows_of, std::int64_t batch_size,
                 const std::function<GraphData(std::int64_t rows)>& trace,
                 const std::function<void(const Workspace&, std::int64_t first, std::int64_t rows)>& receive,
                 RowsProgram& program);  // of the last call, kept for the next

// Whole-set result of one output, filled batch by batch.
class Gathered {
 public:
  void receive(const Workspace& workspace, std::size_t output, std::int64_t first, std::int64_t rows,
               std::int64_t total, const char* who);
  const Tensor& tensor() const { return tensor_; }

 private:
  Tensor tensor_;
};

}  // namespace chainrule
