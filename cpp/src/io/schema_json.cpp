// A Schema as JSON, for the model file. Reading checks everything: the file may come from anywhere.
#include <cmath>
#include <set>

#include "chainrule/data.hpp"
#include "core/fail.hpp"
#include "io/json.hpp"

namespace chainrule::data {
namespace {

using io::Json;
using io::JsonView;

void unique(const std::vector<std::string>& names, const JsonView& at) {
  if (std::set<std::string>(names.begin(), names.end()).size() != names.size()) at.fail("an entry is there twice");
}

double finite(const JsonView& view) {
  const double value = view.real();
  if (!std::isfinite(value)) view.fail("is not finite");
  return value;
}

double scale(const JsonView& view) {
  const double value = finite(view);
  if (value <= 0) view.fail("is not above 0");
  return value;
}

ColumnSchema read_column(const JsonView& view) {
  ColumnSchema column;
  column.name = view["name"].string();
  column.kind = view["kind"].string();
  if (column.kind == "numeric") {
    view.only({"name", "kind", "mean", "scale"}, {"fill"});
    column.mean = finite(view["mean"]);
    column.scale = scale(view["scale"]);
    column.fills = view.has("fill");
    if (column.fills) column.fill = finite(view["fill"]);
  } else if (column.kind == "categorical") {
    view.only({"name", "kind", "categories"}, {"fill"});
    column.categories = view["categories"].strings();
    unique(column.categories, view["categories"]);
    column.fills = view.has("fill");
    if (column.fills) column.fill_category = view["fill"].string();
  } else {
    view["kind"].fail("is neither \"numeric\" nor \"categorical\"");
  }
  return column;
}

Schema read_schema(const JsonView& view) {
  view.only({"columns", "target", "task"}, {"classes", "target_mean", "target_scale"});
  Schema schema;
  schema.target = view["target"].string();
  schema.task = view["task"].string();
  std::vector<std::string> names{schema.target};
  for (const JsonView& column : view["columns"].items()) {
    schema.columns.push_back(read_column(column));
    names.push_back(schema.columns.back().name);
  }
  unique(names, view["columns"]);
  if (schema.task == "classification") {
    schema.classes = view["classes"].strings();
    unique(schema.classes, view["classes"]);
    if (schema.classes.empty()) view["classes"].fail("is empty");
  } else if (schema.task == "regression") {
    schema.target_mean = finite(view["target_mean"]);
    schema.target_scale = scale(view["target_scale"]);
  } else {
    view["task"].fail("is neither \"classification\" nor \"regression\"");
  }
  return schema;
}

}  // namespace

std::string schema_to_json(const Schema& schema) {
  Json columns = Json::array();
  for (const ColumnSchema& c : schema.columns) {
    Json column{{"name", c.name}, {"kind", c.kind}};
    if (c.kind == "numeric") {
      column["mean"] = c.mean;
      column["scale"] = c.scale;
      if (c.fills) column["fill"] = c.fill;
    } else {
      column["categories"] = c.categories;
      if (c.fills) column["fill"] = c.fill_category;
    }
    columns.push_back(std::move(column));
  }
  Json json{{"columns", std::move(columns)}, {"target", schema.target}, {"task", schema.task}};
  if (schema.task == "classification") {
    json["classes"] = schema.classes;
  } else {
    json["target_mean"] = schema.target_mean;
    json["target_scale"] = schema.target_scale;
  }
  try {
    return json.dump();
  } catch (const Json::exception&) {
    fail<ValueError>("schema_to_json", "a name or a category is not UTF-8", "",
                     "read the table with read_csv, which checks that");
  }
}

Schema schema_from_json(const std::string& json) {
  try {
    return read_schema({io::parse_json(json), "schema"});
  } catch (const io::JsonError& error) { fail<FileError>("schema_from_json", error.what()); }
}

}  // namespace chainrule::data
