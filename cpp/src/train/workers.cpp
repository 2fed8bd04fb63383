// Worker threads for whole trainings, on the team of core/parallel.
#include "train/workers.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>

#include "core/parallel.hpp"

namespace chainrule {
namespace {

class Crew {
 public:
  Crew(const Jobs& jobs, Stop& stop) : jobs_(jobs), stop_(stop) {}

  void work() noexcept {
    for (;;) {
      std::pair<std::size_t, std::function<void()>> job;
      {
        std::unique_lock lock(mutex_);
        work_there_.wait(lock, [&] { return closed_ || !waiting_.empty(); });
        if (waiting_.empty()) return;
        job = std::move(waiting_.front());
        waiting_.pop_front();
      }
      std::exception_ptr error;
      try {
        job.second();
        job.second = nullptr;  // what it holds goes before it counts as ended
      } catch (...) { error = std::current_exception(); }
      const std::lock_guard lock(mutex_);
      if (error) failed_[job.first] = error;
      ended_.push_back(job.first);
      someone_ended_.notify_one();
    }
  }

  // The calling thread's part: makes as many jobs as there are workers, and one more to have ready.
  void serve(std::size_t workers) noexcept {
    std::size_t made = 0, running = 0;
    try {
      for (;;) {
        while (made < jobs_.count && running <= workers && !stop_) {
          auto run = jobs_.make(made);
          const std::lock_guard lock(mutex_);
          waiting_.emplace_back(made++, std::move(run));
          ++running;
          work_there_.notify_one();
        }
        if (running == 0) break;
        std::deque<std::size_t> ended;
        {
          std::unique_lock lock(mutex_);
          someone_ended_.wait_for(lock, std::chrono::milliseconds(50), [&] { return !ended_.empty(); });
          ended.swap(ended_);
          if (!failed_.empty()) stop_ = true;
        }
        running -= ended.size();
        if (!stop_)
          for (const std::size_t job : ended) jobs_.done(job);
        if (!stop_ && !jobs_.go_on()) stop_ = ended_early_ = true;
        if (stop_) running -= drop_waiting();
      }
    } catch (...) {
      stop_ = true;
      drop_waiting();
      const std::lock_guard lock(mutex_);
      failed_.try_emplace(made, std::current_exception());
    }
    const std::lock_guard lock(mutex_);
    closed_ = true;
    work_there_.notify_all();
  }

  bool finish() {
    if (!failed_.empty()) std::rethrow_exception(failed_.begin()->second);
    return !ended_early_;
  }

 private:
  // No job begins any more; how many there were. What they hold goes here, on the calling thread.
  std::size_t drop_waiting() {
    decltype(waiting_) dropped;
    const std::lock_guard lock(mutex_);
    dropped.swap(waiting_);
    return dropped.size();
  }

  const Jobs& jobs_;
  Stop& stop_;
  std::mutex mutex_;
  std::condition_variable work_there_, someone_ended_;
  std::deque<std::pair<std::size_t, std::function<void()>>> waiting_;
  std::deque<std::size_t> ended_;
  std::map<std::size_t, std::exception_ptr> failed_;
  bool closed_ = false, ended_early_ = false;
};

bool one_by_one(const Jobs& jobs, Stop& stop) {
  for (std::size_t job = 0; job < jobs.count; ++job) {
    jobs.make(job)();
    if (stop) return false;  // a job heard it from go_on
    jobs.done(job);
    if (!jobs.go_on()) {
      stop = true;
      return false;
    }
  }
  return true;
}

}  // namespace

bool run_jobs(const Jobs& jobs, int workers, Stop& stop) {
  const int wanted = static_cast<int>(
      std::min<std::size_t>(static_cast<std::size_t>(workers > 0 ? workers : available_threads()), jobs.count));
  if (wanted <= 1) return one_by_one(jobs, stop);
  Crew crew(jobs, stop);
  bool alone = false;
  run_team(wanted + 1, [&](int thread, Team& team) {
    if (team.size == 1)
      alone = true;  // within another team, or no threads to be had
    else if (thread == 0)
      crew.serve(static_cast<std::size_t>(wanted));
    else
      crew.work();
  });
  return alone ? one_by_one(jobs, stop) : crew.finish();
}

}  // namespace chainrule
