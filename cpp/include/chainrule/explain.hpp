// explain: the chain rule for one small function at one place, step by step, checked against differences.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "chainrule/graph.hpp"

namespace chainrule {

struct ExplainOptions {
  std::vector<std::string> names{};  // of the arguments
  Tensor cotangent{};                // weights of the outputs; undefined: the whole Jacobian, one row per output
  // Names of other tensors that the function refers to or computes; asked once it has run.
  std::function<NamedTensors()> variables{};
};

struct ExplanationData;  // private: transforms/explain.hpp

class CHAINRULE_API Explanation {
 public:
  explicit Explanation(std::shared_ptr<const ExplanationData> data) : data_(std::move(data)) {}
  std::string str() const;
  std::string to_html() const;
  Graph graph() const;        // with values, and the gradients of the last output
  double difference() const;  // the largest between an analytic and a numeric derivative
  const ExplanationData& data() const { return *data_; }

 private:
  std::shared_ptr<const ExplanationData> data_;
};

// Runs f in float64 on the arguments (floats are converted, and float32 tensors that it refers to) and tells: every
// step with its value; backwards, what arrives at a step, its local derivatives and what it sends on, with the sums
// where a value is used more than once; and the derivatives beside central differences. For functions of up to 100 ops
// on values of up to 64 elements; ValueError says what to do with larger ones.
CHAINRULE_API Explanation explain(const Function& f, const std::vector<Tensor>& x, const ExplainOptions& options = {});

}  // namespace chainrule
