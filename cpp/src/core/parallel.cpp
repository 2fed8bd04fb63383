// Thread counts and the team. Thread count: set_num_threads, else CHAINRULE_NUM_THREADS, else OpenMP's own; never more
// than the affinity mask or the cgroup's quota allows.
#include "core/parallel.hpp"

#include <omp.h>
#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <string>

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
  if (forked.load(std::memory_order_relaxed) || omp_in_parallel()) return 1;
  return num_threads();
}

void Barrier::wait() noexcept {
  const std::uint32_t generation = generation_.load(std::memory_order_acquire);
  if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
    waiting_.store(0, std::memory_order_relaxed);
    generation_.store(generation + 1, std::memory_order_seq_cst);
#if defined(__linux__)
    if (sleepers_.load(std::memory_order_seq_cst) != 0)
      syscall(SYS_futex, &generation_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
#else
    generation_.notify_all();
#endif
    return;
  }
  const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(50);
  for (;;) {
    for (int i = 0; i < 64; ++i) {
      if (generation_.load(std::memory_order_acquire) != generation) return;
      pause_cpu();
    }
    if (std::chrono::steady_clock::now() >= until) break;
  }
  while (generation_.load(std::memory_order_acquire) == generation) {
#if defined(__linux__)
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    syscall(SYS_futex, &generation_, FUTEX_WAIT_PRIVATE, generation, nullptr, nullptr, 0);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
#else
    generation_.wait(generation);
#endif
  }
}

void run_team_raw(int threads, void (*body)(void*, int, Team&), void* context) {
  Team team{threads, Barrier(threads)};
  if (threads == 1) {
    body(context, 0, team);
    return;
  }
#pragma omp parallel num_threads(threads)
  {
    // Fewer threads than asked for would wait at the barrier for ever; dynamic adjustment is off by default, and a
    // team that came up short runs alone.
    if (omp_get_num_threads() == threads) {
      body(context, omp_get_thread_num(), team);
    } else if (omp_get_thread_num() == 0) {
      Team alone{1, Barrier(1)};
      body(context, 0, alone);
    }
  }
}

}  // namespace chainrule
