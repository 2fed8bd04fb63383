// Data: batches, splits, IDX and CSV files, and the schema that turns a table into numbers.
#include "path.hpp"
#include "sampling.hpp"
#include "sources.hpp"

namespace chainrule::python {
namespace {

struct BatchIterator {
  data::Batches::Iterator at, end;
  py::tuple next() {
    if (!(at != end)) throw py::stop_iteration();
    const auto [x, y] = *at;
    ++at;
    return py::make_tuple(to_numpy(x), y.defined() ? py::object(to_numpy(y)) : py::none());
  }
};

void bind_batches(py::module_& m) {
  const data::BatchOptions d;
  py::class_<BatchIterator>(m, "_BatchIterator")
      .def("__iter__", [](py::object self) { return self; })
      .def("__next__", &BatchIterator::next);
  py::class_<data::Batches>(m, "Batches",
                            "Mini-batches of two arrays. Can be iterated over again: each pass has a new order.")
      .def(
          "__iter__",
          [](data::Batches& b) {
            auto begin = b.begin();
            return BatchIterator{std::move(begin), b.end()};
          },
          py::keep_alive<0, 1>())
      .def("__len__", &data::Batches::size);
  m.def(
      "batches",
      [](const py::object& x, const py::object& y, std::int64_t batch_size, bool shuffle, const py::object& seed,
         const py::object& sampler) {
        const Tensor target = y.is_none() ? Tensor() : borrow(y, "batches");
        return data::batches(borrow(x, "batches"), target,
                             {batch_size, shuffle, to_seed(seed, "batches"), to_sampler(sampler, "batches")});
      },
      "X"_a, "y"_a = py::none(), py::kw_only(), "batch_size"_a = d.batch_size, "shuffle"_a = d.shuffle,
      "seed"_a = d.seed, "sampler"_a = py::none(),
      "Pairs of NumPy arrays (xb, yb), in the order in which a Trainer with this seed takes them. The last batch may "
      "be smaller.\nsampler: as fit takes it.");
}

py::object column_values(const data::Column& column) {
  if (!column.numeric) return py::cast(column.text);
  return py::array_t<double>(static_cast<py::ssize_t>(column.numbers.size()), column.numbers.data());
}

// (name, float64 array or list of strings) pairs: data.to_table makes them.
data::Table table_of(const std::vector<std::pair<std::string, py::object>>& columns) {
  data::Table table;
  for (const auto& [name, values] : columns) {
    data::Column column{name, py::isinstance<py::array>(values), {}, {}};
    if (column.numeric)
      column.numbers = values.cast<std::vector<double>>();
    else
      column.text = values.cast<std::vector<std::string>>();
    const auto rows = static_cast<std::int64_t>(column.numeric ? column.numbers.size() : column.text.size());
    if (!table.columns.empty() && rows != table.rows)
      throw ShapeError("to_table: columns differ in length: \"" + name + "\" has " + std::to_string(rows) +
                       " rows, \"" + table.columns[0].name + "\" " + std::to_string(table.rows));
    table.rows = rows;
    table.columns.push_back(std::move(column));
  }
  return table;
}

void bind_tables(py::module_& m) {
  using data::Table;
  const data::CsvOptions d;
  py::class_<Table>(m, "Table",
                    "A table read from a CSV file: columns of numbers (missing: NaN) or text (missing: empty).")
      .def_readonly("rows", &Table::rows)
      .def_property_readonly(
          "columns",
          [](const Table& t) {
            std::vector<std::string> names;
            for (const auto& column : t.columns) names.push_back(column.name);
            return names;
          },
          "The names of the columns.")
      .def("__len__", [](const Table& t) { return t.rows; })
      .def(
          "__contains__",
          [](const Table& t, const std::string& name) {
            for (const auto& column : t.columns)
              if (column.name == name) return true;
            return false;
          },
          "name"_a)
      .def(
          "__getitem__", [](const Table& t, const std::string& name) { return column_values(t.column(name)); },
          "name"_a, "A column: a float64 array, or a list of strings.")
      .def(
          "complete_rows",
          [](const Table& t, const std::vector<std::string>& names) {
            const auto rows = t.complete_rows(names);
            return py::array_t<std::int64_t>(static_cast<py::ssize_t>(rows.size()), rows.data());
          },
          "names"_a = py::tuple(), "Rows in which none of these columns (none given: of all) has a missing cell.")
      .def(
          "take",
          [](const Table& t, const py::array_t<std::int64_t>& rows) {
            return t.take(std::span(rows.data(), static_cast<std::size_t>(rows.size())));
          },
          "rows"_a, "The table of these rows.")
      .def(
          "is_numeric", [](const Table& t, const std::string& name) { return t.column(name).numeric; }, "name"_a)
      .def_static("_from_columns", &table_of, "columns"_a)
      .def("__repr__", [](const Table& t) {
        return "Table(" + std::to_string(t.rows) + " rows, " + std::to_string(t.columns.size()) + " columns)";
      });
  m.def(
      "read_csv",
      [](const py::object& path, const std::string& delimiter, const std::string& decimal, bool header,
         const py::object& missing, const std::vector<std::string>& text, std::optional<std::int64_t> rows) {
        data::CsvOptions options = to_csv_options("read_csv", delimiter, decimal, header, missing, text);
        if (rows && *rows < 1) throw ValueError("read_csv: rows must be at least 1: " + std::to_string(*rows));
        options.rows = rows.value_or(0);
        const std::string name = path_of(path);
        const Unlocked unlocked;
        return data::read_csv(name, options);
      },
      "path"_a, py::kw_only(), "delimiter"_a = "", "decimal"_a = std::string(1, d.decimal), "header"_a = d.header,
      "missing"_a = py::none(), "text"_a = py::tuple(), "rows"_a = py::none(),
      "Read a CSV file. The delimiter is found from the first lines where it is not given; missing lists what counts "
      "as\n"
      "missing, text the columns kept as text even where all their cells are numbers. rows: only the first so many.");
  using data::Schema;
  py::class_<Schema>(m, "Schema", "How a table becomes numbers: learned from training rows, saved with the model.")
      .def_readonly("target", &Schema::target)
      .def_readonly("task", &Schema::task, "\"classification\" or \"regression\".")
      .def_readonly("classes", &Schema::classes, "Label i is classes[i].")
      .def_readonly("target_mean", &Schema::target_mean)
      .def_readonly("target_scale", &Schema::target_scale)
      .def_property_readonly(
          "columns",
          [](const Schema& s) {
            py::list columns;
            for (const auto& c : s.columns) columns.append(py::make_tuple(c.name, c.kind));
            return columns;
          },
          "(name, kind) pairs.")
      .def_property_readonly("width", &Schema::width, "Features after encoding.")
      .def(
          "encode", [](const Schema& s, const Table& t) { return to_numpy(data::encode(s, t)); }, "table"_a,
          "The table's features as (rows, width) float32.")
      .def(
          "encode_target", [](const Schema& s, const Table& t) { return to_numpy(data::encode_target(s, t)); },
          "table"_a, "The table's target: int64 labels, or float32 (rows, 1).")
      .def("to_json", [](const Schema& s) { return data::schema_to_json(s); })
      .def_static("from_json", [](const std::string& json) { return data::schema_from_json(json); }, "json"_a);
  const data::SchemaOptions o;
  m.def(
      "fit_schema",
      [](const Table& table, const std::string& target, const py::object& rows, const std::string& missing,
         const std::string& task, const std::vector<std::string>& ignore) {
        std::vector<std::int64_t> used;
        if (rows.is_none())
          for (std::int64_t i = 0; i < table.rows; ++i) used.push_back(i);
        else
          used = rows.cast<std::vector<std::int64_t>>();
        return data::fit_schema(table, target, used, {missing, task, ignore});
      },
      "table"_a, "target"_a, "rows"_a = py::none(), py::kw_only(), "missing"_a = o.missing, "task"_a = o.task,
      "ignore"_a = py::tuple(),
      "Learn means, scales, categories and classes from the given rows (None: all). missing: \"error\", \"fill\" "
      "(mean, or the\n"
      "most frequent category) or \"drop\"; task: \"auto\", \"classification\" or \"regression\"; ignore: columns that "
      "are no\n"
      "features.");
}

}  // namespace

data::CsvOptions to_csv_options(const char* who, const std::string& delimiter, const std::string& decimal, bool header,
                                const py::object& missing, const std::vector<std::string>& text) {
  const auto one = [&](const char* name, const std::string& given) {
    throw ValueError(std::string(who) + ": " + name + " must be one character, got \"" + given + "\"");
  };
  if (delimiter.size() > 1) one("delimiter", delimiter);
  if (decimal.size() != 1) one("decimal", decimal);
  data::CsvOptions options;
  options.delimiter = delimiter.empty() ? char{0} : delimiter[0];
  options.decimal = decimal[0];
  options.header = header;
  options.text = text;
  if (!missing.is_none()) options.missing = missing.cast<std::vector<std::string>>();
  return options;
}

void bind_data(py::module_& m) {
  bind_samplers(m);
  bind_batches(m);
  m.def(
      "parse_idx",
      [](const py::bytes& bytes, const std::string& name) {
        const std::string_view view = bytes;
        return to_numpy(data::parse_idx({reinterpret_cast<const unsigned char*>(view.data()), view.size()}, name));
      },
      "data"_a, "name"_a = "bytes", "An array from the bytes of an IDX file (MNIST's format).");
  m.def(
      "read_idx", [](const py::object& path) { return to_numpy(data::read_idx(path_of(path))); }, "path"_a,
      "An array from an IDX file (MNIST's format), gzip-compressed or not.");
  bind_tables(m);
  bind_sources(m);  // after the schema
}

}  // namespace chainrule::python
