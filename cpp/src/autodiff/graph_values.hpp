// A Graph on values, to look at: every value, and backward's cotangents and summands. Not how graphs are run fast.
#pragma once

#include "graph/view.hpp"

namespace chainrule {

// Computes every value that follows from the known ones; the others stay undefined.
void fill_values(const GraphData& graph, Tensors& values);

// A graph's backward, made once and evaluated for any values and cotangents.
class BackwardView {
 public:
  BackwardView(const GraphData& graph, std::vector<std::size_t> outputs);  // those that get a cotangent
  // Fills gradients and sent; what depends on an unknown value stays undefined.
  void run(const Tensors& values, const Tensors& cotangents, GraphView& into) const;

 private:
  GraphData both_;                                         // forward and backward
  std::vector<ValueId> value_at_, gradient_at_, seed_at_;  // ids in both_, by value of the graph; by output
  std::vector<std::vector<ValueId>> sent_at_;
};

}  // namespace chainrule
