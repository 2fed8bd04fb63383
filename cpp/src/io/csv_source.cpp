// A CSV file as a source: where its rows are is found once, then any of them can be read.
#include <algorithm>
#include <cstring>

#include "chainrule/data_sources.hpp"
#include "graph/tensor_data.hpp"
#include "io/csv.hpp"
#include "io/csv_records.hpp"
#include "io/inflate.hpp"
#include "io/mapped_file.hpp"

namespace chainrule::data {
namespace {

constexpr const char* reader = "CsvSource";
constexpr std::int64_t block_rows = 4096;  // parsed at a time, and how far apart places are noted

}  // namespace

class CsvSource::File {
 public:
  File(const std::string& path, Schema schema, const CsvSourceOptions& options)
      : file_(path, reader), schema_(std::move(schema)), csv_(options.csv), window_rows_(options.window_rows) {
    if (window_rows_ < 0) fail<ValueError>(reader, "window_rows must be at least 1", std::to_string(window_rows_));
    if (io::is_gzip(file_.bytes()))
      io::file_fail(reader, path, "is compressed", "", "unpack it: rows are read from any place");
    text_ = {reinterpret_cast<const char*>(file_.bytes().data()), file_.bytes().size()};
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
    beginning_ = csv_beginning(text_, csv_, path);
    const auto has = [&](const std::string& name) {
      return std::find(beginning_.names.begin(), beginning_.names.end(), name) != beginning_.names.end();
    };
    for (const ColumnSchema& column : schema_.columns)
      if (!has(column.name))
        io::file_fail<IndexError>(reader, path, "a column of the schema is missing", io::in_quotes(column.name));
    has_target_ = has(schema_.target);
    scan();
  }

  std::int64_t rows() const { return rows_; }
  std::int64_t window_rows() const { return window_rows_; }
  std::string str() const { return "CsvSource(" + file_.path() + ": " + std::to_string(rows_) + " rows)"; }

  SourceRows read(std::int64_t first, std::int64_t count) const {
    SourceRows window;
    std::vector<Tensor> encoded;
    for (std::int64_t at = first; at < first + count;) {
      // Blocks end where places are noted, so that none is walked through twice.
      const std::int64_t end = std::min((at / block_rows + 1) * block_rows, first + count);
      const Table table = rows_from(at, end);
      put(encode(schema_, table), window.x, 0, at - first, count);
      if (has_target_) put(encode_target(schema_, table), encoded, 0, at - first, count);
      at = end;
    }
    if (has_target_) window.y = encoded[0];
    return window;
  }

 private:
  struct Place {
    std::size_t offset;
    std::int64_t line;
  };

  static void put(const Tensor& part, std::vector<Tensor>& to, std::size_t i, std::int64_t at, std::int64_t count) {
    if (to.size() == i) {
      TensorType type = type_of(part);
      type.shape[0] = count;
      to.push_back(make_tensor(type));
    }
    const std::size_t bytes = static_cast<std::size_t>(part.size()) * size_of(part.dtype());
    const std::size_t row = bytes / static_cast<std::size_t>(part.shape(0));
    std::memcpy(bytes_of(to[i]) + static_cast<std::size_t>(at) * row, part.raw_data(), bytes);
  }

  // Where rows are, block by block, and which columns are text anywhere.
  void scan() {
    Place begin{beginning_.data, beginning_.line};
    std::vector<std::string_view> cells;
    while (begin.offset < text_.size()) {
      io::CsvRecords records(text_.substr(begin.offset), beginning_.delimiter, file_.path(), begin.line);
      std::int64_t rows = 0;
      while (rows < block_rows && records.next(cells)) ++rows;
      if (rows == 0) break;
      places_.push_back(begin);
      rows_ += rows;
      const Table table = parse(begin, records.end());
      for (const Column& column : table.columns)
        if (!column.numeric && std::find(csv_.text.begin(), csv_.text.end(), column.name) == csv_.text.end())
          csv_.text.push_back(column.name);
      begin = {begin.offset + records.end(), records.end_line()};
    }
  }

  Table parse(Place begin, std::size_t bytes) const {
    const std::string_view part = text_.substr(begin.offset, bytes);
    check_csv_text(part, file_.path());
    Table table = parse_csv_rows(part, begin.line, beginning_, csv_, file_.path());
    file_.release(offset_in_file(begin.offset), bytes);
    return table;
  }

  std::size_t offset_in_file(std::size_t offset) const { return file_.bytes().size() - text_.size() + offset; }

  // Rows first ... end - 1 of one block.
  Table rows_from(std::int64_t first, std::int64_t end) const {
    const auto at = static_cast<std::size_t>(first / block_rows);
    const Place& block = places_[at];
    file_.check_unchanged();
    file_.fetch(offset_in_file(block.offset),
                (at + 1 < places_.size() ? places_[at + 1].offset : text_.size()) - block.offset);
    io::CsvRecords records(text_.substr(block.offset), beginning_.delimiter, file_.path(), block.line);
    std::vector<std::string_view> cells;
    std::int64_t row = first / block_rows * block_rows;
    for (; row < first; ++row) records.next(cells);
    const Place begin{block.offset + records.end(), records.end_line()};
    for (; row < end; ++row) records.next(cells);
    return parse(begin, block.offset + records.end() - begin.offset);
  }

  io::MappedFile file_;
  Schema schema_;
  CsvOptions csv_;
  std::int64_t window_rows_, rows_ = 0;
  std::string_view text_;
  CsvBeginning beginning_;
  bool has_target_ = false;
  std::vector<Place> places_;  // of rows 0, block_rows, 2 block_rows, ...
};

CsvSource::CsvSource(const std::string& path, Schema schema, const CsvSourceOptions& options)
    : file_(std::make_unique<File>(path, std::move(schema), options)) {}
CsvSource::~CsvSource() = default;
std::int64_t CsvSource::rows() { return file_->rows(); }
SourceRows CsvSource::read(std::int64_t first, std::int64_t count) { return file_->read(first, count); }
std::int64_t CsvSource::window_rows() const { return file_->window_rows(); }
std::string CsvSource::str() const { return file_->str(); }

}  // namespace chainrule::data
