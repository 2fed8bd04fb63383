// What explain() found out; explain.cpp fills it, explain_text.cpp writes it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "chainrule/explain.hpp"
#include "graph/view.hpp"

namespace chainrule {

// How one operand of a step enters: its local derivative, and what the step sends to it.
struct LocalDerivative {
  std::size_t operand;
  std::string rule;  // in words: "1 - a**2"; empty where there is none
  Tensor slope;      // elementwise: the derivative of each element; otherwise undefined
  Tensor jacobian;   // otherwise, if small: (outputs, inputs)
  Tensor sent;       // what it sends: shape of the operand; with several outputs of f a row for each
};
struct Step {
  std::size_t node;
  Tensor arrived;  // the cotangent of the step's output
  std::vector<LocalDerivative> operands;
};
// A value that is used more than once: what arrives is added.
struct Fork {
  ValueId value;
  std::size_t after_step;
  Tensors parts;
  Tensor sum;
};
struct Checked {
  ValueId value;
  Tensor analytic, numeric;
  double difference;
};

struct ExplanationData {
  std::shared_ptr<const GraphData> graph;
  std::shared_ptr<const GraphView> view;
  bool rows = false;        // several outputs: cotangents carry a row for each
  std::vector<Step> steps;  // backwards
  std::vector<Fork> forks;
  std::vector<Checked> checked;
};

}  // namespace chainrule
