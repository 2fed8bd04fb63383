// From a table to numbers: what is learned from the training rows, and how it is applied to any table.
#include <algorithm>
#include <cmath>
#include <map>
#include <unordered_map>

#include "chainrule/data.hpp"
#include "graph/tensor_data.hpp"
#include "io/file.hpp"
#include "io/number_text.hpp"

namespace chainrule::data {
namespace {

constexpr const char* fit_name = "fit_schema";
constexpr std::size_t most_classes_in_numbers = 20;
constexpr std::size_t most_categories = 1000;

struct Moments {
  double mean = 0.0, scale = 1.0;
  std::int64_t count = 0;
};

// Mean and population standard deviation in two passes; scale 1 where all values are equal.
Moments moments(const Column& column, std::span<const std::int64_t> rows) {
  Moments m;
  double sum = 0.0, first = 0.0;
  bool equal = true;
  for (const std::int64_t row : rows) {
    const double v = column.numbers[static_cast<std::size_t>(row)];
    if (std::isnan(v)) continue;
    if (m.count == 0) first = v;
    equal = equal && v == first;
    sum += v;
    ++m.count;
  }
  if (m.count == 0) return m;
  if (equal) {
    m.mean = first;
    return m;
  }
  m.mean = sum / static_cast<double>(m.count);
  double squares = 0.0;
  for (const std::int64_t row : rows) {
    const double d = column.numbers[static_cast<std::size_t>(row)] - m.mean;
    if (!std::isnan(d)) squares += d * d;
  }
  m.scale = std::sqrt(squares / static_cast<double>(m.count));
  return m;
}

[[noreturn]] void missing_value(const char* op, const Table& table, std::int64_t row, const Column& column,
                                const char* todo) {
  fail<ValueError>(op, table.place(row, column) + ": the value is missing", "", todo);
}

// Categories in sorted order, and how often each occurs in the rows.
std::map<std::string, std::int64_t> count_texts(const Column& column, std::span<const std::int64_t> rows) {
  std::unordered_map<std::string_view, std::int64_t> counts;
  for (const std::int64_t row : rows) {
    const std::string& text = column.text[static_cast<std::size_t>(row)];
    if (!text.empty()) ++counts[text];
  }
  return {counts.begin(), counts.end()};
}

void fit_numeric(ColumnSchema& learned, const Column& column, std::span<const std::int64_t> rows) {
  const Moments m = moments(column, rows);
  if (!std::isfinite(m.mean) || !std::isfinite(m.scale))
    fail<ValueError>(fit_name, "column '" + column.name + "' has values too large to standardize", "",
                     "divide them by a constant, or ignore the column");
  learned.kind = "numeric";
  learned.mean = learned.fill = m.mean;
  learned.scale = m.scale > 0 ? m.scale : 1.0;
}

void fit_categorical(ColumnSchema& learned, const Column& column, std::span<const std::int64_t> rows) {
  const auto counts = count_texts(column, rows);
  if (counts.size() > most_categories || (counts.size() > 100 && 2 * counts.size() > rows.size()))
    fail<ValueError>(fit_name, "column '" + column.name + "' has too many different texts to be categories",
                     std::to_string(counts.size()) + " in " + std::to_string(rows.size()) + " rows",
                     "a name or an identifier? leave the column out of the file, or ignore it");
  learned.kind = "categorical";
  std::int64_t most = 0;
  for (const auto& [text, count] : counts) {
    learned.categories.push_back(text);
    if (count > most) {
      most = count;
      learned.fill_category = text;
    }
  }
}

void fit_numeric_target(Schema& schema, const Column& column, std::span<const std::int64_t> rows,
                        const std::string& task) {
  std::map<double, std::int64_t> values;  // no more than needed to tell that they are many
  bool whole = true;
  const bool classes_wanted = task == "classification";
  for (const std::int64_t row : rows) {
    const double v = column.numbers[static_cast<std::size_t>(row)];
    whole = whole && v == std::floor(v);
    if (values.size() <= most_classes_in_numbers || classes_wanted) ++values[v];
  }
  const bool few = values.size() <= most_classes_in_numbers && (values.size() <= 2 || 2 * values.size() <= rows.size());
  if (values.size() == 1)
    fail<ValueError>(fit_name, "the target '" + schema.target + "' has the same value in every row",
                     io::number_text(values.begin()->first), "there is nothing to learn");
  if (classes_wanted || (task == "auto" && whole && few)) {
    schema.task = "classification";
    for (const auto& [value, count] : values) schema.classes.push_back(io::number_text(value));
    return;
  }
  schema.task = "regression";
  const Moments m = moments(column, rows);
  if (!std::isfinite(m.mean) || !std::isfinite(m.scale))
    fail<ValueError>(fit_name, "the target '" + schema.target + "' has values too large to standardize", "",
                     "divide them by a constant");
  schema.target_mean = m.mean;
  schema.target_scale = m.scale > 0 ? m.scale : 1.0;
}

void fit_text_target(Schema& schema, const Column& column, std::span<const std::int64_t> rows,
                     const std::string& task) {
  const auto counts = count_texts(column, rows);
  const std::string given = std::to_string(counts.size()) + " in " + std::to_string(rows.size()) + " rows";
  if (task == "regression") {
    fail<ValueError>(fit_name, "the target '" + schema.target + "' is text, which is no number to predict", given,
                     "use task=\"classification\"");
  }
  if (counts.size() < 2)
    fail<ValueError>(fit_name, "the target '" + schema.target + "' has the same value in every row",
                     counts.empty() ? "" : io::in_quotes(counts.begin()->first), "there is nothing to learn");
  if (counts.size() > most_categories || (counts.size() > most_classes_in_numbers && 2 * counts.size() > rows.size()))
    fail<ValueError>(fit_name, "the target '" + schema.target + "' has too many different texts to be classes", given,
                     "is it the right column?");
  schema.task = "classification";
  for (const auto& [text, count] : counts) schema.classes.push_back(text);
}

// The table's column for a learned one; a clear error where it is missing.
const Column& matching(const Table& table, const std::string& name) {
  for (const Column& c : table.columns)
    if (c.name == name) return c;
  std::string names;
  for (const Column& c : table.columns) names += (names.empty() ? "" : ", ") + c.name;
  fail<IndexError>("encode", table.name + ": there is no column '" + name + "', which the model was trained on",
                   "the columns are " + (names.size() > 400 ? names.substr(0, 400) + "..." : names));
}

// Index of each category or class. Numbers are found by value, so that 1, 1.0 and 01 are the same.
class Index {
 public:
  explicit Index(const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < names.size(); ++i) {
      by_text_.emplace(names[i], static_cast<std::int64_t>(i));
      if (const auto value = io::text_number(names[i])) by_number_.emplace(*value, static_cast<std::int64_t>(i));
    }
  }
  std::int64_t find(const Column& column, std::int64_t row) const {  // -1: not there
    const auto r = static_cast<std::size_t>(row);
    if (!column.numeric) {
      if (const auto found = by_text_.find(column.text[r]); found != by_text_.end()) return found->second;
      const auto value = io::text_number(column.text[r]);
      return value ? find(*value) : -1;
    }
    return find(column.numbers[r]);
  }
  std::int64_t find(const std::string& text) const {
    const auto found = by_text_.find(text);
    return found == by_text_.end() ? -1 : found->second;
  }

