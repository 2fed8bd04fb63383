// Times whole optimizer steps through the public Trainer, without Python: the networks of bench/peers/workloads.py.
#include <random>
#include <string>
#include <vector>

#include "allocations.hpp"
#include "chainrule/chainrule.hpp"
#include "clock.hpp"
#include "machine.hpp"
#include "report.hpp"

namespace {

namespace cr = chainrule;

struct Workload {
  std::string name;
  std::vector<std::int64_t> sizes;
  std::int64_t batch, batches;
  bool adam = true;

  double flops() const {  // of one step's matrix products; the first layer's input needs no gradient
    double products = 0;
    for (std::size_t i = 0; i + 1 < sizes.size(); ++i)
      products += (i == 0 ? 4.0 : 6.0) * static_cast<double>(batch * sizes[i] * sizes[i + 1]);
    return products;
  }
};

std::vector<Workload> workloads() {
  std::vector<std::int64_t> deep(13, 256);
  deep.push_back(10);
  return {{"tiny", {4, 32, 32, 2}, 32, 64},
          {"digits", {64, 128, 64, 10}, 32, 64},
          {"mnist", {784, 256, 128, 10}, 128, 64},
          {"deep", deep, 256, 16},
          {"wide", {1024, 4096, 4096, 1000}, 512, 2, false}};
}

class Training {
 public:
  explicit Training(const Workload& w)
      : batches_(w.batches), batch_(w.batch), trainer_(make(w)), x_(inputs(w)), y_(labels(w)) {
    xb_ = cr::Tensor::view(x_.data<float>(), {w.batch, w.sizes.front()});
    yb_ = cr::Tensor::view(y_.data<std::int64_t>(), {w.batch});
  }
  void epoch() { trainer_.fit(x_, y_, {.epochs = 1, .batch_size = batch_, .shuffle = false}); }
  void step() { trainer_.step(xb_, yb_); }
  std::int64_t batches() const { return batches_; }

 private:
  static cr::Trainer make(const Workload& w) {
    const cr::nn::MLP model(w.sizes, {.seed = 1});
    if (w.adam) return {model, cr::nn::CrossEntropyLoss(), cr::optim::Adam({.lr = 1e-4})};
    return {model, cr::nn::CrossEntropyLoss(), cr::optim::SGD({.lr = 1e-2})};
  }
  static cr::Tensor inputs(const Workload& w) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> values(static_cast<std::size_t>(w.batch * w.batches * w.sizes.front()));
    for (float& value : values) value = normal(random);
    return cr::Tensor::from(values, {w.batch * w.batches, w.sizes.front()});
  }
  static cr::Tensor labels(const Workload& w) {
    std::vector<std::int64_t> values(static_cast<std::size_t>(w.batch * w.batches));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int64_t>(i) % w.sizes.back();
    return cr::Tensor::from(values, {w.batch * w.batches});
  }

  std::int64_t batches_, batch_;
  cr::Trainer trainer_;
  cr::Tensor x_, y_, xb_, yb_;
};

void measure(const bench::Options& options, const std::vector<int>& threads) {
  bench::Report report(options, "microseconds per step, level " + cr::isa_level());
  for (const Workload& w : workloads()) {
    if (w.name.find(options.filter) == std::string::npos) continue;
    for (const int t : threads) {
      cr::set_num_threads(t);
      Training training(w);
      const double seconds = options.seconds / options.repeats;
      bench::Timing fit(bench::wall, seconds, [&] { training.epoch(); });
      bench::Timing step(bench::wall, seconds, [&] { training.step(); });
      std::vector<double> peak;
      for (int i = 0; i < options.repeats; ++i) {  // in turn: the clock of a shared machine wanders
        peak.push_back(bench::fma_gflops(t, seconds / 4));
        fit.sample(), step.sample();
      }
      const std::uint64_t before = allocations();
      for (int i = 0; i < 10; ++i) training.step();
      const auto allocated = static_cast<std::int64_t>(allocations() - before);
      const double of_fit = fit.median() / static_cast<double>(training.batches());
      const double rate = w.flops() / of_fit * 1e-9, most = bench::median(peak);
      report.row({{"workload", w.name},
                  {"threads", t},
                  {"fit, us", of_fit * 1e6},
                  {"step, us", step.median() * 1e6},
                  {"GFLOP/s", rate},
                  {"FMA peak", most},
                  {"share, %", 100 * rate / most},
                  {"allocations in 10 steps", allocated}});
    }
  }
  bench::Json all;
  report.finish(all, "steps");
  bench::write_json(options, all);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Times whole optimizer steps: whole epochs in one call (fit), and one call per step");
  bench::Options options;
  bench::add_options(app, options, 1.0, 5, "a workload: tiny, digits, mnist, deep or wide");
  std::vector<int> threads;
  bench::add_threads(app, threads);
  return bench::run_main(app, argc, argv, [&] { measure(options, threads); });
}
