// What this machine can do at most, measured: arithmetic, memory, meeting of threads. Knows nothing of chainrule.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

// All of them run on `threads` threads at once, at least `seconds` long, and give the median of five samples.

// Fused multiply-adds in independent chains that never leave the registers; 10^9 operations per second, two each.
double fma_gflops(int threads, double seconds);

// Every thread goes over `bytes` of its own; 10^9 bytes per second of all threads together, copies counted twice.
double read_gbs(int threads, std::size_t bytes, double seconds);
double copy_gbs(int threads, std::size_t bytes, double seconds);

// The memory traffic of one optimizer update of n floats and next to no arithmetic: nanoseconds.
enum class Streams : std::uint8_t {
  adam,  // 4 read (parameter, gradient, two states), 3 written
  sgd    // 2 read (parameter, gradient), 1 written
};
double update_ns(int threads, std::int64_t n, Streams streams, double seconds);

// One meeting of all threads, in nanoseconds.
double spin_barrier_ns(int threads, double seconds);
double openmp_barrier_ns(int threads, double seconds);

// The data caches of one core, as the system tells them, and memory: bytes that lie well inside each.
struct Level {
  std::string name;
  std::size_t bytes;
};
std::vector<Level> memory_levels(int threads);

int processors();    // this process may run on
int vector_bytes();  // of the registers used here

}  // namespace bench
