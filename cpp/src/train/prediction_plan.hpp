// A prediction's graph in two: what depends on weights only, computed once per snapshot, and what depends on samples.
#pragma once

#include <memory>
#include <vector>

#include "graph/graph.hpp"

namespace chainrule {

// One value that crosses from the first graph to the second.
struct WeightSlot {
  TensorType type;           // in the first graph
  std::int64_t columns = 0;  // of a panel, where it is laid out in panels (ops/matmul_panels.hpp)
  Tensor tensor{};           // its place in the second one, all in one block
};

struct PredictionPlan {
  GraphData weights;              // no inputs -> one output per slot
  GraphData samples;              // captures the slots' tensors
  std::vector<WeightSlot> slots;  // their memory holds zeros at first
};
PredictionPlan split_weights(const GraphData& prediction);

void fill_slot(const WeightSlot& slot, const void* value);
std::size_t bytes_of_type(const TensorType& type);

}  // namespace chainrule
