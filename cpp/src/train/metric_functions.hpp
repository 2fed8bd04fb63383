// The metrics behind their names: each a function of what it is given and how it is asked to average.
#pragma once

#include <string>

#include "train/metric_samples.hpp"

namespace chainrule {

double accuracy_of(const MetricInput& in);
double top_k_of(const MetricInput& in, std::int64_t k);
double balanced_accuracy_of(const MetricInput& in);
double precision_of(const MetricInput& in, const std::string& average);
double recall_of(const MetricInput& in, const std::string& average);
double f1_of(const MetricInput& in, const std::string& average);
double roc_auc_of(const MetricInput& in, const std::string& average);
double average_precision_of(const MetricInput& in, const std::string& average);
double log_loss_of(const MetricInput& in);
double mae_of(const MetricInput& in);
double mse_of(const MetricInput& in);
double rmse_of(const MetricInput& in);
double r2_of(const MetricInput& in);

// sum(w v) / sum(w); NaN where the weights add up to nothing. weight may be empty: 1 each.
double weighted_mean(const std::vector<double>& values, const std::vector<double>& weight);

}  // namespace chainrule
