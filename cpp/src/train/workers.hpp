// Models trained side by side: made one after the other on the calling thread, run by worker threads that use one
// thread each for their ops. Which worker gets what depends on time, so nothing a job computes may depend on it.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>

namespace chainrule {

struct Jobs {
  std::size_t count = 0;
  // On the calling thread, in order; what it returns runs in a worker. An exception of either ends everything, and is
  // rethrown once all workers are back: that of the first job in order.
  std::function<std::function<void()>(std::size_t job)> make;
  std::function<void(std::size_t job)> done;  // on the calling thread, in the order in which jobs end
  std::function<bool()> go_on;                // on the calling thread, at least every 50 ms; false ends everything
};
// What running jobs look at, to end early.
using Stop = std::atomic<bool>;
// workers: 0 means as many as threads may be used. With one, jobs run on the calling thread and use all threads for
// their ops; they must then call go_on themselves. False: go_on was false.
bool run_jobs(const Jobs& jobs, int workers, Stop& stop);

}  // namespace chainrule
