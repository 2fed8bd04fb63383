// While one lives, ops on this thread that are given one of some tensors take another in its place: how a module is
// called with other parameters than its own.
#pragma once

#include <span>
#include <unordered_map>

#include "chainrule/tensor.hpp"

namespace chainrule {

class StandIns {
 public:
  StandIns(std::span<const Tensor> originals, std::span<const Tensor> replacements);
  ~StandIns();
  StandIns(const StandIns&) = delete;
  StandIns& operator=(const StandIns&) = delete;

  static bool active() noexcept;
  static const Tensor& of(const Tensor& t);  // t itself where nothing stands in for it

 private:
  std::unordered_map<const TensorData*, Tensor> by_original_;
  StandIns* outer_;
};

}  // namespace chainrule
