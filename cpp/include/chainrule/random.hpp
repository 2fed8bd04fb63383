// Seeds. Every draw is Philox4x32-10 keyed by a seed and a counter: no hidden state but the counters named here.
#pragma once

#include <cstdint>

#include "chainrule/tensor.hpp"

namespace chainrule {

// Sets the seed that layers built without one, and dropout called outside a Trainer, take their keys from (0 at start).
CHAINRULE_API void manual_seed(std::uint64_t seed);
CHAINRULE_API std::uint64_t next_layer_key();  // what the next layer built without a seed is keyed by

namespace random {
CHAINRULE_API Tensor normal(const Shape& shape, std::uint64_t key, std::uint32_t stream, double mean = 0.0,
                            double std = 1.0, DType dtype = DType::float32);
CHAINRULE_API Tensor uniform(const Shape& shape, std::uint64_t key, std::uint32_t stream, double low = 0.0,
                             double high = 1.0, DType dtype = DType::float32);
}  // namespace random

}  // namespace chainrule
