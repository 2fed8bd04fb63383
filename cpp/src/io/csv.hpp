// Parts of CSV text, for those who do not read all of a file at once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chainrule/data.hpp"

namespace chainrule::data {

// Text without its byte order mark, and what is told by its beginning.
struct CsvBeginning {
  char delimiter = ',';
  std::vector<std::string> names;  // of the columns
  std::size_t data = 0;            // where the rows begin,
  std::int64_t line = 1;           // in which line of the file
};
void check_csv_text(std::string_view text, const std::string& name);  // throws where it is no UTF-8 text
CsvBeginning csv_beginning(std::string_view text, const CsvOptions& options, const std::string& name);
// The table of some records, the first of which is in this line of the file.
Table parse_csv_rows(std::string_view records, std::int64_t line, const CsvBeginning& beginning,
                     const CsvOptions& options, const std::string& name);

}  // namespace chainrule::data
