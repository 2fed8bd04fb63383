// Reader of CSV files: which columns are numbers, and what is wrong where. Splitting into cells is csv_records.cpp.
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_set>

#include "chainrule/data.hpp"
#include "io/csv.hpp"
#include "io/csv_records.hpp"
#include "io/inflate.hpp"
#include "io/mapped_file.hpp"

namespace chainrule::data {
namespace {

using namespace io;
constexpr const char* reader = "read_csv";

enum class Cell { number, infinite, too_large, text };

bool equal_ignoring_case(std::string_view a, std::string_view lower) {
  return a.size() == lower.size() && std::equal(a.begin(), a.end(), lower.begin(), [](char x, char y) {
           return (x >= 'A' && x <= 'Z' ? x + 32 : x) == y;
         });
}

// The whole cell must be a decimal number; no words, no hexadecimal, no digit separators.
Cell read_number(std::string_view cell, char decimal, double& value) {
  std::string_view digits = cell;
  const bool sign = !digits.empty() && (digits[0] == '-' || digits[0] == '+');
  if (sign) digits.remove_prefix(1);
  const bool starts = !digits.empty() && ((digits[0] >= '0' && digits[0] <= '9') || digits[0] == decimal);
  if (!starts) {
    for (const char* word : {"inf", "infinity", "nan"})
      if (equal_ignoring_case(digits, word)) return Cell::infinite;
    return Cell::text;
  }
  std::array<char, 64> copy;
  if (decimal != '.') {
    if (digits.size() > copy.size() || digits.find('.') != std::string_view::npos) return Cell::text;
    std::replace_copy(digits.begin(), digits.end(), copy.begin(), decimal, '.');
    digits = {copy.data(), digits.size()};
  }
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (end != digits.data() + digits.size() || error == std::errc::invalid_argument) return Cell::text;
  if (error == std::errc::result_out_of_range) {
    const std::size_t exponent = digits.find_first_of("eE");
    const bool tiny =
        exponent == std::string_view::npos ? digits[0] == '0' || digits[0] == '.' : digits[exponent + 1] == '-';
    if (!tiny) return Cell::too_large;
    value = 0.0;
  }
  if (sign && cell[0] == '-') value = -value;
  return Cell::number;
}

// The words that stand for "no value"; asked for every cell, so a look at the first byte comes first.
class MissingWords {
 public:
  explicit MissingWords(const std::vector<std::string>& words) : words_(words) {
    for (const std::string& word : words)
      word.empty() ? empty_ = true : first_[static_cast<unsigned char>(word[0])] = true;
  }
  bool contains(std::string_view cell) const {
    if (cell.empty()) return empty_;
    if (!first_[static_cast<unsigned char>(cell[0])]) return false;
    return std::find(words_.begin(), words_.end(), cell) != words_.end();
  }