 private:
  std::int64_t find(double value) const {
    const auto found = by_number_.find(value);
    return found == by_number_.end() ? -1 : found->second;
  }
  std::unordered_map<std::string_view, std::int64_t> by_text_;
  std::unordered_map<double, std::int64_t> by_number_;
};

constexpr const char* no_fill = "fill it in, leave the row out, or train with --missing fill";

void encode_numeric(const ColumnSchema& learned, const Table& table, const Column& column, float* out,
                    std::int64_t width) {
  if (!column.numeric) {
    for (std::int64_t row = 0; row < table.rows; ++row) {
      const std::string& text = column.text[static_cast<std::size_t>(row)];
      if (!text.empty() && !io::text_number(text))
        fail<ValueError>("encode", table.place(row, column) + ": not a number", io::in_quotes(text),
                         "the model was trained on numbers here; correct the cell");
    }
  }
  for (std::int64_t row = 0; row < table.rows; ++row) {
    double v = learned.fill;
    if (!column.missing(row))
      v = column.numeric ? column.numbers[static_cast<std::size_t>(row)]
                         : *io::text_number(column.text[static_cast<std::size_t>(row)]);
    else if (!learned.fills)
      missing_value("encode", table, row, column, no_fill);
    out[row * width] = static_cast<float>((v - learned.mean) / learned.scale);
  }
}

void encode_categorical(const ColumnSchema& learned, const Table& table, const Column& column, float* out,
                        std::int64_t width) {
  const Index index(learned.categories);
  const std::int64_t filled = index.find(learned.fill_category);
  for (std::int64_t row = 0; row < table.rows; ++row) {
    std::int64_t at = filled;
    if (!column.missing(row))
      at = index.find(column, row);
    else if (!learned.fills)
      missing_value("encode", table, row, column, no_fill);
    if (at >= 0) out[row * width + at] = 1.0f;
  }
}

}  // namespace

std::int64_t Schema::width() const {
  std::int64_t total = 0;
  for (const ColumnSchema& c : columns)
    total += c.kind == "numeric" ? 1 : static_cast<std::int64_t>(c.categories.size());
  return total;
}

