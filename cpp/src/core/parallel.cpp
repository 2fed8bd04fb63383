// Thread counts and the team. Thread count: set_num_threads, else CHAINRULE_NUM_THREADS, else OpenMP's own; never more
// than the affinity mask or the cgroup's quota allows, and 1 inside a parallel region of the program's OpenMP.
#include "core/parallel.hpp"

#include <omp.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "core/fail.hpp"

namespace chainrule {
namespace {

std::atomic<int> requested{0};  // 0: not set
std::atomic<bool> forked{false};
thread_local bool in_team = false;

int cgroup_quota() {
  std::FILE* file = std::fopen("/sys/fs/cgroup/cpu.max", "r");
  if (file == nullptr) return INT_MAX;
  char quota[32] = {};
  long long period = 0;
  const int fields = std::fscanf(file, "%31s %lld", quota, &period);
  std::fclose(file);
  const long long value = std::atoll(quota);
  if (fields != 2 || value <= 0 || period <= 0) return INT_MAX;
  return static_cast<int>(std::max<long long>(1, (value + period - 1) / period));
}

int machine_limit() {
  static const int limit = [] {
    pthread_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); });
    int cpus = omp_get_num_procs();
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) cpus = std::min(cpus, CPU_COUNT(&set));
#endif
    return std::max(1, std::min(cpus, cgroup_quota()));
  }();
  return limit;
}

int default_threads() {
  static const int threads = [] {
    if (const char* text = std::getenv("CHAINRULE_NUM_THREADS")) {
      const int n = std::atoi(text);
      if (n >= 1) return std::min(n, 256);
    }
    return std::min(omp_get_max_threads(), machine_limit());
  }();
  return threads;
}

inline void pause_cpu() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("isb");
#endif
}

}  // namespace

int num_threads() {
  const int n = requested.load(std::memory_order_relaxed);
  return n > 0 ? n : default_threads();
}

void set_num_threads(int threads) {
  if (threads < 1) fail<ValueError>("set_num_threads", "must be at least 1", std::to_string(threads));
  if (threads > 256)
    fail<ValueError>("set_num_threads", "more than 256 threads", std::to_string(threads),
                     "use as many as there are cores");
  requested.store(threads, std::memory_order_relaxed);
}

int available_threads() {
  machine_limit();
  if (forked.load(std::memory_order_relaxed) || in_team || omp_in_parallel()) return 1;
  return num_threads();
}

void Signal::wake() noexcept {
#if defined(__linux__)
  if (sleepers_.load(std::memory_order_seq_cst) != 0)
    syscall(SYS_futex, &word_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
#else
  word_.notify_all();
#endif
}

void Signal::set(std::uint32_t value) noexcept {
  word_.store(value, std::memory_order_seq_cst);
  wake();
}

void Signal::count_down() noexcept {
  if (word_.fetch_sub(1, std::memory_order_seq_cst) == 1) wake();
}

void Signal::wait_while(std::uint32_t value) noexcept {
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
  for (;;) {
    for (int i = 0; i < 64; ++i) {
      if (word_.load(std::memory_order_acquire) != value) return;
      pause_cpu();
    }
    if (std::chrono::steady_clock::now() >= until) break;
  }
  while (word_.load(std::memory_order_acquire) == value) {
#if defined(__linux__)
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    syscall(SYS_futex, &word_, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
#else
    word_.wait(value);
#endif
  }
}

void Barrier::wait() noexcept {
  const std::uint32_t generation = generation_.value();
  if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 != threads_) return generation_.wait_while(generation);
  waiting_.store(0, std::memory_order_relaxed);
  generation_.set(generation + 1);
}

namespace {

using Body = void (*)(void*, int, Team&);

// The threads that help one thread of the program, from its first team until it ends. They are not OpenMP's: those spin
// for milliseconds at both ends of a parallel region, and where another library's threads spin as well, whoever is
// waited for does not get a processor.
class Helpers {
 public:
  Helpers() = default;
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;
  ~Helpers() {
    in_team = true;  // what this thread still runs, from now on it runs alone
    for (auto& helper : helpers_) {
      if (forked.load(std::memory_order_relaxed)) {  // it runs in the parent only
        (void)helper.release();
        continue;
      }
      helper->call(nullptr, nullptr, nullptr);
      helper->thread.join();
    }
  }

  // Starts what is missing of `count` helpers; false where the system refuses.
  bool reach(int count) noexcept {
    if (static_cast<int>(helpers_.size()) >= count) return true;
    sigset_t every, before;  // signals are for the program's own threads
    sigfillset(&every);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&every, fault);
    pthread_sigmask(SIG_SETMASK, &every, &before);
    try {
      while (static_cast<int>(helpers_.size()) < count) {
        auto made = std::make_unique<Helper>();
        const int index = static_cast<int>(helpers_.size()) + 1;
        helpers_.reserve(static_cast<std::size_t>(count));
        made->thread = std::thread([this, own = made.get(), index] { serve(*own, index); });
        helpers_.push_back(std::move(made));
      }
    } catch (const std::exception&) {  // no memory, or too many threads
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return static_cast<int>(helpers_.size()) >= count;
  }

  void run(int threads, Body body, void* context) noexcept {  // bodies do not throw: others hold on to the team
    Team team{threads, Barrier(threads)};
    busy_.set(static_cast<std::uint32_t>(threads - 1));
    for (int i = 0; i + 1 < threads; ++i) helpers_[static_cast<std::size_t>(i)]->call(body, context, &team);
    body(context, 0, team);
    while (const std::uint32_t left = busy_.value()) busy_.wait_while(left);
  }

 private:
  struct Helper {
    Signal calls;
    Body body = nullptr;  // null: no more calls
    void* context = nullptr;
    Team* team = nullptr;
    std::thread thread;

    void call(Body new_body, void* new_context, Team* new_team) noexcept {
      body = new_body;
      context = new_context;
      team = new_team;
      calls.set(calls.value() + 1);
    }
  };

  void serve(Helper& own, int index) noexcept {
    in_team = true;
    for (std::uint32_t seen = 0;; ++seen) {
      own.calls.wait_while(seen);
      if (own.body == nullptr) return;
      own.body(own.context, index, *own.team);
      busy_.count_down();
    }
  }

  std::vector<std::unique_ptr<Helper>> helpers_;
  Signal busy_;  // how many of a call's helpers have not finished
};

thread_local Helpers helpers;

}  // namespace

void run_team_raw(int threads, void (*body)(void*, int, Team&), void* context) {
  // A team that cannot have its threads is one of one: fewer than it was told would wait at the barrier for ever.
  if (threads == 1 || in_team || forked.load(std::memory_order_relaxed) || !helpers.reach(threads - 1)) {
    Team alone{1, Barrier(1)};
    return body(context, 0, alone);
  }
  in_team = true;
  helpers.run(threads, body, context);
  in_team = false;
}

}  // namespace chainrule
