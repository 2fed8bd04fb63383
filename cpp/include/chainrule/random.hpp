// Seeds. Every draw is Philox4x32-10 keyed by a seed and a counter: no hidden state but the counters named here.
#pragma once

#include <cstdint>

#include "chainrule/tensor.hpp"

namespace chainrule {

// Sets the seed that layers built without one, and dropout called outside a Trainer, take their keys from (0 at start).
CHAINRULE_API void manual_seed(std::uint64_t seed);
CHAINRULE_API std::uint64_t next_layer_key();  // what the next layer built without a seed is keyed by

namespace random {
struct NormalOptions {
  double mean = 0.0, std = 1.0;
  DType dtype = DType::float32;
};
struct UniformOptions {
  double low = 0.0, high = 1.0;
  DType dtype = DType::float32;
};
// New draws in each call, and in a compiled function in each run. Inside a module's call or a compiled function they
// are keyed as dropout's masks are, by the call or run and the place in it; elsewhere by the number of calls since
// manual_seed. The values are constants to every derivative.
CHAINRULE_API Tensor normal(const Shape& shape, const NormalOptions& options = {});
CHAINRULE_API Tensor uniform(const Shape& shape, const UniformOptions& options = {});  // in [low, high)

// The same draws for the same key and stream, always: what initializers use.
CHAINRULE_API Tensor normal(const Shape& shape, std::uint64_t key, std::uint32_t stream, double mean = 0.0,
                            double std = 1.0, DType dtype = DType::float32);
CHAINRULE_API Tensor uniform(const Shape& shape, std::uint64_t key, std::uint32_t stream, double low = 0.0,
                             double high = 1.0, DType dtype = DType::float32);
}  // namespace random

}  // namespace chainrule