Schema fit_schema(const Table& table, const std::string& target, std::span<const std::int64_t> rows,
                  const SchemaOptions& options) {
  const std::string& missing = options.missing;
  if (missing != "error" && missing != "fill" && missing != "drop")
    fail<ValueError>(fit_name, "missing is not known", io::in_quotes(missing), "use \"error\", \"fill\" or \"drop\"");
  if (options.task != "auto" && options.task != "classification" && options.task != "regression")
    fail<ValueError>(fit_name, "task is not known", io::in_quotes(options.task),
                     "use \"auto\", \"classification\" or \"regression\"");
  for (const std::int64_t row : rows)
    if (row < 0 || row >= table.rows)
      fail<IndexError>(fit_name, "a row is not there", std::to_string(row) + " of " + std::to_string(table.rows));
  const Column& goal = table.column(target);
  for (const std::string& name : options.ignore) table.column(name);
  std::vector<const Column*> features;
  for (const Column& c : table.columns)
    if (&c != &goal && std::find(options.ignore.begin(), options.ignore.end(), c.name) == options.ignore.end())
      features.push_back(&c);
  if (features.empty())
    fail<ValueError>(fit_name, table.name + ": there is no column besides the target", io::in_quotes(target),
                     "at least one is needed");

  std::vector<std::int64_t> used;
  for (const std::int64_t row : rows) {
    const Column* gap = goal.missing(row) ? &goal : nullptr;
    for (std::size_t i = 0; i < features.size() && gap == nullptr && missing != "fill"; ++i)
      if (features[i]->missing(row)) gap = features[i];
    if (gap != nullptr && missing == "error")
      missing_value(fit_name, table, row, *gap,
                    "use --missing fill (mean or most frequent category) or --missing drop (leave such rows out)");
    if (gap != nullptr && missing == "fill")
      missing_value(fit_name, table, row, goal,
                    "a target cannot be filled in: leave the row out, or use --missing drop");
    if (gap == nullptr) used.push_back(row);
  }
  if (used.empty())
    fail<ValueError>(fit_name, table.name + ": no row is left to learn from",
                     std::to_string(rows.size()) + " rows, each with a missing value", "use --missing fill");

  Schema schema;
  schema.target = target;
  goal.numeric ? fit_numeric_target(schema, goal, used, options.task)
               : fit_text_target(schema, goal, used, options.task);
  for (const Column* column : features) {
    ColumnSchema& learned = schema.columns.emplace_back();
    learned.name = column->name;
    column->numeric ? fit_numeric(learned, *column, used) : fit_categorical(learned, *column, used);
    learned.fills = missing == "fill";
    if (!learned.fills) {
      learned.fill = 0.0;
      learned.fill_category.clear();
    }
  }
  return schema;
}

Schema fit_schema(const Table& table, const std::string& target, std::span<const std::int64_t> rows,
                  const std::string& missing) {
  return fit_schema(table, target, rows, SchemaOptions{missing, "auto", {}});
}

Tensor encode(const Schema& schema, const Table& table) {
  const std::int64_t width = schema.width();
  Tensor x = Tensor::zeros({table.rows, width});
  float* out = reinterpret_cast<float*>(bytes_of(x));
  for (const ColumnSchema& learned : schema.columns) {
    const Column& column = matching(table, learned.name);
    const bool numeric = learned.kind == "numeric";
    numeric ? encode_numeric(learned, table, column, out, width)
            : encode_categorical(learned, table, column, out, width);
    out += numeric ? 1 : learned.categories.size();
  }
  return x;
}

Tensor encode_target(const Schema& schema, const Table& table) {
  const Column& column = matching(table, schema.target);
  const auto check = [&](std::int64_t row) {
    if (column.missing(row)) missing_value("encode_target", table, row, column, "leave the row out");
  };
  if (schema.task == "regression") {
    Tensor y = Tensor::empty({table.rows, 1});
    float* out = reinterpret_cast<float*>(bytes_of(y));
    for (std::int64_t row = 0; row < table.rows; ++row) {
      check(row);
      const auto r = static_cast<std::size_t>(row);
      const std::optional<double> v = column.numeric ? column.numbers[r] : io::text_number(column.text[r]);
      if (!v)
        fail<ValueError>("encode_target", table.place(row, column) + ": not a number", io::in_quotes(column.text[r]),
                         "the target is a number; correct the cell");
      out[row] = static_cast<float>((*v - schema.target_mean) / schema.target_scale);
    }
    return y;
  }
  Tensor y = Tensor::empty({table.rows}, DType::int64);
  auto* out = reinterpret_cast<std::int64_t*>(bytes_of(y));
  const Index index(schema.classes);
  for (std::int64_t row = 0; row < table.rows; ++row) {
    check(row);
    out[row] = index.find(column, row);
    if (out[row] >= 0) continue;
    std::string known;
    for (const std::string& c : schema.classes) {
      if (known.size() > 400) {
        known += ", ...";
        break;
      }
      known += (known.empty() ? "" : ", ") + c;
    }
    fail<ValueError>("encode_target", table.place(row, column) + ": a class the model does not know",
                     io::in_quotes(column.cell(row)), "it knows " + known);
  }
  return y;
}

}  // namespace chainrule::data
