// A table of text: aligned columns for a terminal, or HTML. A cell may have several lines.
#pragma once

#include <string>
#include <vector>

namespace chainrule {

struct ViewTable {
  std::vector<std::string> header;
  std::vector<char> right;                     // by column: numbers, aligned at their ends
  std::vector<std::vector<std::string>> rows;  // one cell only: spans the table
  bool lines = false;                          // draws a line below the header

  std::string text(const std::string& indent = {}) const;
  std::string html() const;
  std::size_t width() const;  // of the text's columns
};

// Characters as a terminal counts them: continuation bytes of UTF-8 are none.
std::size_t text_width(const std::string& text);

}  // namespace chainrule
