// CSV: what RFC 4180 and its relatives allow, and what is refused where.
#include <chrono>
#include <cmath>

#include "bytes.hpp"
#include "chainrule/data.hpp"
#include "io/csv_records.hpp"

using namespace chainrule;
using namespace chainrule::test;

namespace {

data::Table parse(std::string_view text, const data::CsvOptions& options = {}) {
  return data::parse_csv(text, options, "t.csv");
}
using Texts = std::vector<std::string>;
using Numbers = std::vector<double>;

}  // namespace

TEST_CASE("csv: numbers, texts and missing values") {
  const data::Table t = parse("age,city,score\n31,Ulm,1.5\nNA,Bonn,-2e3\n7,?,.25\n");
  CHECK(t.rows == 3);
  CHECK(t.name == "t.csv");
  CHECK(t.lines == std::vector<std::int64_t>{2, 3, 4});
  REQUIRE(t.columns.size() == 3);
  CHECK(t.columns[0].numeric);
  CHECK(t.columns[0].numbers[0] == 31);
  CHECK(std::isnan(t.columns[0].numbers[1]));
  CHECK(t.columns[0].missing(1));
  CHECK_FALSE(t.columns[1].numeric);
  CHECK(t.columns[1].text == Texts{"Ulm", "Bonn", ""});
  CHECK(t.columns[1].missing(2));
  CHECK(t.columns[2].numbers == Numbers{1.5, -2000, 0.25});
  CHECK(t.columns[2].cell(0) == "1.5");
  CHECK(t.columns[0].cell(0) == "31");
}

TEST_CASE("csv: quotes, line ends, blank lines, spaces, byte order mark") {
  const data::Table t = parse(
      "\xEF\xBB\xBF\"a\",\"b, c\",d\r\n\"x \"\"y\"\"\",\"two\nlines\",1\r\n\r\n  \r\nü, \" q \" ,  +2 \r3,4,5\n\n");
  REQUIRE(t.columns.size() == 3);
  CHECK(t.columns[1].name == "b, c");
  CHECK(t.columns[0].text == Texts{"x \"y\"", "ü", "3"});
  CHECK(t.columns[1].text == Texts{"two\nlines", " q ", "4"});
  CHECK(t.columns[2].numbers == Numbers{1, 2, 5});
  CHECK(t.lines == std::vector<std::int64_t>{2, 6, 7});
  CHECK(parse("a\n\"\"\"\"\n").columns[0].text == Texts{"\""});
  CHECK(parse("a\n1").columns[0].numbers == Numbers{1});  // no line end at the end
  CHECK(parse("a,b\n,\n1,2").rows == 2);                  // two missing cells are no blank line
  CHECK(parse("a\n5\" pipe\nx\n").columns[0].text[0] == "5\" pipe");
}

TEST_CASE("csv: the delimiter is found") {
  CHECK(io::find_delimiter("a,b,c\n1,2,3") == ',');
  CHECK(io::find_delimiter("a;b\n1,5;2,5") == ';');
  CHECK(io::find_delimiter("a\tb\n1\t2") == '\t');
  CHECK(io::find_delimiter("a|b|c") == '|');
  CHECK(io::find_delimiter("one") == ',');
  CHECK(io::find_delimiter("name, first;age\nx;1\ny;2") == ';');
  CHECK(io::find_delimiter("\"a,b,c,d\";e\n1;2") == ';');
  CHECK(parse("a:b\n1:2", {.delimiter = ':'}).columns.size() == 2);
  const data::Table german = parse("a;b\n1,5;2\n-0,25;3\n", {.decimal = ','});
  CHECK(german.columns[0].numbers == Numbers{1.5, -0.25});
}

TEST_CASE("csv: what counts as a number") {
  CHECK(parse("a\n1e-400\n-1.\n1E5\n0x1\n").columns[0].text[3] == "0x1");  // hexadecimal is text
  CHECK(parse("a\n1e-400\n-1.\n1E5\n").columns[0].numbers == Numbers{0, -1, 1e5});
  CHECK(parse("a\n1_000\nb\n").columns[0].text[0] == "1_000");
  CHECK(parse("a\n1 2\n3\n").columns[0].text[0] == "1 2");
  CHECK(parse("a\n\"7\"\n8\n").columns[0].numbers == Numbers{7, 8});
  CHECK_FALSE(parse("zip\n01067\n10115\n", {.text = {"zip"}}).columns[0].numeric);
  CHECK(parse("zip\n01067\n10115\n", {.text = {"zip"}}).columns[0].text == Texts{"01067", "10115"});
  const data::Table none = parse("a,b\n,1\nNA,2\n");
  CHECK(none.columns[0].numeric);
  CHECK(std::isnan(none.columns[0].numbers[0]));
  CHECK(std::isnan(parse("a\n-999\n5\n", {.missing = {"-999"}}).columns[0].numbers[0]));
  CHECK(parse("1,2\n3,4\n", {.header = false}).columns[1].name == "column 2");
  CHECK(parse("0,1\n3,4\n").columns[1].name == "1");  // whole numbers are names
}

