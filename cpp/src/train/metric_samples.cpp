// Reading outputs and targets, and refusing what has no meaning.
#include "train/metric_samples.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <span>

#include "chainrule/ops.hpp"
#include "core/fail.hpp"

namespace chainrule {
namespace {

using Form = MetricLayout::Form;

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// (N,) and (N, 1) are the same thing here.
Shape squeezed(Shape s) {
  while (s.rank() > 1 && s.back() == 1) s.erase(s.rank() - 1);
  return s;
}

std::string both(const Shape& output, const Shape& target) {
  return "output is " + output.str() + ", target is " + target.str();
}

std::string number_text(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%g", value);
  return buffer;
}

std::vector<double> doubles(const Tensor& t) {
  const Tensor all = cast(t, DType::float64);
  return {all.data<double>(), all.data<double>() + all.size()};
}

void check_number(const MetricInput& in, double value) {
  if (std::isnan(value))
    fail<ValueError>(in.name, "the output holds NaN, which is of no class", "", "lower the learning rate");
}
std::int64_t class_of(const MetricInput& in, std::span<const double> scores) {
  for (const double score : scores) check_number(in, score);
  return std::max_element(scores.begin(), scores.end()) - scores.begin();
}

void check_weight(const MetricInput& in, double weight) {
  if (!(weight >= 0 && std::isfinite(weight)))
    fail<ValueError>(in.name, "sample_weight must be 0 or more", number_text(weight) + " was given");
}

// What all readings begin with: the layout, the weights, and the rows that count.
class Reader {
 public:
  explicit Reader(const MetricInput& in)
      : in_(in), layout_(metric_layout(in.name, in.output.shape(), in.target.shape(), in.link)) {
    targets_ = doubles(in.target);
    read_kept();
    weight_ = kept_weights();
  }

  const MetricLayout& layout() const { return layout_; }
  std::int64_t rows() const { return static_cast<std::int64_t>(kept_.size()); }
  const std::vector<double>& weight() const { return weight_; }
  bool soft() const { return layout_.soft; }

  // rows x columns of any tensor of the output's size, without the rows left out.
  std::vector<double> values(const Tensor& output) const {
    const std::vector<double> all = doubles(output);
    if (rows() == layout_.rows) return all;
    std::vector<double> some;
    for (const std::int64_t row : kept_)
      some.insert(some.end(), all.begin() + row * layout_.columns, all.begin() + (row + 1) * layout_.columns);
    return some;
  }

  // Class of each row, from a label or from the largest share.
  std::vector<std::int64_t> labels() const {
    std::vector<std::int64_t> all;
    const std::int64_t classes = layout_.columns;
    for (const std::int64_t row : kept_) {
      if (layout_.soft) {
        const double* q = targets_.data() + row * classes;
        all.push_back(std::max_element(q, q + classes) - q);
        continue;
      }
      const double label = targets_[at(row)];
      if (!(label >= 0 && label < static_cast<double>(classes)) || label != std::floor(label))
        fail<IndexError>(
            in_.name, "a label is outside the classes",
            number_text(label) + ", the output has " + std::to_string(classes) + " classes",
            "labels must be 0 ... " + std::to_string(classes - 1) + "; samples to leave out are named by ignore_index");
      all.push_back(static_cast<std::int64_t>(label));
    }
    return all;
  }
  // A row's share of each class: 1 for its label's.
  std::vector<double> shares() const {
    if (layout_.soft) return targets_;
    std::vector<double> all(at(rows() * layout_.columns));
    const std::vector<std::int64_t> of = labels();
    for (std::size_t i = 0; i < of.size(); ++i) all[i * at(layout_.columns) + at(of[i])] = 1.0;
    return all;
  }
  // Targets of class 1 or of labels, as they are.
  const std::vector<double>& given() const { return targets_; }
  // The same as 0 or 1: 0 and 1, -1 and 1, or probabilities.
  std::vector<double> holds() const {
    std::vector<double> all;
    all.reserve(targets_.size());
    for (const double t : targets_) {
      if (!(t >= -1 && t <= 1)) {
        const bool labels = layout_.form == Form::labels;
        fail<IndexError>(in_.name, labels ? "a target is not 0 or 1" : "a label is outside the two classes",
                         number_text(t) + "; " + both(in_.output.shape(), in_.target.shape()),
                         labels ? "write 1 for each label that holds, 0 for the others"
                                : "labels must be 0 or 1; for more classes, give a score for each");
      }
      all.push_back(t >= 0.5 ? 1.0 : 0.0);
    }
    return all;
  }

