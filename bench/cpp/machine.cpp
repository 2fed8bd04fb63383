// The measurements of machine.hpp, in the compiler's vector types: compile with -march=native -ffp-contract=fast.
#include "machine.hpp"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "clock.hpp"

namespace bench {
namespace {

#if defined(__AVX512F__)
constexpr int width = 64;
#elif defined(__AVX__)
constexpr int width = 32;
#else
constexpr int width = 16;
#endif
typedef float Vector __attribute__((vector_size(width)));  // NOLINT: the attribute needs a typedef
constexpr std::size_t lanes = width / sizeof(float);

// The compiler must think that this is read and written.
void touch(void* p) { asm volatile("" : : "r"(p) : "memory"); }

// Of the calling thread alone.
double thread_time() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Whether the threads of a measurement need one another in order to go on.
enum class Meeting : std::uint8_t { never, always };

// body(thread, passes) on every thread, from one meeting of all to the next; seconds per pass.
template <Meeting meeting = Meeting::never, class Body>
double seconds_per_pass(int threads, double seconds, const Body& body) {
  const auto took = [&](std::int64_t passes) {
    double start = 0, end = 0;
#pragma omp parallel num_threads(threads)
    {
      const int thread = omp_get_thread_num();
#pragma omp barrier
      if (thread == 0) start = wall();
      body(thread, passes);
#pragma omp barrier
      if (thread == 0) end = wall();
    }
    return end - start;
  };
  const std::int64_t passes = calls_for(seconds / 5, [&](std::int64_t tried) {
    if constexpr (meeting == Meeting::always) return took(tried);
    const double start = thread_time();  // which other load on the machine does not add to
    body(0, tried);
    return thread_time() - start;
  });
  std::vector<double> samples(5);
  for (double& sample : samples) sample = took(passes) / static_cast<double>(passes);
  return median(samples);
}

// Arrays of floats, one after the other, each a few cache lines off the last one's place in its page.
class Arrays {
 public:
  Arrays(std::size_t count, std::size_t floats)
      : stride_((floats + lanes - 1) / lanes * lanes + 5 * lanes), memory_(new (align) float[count * stride_]) {
    std::fill_n(memory_.get(), count * stride_, 1.0f);  // and the pages are there
  }
  Vector* at(std::size_t i) const { return reinterpret_cast<Vector*>(memory_.get() + i * stride_); }

 private:
  static constexpr std::align_val_t align{64};
  struct Free {
    void operator()(float* p) const { ::operator delete[](p, align); }
  };
  std::size_t stride_;
  std::unique_ptr<float[], Free> memory_;
};

// Each thread's own arrays, first touched by it.
std::vector<std::unique_ptr<Arrays>> arrays_per_thread(int threads, std::size_t count, std::size_t floats) {
  std::vector<std::unique_ptr<Arrays>> all(static_cast<std::size_t>(threads));
#pragma omp parallel num_threads(threads)
  all[static_cast<std::size_t>(omp_get_thread_num())] = std::make_unique<Arrays>(count, floats);
  return all;
}

template <int... C> void fma_chains(std::int64_t passes, std::integer_sequence<int, C...>) {
  volatile float start = 0.999f;  // a value that the compiler cannot know, or it would compute one chain of them
  Vector chain[] = {(Vector{} + start + static_cast<float>(C))...};
  const Vector factor = Vector{} + start;
  for (std::int64_t i = 0; i < passes; ++i) ((chain[C] = factor * chain[C] + factor), ...);
  const Vector sum = (chain[C] + ...);
  start = sum[0];
}

// Meets by counting up; spins.
class SpinBarrier {
 public:
  explicit SpinBarrier(int threads) : threads_(threads) {}
  void wait() {
    const int generation = generation_.load(std::memory_order_acquire);
    if (waiting_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
      waiting_.store(0, std::memory_order_relaxed);
      generation_.store(generation + 1, std::memory_order_release);
      return;
    }
    while (generation_.load(std::memory_order_acquire) == generation) {
#if defined(__x86_64__)
      __builtin_ia32_pause();
#endif
    }
  }

