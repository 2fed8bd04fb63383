// Schema: what is learned from training rows, and how tables are encoded by it.
#include <cmath>
#include <numeric>

#include "bytes.hpp"
#include "chainrule/data.hpp"

using namespace chainrule;
using namespace chainrule::test;

namespace {

data::Table parse(std::string_view text) { return data::parse_csv(text, {}, "t.csv"); }
std::vector<std::int64_t> all_rows(const data::Table& t) {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(t.rows));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}
data::Schema fit(const data::Table& t, const std::string& target, const data::SchemaOptions& options = {}) {
  return data::fit_schema(t, target, all_rows(t), options);
}
std::vector<float> floats(const Tensor& t) {
  const auto span = t.span<float>();
  return {span.begin(), span.end()};
}
std::vector<std::int64_t> labels(const Tensor& t) {
  const auto span = t.span<std::int64_t>();
  return {span.begin(), span.end()};
}

}  // namespace

TEST_CASE("schema: standardizes numbers, one-hot encodes texts, numbers the classes") {
  const data::Table t = parse("size,color,const,kind\n1,red,5,b\n3,blue,5,a\n5,red,5,b\n7,green,5,a\n");
  const data::Schema s = fit(t, "kind");
  CHECK(s.task == "classification");
  CHECK(s.classes == std::vector<std::string>{"a", "b"});
  REQUIRE(s.columns.size() == 3);
  CHECK(s.columns[0].mean == 4.0);
  CHECK(s.columns[0].scale == doctest::Approx(std::sqrt(5.0)));
  CHECK(s.columns[1].categories == std::vector<std::string>{"blue", "green", "red"});
  CHECK(s.columns[2].scale == 1.0);  // constant
  CHECK(s.width() == 5);
  const Tensor x = encode(s, t);
  CHECK(x.shape() == Shape{4, 5});
  const auto first = floats(x);
  CHECK(first[0] == doctest::Approx(-3 / std::sqrt(5.0)));
  CHECK(std::vector<float>(first.begin() + 1, first.begin() + 5) == std::vector<float>{0, 0, 1, 0});
  CHECK(labels(encode_target(s, t)) == std::vector<std::int64_t>{1, 0, 1, 0});
}

TEST_CASE("schema: learned on the given rows only") {
  const data::Table t = parse("x,y\n1,0\n3,1\n1000,0\n");
  const std::int64_t rows[] = {0, 1};
  const data::Schema s = data::fit_schema(t, "y", rows);
  CHECK(s.columns[0].mean == 2.0);
  CHECK(floats(encode(s, t))[2] == 998.0f);
}

TEST_CASE("schema: which targets are classes") {
  CHECK(fit(parse("x,y\n1,10\n2,9\n3,10\n4,9\n"), "y").classes == std::vector<std::string>{"9", "10"});  // by value
  CHECK(fit(parse("x,y\n1,true\n2,false\n"), "y").classes == std::vector<std::string>{"false", "true"});
  CHECK(fit(parse("x,y\n1,0.5\n2,1\n"), "y").task == "regression");
  std::string many = "x,y\n";
  for (int i = 0; i < 60; ++i) many += "1," + std::to_string(i % 21) + "\n";
  CHECK(fit(parse(many), "y").task == "regression");
  CHECK(fit(parse(many), "y", {.task = "classification"}).classes.size() == 21);
  CHECK(fit(parse("x,y\n1,0\n2,1\n"), "y", {.task = "regression"}).task == "regression");
  const data::Schema s = fit(parse("x,y\n1,10\n2,20.5\n"), "y");
  CHECK(s.target_mean == 15.25);
  CHECK(s.target_scale == 5.25);
  const Tensor y = encode_target(s, parse("x,y\n1,10\n2,20.5\n"));
  CHECK(y.shape() == Shape{2, 1});
  CHECK(floats(y) == std::vector<float>{-1, 1});
}

TEST_CASE("schema: missing values") {
  const data::Table t = parse("x,c,y\n1,u,a\nNA,v,b\n3,,a\n5,v,b\n");
  CHECK_REFUSED_AS(ValueError, fit(t, "y"), "fit_schema: t.csv line 3, column \"x\": the value is missing",
                   "--missing fill", "--missing drop");
  const data::Schema filled = fit(t, "y", {.missing = "fill"});
  CHECK(filled.columns[0].fill == 3.0);
  CHECK(filled.columns[1].fill_category == "v");
  const auto x = floats(encode(filled, t));
  CHECK(x[3 * 1] == 0.0f);  // the mean, standardized
  CHECK(std::vector<float>(x.begin() + 7, x.begin() + 9) == std::vector<float>{0, 1});
  const data::Schema dropped = fit(t, "y", {.missing = "drop"});
  CHECK(dropped.columns[0].mean == 3.0);  // of rows 0 and 3
  CHECK(dropped.columns[0].scale == 2.0);
  CHECK_REFUSED_AS(ValueError, encode(dropped, t), "encode: t.csv line 3, column \"x\": the value is missing",
                   "--missing fill");
  CHECK(encode(dropped, t.take(t.complete_rows())).shape() == Shape{2, 3});
  CHECK_REFUSED_AS(ValueError, fit(parse("x,y\n1,a\n2,\n3,b\n"), "y", {.missing = "fill"}), "line 3, column \"y\"",
                   "cannot be filled in");
  CHECK_REFUSED_AS(ValueError, fit(parse("x,y\n,a\n,b\n"), "y", {.missing = "drop"}), "no row is left");
}