 private:
  void read_kept() {
    const bool some = in_.ignore_index && layout_.form == Form::scores && !layout_.soft;
    for (std::int64_t row = 0; row < layout_.rows; ++row)
      if (!some || targets_[at(row)] != static_cast<double>(*in_.ignore_index)) kept_.push_back(row);
  }

  std::vector<double> kept_weights() const {
    if (!in_.sample_weight.defined()) return {};
    const std::int64_t samples = in_.output.rank() > 0 ? in_.output.shape(0) : 1;
    if (!(squeezed(in_.sample_weight.shape()) == Shape{samples}) && in_.sample_weight.size() != layout_.rows)
      fail<ShapeError>(in_.name, "sample_weight must be one number per sample",
                       "it is " + in_.sample_weight.shape().str() + ", output is " + in_.output.shape().str());
    const std::vector<double> given = doubles(in_.sample_weight);
    const std::int64_t positions = layout_.rows / static_cast<std::int64_t>(given.size());  // of a sample
    std::vector<double> all;
    for (const std::int64_t row : kept_) {
      const double w = given[at(row / positions)];
      check_weight(in_, w);
      all.push_back(w);
    }
    return all;
  }

  const MetricInput& in_;
  MetricLayout layout_;
  std::vector<double> targets_;
  std::vector<std::int64_t> kept_;
  std::vector<double> weight_;
};

void check_sums(const MetricInput& in, const std::vector<double>& p, std::int64_t columns) {
  const double tolerance = in.output.dtype() == DType::float64 ? 1.5e-8 : 3.5e-4;  // sqrt(eps)
  for (std::size_t row = 0; row * at(columns) < p.size(); ++row) {
    double sum = 0;
    for (std::size_t c = 0; c < at(columns); ++c) sum += p[row * at(columns) + c];
    if (std::abs(sum - 1) > tolerance)
      fail<ValueError>(in.name, "the scores of a sample are no probabilities",
                       "they add up to " + number_text(sum) + " in row " + std::to_string(row),
                       "write link=\"softmax\" for logits");
  }
}

std::vector<std::int64_t> whole(const MetricInput& in, const std::vector<double>& values, const char* what) {
  std::vector<std::int64_t> all;
  all.reserve(values.size());
  for (const double v : values) {
    if (!(std::abs(v) < 9e15) || v != std::floor(v))
      fail<ValueError>(in.name, std::string(what) + " holds values that are no class numbers", number_text(v),
                       "write link=\"sigmoid\" for logits, link=\"probability\" for probabilities of class 1");
    all.push_back(static_cast<std::int64_t>(v));
  }
  return all;
}

}  // namespace

MetricLayout metric_layout(const std::string& name, const Shape& output, const Shape& target, const std::string& link) {
  MetricLayout layout;
  const Shape y = squeezed(output), t = squeezed(target);
  const auto differ = [&] { fail<ShapeError>(name, "output and target differ", both(output, target)); };
  const bool per_class = link == "softmax" || link == "exp" || link == "argmax";
  Shape leading = output;
  if (leading.rank() > 0) leading.erase(leading.rank() - 1);
  if (leading.rank() > 0) leading = squeezed(leading);
  const bool labelled = output.rank() > 1 && output.back() > 1 && t == leading;
  if (per_class || (link == "identity" && labelled && !(y == t))) {
    layout.soft = per_class && target == output && output.rank() > 1 && !(leading == t);
    if (!layout.soft && (output.rank() < 2 || !(leading == t))) differ();
    layout.form = Form::scores;
    layout.columns = output.back();
    layout.rows = layout.columns == 0 ? 0 : output.size() / layout.columns;
  } else {
    if (!(y == t)) differ();
    if (y.rank() == 2) {
      layout.form = Form::labels;
      layout.columns = y.back();
    } else if (link != "identity") {
      layout.form = Form::positive;
    }
    layout.rows = layout.columns == 0 ? 0 : output.size() / layout.columns;
  }
  if (layout.rows == 0) fail<ShapeError>(name, "no samples", "output is " + output.str(), "check for empty data");
  return layout;
}

void refuse_labels(const std::string& name, const MetricLayout& layout, const Shape& output) {
  if (layout.form == Form::labels)
    fail<ValueError>(name, "has no meaning for several labels that may hold together", "output is " + output.str(),
                     "use it on one column, or use accuracy, precision, recall or f1");
}

bool holds_nan(const Tensor& output) {
  if (!is_floating(output.dtype())) return false;
  const std::vector<double> all = doubles(output);
  return std::any_of(all.begin(), all.end(), [](double v) { return std::isnan(v); });
}

ClassSamples class_samples(const MetricInput& in) {
  const Reader reader(in);
  ClassSamples s{reader.layout().form, reader.rows(), 1, 0, {}, {}, reader.weight()};
  const auto truth = [](const std::vector<double>& values) {
    return std::vector<std::int64_t>(values.begin(), values.end());
  };
  const std::vector<double> y = reader.values(in.output);
  if (s.form == Form::scores) {
    const auto classes = static_cast<std::ptrdiff_t>(reader.layout().columns);
    s.classes = classes;
    s.wanted = reader.labels();
    for (auto row = y.begin(); row != y.end(); row += classes)
      s.predicted.push_back(class_of(in, std::span(row, row + classes)));
    return s;
  }
  s.columns = reader.layout().columns;
  if (in.link != "identity") {
    s.classes = 2;
    s.wanted = truth(reader.holds());
    const double limit = in.link == "probability" ? 0.5 : 0.0;
    for (const double v : y) {
      check_number(in, v);
      s.predicted.push_back(v >= limit ? 1 : 0);
    }
    return s;
  }
  s.predicted = whole(in, y, "output");
  s.wanted = whole(in, reader.given(), "target");
  if (s.form != Form::labels) return s;
  s.classes = 2;
  for (const auto* values : {&s.predicted, &s.wanted})
    for (const std::int64_t v : *values)
      if (v != 0 && v != 1)
        fail<ValueError>(in.name, "labels that may hold together are 0 or 1",
                         std::to_string(v) + "; output is " + in.output.shape().str(),
                         "ravel() both for one class per position");
  return s;
}

RowHits row_hits(const MetricInput& in) {
  RowHits hits;
  const auto add = [&](const auto& predicted, const auto& wanted, std::int64_t columns) {
    for (std::size_t i = 0; i < wanted.size(); i += at(columns))
      hits.right.push_back(std::equal(predicted.begin() + static_cast<std::ptrdiff_t>(i),
                                      predicted.begin() + static_cast<std::ptrdiff_t>(i + at(columns)),
                                      wanted.begin() + static_cast<std::ptrdiff_t>(i)));
  };
  const Reader reader(in);
  hits.weight = reader.weight();
  if (in.link == "identity" && reader.layout().form != Form::scores) {
    add(reader.values(in.output), reader.given(), reader.layout().columns);
  } else {
    const ClassSamples s = class_samples(in);
    add(s.predicted, s.wanted, s.columns);
  }
  return hits;
}

ScoreSamples score_samples(const MetricInput& in) {
  const Reader reader(in);
  ScoreSamples s{reader.layout().form, reader.rows(), reader.layout().columns, {}, {}, reader.weight()};
  if (s.form != Form::scores) {
    s.score = reader.values(in.output);
    s.wanted = reader.holds();
    return s;
  }
  if (in.link == "identity") check_sums(in, reader.values(in.output), s.columns);
  if (s.columns != 2) {  // each class against the rest: ranked by its probability, which a logit alone is not
    const Tensor wide = cast(in.output, DType::float64);
    s.score = reader.values(in.link == "softmax" ? softmax(wide, -1) : wide);
    s.wanted.assign(s.score.size(), 0.0);
    const std::vector<std::int64_t> labels = reader.labels();
    for (std::size_t i = 0; i < labels.size(); ++i) s.wanted[i * at(s.columns) + at(labels[i])] = 1.0;
    return s;
  }
  const std::vector<double> y = reader.values(in.output);
  for (std::size_t i = 0; i < y.size(); i += 2)
    s.score.push_back(in.link == "softmax" || in.link == "argmax" ? y[i + 1] - y[i] : y[i + 1]);
  for (const std::int64_t label : reader.labels()) s.wanted.push_back(static_cast<double>(label));
  s.columns = 1;
  s.form = Form::positive;
  return s;
}

void refuse_no_probabilities(const std::string& name, const std::string& link) {
  if (link == "sign" || link == "argmax")
    fail<ValueError>(name, "outputs are no probabilities", "the loss has the link '" + link + "'",
                     "use accuracy, or train with a loss of probabilities");
}

ScoreSamples log_probability_samples(const MetricInput& in) {
  refuse_no_probabilities(in.name, in.link);
  const Reader reader(in);
  ScoreSamples s{reader.layout().form, reader.rows(), reader.layout().columns, {}, {}, reader.weight()};
  const Tensor wide = cast(in.output, DType::float64);
  const double eps = in.output.dtype() == DType::float64 ? std::numeric_limits<double>::epsilon()
                                                         : static_cast<double>(std::numeric_limits<float>::epsilon());
  const auto log_of = [&](double p) {
    if (!(p >= 0 && p <= 1) && !std::isnan(p))
      fail<ValueError>(in.name, "output holds values that are no probabilities", number_text(p),
                       "write link=\"sigmoid\" or link=\"softmax\" for logits");
    return std::log(std::min(std::max(p, eps), 1 - eps));
  };
  if (s.form == Form::scores) {
    s.wanted = reader.shares();
    s.score = reader.values(in.link == "softmax" ? log_softmax(wide, -1) : wide);
    if (in.link != "identity") return s;
    for (double& p : s.score) log_of(p);  // throws
    check_sums(in, s.score, s.columns);
    for (double& p : s.score) p = log_of(p);
    return s;
  }
  // Of class 0 and of class 1, side by side.
  const std::vector<double> y = reader.values(wide);
  if (in.link == "sigmoid") {
    const std::vector<double> no = reader.values(negative(softplus(wide))),
                              yes = reader.values(negative(softplus(negative(wide))));
    for (std::size_t i = 0; i < y.size(); ++i) s.score.insert(s.score.end(), {no[i], yes[i]});
  } else {
    for (const double p : y) {
      const double yes = log_of(p);
      s.score.insert(s.score.end(), {log_of(1 - p), yes});
    }
  }
  reader.holds();  // throws for what is no target
  for (const double t : reader.given()) {
    const double q = std::max(t, 0.0);  // -1 is the other class's
    s.wanted.insert(s.wanted.end(), {1 - q, q});
  }
  s.columns *= 2;
  return s;
}

TopSamples top_samples(const MetricInput& in) {
  const Reader reader(in);
  if (reader.layout().form != Form::scores)
    fail<ShapeError>(in.name, "needs a score for each class", both(in.output.shape(), in.target.shape()),
                     "use accuracy");
  return {reader.rows(), reader.layout().columns, reader.values(in.output), reader.labels(), reader.weight()};
}

void check_same_shape(const std::string& name, const Shape& output, const Shape& target) {
  if (!(squeezed(output) == squeezed(target))) fail<ShapeError>(name, "output and target differ", both(output, target));
}

ValueSamples value_samples(const MetricInput& in) {
  const Shape& shape = in.output.shape();
  check_same_shape(in.name, shape, in.target.shape());
  if (shape.size() == 0) fail<ShapeError>(in.name, "no samples", "output is " + shape.str(), "check for empty data");
  ValueSamples s;
  s.rows = shape.rank() == 0 ? 1 : shape[0];
  s.columns = shape.size() / s.rows;
  s.predicted = doubles(in.output);
  s.wanted = doubles(in.target);
  if (!in.sample_weight.defined()) return s;
  if (in.sample_weight.size() != s.rows)
    fail<ShapeError>(in.name, "sample_weight must be one number per sample",
                     "it is " + in.sample_weight.shape().str() + ", output is " + shape.str());
  s.weight = doubles(in.sample_weight);
  for (const double w : s.weight) check_weight(in, w);
  return s;
}

}  // namespace chainrule
