// Outputs and targets as metrics read them: classes, scores or values, by what the loss's link says outputs are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "chainrule/tensor.hpp"

namespace chainrule {

// What is given to a metric. The name is for errors.
struct MetricInput {
  std::string name;
  const Tensor& output;
  const Tensor& target;
  std::string link;
  const Tensor& sample_weight;
  std::optional<std::int64_t> ignore_index{};
};

// What shapes and link say before any value is known.
struct MetricLayout {
  enum class Form {
    scores,    // rows x columns: a score for each class, one class a row
    positive,  // rows: a score of class 1
    labels,    // rows x columns: each label holds or does not
    values     // rows: class numbers, or scores of class 1
  };
  Form form = Form::values;
  std::int64_t rows = 0, columns = 1;
  bool soft = false;  // scores: targets have the shape of outputs, a share for each class
};
MetricLayout metric_layout(const std::string& name, const Shape& output, const Shape& target, const std::string& link);
// Throws ValueError where a metric of one class a sample is asked of several labels.
void refuse_labels(const std::string& name, const MetricLayout& layout, const Shape& output);

// weight holds one number per row, or none: 1 each.
struct ClassSamples {
  MetricLayout::Form form;
  std::int64_t rows = 0, columns = 1;
  std::int64_t classes = 0;  // how many there are; 0: as many as occur
  std::vector<std::int64_t> predicted, wanted;
  std::vector<double> weight;
  double weight_of(std::int64_t row) const { return weight.empty() ? 1.0 : weight[static_cast<std::size_t>(row)]; }
};
ClassSamples class_samples(const MetricInput& in);
bool holds_nan(const Tensor& output);

// Whether each row is right, in all of its labels where there are several. Values need be no class numbers.
struct RowHits {
  std::vector<char> right;
  std::vector<double> weight;
};
RowHits row_hits(const MetricInput& in);

// Scores by which samples are ranked; wanted is 1 where the class or label holds. One column: of class 1.
struct ScoreSamples {
  MetricLayout::Form form;
  std::int64_t rows = 0, columns = 1;
  std::vector<double> score, wanted;
  std::vector<double> weight;
};
ScoreSamples score_samples(const MetricInput& in);
// score: the logarithm of each class's probability (of both, where output has that of class 1), wanted: its share.
void refuse_no_probabilities(const std::string& name, const std::string& link);
ScoreSamples log_probability_samples(const MetricInput& in);
// A score for each class as it is, beside the labels.
struct TopSamples {
  std::int64_t rows = 0, columns = 1;
  std::vector<double> score;
  std::vector<std::int64_t> wanted;
  std::vector<double> weight;
};
TopSamples top_samples(const MetricInput& in);

// Numbers beside numbers: rows x columns, the shapes equal up to trailing axes of size 1.
struct ValueSamples {
  std::int64_t rows = 0, columns = 1;
  std::vector<double> predicted, wanted;
  std::vector<double> weight;
};
void check_same_shape(const std::string& name, const Shape& output, const Shape& target);
ValueSamples value_samples(const MetricInput& in);

}  // namespace chainrule
