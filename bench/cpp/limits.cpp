// Measures what no library on this machine can be faster than: FMA peak, bandwidth per cache level, the memory traffic
// of optimizer updates, barriers. Needs nothing of chainrule.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "machine.hpp"
#include "report.hpp"

namespace {

using bench::Json;
using bench::Report;

void measure(const bench::Options& options, const std::vector<int>& threads) {
  const double seconds = options.seconds;
  Json all = {{"vector_bytes", bench::vector_bytes()}, {"threads", threads}};
  if (options.json != "-") std::printf("vectors of %d bytes, float32\n\n", bench::vector_bytes());

  Report peak(options, "arithmetic");
  for (const int t : threads) peak.row({{"threads", t}, {"GFLOP/s", bench::fma_gflops(t, seconds)}});
  peak.finish(all, "peak");

  Report bandwidth(options, "bandwidth; a copied byte counts twice");
  for (const int t : threads)
    for (const auto& [name, bytes] : bench::memory_levels(t))
      bandwidth.row({{"level", name},
                     {"threads", t},
                     {"bytes", bytes},
                     {"read, GB/s", bench::read_gbs(t, bytes, seconds)},
                     {"copy, GB/s", bench::copy_gbs(t, bytes, seconds)}});
  bandwidth.finish(all, "bandwidth");

  Report updates(options, "the streams of optimizer updates, nanoseconds");
  for (const int t : threads)
    for (const std::int64_t n : {1000, 10'000, 100'000, 1'000'000, 10'000'000})
      updates.row({{"parameters", n},
                   {"threads", t},
                   {"Adam", bench::update_ns(t, n, bench::Streams::adam, seconds)},
                   {"SGD", bench::update_ns(t, n, bench::Streams::sgd, seconds)}});
  updates.finish(all, "updates");

  Report barriers(options, "barriers, nanoseconds");
  for (const int t : threads)
    if (t > 1)
      barriers.row({{"threads", t},
                    {"spinning", bench::spin_barrier_ns(t, seconds)},
                    {"OpenMP", bench::openmp_barrier_ns(t, seconds)}});
  barriers.finish(all, "barriers");
  bench::write_json(options, all);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures the machine's limits: arithmetic, memory, barriers");
  bench::Options options;
  bench::add_options(app, options, 0.2, 0);
  std::vector<int> threads;
  bench::add_threads(app, threads);
  return bench::run_main(app, argc, argv, [&] { measure(options, threads); });
}
