// What predict and evaluate return before they are put into the public shapes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "chainrule/trainer.hpp"
#include "train/window_reader.hpp"

namespace chainrule {

// Sum of w l over sum of w, batch by batch, whatever rounding the host has set. The sums are out of line so that they
// stay inside the floating-point environment.
class WeightedMean {
 public:
  WeightedMean() = default;
  WeightedMean(double weighted, double weights) : weighted_(weighted), weights_(weights) {}
  void add(double batch_weighted, double batch_weights);
  double mean() const;  // NaN where nothing was added
  std::pair<double, double> sums() const { return {weighted_, weights_}; }

 private:
  void add_in_environment(double batch_weighted, double batch_weights);
  double mean_in_environment() const;
  double weighted_ = 0, weights_ = 0;
};

std::optional<std::int64_t> ignored_label(const Loss& loss);
// A metric, of a loss whose link tells what outputs mean, and which labels are left out.
double measure(const Metric& metric, const Loss& loss, const Tensor& output, const Tensor& target);
// Refuses metrics that have no meaning for outputs and targets of these shapes.
void check_metrics(const std::vector<Metric>& metrics, const Loss& loss, const Shape& output, const Shape& target);

struct Evaluation {
  double loss = 0;
  std::vector<std::pair<std::string, double>> metrics;
};
Evaluation evaluate_all(const nn::Module& model, const Loss& loss, const std::vector<Metric>& metrics,
                        const std::vector<Tensor>& x, const Tensor& y, const Tensor& weight, std::int64_t batch_size);
// The same of a source, window by window.
Evaluation evaluate_windows(const nn::Module& model, const Loss& loss, const std::vector<Metric>& metrics,
                            WindowReader& windows, std::int64_t batch_size);
std::vector<Tensor> predict_all(const nn::Module& model, const std::vector<Tensor>& x, std::int64_t batch_size,
                                const std::string& output);

}  // namespace chainrule