 private:
  const int threads_;
  alignas(64) std::atomic<int> waiting_{0};
  alignas(64) std::atomic<int> generation_{0};
};

}  // namespace

double fma_gflops(int threads, double seconds) {
  constexpr int chains = 12;  // latency times throughput is 8 to 10 on today's cores; all fit the registers
  const double pass = seconds_per_pass(threads, seconds, [](int, std::int64_t passes) {
    fma_chains(passes, std::make_integer_sequence<int, chains>());
  });
  return 2e-9 * chains * static_cast<double>(lanes) * threads / pass;
}

double read_gbs(int threads, std::size_t bytes, double seconds) {
  const std::size_t vectors = std::max<std::size_t>(bytes / width / 8 * 8, 8);
  const auto memory = arrays_per_thread(threads, 1, vectors * lanes);
  const double pass = seconds_per_pass(threads, seconds, [&](int thread, std::int64_t passes) {
    Vector* x = memory[static_cast<std::size_t>(thread)]->at(0);
    Vector sum[8]{};
    for (std::int64_t pass_number = 0; pass_number < passes; ++pass_number) {
      touch(x);
      for (std::size_t i = 0; i < vectors; i += 8)
        for (std::size_t j = 0; j < 8; ++j) sum[j] += x[i + j];
    }
    touch(sum);
  });
  return 1e-9 * static_cast<double>(vectors * width) * threads / pass;
}

double copy_gbs(int threads, std::size_t bytes, double seconds) {
  const std::size_t vectors = std::max<std::size_t>(bytes / 2 / width / 4 * 4, 4);
  const auto memory = arrays_per_thread(threads, 2, vectors * lanes);
  const double pass = seconds_per_pass(threads, seconds, [&](int thread, std::int64_t passes) {
    const Arrays& own = *memory[static_cast<std::size_t>(thread)];
    Vector *x = own.at(0), *y = own.at(1);
    for (std::int64_t pass_number = 0; pass_number < passes; ++pass_number) {
      touch(x), touch(y);
      for (std::size_t i = 0; i < vectors; i += 4) {
        const Vector a = x[i], b = x[i + 1], c = x[i + 2], d = x[i + 3];
        y[i] = a, y[i + 1] = b, y[i + 2] = c, y[i + 3] = d;
      }
    }
  });
  return 2e-9 * static_cast<double>(vectors * width) * threads / pass;
}

double update_ns(int threads, std::int64_t n, Streams streams, double seconds) {
  const std::size_t each = (static_cast<std::size_t>(n) / static_cast<std::size_t>(threads) + lanes - 1) / lanes;
  const auto memory = arrays_per_thread(threads, 4, each * lanes);
  const double pass = seconds_per_pass(threads, seconds, [&](int thread, std::int64_t passes) {
    const Arrays& own = *memory[static_cast<std::size_t>(thread)];
    Vector *p = own.at(0), *g = own.at(1), *m = own.at(2), *v = own.at(3);
    for (std::int64_t pass_number = 0; pass_number < passes; ++pass_number) {
      touch(p), touch(g), touch(m), touch(v);
      if (streams == Streams::sgd) {
        for (std::size_t i = 0; i < each; ++i) p[i] = p[i] - g[i];
      } else {
        for (std::size_t i = 0; i < each; ++i) {
          const Vector gradient = g[i], a = p[i], b = m[i], c = v[i];
          p[i] = a - gradient, m[i] = b - gradient, v[i] = c - gradient;
        }
      }
    }
  });
  return 1e9 * pass;
}

double spin_barrier_ns(int threads, double seconds) {
  SpinBarrier barrier(threads);
  return 1e9 * seconds_per_pass<Meeting::always>(threads, seconds, [&](int, std::int64_t passes) {
           for (std::int64_t i = 0; i < passes; ++i) barrier.wait();
         });
}

double openmp_barrier_ns(int threads, double seconds) {
  return 1e9 * seconds_per_pass<Meeting::always>(threads, seconds, [](int, std::int64_t passes) {
           for (std::int64_t i = 0; i < passes; ++i) {
#pragma omp barrier
           }
         });
}

std::vector<Level> memory_levels(int threads) {
  // Linux tells the caches one by one: size "32768K", type "Data", "Instruction" or "Unified".
  std::vector<Level> levels;
  std::size_t last = 0;
  for (int index = 0;; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index) + "/";
    const auto word = [&](const char* name) {
      std::string text;
      std::ifstream(folder + name) >> text;
      return text;
    };
    const std::string level = word("level"), size = word("size"), shared = word("shared_cpu_list");
    if (level.empty() || size.empty()) break;
    if (word("type") == "Instruction") continue;
    last = std::stoul(size) << (size.back() == 'M' ? 20 : 10);
    const bool alone = shared.find_first_of(",-") == std::string::npos;
    levels.push_back({"L" + level, last / 2 / static_cast<std::size_t>(alone ? 1 : threads)});
  }
  constexpr std::size_t least = 128 << 20, most = 1 << 30;
  levels.push_back({"memory", std::clamp(8 * last, least, most) / static_cast<std::size_t>(threads)});
  return levels;
}

int processors() { return omp_get_num_procs(); }
int vector_bytes() { return width; }

}  // namespace bench
