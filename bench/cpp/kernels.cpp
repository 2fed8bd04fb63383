// Times single kernels on one thread: elementwise, reductions, softmax and cross-entropy, dropout, optimizer updates.
// Matrix products are in matmul.cpp.
#include <string>
#include <vector>

#include "chainrule/config.hpp"
#include "clock.hpp"
#include "op_call.hpp"
#include "report.hpp"

namespace {

using chainrule::DType;
using chainrule::Shape;
using chainrule::TensorType;

struct Case {
  std::string op;
  chainrule::Types in;
  chainrule::Attrs attrs{};
  float low = -1, high = 1;
};

TensorType floats(const Shape& shape) { return {DType::float32, shape}; }

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const std::int64_t n : {1'000, 50'000, 4'000'000}) {  // in L1, in L2, in memory
    const TensorType x = floats({n});
    for (const char* op : {"add", "multiply"}) all.push_back({op, {x, x}});
    for (const char* op : {"relu", "tanh", "sigmoid", "exp", "erf", "gelu"}) all.push_back({op, {x}});
    all.push_back({"log", {x}, {}, 0.1f, 2});
    all.push_back({"d_tanh", {x, x}});
    all.push_back({"d_gelu", {x, x}});
    chainrule::Attrs half;
    half.reals[0] = 0.5;
    all.push_back({"dropout", {x, {DType::int64, {2}}}, half});
    all.push_back({"dropout_apply", {x, {DType::uint8, {(n + 7) / 8}}}, half});
  }
  for (const auto& [rows, n] : {std::pair<std::int64_t, std::int64_t>{32, 10}, {128, 10}, {256, 100}, {512, 1000}}) {
    const TensorType x = floats({rows, n}), row = floats({rows}), labels{DType::int64, {rows}};
    all.push_back({"softmax", {x}});
    all.push_back({"d_softmax", {x, x}});
    all.push_back({"softmax_cross_entropy", {x, labels}});
    all.push_back({"d_softmax_cross_entropy", {x, labels, row, row, row}, {}, 0.5f, 1});
  }
  for (const std::int64_t n : {1'000, 10'000, 100'000, 1'000'000, 10'000'000}) {
    const TensorType x = floats({n}), scalar = floats({});
    chainrule::Attrs adam;
    adam.reals = {0.9, 0.999, 1e-8};
    all.push_back({"adam_update", {x, x, x, x, scalar, scalar, scalar, scalar}, adam, 0.1f, 0.5f});
    all.push_back({"sgd_update", {x, x, scalar, scalar}, {}, 0.1f, 0.5f});
  }
  return all;
}

std::string shapes(const Case& c) {
  std::string text;
  for (const TensorType& type : c.in)
    if (type.shape.rank() > 0 && text.find(type.shape.str()) == std::string::npos)
      text += (text.empty() ? "" : " ") + type.shape.str();
  return text;
}

void measure(const bench::Options& options) {
  bench::Report report(options, "one thread, level " + chainrule::isa_level() + ", processor time");
  for (const Case& c : cases()) {
    if (c.op.find(options.filter) == std::string::npos) continue;
    bench::OpCall call(c.op, c.in, c.attrs, c.low, c.high);
    bench::Timing timing(bench::processor_time, options.seconds / options.repeats, [&] { call(); });
    for (int i = 0; i < options.repeats; ++i) timing.sample();
    const double seconds = timing.median(), n = static_cast<double>(c.in[0].shape.size());
    report.row({{"op", c.op},
                {"shapes", shapes(c)},
                {"us", seconds * 1e6},
                {"ns/element", seconds * 1e9 / n},
                {"GB/s", call.bytes() / seconds * 1e-9}});
  }
  bench::Json all;
  report.finish(all, "kernels");
  bench::write_json(options, all);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Times single kernels on one thread");
  bench::Options options;
  bench::add_options(app, options, 0.2, 5, "an op");
  return bench::run_main(app, argc, argv, [&] { measure(options); });
}
