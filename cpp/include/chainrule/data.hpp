// Data: shuffled mini-batches, and readers for IDX, CSV, NPY and NPZ files. Splits are in data_splits.hpp, samplers in
// data_samplers.hpp.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "chainrule/data_samplers.hpp"
#include "chainrule/data_splits.hpp"
#include "chainrule/tensor.hpp"

namespace chainrule::data {

// The order of samples in pass `epoch`: a permutation of 0..n-1 keyed by (seed, epoch); 0..n-1 itself unless shuffled.
// The Trainer's epoch e has this order too, so batches made by hand give the same training.
CHAINRULE_API std::vector<std::int64_t> epoch_order(std::int64_t n, std::uint64_t seed, std::uint64_t epoch,
                                                    bool shuffle);
// Rows of x (along the first axis) in the given order.
CHAINRULE_API Tensor take_rows(const Tensor& x, std::span<const std::int64_t> rows);

struct BatchOptions {
  std::int64_t batch_size = 32;
  bool shuffle = true;
  std::uint64_t seed = 0;
  std::shared_ptr<const Sampler> sampler{};  // makes the order; null: every row once
};
// Re-iterable; each pass has a new order. The last batch may be smaller. An iterator must not outlive its Batches.
class CHAINRULE_API Batches {
 public:
  Batches(Tensor x, Tensor y, const BatchOptions& options);
  class CHAINRULE_API Iterator {
   public:
    std::pair<Tensor, Tensor> operator*() const;
    Iterator& operator++() {
      ++batch_;
      return *this;
    }
    bool operator==(const Iterator& other) const { return batch_ == other.batch_; }

   private:
    friend class Batches;
    Iterator(const Batches* owner, std::int64_t batch, std::shared_ptr<const std::vector<std::int64_t>> order)
        : owner_(owner), batch_(batch), order_(std::move(order)) {}
    const Batches* owner_;
    std::int64_t batch_;
    std::shared_ptr<const std::vector<std::int64_t>> order_;  // null: in order
  };
  Iterator begin();  // starts the next pass
  Iterator end() const;
  std::int64_t size() const;  // batches per pass

 private:
  std::int64_t samples() const;  // per pass
  Tensor x_, y_;
  BatchOptions options_;
  std::uint64_t pass_ = 0;
};
// y may be undefined: the second of each pair is then, too.
CHAINRULE_API Batches batches(const Tensor& x, const Tensor& y, const BatchOptions& options = {});

// --- readers; every one throws FileError naming the file and the place ---------------------------------------------
CHAINRULE_API Tensor read_idx(const std::string& path);  // MNIST's format; gzip-compressed too
CHAINRULE_API Tensor parse_idx(std::span<const unsigned char> bytes, const std::string& name);
CHAINRULE_API Tensor read_npy(const std::string& path);
CHAINRULE_API std::vector<std::pair<std::string, Tensor>> read_npz(const std::string& path);

// A column of a table: numbers (missing: NaN), or text (missing: empty).
struct CHAINRULE_API Column {
  std::string name;
  bool numeric = true;
  std::vector<double> numbers;
  std::vector<std::string> text;
  bool missing(std::int64_t row) const;
  std::string cell(std::int64_t row) const;  // as text; whole numbers without a point
};
struct CsvOptions {
  char delimiter = 0;  // 0: found from the first lines among , ; tab |
  char decimal = '.';  // or ',' where that is not the delimiter
  bool header = true;  // false: the columns are named "column 1", "column 2", ...
  std::vector<std::string> missing = {"", "NA", "N/A", "NaN", "nan", "null", "None", "?"};
  std::vector<std::string> text{};  // columns kept as text even where all their cells are numbers
  std::int64_t rows = 0;            // read_csv: only the first so many; 0: all
};
struct CHAINRULE_API Table {
  std::vector<Column> columns;
  std::int64_t rows = 0;
  std::string name = "table";                             // the file's, for messages
  std::vector<std::int64_t> lines{};                      // of the file, one per row; may be empty
  const Column& column(const std::string& wanted) const;  // throws IndexError listing the names
  // Rows in which none of these columns has a missing cell; none given: none of all columns.
  std::vector<std::int64_t> complete_rows(const std::vector<std::string>& names = {}) const;
  Table take(std::span<const std::int64_t> rows_taken) const;
  std::string place(std::int64_t row, const Column& column) const;  // data.csv line 17, column "age"
};
// RFC 4180 (quotes, doubled quotes, line ends within quotes), UTF-8, any line end; blank lines are skipped, spaces
// around cells dropped. A column is numeric if all its cells that are not missing are numbers.
CHAINRULE_API Table read_csv(const std::string& path, const CsvOptions& options = {});
CHAINRULE_API Table parse_csv(std::string_view text, const CsvOptions& options, const std::string& name);

// How a table becomes numbers: learned from training rows, saved with the model, applied to new tables.
struct ColumnSchema {
  std::string name;
  std::string kind;                     // "numeric" or "categorical"
  double mean = 0.0, scale = 1.0;       // numeric: (x - mean) / scale
  bool fills = false;                   // a missing value is replaced by:
  double fill = 0.0;                    //   numeric: the mean of the training rows
  std::string fill_category;            //   categorical: the most frequent category of the training rows
  std::vector<std::string> categories;  // categorical: one-hot columns, in this order; others give zeros
};
struct CHAINRULE_API Schema {
  std::vector<ColumnSchema> columns;
  std::string target;
  std::string task;                              // "classification" or "regression"
  std::vector<std::string> classes;              // classification: label i is classes[i]
  double target_mean = 0.0, target_scale = 1.0;  // regression
  std::int64_t width() const;                    // features after encoding
};
struct SchemaOptions {
  // "error", "fill" (mean of the column, or the most frequent category), or "drop" (rows with missing values are left
  // out of the statistics; drop them from the table by take(complete_rows())).
  std::string missing = "error";
  // "auto": classification if the target is text, or whole numbers of at most 20 different values.
  std::string task = "auto";
  std::vector<std::string> ignore{};  // columns that are no features
};
CHAINRULE_API Schema fit_schema(const Table& table, const std::string& target, std::span<const std::int64_t> rows,
                                const SchemaOptions& options);
CHAINRULE_API Schema fit_schema(const Table& table, const std::string& target, std::span<const std::int64_t> rows,
                                const std::string& missing = "error");
// (rows, width) float32. A missing value where the schema knows no fill is an error that names the cell.
CHAINRULE_API Tensor encode(const Schema& schema, const Table& table);
CHAINRULE_API Tensor encode_target(const Schema& schema, const Table& table);  // int64 labels or float32 (n, 1)
CHAINRULE_API std::string schema_to_json(const Schema& schema);
CHAINRULE_API Schema schema_from_json(const std::string& json);

}  // namespace chainrule::data
