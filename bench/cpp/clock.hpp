// Clocks, and how often to call something: shared by all native benchmarks.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <ctime>
#include <limits>
#include <utility>
#include <vector>

namespace bench {

inline double wall() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}
// Of this process alone: other load on the machine does not add to it. For one thread only.
inline double processor_time() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// How many calls take `seconds`, told by the fastest of several tries, the last of which is longer than the time for
// which a busy processor lets a thread wait. run(calls) returns the seconds that they took.
template <class Run> std::int64_t calls_for(double seconds, Run&& run) {
  constexpr double long_enough = 0.02;
  double fastest = std::numeric_limits<double>::infinity(), last = 0;
  for (std::int64_t calls = 1; last < long_enough; calls *= 4) {
    last = run(calls);
    fastest = std::min(fastest, std::max(last, 1e-9) / static_cast<double>(calls));
  }
  return static_cast<std::int64_t>(std::ceil(seconds / fastest));
}

// Samples of one call, each over about `seconds` of that clock.
template <class Call> class Timing {
 public:
  Timing(double (*clock)(), double seconds, Call call) : clock_(clock), call_(std::move(call)) {
    call_();  // what is done once only
    calls_ = calls_for(seconds, [&](std::int64_t calls) { return took(calls); });
  }
  void sample() { samples_.push_back(took(calls_) / static_cast<double>(calls_)); }
  double median() const { return bench::median(samples_); }  // seconds per call

 private:
  double took(std::int64_t calls) {
    const double start = clock_();
    for (std::int64_t i = 0; i < calls; ++i) call_();
    return clock_() - start;
  }
  double (*clock_)();
  Call call_;
  std::int64_t calls_ = 1;
  std::vector<double> samples_;
};

}  // namespace bench
