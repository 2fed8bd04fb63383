// How many allocations this program has made. Replaces the global operator new.
#pragma once

#include <cstdint>

namespace bench {

std::int64_t allocations();

}  // namespace bench
