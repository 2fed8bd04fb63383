// The tape of eager calls: backward over recorded ops, and forward mode over the same record.
#pragma once

#include <functional>
#include <span>

#include "graph/tensor_data.hpp"

namespace chainrule {

// Every recorded op that the roots came from, earliest first; none of the stops' and none behind them.
std::vector<std::shared_ptr<GradNode>> nodes_behind(std::span<const Tensor> roots, std::span<const Tensor> stops);
Tensor restored(const SavedValue& saved, const TensorType& type);  // a tensor on the memory that was kept

struct TapeOptions {
  bool retain = false;              // keep what was recorded for another backward; otherwise it is freed as it is used
  bool create_graph = false;        // record the backward too, and keep the rest
  std::span<const Tensor> stops{};  // recorded tensors that count as leaves: nothing behind them is reached
};
// Takes a leaf (or a stop, or a result that retains its gradient) and its summed cotangent, which it may keep.
using Arrive = std::function<void(const std::shared_ptr<TensorData>&, Tensor&&)>;

// Sends cotangents from the roots to the leaves. Every recorded op is visited at most once, the latest first. Calls
// `arrive` at the very end, once per leaf, in no particular order: where a rule throws, nothing has arrived. Leaves
// that nobody holds any more are passed over.
void run_tape(std::span<const Tensor> roots, std::span<const Tensor> cotangents, const TapeOptions& options,
              const Arrive& arrive);
// Whether what was recorded between the stops and the outputs also used leaves that want a gradient: it would be lost
// if the derivative were not recorded in turn.
bool reaches_other_leaves(std::span<const Tensor> outputs, std::span<const Tensor> stops);
// Tangents of `outputs` when the leaves (or stops) move along `tangents`; undefined where zero. With `record` the
// tangents are recorded in turn.
Tensors push_tape(std::span<const Tensor> outputs, std::span<const Tensor> leaves, std::span<const Tensor> tangents,
                  bool record = false);

}  // namespace chainrule
