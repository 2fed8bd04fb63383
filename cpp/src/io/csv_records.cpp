// Splits CSV text into records of cells.
#include "io/csv_records.hpp"

#include <array>

namespace chainrule::io {
namespace {

std::string line_in_quotes(std::string_view text) { return in_quotes(text.substr(0, text.find_first_of("\r\n"))); }

}  // namespace

void CsvRecords::skip_line_end() noexcept {
  if (at_ == text_.size()) return;
  if (text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n') ++at_;
  ++at_;
  ++line_;
}

bool CsvRecords::next(std::vector<std::string_view>& cells) {
  cells.clear();
  unescaped_.clear();
  for (;;) {  // blank lines
    std::size_t end = at_;
    while (end < text_.size() && text_[end] == ' ') ++end;
    if (end < text_.size() && text_[end] != '\n' && text_[end] != '\r') break;
    at_ = end;
    if (at_ == text_.size()) return false;
    skip_line_end();
  }
  started_ = line_;
  for (;;) {
    while (at_ < text_.size() && (text_[at_] == ' ' || (text_[at_] == '\t' && delimiter_ != '\t'))) ++at_;
    cells.push_back(at_ < text_.size() && text_[at_] == '"' ? quoted_cell() : plain_cell());
    if (at_line_end()) break;
    ++at_;  // the delimiter
  }
  skip_line_end();
  return true;
}

std::string_view CsvRecords::plain_cell() {
  const std::size_t begin = at_;
  while (at_ < text_.size() && text_[at_] != delimiter_ && text_[at_] != '\n' && text_[at_] != '\r') ++at_;
  std::size_t end = at_;
  while (end > begin && (text_[end - 1] == ' ' || text_[end - 1] == '\t')) --end;
  return text_.substr(begin, end - begin);
}

std::string_view CsvRecords::quoted_cell() {
  const std::int64_t opened = line_;
  const std::size_t begin = ++at_;
  bool doubled = false;
  for (;; ++at_) {
    if (at_ == text_.size())
      file_fail("read_csv", name_ + " line " + std::to_string(opened), "a quote is opened and never closed",
                line_in_quotes(text_.substr(begin)), "close it with \", or double it where it belongs to the text");
    const char c = text_[at_];
    if (c == '\n' || (c == '\r' && (at_ + 1 == text_.size() || text_[at_ + 1] != '\n'))) ++line_;
    if (c != '"') continue;
    if (at_ + 1 == text_.size() || text_[at_ + 1] != '"') break;
    doubled = true;
    ++at_;
  }
  std::string_view cell = text_.substr(begin, at_ - begin);
  ++at_;
  while (at_ < text_.size() && (text_[at_] == ' ' || (text_[at_] == '\t' && delimiter_ != '\t'))) ++at_;
  if (!at_line_end() && text_[at_] != delimiter_)
    file_fail("read_csv", name_ + " line " + std::to_string(line_), "something follows a closing quote",
              line_in_quotes(text_.substr(at_)), "double the quotes that belong to the text");
  if (!doubled) return cell;
  std::string& plain = unescaped_.emplace_back();
  for (std::size_t i = 0; i < cell.size(); ++i) {
    plain += cell[i];
    if (cell[i] == '"') ++i;
  }
  return plain;
}

char find_delimiter(std::string_view text) {
  constexpr std::array<char, 4> candidates{',', ';', '\t', '|'};
  constexpr int most_lines = 10;
  std::array<int, 4> in_line{}, in_first{};
  std::array<bool, 4> steady{true, true, true, true};
  int lines = 0;
  bool inside = false, empty = true;
  for (std::size_t i = 0; i <= text.size() && lines < most_lines; ++i) {
    const bool ends = i == text.size() || (!inside && (text[i] == '\n' || text[i] == '\r'));
    if (!ends) {
      empty = false;
      if (text[i] == '"') inside = !inside;
      for (std::size_t k = 0; !inside && k < candidates.size(); ++k) in_line[k] += text[i] == candidates[k];
      continue;
    }
    if (empty) continue;
    for (std::size_t k = 0; k < candidates.size(); ++k)
      steady[k] = steady[k] && (lines == 0 || in_line[k] == in_first[k]);
    if (lines++ == 0) in_first = in_line;
    in_line.fill(0);
    empty = true;
  }
  char best = ',';
  int best_score = 0;
  for (std::size_t k = 0; k < candidates.size(); ++k) {
    const int score = 2 * in_first[k] + (steady[k] && in_first[k] > 0 ? 1'000'000 : 0);
    if (score > best_score) {
      best = candidates[k];
      best_score = score;
    }
  }
  return best;
}

}  // namespace chainrule::io
