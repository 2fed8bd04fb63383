// Splits CSV text into records of cells (RFC 4180), without looking at what the cells mean.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "io/file.hpp"

namespace chainrule::io {

// One walk over the text. Cells point into it; those with doubled quotes point into a buffer that lives until the next
// record. Spaces around cells that are not quoted are dropped; blank lines are skipped.
class CsvRecords {
 public:
  CsvRecords(std::string_view text, char delimiter, const std::string& name, std::int64_t first_line = 1)
      : text_(text), delimiter_(delimiter), name_(name), line_(first_line) {}

  bool next(std::vector<std::string_view>& cells);         // false at the end
  std::int64_t line() const noexcept { return started_; }  // where the last record begins, from 1
  // Behind it.
  std::size_t end() const noexcept { return at_; }
  std::int64_t end_line() const noexcept { return line_; }

 private:
  std::string_view quoted_cell();
  std::string_view plain_cell();
  bool at_line_end() const noexcept { return at_ == text_.size() || text_[at_] == '\n' || text_[at_] == '\r'; }
  void skip_line_end() noexcept;

  std::string_view text_;
  char delimiter_;
  const std::string& name_;
  std::size_t at_ = 0;
  std::int64_t line_ = 1, started_ = 1;
  std::deque<std::string> unescaped_;
};

// Among , ; tab and |: the one found equally often in each of the first lines, and most often; , where there is none.
char find_delimiter(std::string_view text);

}  // namespace chainrule::io
