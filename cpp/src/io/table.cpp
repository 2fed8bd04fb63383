// Table and Column: looking things up, choosing rows. Reading them is csv.cpp, encoding them schema.cpp.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "chainrule/data.hpp"
#include "core/fail.hpp"
#include "io/number_text.hpp"

namespace chainrule::data {

bool Column::missing(std::int64_t row) const {
  const auto r = static_cast<std::size_t>(row);
  return numeric ? std::isnan(numbers.at(r)) : text.at(r).empty();
}

std::string Column::cell(std::int64_t row) const {
  const auto r = static_cast<std::size_t>(row);
  return numeric ? io::number_text(numbers.at(r)) : text.at(r);
}

const Column& Table::column(const std::string& wanted) const {
  for (const Column& c : columns)
    if (c.name == wanted) return c;
  std::string names;
  for (const Column& c : columns) {
    if (names.size() > 400) {
      names += ", ...";
      break;
    }
    names += (names.empty() ? "" : ", ") + c.name;
  }
  fail<IndexError>(name, "there is no column '" + wanted + "'", "the columns are " + names);
}

std::vector<std::int64_t> Table::complete_rows(const std::vector<std::string>& names) const {
  std::vector<const Column*> wanted;
  if (names.empty())
    for (const Column& c : columns) wanted.push_back(&c);
  for (const std::string& n : names) wanted.push_back(&column(n));
  std::vector<std::int64_t> complete;
  for (std::int64_t row = 0; row < rows; ++row)
    if (std::none_of(wanted.begin(), wanted.end(), [&](const Column* c) { return c->missing(row); }))
      complete.push_back(row);
  return complete;
}

Table Table::take(std::span<const std::int64_t> rows_taken) const {
  for (const std::int64_t row : rows_taken)
    if (row < 0 || row >= rows)
      fail<IndexError>("take", "a row is not there", std::to_string(row) + " of " + std::to_string(rows));
  const auto pick = [&](const auto& from, auto& to) {
    if (from.empty()) return;
    to.reserve(rows_taken.size());
    for (const std::int64_t row : rows_taken) to.push_back(from[static_cast<std::size_t>(row)]);
  };
  Table part;
  part.name = name;
  part.rows = static_cast<std::int64_t>(rows_taken.size());
  pick(lines, part.lines);
  for (const Column& c : columns) {
    Column& to = part.columns.emplace_back(Column{c.name, c.numeric, {}, {}});
    pick(c.numbers, to.numbers);
    pick(c.text, to.text);
  }
  return part;
}

std::string Table::place(std::int64_t row, const Column& of) const {
  const std::string where = lines.empty() ? " row " + std::to_string(row)
                                          : " line " + std::to_string(lines.at(static_cast<std::size_t>(row)));
  return name + where + ", column \"" + of.name + "\"";
}

}  // namespace chainrule::data