 private:
  const std::vector<std::string>& words_;
  std::array<bool, 256> first_{};
  bool empty_ = false;
};

// What pass one learns about a column besides its numbers.
struct Findings {
  bool keep_text = false;
  std::int64_t numbers = 0, texts = 0, infinite = 0, commas = 0;
  std::int64_t first_line = 0;  // of the first cell that is no number
  std::string first_cell;
};

std::string at_cell(const std::string& name, std::int64_t line, const std::string& column) {
  return name + " line " + std::to_string(line) + ", column \"" + column + "\"";
}

}  // namespace

void check_csv_text(std::string_view text, const std::string& name) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF"))
    file_fail(reader, name, "is UTF-16 text", "", "save it as UTF-8");
  const auto line_of = [&](std::size_t at) {
    return "line " + std::to_string(1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
  };
  if (const std::size_t at = text.find('\0'); at != std::string_view::npos)
    file_fail(reader, name, "is no text", "a zero byte in " + line_of(at),
              "IDX files are read by read_idx, NumPy's by read_npy and read_npz");
  if (const std::size_t at = find_invalid_utf8(text); at != std::string_view::npos)
    file_fail(reader, name, "is not UTF-8", "a byte in " + line_of(at), "save it as UTF-8");
}

namespace {

void check_names(const std::vector<std::string_view>& cells, const std::string& name) {
  std::unordered_set<std::string_view> seen;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    double value = 0;
    const bool number = read_number(cells[i], '.', value) == Cell::number;
    if (number && cells[i].find_first_not_of("0123456789") != std::string_view::npos)
      file_fail(reader, name, "has no header: the first line looks like data", in_quotes(cells[i]),
                "add a line of column names, or set header=false");
    if (cells[i].empty())
      file_fail(reader, name, "a column has no name",
                "column " + std::to_string(i + 1) + " of " + std::to_string(cells.size()),
                i == 0 ? "an index? write the file without it (pandas: to_csv(path, index=False)), or name it"
                       : "name it in the header");
    if (!seen.insert(cells[i]).second)
      file_fail(reader, name, "two columns have the same name", in_quotes(cells[i]),
                number ? "give each its own; without a header set header=false" : "give each its own");
  }
}

// Is this column numbers? Says which cell is wrong where nearly all are.
bool decide_numeric(const Findings& f, const std::string& column, const std::string& name, const CsvOptions& options) {
  if (f.keep_text) return false;
  const std::int64_t others = f.texts + f.infinite;
  if (others == 0) return true;
  const std::string where = at_cell(name, f.first_line, column), given = in_quotes(f.first_cell);
  if (f.texts == 0 && f.numbers > 0)
    file_fail(reader, where, "neither a number nor one of the words for missing values", given,
              "correct the cell, or add the word to `missing`");
  if (f.commas == f.texts && f.numbers + f.texts > 1 && options.decimal == '.')
    file_fail(reader, where, "a number with a comma", given,
              "set decimal=',' if that is the decimal point, or remove the commas");
  if (f.numbers >= 9 * others)
    file_fail(reader, where, "not a number",
              given + ", where " + std::to_string(f.numbers) + " other cells of the column are",
              "correct the cell, add the word to `missing`, or name the column in `text`");
  return false;
}

}  // namespace

CsvBeginning csv_beginning(std::string_view text, const CsvOptions& options, const std::string& name) {
  if (options.decimal != '.' && options.decimal != ',') fail<ValueError>(reader, "decimal is neither '.' nor ','");
  CsvBeginning begin;
  begin.delimiter = options.delimiter != 0 ? options.delimiter : find_delimiter(text);
  if (begin.delimiter == '"' || begin.delimiter == '\n' || begin.delimiter == '\r' ||
      begin.delimiter == options.decimal)
    fail<ValueError>(reader, "the delimiter cannot be told from the cells", in_quotes(std::string(1, begin.delimiter)),
                     "use , ; tab or |");
  std::vector<std::string_view> cells;
  CsvRecords records(text, begin.delimiter, name);
  if (!records.next(cells))
    file_fail(reader, name, "is empty", "", "a line of column names and at least one row are needed");
  if (options.header) check_names(cells, name);
  for (std::size_t i = 0; i < cells.size(); ++i)
    begin.names.push_back(options.header ? std::string(cells[i]) : "column " + std::to_string(i + 1));
  if (!options.header) return begin;
  begin.data = records.end();
  begin.line = records.end_line();
  if (!records.next(cells))
    file_fail(reader, name, "has a header but no rows",
              std::to_string(begin.names.size()) + " column" + (begin.names.size() == 1 ? "" : "s"),
              "add at least one row");
  return begin;
}

