// What fit says before it trains: shapes, labels and columns that would fail later.
#include "core/fail.hpp"
#include "program/program.hpp"
#include "train/batched_run.hpp"
#include "train/evaluate.hpp"
#include "train/fit_run.hpp"

namespace chainrule {

CompiledStep& FitRun::step_of(std::int64_t size, bool updates) {
  StepInputs inputs;
  for (const Tensor& t : data_.x) inputs.x.push_back(batch_type(t, size));
  inputs.target = batch_type(data_.y, size);
  if (data_.weight.defined()) inputs.weight = batch_type(data_.weight, size);
  return s_.step_for(inputs, updates);
}

// Whatever a batch of either size is refused for is said before the first one trains.
const Program& FitRun::check_steps() {
  s_.loss.impl()->check_target(data_.given_y, {});
  const std::int64_t last = size_of_batch(batches_ - 1);
  if (batch_ > 1) step_of(batch_);  // first, since its errors name the shapes as they were given
  try {
    step_of(last);
  } catch (const ValueError& error) {
    if (last > 1) throw;
    const std::string refused = error.what();
    std::int64_t better = std::max<std::int64_t>(batch_, 2);
    while (better < data_.samples && data_.samples % better == 1) ++better;
    fail<ValueError>("fit", "the last batch would hold one sample, which the model refuses",
                     std::to_string(data_.samples) + " samples, batch_size=" + std::to_string(options_.batch_size) +
                         ", " + refused.substr(0, refused.find(';')),
                     data_.samples == 1 ? "give more samples" : "write batch_size=" + std::to_string(better));
  }
  CompiledStep& step = step_of(batch_);
  const Shape output = step.output_type().shape;
  s_.loss.impl()->check_target(data_.given_y, output);
  if (output.rank() > 0 && output[0] == batch_)
    check_metrics(s_.options.metrics, s_.loss, output, batch_type(data_.y, batch_).shape);
  return step.workspace().program();
}

void FitRun::check_validation() {
  if (!data_.validates()) return;
  const data::SourceRows given = data_.validation_windows
                                     ? data_.validation_windows->take(0, -1)
                                     : data::SourceRows{data_.validation.x, data_.validation.y, {}};
  StepInputs inputs;
  const std::int64_t rows = std::min(validation_batch(), given.y.shape(0));
  for (const Tensor& t : given.x) inputs.x.push_back(batch_type(t, rows));
  inputs.target = batch_type(given.y, rows);
  const GraphData graph = trace_evaluation(s_.model, s_.loss, inputs);
  const ValueId output = graph.outputs[2];
  s_.loss.impl()->check_target(given.y, graph.types[static_cast<std::size_t>(output)].shape);
}

std::vector<std::string> FitRun::columns() const {
  std::vector<std::string> columns{"loss"};
  for (const Metric& metric : s_.options.metrics) columns.push_back(metric.name);
  if (data_.validates())
    for (std::size_t i = 0, n = columns.size(); i < n; ++i) columns.push_back("val_" + columns[i]);
  return columns;
}

}  // namespace chainrule
