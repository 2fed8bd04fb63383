// A table of text: aligned columns for a terminal, or HTML.
#include "graph/view_table.hpp"

#include <algorithm>

#include "graph/view.hpp"

namespace chainrule {
namespace {

using Lines = std::vector<std::string>;

Lines lines_of(const std::string& cell) {
  Lines lines(1);
  for (char c : cell) {
    if (c == '\n')
      lines.emplace_back();
    else
      lines.back() += c;
  }
  return lines;
}

std::vector<std::size_t> widths(const ViewTable& table) {
  std::vector<std::size_t> width(table.header.size(), 0);
  const auto measure = [&](const std::vector<std::string>& row) {
    if (row.size() == width.size())
      for (std::size_t c = 0; c < row.size(); ++c)
        for (const std::string& line : lines_of(row[c])) width[c] = std::max(width[c], text_width(line));
  };
  measure(table.header);
  for (const auto& row : table.rows) measure(row);
  return width;
}

void trim_end(std::string& line) {
  while (!line.empty() && line.back() == ' ') line.pop_back();
}

}  // namespace

std::size_t text_width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::size_t ViewTable::width() const {
  std::size_t sum = 0;
  for (std::size_t w : widths(*this)) sum += w + 2;
  return sum - 2;
}

std::string ViewTable::text(const std::string& indent) const {
  const std::vector<std::size_t> width = widths(*this);
  std::string out;
  const auto write = [&](const std::vector<std::string>& row) {
    if (row.size() != header.size()) {
      for (const std::string& line : lines_of(row[0])) out += indent + line + "\n";
      return;
    }
    std::vector<Lines> cells;
    std::size_t height = 1;
    for (const std::string& cell : row) {
      cells.push_back(lines_of(cell));
      height = std::max(height, cells.back().size());
    }
    for (std::size_t l = 0; l < height; ++l) {
      std::string line = indent;
      for (std::size_t c = 0; c < cells.size(); ++c) {
        const std::string part = l < cells[c].size() ? cells[c][l] : "";
        const std::string pad(width[c] - text_width(part), ' ');
        line += (c ? "  " : "") + (right[c] ? pad + part : part + pad);
      }
      trim_end(line);
      out += line + "\n";
    }
  };
  write(header);
  if (lines) out += indent + std::string(this->width(), '-') + "\n";
  for (const auto& row : rows) write(row);
  return out;
}

std::string ViewTable::html() const {
  const auto cell = [&](const char* tag, bool at_right, const std::string& text, std::size_t columns = 1) {
    return "<" + std::string(tag) + (columns > 1 ? " colspan=\"" + std::to_string(columns) + "\"" : "") +
           " style=\"text-align:" + (at_right ? "right" : "left") +
           ";vertical-align:top;padding:2px 8px;white-space:pre\">" + escape_html(text) + "</" + tag + ">";
  };
  std::string out = "<table style=\"font-family:monospace;border-collapse:collapse\">\n<tr>";
  for (std::size_t c = 0; c < header.size(); ++c) out += cell("th", right[c], header[c]);
  out += "</tr>\n";
  for (const auto& row : rows) {
    out += "<tr>";
    if (row.size() == header.size())
      for (std::size_t c = 0; c < row.size(); ++c) out += cell("td", right[c], row[c]);
    else
      out += cell("td", false, row[0], header.size());
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

}  // namespace chainrule
