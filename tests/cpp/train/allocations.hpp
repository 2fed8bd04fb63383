// How many allocations this process has made; counted in test_allocations.cpp.
#pragma once

#include <cstdint>

std::uint64_t allocations();
