// The order of an epoch's samples, by a sampler or without one; what fit and batches() share.
#pragma once

#include "chainrule/data_samplers.hpp"

namespace chainrule::data {

// Refuses a sampler of data of another size, and one beside shuffle=false. It may be null.
void check_sampler(const char* who, const Sampler* sampler, std::int64_t rows, bool shuffle);
// epoch_order where there is no sampler; else its order, checked.
std::vector<std::int64_t> sampled_order(const char* who, const Sampler* sampler, std::int64_t rows, std::uint64_t seed,
                                        std::uint64_t epoch, bool shuffle, std::int64_t batch_size);

}  // namespace chainrule::data