TEST_CASE("schema: other tables than the one it was learned on") {
  const data::Schema s = fit(parse("n,c,y\n1,1,a\n2,x,b\n3,1,a\n"), "y");
  CHECK(s.columns[1].categories == std::vector<std::string>{"1", "x"});
  // Here the column looks numeric, has another order, one category is unknown, and there is a column too many.
  CHECK(floats(encode(s, parse("more,c,n\n9,1.0,2\n9,7,2\n"))) == std::vector<float>{0, 1, 0, 0, 0, 0});
  CHECK_REFUSED_AS(IndexError, encode(s, parse("n,y\n1,a\n")), "there is no column 'c'", "trained on", "n, y");
  CHECK_REFUSED_AS(ValueError, encode(s, parse("n,c\n1,1\nold,1\n")), "line 3, column \"n\": not a number: 'old'");
  CHECK_REFUSED_AS(ValueError, encode_target(s, parse("y\na\nc\n")),
                   "encode_target: t.csv line 3, column \"y\": a class the model does not know: 'c'; it knows a, b");
  const data::Schema numbers = fit(parse("x,y\n1,0\n2,1\n"), "y");
  CHECK(labels(encode_target(numbers, parse("y\n1.0\n0\n"))) == std::vector<std::int64_t>{1, 0});
  CHECK_REFUSED_AS(ValueError, encode_target(numbers, parse("y\n1\n2\n")), "line 3", "'2'", "it knows 0, 1");
}

TEST_CASE("schema: what cannot be learned from") {
  CHECK_REFUSED_AS(IndexError, fit(parse("x,y\n1,2\n"), "z"), "there is no column 'z': the columns are x, y");
  CHECK_REFUSED_AS(ValueError, fit(parse("y\n1\n2\n"), "y"), "no column besides the target");
  CHECK_REFUSED_AS(ValueError, fit(parse("x,y\n1,3\n2,3\n"), "y"), "same value in every row: 3");
  CHECK_REFUSED_AS(ValueError, fit(parse("x,y\n1,a\n2,a\n"), "y"), "same value in every row: 'a'");
  CHECK_REFUSED_AS(ValueError, fit(parse("x,y\n1,a\n2,b\n"), "y", {.task = "regression"}), "is text");
  CHECK_REFUSED_AS(ValueError, fit(parse("x,y\n1,a\n2,b\n"), "y", {.missing = "guess"}), "'guess'");
  CHECK_REFUSED_AS(ValueError, fit(parse("x,y\n1,a\n2,b\n"), "y", {.task = "sorting"}), "'sorting'");
  std::string names = "name,x,y\n";
  for (int i = 0; i < 150; ++i) names += "n" + std::to_string(i) + ",1," + std::to_string(i % 2) + "\n";
  CHECK_REFUSED_AS(ValueError, fit(parse(names), "y"), "column 'name' has too many different texts", "150 in 150 rows");
  CHECK(fit(parse(names), "y", {.ignore = {"name"}}).columns.size() == 1);
  CHECK_REFUSED_AS(ValueError, fit(parse(names), "name"), "too many different texts to be classes");
}

TEST_CASE("schema: JSON and back") {
  const data::Table t = parse("size,\"a \"\"color\"\"\",kind\n1,rød,b\n3,blue,a\n5,rød,b\n");
  const data::Schema s = fit(t, "kind", {.missing = "fill"});
  const std::string json = schema_to_json(s);
  const data::Schema back = data::schema_from_json(json);
  CHECK(schema_to_json(back) == json);
  CHECK(floats(encode(back, t)) == floats(encode(s, t)));
  const data::Schema regression = fit(parse("x,y\n1,10\n2,20.5\n"), "y");
  CHECK(data::schema_from_json(schema_to_json(regression)).target_mean == 15.25);
}

TEST_CASE("schema: hostile JSON") {
  const auto read = [](std::string json) {
    for (char& c : json)
      if (c == '\'') c = '"';
    return data::schema_from_json(json);
  };
  const std::string numeric = "{'name':'x','kind':'numeric','mean':0,'scale':1}";
  const auto schema = [](const std::string& columns, const std::string& rest) {
    return "{'columns':[" + columns + "],'target':'y'," + rest + "}";
  };
  const std::string regression = "'task':'regression','target_mean':0,'target_scale':1";
  CHECK(read(schema(numeric, regression)).width() == 1);
  CHECK_REFUSED(read("{"), "no valid JSON");
  CHECK_REFUSED(read("[]"), "should be an object");
  CHECK_REFUSED(read("{}"), "has no \"columns\"");
  CHECK_REFUSED(read(schema(numeric, regression + ",'task':'regression'")), "'task' is there twice");
  CHECK_REFUSED(read(schema(numeric, regression + ",'more':1")), "not known: 'more'");
  CHECK_REFUSED(read(schema(numeric + "," + numeric, regression)), "there twice");
  CHECK_REFUSED(read(schema("{'name':'x','kind':'other'}", regression)), "columns[0].kind");
  CHECK_REFUSED(read(schema("{'name':'x','kind':'numeric','mean':0,'scale':0}", regression)),
                "columns[0].scale: is not above 0");
  CHECK_REFUSED(read(schema("{'name':'x','kind':'numeric','mean':'inf','scale':1}", regression)), "is not finite");
  CHECK_REFUSED(read(schema("{'name':'x','kind':'numeric','mean':true,'scale':1}", regression)), "should be a number");
  CHECK_REFUSED(read(schema("{'name':'x','kind':'categorical','categories':['a','a']}", regression)), "there twice");
  CHECK_REFUSED(read(schema("{'name':7,'kind':'numeric','mean':0,'scale':1}", regression)),
                "columns[0].name: should be a text");
  CHECK_REFUSED(read(schema(numeric, "'task':'classification','classes':[]")), "is empty");
  CHECK_REFUSED(read(schema(numeric, "'task':'guessing'")), "schema.task");
  CHECK_REFUSED(read(std::string(100, '[') + std::string(100, ']')), "nested deeper");
}
