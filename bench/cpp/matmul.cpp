// Times the matrix product on the shapes of the workloads: our kernel beside Eigen's product on one thread, and a
// compiled product on all threads, each beside the measured FMA peak.
#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <vector>

#include <Eigen/Core>

#include "chainrule/chainrule.hpp"
#include "clock.hpp"
#include "graph/tensor_data.hpp"
#include "machine.hpp"
#include "op_call.hpp"
#include "program/workspace.hpp"
#include "report.hpp"

namespace {

namespace cr = chainrule;

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

double flops(const Shape& s) {
  return 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
}
cr::Shape shape_a(const Shape& s) { return s.transpose_a ? cr::Shape{s.k, s.m} : cr::Shape{s.m, s.k}; }
cr::Shape shape_b(const Shape& s) { return s.transpose_b ? cr::Shape{s.n, s.k} : cr::Shape{s.k, s.n}; }

// Our kernel and Eigen's product of the same operands.
template <class T> class Case {
 public:
  explicit Case(const Shape& shape)
      : shape_(shape),
        ours_("matmul", {type(shape_a(shape)), type(shape_b(shape))}, attributes(shape)),
        product_(shape.m, shape.n) {}

  void ours() { ours_(); }
  void eigen() {
    const auto [m, n, k] = std::tuple{shape_.m, shape_.n, shape_.k};
    const T *a = ours_.template in<T>(0), *b = ours_.template in<T>(1);
    if (shape_.transpose_a)
      product_.noalias() = Map(a, k, m).transpose() * Map(b, k, n);
    else if (shape_.transpose_b)
      product_.noalias() = Map(a, m, k) * Map(b, n, k).transpose();
    else
      product_.noalias() = Map(a, m, k) * Map(b, k, n);
  }
  double difference() const {
    return static_cast<double>((Map(ours_.template out<T>(0), shape_.m, shape_.n) - product_).cwiseAbs().maxCoeff());
  }

 private:
  using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  using Map = Eigen::Map<const Matrix, Eigen::Aligned64>;
  static cr::TensorType type(const cr::Shape& shape) { return {cr::dtype_of<T>, shape}; }
  static cr::Attrs attributes(const Shape& shape) {
    cr::Attrs attrs;
    attrs.ints[0] = shape.transpose_a, attrs.ints[1] = shape.transpose_b;
    return attrs;
  }

  Shape shape_;
  bench::OpCall ours_;
  Matrix product_;
};

// Our product as programs run it, on the threads that set_num_threads allows. Transposes are folded into it. The result
// stays where the program leaves it, as it does in the middle of a step.
class CompiledProduct {
 public:
  CompiledProduct(const Shape& shape, cr::DType dtype)
      : x_{cr::Tensor::ones(shape_a(shape), dtype), cr::Tensor::ones(shape_b(shape), dtype)},
        workspace_(cr::compile_program(cr::trace_types(
                       [shape](const cr::Tensors& x) {
                         return cr::Tensors{cr::matmul(shape.transpose_a ? cr::transpose(x[0]) : x[0],
                                                       shape.transpose_b ? cr::transpose(x[1]) : x[1])};
                       },
                       {cr::type_of(x_[0]), cr::type_of(x_[1])})),
                   cr::num_threads()) {
    for (std::size_t i = 0; i < x_.size(); ++i) workspace_.bind_input(i, x_[i].raw_data());
  }
  void operator()() { workspace_.run(); }

 private:
  cr::Tensors x_;
  cr::Workspace workspace_;
};

template <class T> void serial(const bench::Options& options, bench::Report& report, double lanes_of_float) {
  for (const Shape& shape : shapes) {
    if (std::string(shape.workload).find(options.filter) == std::string::npos) continue;
    Case<T> c(shape);
    c.ours(), c.eigen();
    const bool differs = !(c.difference() <= 1e-2);
    const double seconds = options.seconds / options.repeats;
    bench::Timing ours(bench::processor_time, seconds, [&] { c.ours(); });
    bench::Timing eigen(bench::processor_time, seconds, [&] { c.eigen(); });
    std::vector<double> peaks;
    for (int i = 0; i < options.repeats; ++i) {  // in turn: the clock of a shared machine wanders
      peaks.push_back(bench::fma_gflops(1, seconds / 4) * lanes_of_float);
      ours.sample(), eigen.sample();
    }
    const double t = ours.median(), e = eigen.median(), peak = bench::median(peaks);
    const double rate = flops(shape) / t * 1e-9;
    report.row({{"product", std::string(shape.workload) + (differs ? " DIFFERS" : "")},
                {"m", shape.m},
                {"n", shape.n},
                {"k", shape.k},
                {"form", std::string(shape.transpose_a ? "T" : "N") + (shape.transpose_b ? "T" : "N")},
                {"us", t * 1e6},
                {"GFLOP/s", rate},
                {"Eigen", flops(shape) / e * 1e-9},
                {"ratio", e / t},
                {"FMA peak", peak},
                {"share, %", 100 * rate / peak}});
  }
}

void parallel(const bench::Options& options, bench::Report& report, cr::DType dtype, double lanes_of_float) {
  const int threads = bench::processors();
  cr::set_num_threads(threads);
  for (const Shape& shape : shapes) {
    if (std::string(shape.workload).find(options.filter) == std::string::npos || flops(shape) < 1e6) continue;
    CompiledProduct product(shape, dtype);
    const double seconds = options.seconds / options.repeats;
    bench::Timing ours(bench::wall, seconds, [&] { product(); });
    std::vector<double> peaks;
    for (int i = 0; i < options.repeats; ++i) {
      peaks.push_back(bench::fma_gflops(threads, seconds / 4) * lanes_of_float);
      ours.sample();
    }
    const double t = ours.median(), peak = bench::median(peaks), rate = flops(shape) / t * 1e-9;
    report.row({{"product", shape.workload},
                {"threads", threads},
                {"us", t * 1e6},
                {"GFLOP/s", rate},
                {"FMA peak", peak},
                {"share, %", 100 * rate / peak}});
  }
}

void measure(const bench::Options& options, bool twice) {
  const char* dtype = twice ? "float64" : "float32";
  bench::Json all = {{"dtype", dtype}};
  bench::Report one(options, std::string(dtype) + ", one thread, processor time");
  twice ? serial<double>(options, one, 0.5) : serial<float>(options, one, 1);
  one.finish(all, "serial");
  if (bench::processors() > 1) {
    bench::Report team(options, std::string(dtype) + ", all threads, compiled; products above 10^6 operations");
    parallel(options, team, twice ? cr::DType::float64 : cr::DType::float32, twice ? 0.5 : 1);
    team.finish(all, "parallel");
  }
  bench::write_json(options, all);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Times matrix products beside Eigen's, and beside the FMA peak");
  bench::Options options;
  bench::add_options(app, options, 0.5, 9, "a product, as in the table: mnist, dW, ...");
  bool twice = false;
  app.add_flag("--float64", twice, "in place of float32");
  return bench::run_main(app, argc, argv, [&] { measure(options, twice); });
}