Table parse_csv_rows(std::string_view text, std::int64_t line, const CsvBeginning& beginning, const CsvOptions& options,
                     const std::string& name) {
  const char delimiter = beginning.delimiter;
  const std::size_t width = beginning.names.size();
  Table table;
  table.name = name;
  for (const std::string& column : beginning.names) table.columns.push_back({column, true, {}, {}});
  std::vector<Findings> findings(width);
  for (const std::string& wanted : options.text) {
    const Column& column = table.column(wanted);
    findings[static_cast<std::size_t>(&column - table.columns.data())].keep_text = true;
  }

  // Pass one: every cell as a number, and what else there is.
  const MissingWords missing(options.missing);
  constexpr double no_value = std::numeric_limits<double>::quiet_NaN();
  const auto expected = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  for (Column& column : table.columns) column.numbers.reserve(expected);
  std::vector<std::string_view> cells;
  CsvRecords records(text, delimiter, name, line);
  while (records.next(cells)) {
    if (cells.size() != width)
      file_fail(reader, name + " line " + std::to_string(records.line()),
                cells.size() < width ? "too few cells" : "too many cells",
                std::to_string(cells.size()) + " where the " + (options.header ? "header" : "first line") + " has " +
                    std::to_string(width),
                "check the delimiter, found to be " + in_quotes(delimiter == '\t' ? "tab" : std::string(1, delimiter)) +
                    ", and the quotes");
    table.lines.push_back(records.line());
    for (std::size_t i = 0; i < width; ++i) {
      double value = no_value;
      Findings& f = findings[i];
      if (f.keep_text || missing.contains(cells[i])) {
        table.columns[i].numbers.push_back(no_value);
        continue;
      }
      const Cell kind = read_number(cells[i], options.decimal, value);
      table.columns[i].numbers.push_back(value);
      if (kind == Cell::number) {
        ++f.numbers;
        continue;
      }
      if (kind == Cell::too_large)
        file_fail(reader, at_cell(name, records.line(), table.columns[i].name), "a number too large for float64",
                  in_quotes(cells[i]), "correct the cell");
      if (f.texts + f.infinite == 0) {
        f.first_line = records.line();
        f.first_cell = cells[i];
      }
      ++(kind == Cell::infinite ? f.infinite : f.texts);
      if (kind == Cell::text && cells[i].find(',') != std::string_view::npos &&
          cells[i].find_first_not_of("0123456789,+-") == std::string_view::npos)
        ++f.commas;
    }
  }
  table.rows = static_cast<std::int64_t>(table.lines.size());

  // Pass two, where there are columns of text.
  bool any_text = false;
  for (std::size_t i = 0; i < width; ++i) {
    Column& column = table.columns[i];
    column.numeric = decide_numeric(findings[i], column.name, name, options);
    if (column.numeric) continue;
    any_text = true;
    column.numbers = {};
    column.text.reserve(table.lines.size());
  }
  if (!any_text) return table;
  CsvRecords again(text, delimiter, name, line);
  while (again.next(cells)) {
    for (std::size_t i = 0; i < width; ++i)
      if (!table.columns[i].numeric)
        table.columns[i].text.emplace_back(missing.contains(cells[i]) ? std::string_view() : cells[i]);
  }
  return table;
}

Table parse_csv(std::string_view text, const CsvOptions& options, const std::string& name) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  check_csv_text(text, name);
  const CsvBeginning beginning = csv_beginning(text, options, name);
  return parse_csv_rows(text.substr(beginning.data), beginning.line, beginning, options, name);
}

namespace {

// Of a plain file, which may be far larger than memory.
Table read_first_rows(const std::string& path, const CsvOptions& options) {
  const MappedFile file(path, reader);
  std::string_view text{reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  const CsvBeginning beginning = csv_beginning(text, options, path);
  CsvRecords records(text.substr(beginning.data), beginning.delimiter, path, beginning.line);
  std::vector<std::string_view> cells;
  for (std::int64_t i = 0; i < options.rows && records.next(cells);) ++i;
  text = text.substr(0, beginning.data + records.end());
  check_csv_text(text, path);
  return parse_csv_rows(text.substr(beginning.data), beginning.line, beginning, options, path);
}

}  // namespace

Table read_csv(const std::string& path, const CsvOptions& options) {
  if (options.rows < 0) fail<ValueError>(reader, "rows must be at least 1", std::to_string(options.rows));
  if (options.rows > 0 && !path.ends_with(".gz")) return read_first_rows(path, options);
  Bytes bytes = read_file(path, reader);
  if (is_gzip(bytes)) {
    try {
      constexpr std::size_t most = std::size_t{1} << 34;
      Inflated all = gunzip(bytes, most);
      if (!all.finished) file_fail(reader, path, "unpacks to more than 16 GB");
      bytes = std::move(all.bytes);
    } catch (const InflateError& error) {
      file_fail(reader, path, "cannot be unpacked", error.what(), "download it again");
    }
  }
  const Table all = parse_csv({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, options, path);
  if (options.rows == 0 || options.rows >= all.rows) return all;
  std::vector<std::int64_t> first(static_cast<std::size_t>(options.rows));
  std::iota(first.begin(), first.end(), std::int64_t{0});
  return all.take(first);
}

}  // namespace chainrule::data
