// J'J and J'r of a batch's residuals r by all parameters that want gradients, in float64: what Levenberg-Marquardt
// solves. The Jacobian is made sample by sample, in compiled code, and never held for more than a block of rows.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "train/compiled_step.hpp"

namespace chainrule {

class NormalEquations {
 public:
  NormalEquations(const CompiledStep& step, const std::vector<Tensor>& parameters, const std::string& optimizer);

  bool stale() const;
  // Of the batch that the step holds, whose loss is given; false where something is not finite.
  bool run(const CompiledStep& step, double loss, std::span<double> jtj, std::span<double> jtr);

 private:
  GraphData trace(const CompiledStep& step, std::int64_t rows) const;

  std::vector<Tensor> parameters_;
  std::string optimizer_;
  std::int64_t rows_, block_;  // of the batch, and of its blocks but perhaps the last
  std::int64_t elements_;      // residuals of one sample
  std::unique_ptr<Workspace> whole_, last_;
};

}  // namespace chainrule
