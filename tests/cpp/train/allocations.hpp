// How many allocations this process has made. The native benchmarks count theirs with it, too.
#pragma once

#include <cstdint>

std::uint64_t allocations();
