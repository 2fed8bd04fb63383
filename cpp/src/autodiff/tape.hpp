// The tape of eager calls: backward over recorded ops, and forward mode over the same record.
#pragma once

#include <functional>
#include <span>

#include "graph/tensor_data.hpp"

namespace chainrule {

struct TapeOptions {
  bool retain = false;              // keep what was recorded for another backward
  bool create_graph = false;        // record the backward too
  std::span<const Tensor> stops{};  // recorded tensors that count as leaves: nothing behind them is reached
};
// Sends each leaf's summed cotangent to `arrive`, in no particular order.
void run_tape(std::span<const Tensor> roots, std::span<const Tensor> cotangents, const TapeOptions& options,
              const std::function<void(const std::shared_ptr<TensorData>&, const Tensor&)>& arrive);
// Tangents of `outputs` when the leaves (or stops) move along `tangents`; undefined where zero. With `record` the
// tangents are recorded in turn.
Tensors push_tape(std::span<const Tensor> outputs, std::span<const Tensor> leaves, std::span<const Tensor> tangents,
                  bool record = false);

}  // namespace chainrule