TEST_CASE("csv: what is refused, and where") {
  CHECK_REFUSED(data::read_csv("/nowhere/t.csv"), "read_csv: /nowhere/t.csv: cannot be opened");
  CHECK_REFUSED(parse(""), "read_csv: t.csv: is empty");
  CHECK_REFUSED(parse("\n\n \n"), "is empty");
  CHECK_REFUSED(parse("a,b\n"), "has a header but no rows", "2 columns");
  CHECK_REFUSED(parse("a,b\n1,2\n1,2,3\n"), "t.csv line 3: too many cells: 3 where the header has 2");
  CHECK_REFUSED(parse("a,b\n1,\"x\ny\"\n1\n"), "t.csv line 4: too few cells: 1 where the header has 2", "','");
  CHECK_REFUSED(parse("a,b,a\n1,2,3\n"), "two columns have the same name: 'a'");
  CHECK_REFUSED(parse(",a\n0,1\n"), "a column has no name: column 1 of 2", "index=False");
  CHECK_REFUSED(parse("a,\n0,1\n"), "a column has no name: column 2 of 2");
  CHECK_REFUSED(parse("5.1,3.5,setosa\n4.9,3.0,setosa\n"), "has no header", "'5.1'", "header=false");
  CHECK_REFUSED(parse("0,0,1\n4,3,2\n"), "same name: '0'", "header=false");
  CHECK_REFUSED(parse("a,b\n1,\"x\n2,y\n"), "t.csv line 2: a quote is opened and never closed");
  CHECK_REFUSED(parse("a,b\n1,2\n\"x\"y,2\n"), "t.csv line 3: something follows a closing quote: 'y,2'");
  CHECK_REFUSED(parse("a\n1\n2\n3\n4\n5\n6\n7\n8\n9\n1o\n"), "t.csv line 11, column \"a\": not a number: '1o'",
                "9 other cells", "`text`");
  CHECK_REFUSED(parse("a\n1\ninf\n"), "line 3, column \"a\": neither a number", "'inf'", "`missing`");
  CHECK_REFUSED(parse("a\n-Infinity\n2\n"), "'-Infinity'");
  CHECK_REFUSED(parse("a\n1\n1e999\n"), "line 3, column \"a\": a number too large", "'1e999'");
  CHECK_REFUSED(parse("a;b\n1,5;x\n2,5;y\n"), "line 2, column \"a\": a number with a comma: '1,5'", "decimal=','");
  CHECK_REFUSED(parse(std::string_view("a,b\n1,\0\n", 8)), "t.csv: is no text: a zero byte in line 2", "read_idx");
  CHECK_REFUSED(parse("a\nM\xFCnchen\n"), "t.csv: is not UTF-8: a byte in line 2");
  CHECK_REFUSED(parse("\xFF\xFE\x61"), "UTF-16");
  CHECK_REFUSED_AS(ValueError, parse("a,b\n1,2\n", {.decimal = ';'}), "decimal");
  CHECK_REFUSED_AS(ValueError, parse("a,b\n1,2\n", {.delimiter = ',', .decimal = ','}), "delimiter");
  CHECK_REFUSED_AS(IndexError, parse("a,b\n1,2\n", {.text = {"c"}}),
                   "t.csv: there is no column 'c': the columns are a, b");
}

TEST_CASE("csv: UTF-8 is checked byte by byte") {
  using io::find_invalid_utf8;
  CHECK(find_invalid_utf8("plain ASCII, longer than eight") == std::string_view::npos);
  CHECK(find_invalid_utf8("ä€𝄞") == std::string_view::npos);
  CHECK(find_invalid_utf8("12345678\xC0\x80") == 8);   // overlong
  CHECK(find_invalid_utf8("a\xE0\x80\x80") == 1);      // overlong
  CHECK(find_invalid_utf8("a\xED\xA0\x80") == 1);      // a surrogate
  CHECK(find_invalid_utf8("a\xF4\x90\x80\x80") == 1);  // above U+10FFFF
  CHECK(find_invalid_utf8("a\xE2\x82") == 1);          // cut short
  CHECK(find_invalid_utf8("a\x80") == 1);
}

TEST_CASE("table: columns, complete rows, parts") {
  const data::Table t = parse("a,b\n1,x\nNA,y\n3,\n4,z\n");
  CHECK(t.complete_rows() == std::vector<std::int64_t>{0, 3});
  CHECK(t.complete_rows({"a"}) == std::vector<std::int64_t>{0, 2, 3});
  const data::Table part = t.take(t.complete_rows());
  CHECK(part.rows == 2);
  CHECK(part.columns[1].text == Texts{"x", "z"});
  CHECK(part.place(1, part.columns[1]) == "t.csv line 5, column \"b\"");
  CHECK_REFUSED_AS(IndexError, t.column("c"), "t.csv: there is no column 'c': the columns are a, b");
  const std::int64_t outside[] = {4};
  CHECK_REFUSED_AS(IndexError, t.take(outside), "4 of 4");
}

TEST_CASE("csv: every cut of a file ends in an error or a table") {
  const std::string text = "a,\"b\"\"\",c\r\n1,\"x\ny\",NA\n2,z,\"3\"\n";
  for (std::size_t n = 0; n <= text.size(); ++n) {
    try {
      const std::int64_t rows = parse(text.substr(0, n)).rows;
      CHECK(rows > 0);
    } catch (const FileError&) {}
  }
}
