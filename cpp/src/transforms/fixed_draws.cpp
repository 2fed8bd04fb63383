// The counter that all calls of one function share.
#include "transforms/fixed_draws.hpp"

#include <atomic>

#include "ops/random_scope.hpp"

namespace chainrule {
namespace {
std::atomic<std::uint32_t> transforms{0};
constexpr std::uint32_t own_steps = 0xC0000000u;  // apart from the steps of trainers and single calls
}  // namespace

Function with_fixed_draws(Function f) {
  RandomScope* const outer = RandomScope::current();
  const Tensor counter = outer ? outer->counter() : make_counter(global_seed(), own_steps | transforms.fetch_add(1));
  return [f = std::move(f), counter](const std::vector<Tensor>& x) {
    const RandomScope scope(counter);
    return f(x);
  };
}

}  // namespace chainrule
