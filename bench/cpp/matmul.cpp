// Times the matmul kernel against Eigen's own product on the shapes of the workloads, one thread, and prints GFLOP/s
// beside the measured FMA peak. Compile with -march=native, or Eigen's column shows the baseline. Not a test: asserts
// nothing.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "chainrule/dtype.hpp"
#include "dispatch/dispatch.hpp"
#include "kernels/abi.hpp"
#include "ops/matmul_plan.hpp"

namespace {

using chainrule::DType;
namespace kernels = chainrule::kernels;

struct Shape {
  const char* workload;
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
};

// Forward x W, weight gradient x' g, input gradient g W' of each layer; then single samples and ragged shapes.
constexpr Shape shapes[] = {
    {"tiny 4-32", 32, 32, 4, false, false},
    {"tiny 32-32", 32, 32, 32, false, false},
    {"tiny 32-2", 32, 2, 32, false, false},
    {"tiny 4-32 dW", 4, 32, 32, true, false},
    {"tiny 32-32 dW", 32, 32, 32, true, false},
    {"tiny 32-2 dW", 32, 2, 32, true, false},
    {"tiny 32-32 dx", 32, 32, 32, false, true},
    {"tiny 32-2 dx", 32, 32, 2, false, true},
    {"digits 64-128", 32, 128, 64, false, false},
    {"digits 128-64", 32, 64, 128, false, false},
    {"digits 64-10", 32, 10, 64, false, false},
    {"digits 64-128 dW", 64, 128, 32, true, false},
    {"digits 128-64 dW", 128, 64, 32, true, false},
    {"digits 64-10 dW", 64, 10, 32, true, false},
    {"digits 128-64 dx", 32, 128, 64, false, true},
    {"digits 64-10 dx", 32, 64, 10, false, true},
    {"mnist 784-256", 128, 256, 784, false, false},
    {"mnist 256-128", 128, 128, 256, false, false},
    {"mnist 128-10", 128, 10, 128, false, false},
    {"mnist 784-256 dW", 784, 256, 128, true, false},
    {"mnist 256-128 dW", 256, 128, 128, true, false},
    {"mnist 128-10 dW", 128, 10, 128, true, false},
    {"mnist 256-128 dx", 128, 256, 128, false, true},
    {"mnist 128-10 dx", 128, 128, 10, false, true},
    {"deep 256-256", 256, 256, 256, false, false},
    {"deep 256-256 dW", 256, 256, 256, true, false},
    {"deep 256-256 dx", 256, 256, 256, false, true},
    {"wide 1024-4096", 512, 4096, 1024, false, false},
    {"wide 4096-4096", 512, 4096, 4096, false, false},
    {"wide 4096-1000", 512, 1000, 4096, false, false},
    {"wide 1024-4096 dW", 1024, 4096, 512, true, false},
    {"wide 4096-4096 dW", 4096, 4096, 512, true, false},
    {"wide 4096-4096 dx", 512, 4096, 4096, false, true},
    {"infer1 784-256", 1, 256, 784, false, false},
    {"infer1 256-128", 1, 128, 256, false, false},
    {"infer1 128-10", 1, 10, 128, false, false},
    {"matrix-vector", 1024, 1, 1024, false, false},
    {"vector-matrix", 1, 1024, 1024, false, false},
    {"x W' of one sample", 1, 256, 784, false, true},
    {"ragged", 100, 100, 100, false, false},
    {"ragged dW", 100, 100, 100, true, false},
    {"ragged dx", 100, 100, 100, false, true},
    {"square 1024", 1024, 1024, 1024, false, false},
};

// Processor time of this process, which other load on the machine does not add to.
double now() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// One sample of the FMA rate: independent chains of packets, enough to keep every FMA unit of one core busy.
template <class T, int... C> double peak_sample(std::integer_sequence<int, C...>) {
  using Packet = typename Eigen::internal::packet_traits<T>::type;
  constexpr int lanes = Eigen::internal::packet_traits<T>::size, chains = sizeof...(C), count = 200000;
  volatile T start = T(0.999);  // values the compiler cannot know, or it would compute one chain of them
  const Packet factor = Eigen::internal::pset1<Packet>(T(start));
  Packet acc[chains] = {Eigen::internal::pset1<Packet>(start + T(C))...};
  const double begin = now();
  for (int i = 0; i < count; ++i) ((acc[C] = Eigen::internal::pmadd(factor, acc[C], factor)), ...);
  const double seconds = now() - begin;
  start = (Eigen::internal::pfirst(acc[C]) + ...);
  return 2.0 * lanes * chains * count / seconds * 1e-9;
}
template <class T> double peak_sample() { return peak_sample<T>(std::make_integer_sequence<int, 12>()); }

template <class T> class Case {
 public:
  explicit Case(const Shape& shape) : shape_(shape) {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(-1, 1);
    // 64-byte aligned operands, as the library's arena gives them.
    for (auto [memory, size] : {std::pair{&a_, shape.m * shape.k},
                                {&b_, shape.k * shape.n},
                                {&c_, shape.m * shape.n},
                                {&d_, shape.m * shape.n}}) {
      *memory = static_cast<T*>(std::aligned_alloc(64, (static_cast<std::size_t>(size) * sizeof(T) + 63) / 64 * 64));
      for (std::int64_t i = 0; i < size; ++i) (*memory)[i] = static_cast<T>(uniform(random));
    }
    kernels::MatmulPlan matmul{};
    matmul.batch = 1;
    matmul.m = shape.m, matmul.n = shape.n, matmul.k = shape.k;
    matmul.transpose_a = shape.transpose_a, matmul.transpose_b = shape.transpose_b;
    chainrule::plan_matmul(plan_, matmul, chainrule::dtype_of<T>);
    scratch_ = std::aligned_alloc(64, static_cast<std::size_t>(plan_.scratch_bytes + 63) / 64 * 64 + 64);
    kernel_ = chainrule::dispatch::find_kernel("matmul", chainrule::dtype_of<T>);
  }
  ~Case() {
    for (void* p :
         {static_cast<void*>(a_), static_cast<void*>(b_), static_cast<void*>(c_), static_cast<void*>(d_), scratch_})
      std::free(p);
  }
  Case(const Case&) = delete;
  Case& operator=(const Case&) = delete;

  void ours() {
    const void* in[] = {a_, b_};
    void* out[] = {c_};
    kernel_({in, out, &plan_}, {0, plan_.units}, scratch_);
  }

  void eigen() {
    using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
    using Map = Eigen::Map<Matrix, Eigen::Aligned64>;
    const auto [m, n, k] = std::tuple{shape_.m, shape_.n, shape_.k};
    Map c(d_, m, n);
    if (shape_.transpose_a)
      c.noalias() = Map(a_, k, m).transpose() * Map(b_, k, n);
    else if (shape_.transpose_b)
      c.noalias() = Map(a_, m, k) * Map(b_, n, k).transpose();
    else
      c.noalias() = Map(a_, m, k) * Map(b_, k, n);
  }

  double difference() const {
    double worst = 0;
    for (std::int64_t i = 0; i < shape_.m * shape_.n; ++i)
      worst = std::max(worst, static_cast<double>(std::abs(c_[i] - d_[i])));
    return worst;
  }

 private:
  Shape shape_;
  T *a_, *b_, *c_, *d_;
  void* scratch_;
  kernels::Plan plan_;
  kernels::Kernel kernel_;
};

template <class F> double seconds_per_call(F&& call, double flops) {
  const int count = std::max(1, static_cast<int>(2e8 / (flops + 4000)));
  const double begin = now();
  for (int i = 0; i < count; ++i) call();
  return (now() - begin) / count;
}

template <class T> void table(const char* name, const char* filter) {
  // The clock wanders on shared machines, so the peak is sampled between the repeats of each row.
  std::printf("%s, one core\n", name);
  std::printf("%-20s %5s %5s %5s %2s %10s %9s %9s %6s %9s %6s\n", "workload", "m", "n", "k", "op", "us", "GFLOP/s",
              "Eigen", "ratio", "FMA peak", "share");
  for (const Shape& shape : shapes) {
    if (std::strstr(shape.workload, filter) == nullptr) continue;
    Case<T> c(shape);
    const double flops =
        2.0 * static_cast<double>(shape.m) * static_cast<double>(shape.n) * static_cast<double>(shape.k);
    std::vector<double> ours, eigen, peaks;
    c.ours(), c.eigen();
    for (int repeat = 0; repeat < (flops > 1e9 ? 7 : 15); ++repeat) {
      peaks.push_back(peak_sample<T>());
      ours.push_back(seconds_per_call([&] { c.ours(); }, flops));
      eigen.push_back(seconds_per_call([&] { c.eigen(); }, flops));
    }
    const double t = median(ours), e = median(eigen), peak = median(peaks);
    std::printf("%-20s %5lld %5lld %5lld %c%c %10.2f %9.1f %9.1f %6.2f %9.1f %5.0f%%%s\n", shape.workload,
                static_cast<long long>(shape.m), static_cast<long long>(shape.n), static_cast<long long>(shape.k),
                shape.transpose_a ? 'T' : 'N', shape.transpose_b ? 'T' : 'N', t * 1e6, flops / t * 1e-9,
                flops / e * 1e-9, e / t, peak, 100 * flops / t * 1e-9 / peak, c.difference() > 1e-2 ? " DIFFERS" : "");
    std::fflush(stdout);
  }
}

}  // namespace

// matmul [float32|float64] [part of a workload's name]
int main(int argc, char** argv) {
  const std::string dtype = argc > 1 ? argv[1] : "float32";
  const char* filter = argc > 2 ? argv[2] : "";
  if (dtype == "float64")
    table<double>("float64", filter);
  else
    table<float>("float32", filter);
}
