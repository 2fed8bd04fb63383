// The team of threads, used by eager calls and programs alike. The only file pair that knows OpenMP.
#pragma once

#include <atomic>
#include <cstdint>
#include <type_traits>

#include "chainrule/config.hpp"

namespace chainrule {

// A number that threads wait for to change: they spin about 50 us, then sleep in the kernel; they never yield.
class Signal {
 public:
  std::uint32_t value() const noexcept { return word_.load(std::memory_order_acquire); }
  void set(std::uint32_t value) noexcept;
  void count_down() noexcept;  // who sleeps is woken at 0
  void wait_while(std::uint32_t value) noexcept;

 private:
  void wake() noexcept;

  alignas(64) std::atomic<std::uint32_t> word_{0};
  std::atomic<int> sleepers_{0};
};

// Where all threads of a team meet.
class Barrier {
 public:
  explicit Barrier(int threads) : threads_(threads) {}
  void wait() noexcept;
  std::uint32_t passed() const noexcept { return generation_.value(); }  // how often all have met

 private:
  const int threads_;
  alignas(64) std::atomic<int> waiting_{0};
  Signal generation_;
};

struct Team {
  int size;
  Barrier barrier;
};

// How many threads a run that starts here may use: 1 inside another parallel region and in a forked child.
int available_threads();

// Calls body(thread, team) on `threads` threads, the caller being thread 0. body must not throw.
void run_team_raw(int threads, void (*body)(void*, int, Team&), void* context);
template <class F> void run_team(int threads, F&& body) {
  using Body = std::remove_reference_t<F>;
  run_team_raw(
      threads, [](void* context, int thread, Team& team) { (*static_cast<Body*>(context))(thread, team); },
      const_cast<std::remove_const_t<Body>*>(&body));
}

}  // namespace chainrule
