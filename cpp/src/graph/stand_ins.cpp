// Tensors taken in the place of others.
#include "graph/stand_ins.hpp"

namespace chainrule {
namespace {
thread_local StandIns* innermost = nullptr;
}

StandIns::StandIns(std::span<const Tensor> originals, std::span<const Tensor> replacements) : outer_(innermost) {
  for (std::size_t i = 0; i < originals.size(); ++i)
    by_original_.emplace(originals[i].data_handle().get(), replacements[i]);
  innermost = this;
}
StandIns::~StandIns() { innermost = outer_; }

bool StandIns::active() noexcept { return innermost != nullptr; }

const Tensor& StandIns::of(const Tensor& t) {
  for (const StandIns* scope = innermost; scope != nullptr; scope = scope->outer_) {
    const auto found = scope->by_original_.find(t.data_handle().get());
    if (found != scope->by_original_.end()) return found->second;
  }
  return t;
}

}  // namespace chainrule
