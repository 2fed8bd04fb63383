// Sources: the built-in ones, and those written in Python. They are read by a thread of fit, which takes the GIL there.
#include "sources.hpp"

#include <map>
#include <mutex>

#include "watcher.hpp"

namespace chainrule::python {
namespace {

// X, (X, y) or (X, y, weight), as a source gives them; X may be a tuple of inputs.
data::SourceRows to_rows(const py::object& given, const char* who) {
  data::SourceRows rows;
  if (!py::isinstance<py::tuple>(given)) {
    rows.x = borrow_inputs(given, who);
    return rows;
  }
  const auto parts = py::cast<py::tuple>(given);
  if (parts.size() < 2 || parts.size() > 3)
    throw ValueError(std::string(who) + ": a source must give X, (X, y) or (X, y, weight), got a tuple of " +
                     std::to_string(parts.size()));
  rows.x = borrow_inputs(parts[0], who);
  if (!parts[1].is_none()) rows.y = borrow_target(parts[1], who);
  if (parts.size() == 3 && !parts[2].is_none()) rows.weight = borrow(parts[2], who);
  return rows;
}

py::object from_rows(const data::SourceRows& rows) {
  py::object x;
  if (rows.x.size() == 1) {
    x = to_numpy(rows.x[0]);
  } else {
    py::tuple inputs(rows.x.size());
    for (std::size_t i = 0; i < rows.x.size(); ++i) inputs[i] = to_numpy(rows.x[i]);
    x = inputs;
  }
  if (!rows.y.defined()) return x;
  if (!rows.weight.defined()) return py::make_tuple(x, to_numpy(rows.y));
  return py::make_tuple(x, to_numpy(rows.y), to_numpy(rows.weight));
}

std::int64_t attribute(const py::object& object, const char* name, const char* who) {
  py::object value = object.attr(name);
  if (PyCallable_Check(value.ptr()) != 0) value = value();
  if (PyBool_Check(value.ptr()) != 0 || PyIndex_Check(value.ptr()) == 0)
    throw DTypeError(std::string(who) + ": " + type_name(object) + "." + name + " must be a number of rows, got " +
                     std::string(py::repr(value)));
  return value.cast<std::int64_t>();
}

// A tensor of its own: who reads may use an array again for the next rows.
Tensor copy_of(const Tensor& t) {
  return t.defined() ? Tensor::from_raw(t.raw_data(), static_cast<std::size_t>(t.size()), t.shape(), t.dtype()) : t;
}

// An object that reads, for all who read it: one at a time, also after a read that was left behind.
struct Reader {
  explicit Reader(const py::object& read) : object(hold(read)) {}
  std::shared_ptr<PyObject> object;
  std::mutex reading{};
};

std::shared_ptr<Reader> reader_of(const py::object& object) {
  static auto* const known = new std::map<PyObject*, std::weak_ptr<Reader>>();  // by the GIL one thread's at a time
  std::erase_if(*known, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<Reader>& entry = (*known)[object.ptr()];
  std::shared_ptr<Reader> reader = entry.lock();
  if (!reader) entry = reader = std::make_shared<Reader>(object);
  return reader;
}

// Any Python object with rows and read(first, count).
class PythonSource : public data::Source {
 public:
  PythonSource(const py::object& object, const char* who) : reader_(reader_of(object)), name_(type_name(object)) {
    rows_ = attribute(object, "rows", who);
    if (py::hasattr(object, "window_rows") && !object.attr("window_rows").is_none()) {
      window_rows_ = attribute(object, "window_rows", who);
      if (window_rows_ < 1)
        throw ValueError(std::string(who) + ": " + name_ +
                         ".window_rows must be at least 1, or None: " + std::to_string(window_rows_));
    }
    py::object any_order = py::getattr(object, "any_order", py::bool_(true));
    if (PyCallable_Check(any_order.ptr()) != 0) any_order = any_order();
    any_order_ = py::cast<bool>(py::bool_(any_order));
  }
  std::int64_t rows() override { return rows_; }
  data::SourceRows read(std::int64_t first, std::int64_t count) override {
    const std::lock_guard one_at_a_time(reader_->reading);
    return with_gil([&] {
      PyObject* const object = reader_->object.get();
      data::SourceRows rows = to_rows(result_of([&] {
                                        return PyObject_CallMethod(object, "read", "LL", static_cast<long long>(first),
                                                                   static_cast<long long>(count));
                                      }),
                                      "read");
      for (Tensor& x : rows.x) x = copy_of(x);
      rows.y = copy_of(rows.y), rows.weight = copy_of(rows.weight);
      return rows;
    });
  }
  bool any_order() const override { return any_order_; }
  std::int64_t window_rows() const override { return window_rows_; }
  std::string str() const override { return name_ + "(" + std::to_string(rows_) + " rows)"; }

 private:
  std::shared_ptr<Reader> reader_;
  std::string name_;
  std::int64_t rows_ = 0, window_rows_ = 0;
  bool any_order_ = true;
};

std::int64_t window_rows_of(std::optional<std::int64_t> window_rows, const char* who) {
  if (window_rows && *window_rows < 1)
    throw ValueError(std::string(who) + ": window_rows must be at least 1: " + std::to_string(*window_rows));
  return window_rows.value_or(0);
}

// A pass over what a function makes, or over an object that can be iterated over again.
data::GeneratorSource::Next start_pass(const std::shared_ptr<PyObject>& make) {
  const auto begin = [&] {
    const py::object made =
        PyCallable_Check(make.get()) != 0 ? result_of([&] { return PyObject_CallNoArgs(make.get()); }) : held(make);
    return hold(result_of([&] { return PyObject_GetIter(made.ptr()); }));
  };
  return [iterator = with_gil(begin)](data::SourceRows& piece) {
    return with_gil([&] {
      PyObject* const next = outlives_python([&] { return PyIter_Next(iterator.get()); });
      if (next == nullptr) {
        if (PyErr_Occurred() != nullptr) throw py::error_already_set();
        return false;
      }
      piece = to_rows(py::reinterpret_steal<py::object>(next), "GeneratorSource");
      return true;
    });
  };
}

std::shared_ptr<data::GeneratorSource> generator_source(const py::object& make, std::optional<std::int64_t> rows,
                                                        std::optional<std::int64_t> window_rows) {
  constexpr const char* who = "GeneratorSource";
  if (rows && *rows < 1) throw ValueError("GeneratorSource: rows must be at least 1: " + std::to_string(*rows));
  if (PyCallable_Check(make.ptr()) == 0) {
    if (!py::hasattr(make, "__iter__"))
      throw DTypeError(
          "GeneratorSource: expected a function that makes a generator, or an object to iterate over, got " +
          type_name(make));
    if (PyIter_Check(make.ptr()) != 0)
      throw ValueError("GeneratorSource: " + type_name(make) +
                       " objects are used up after one pass; give the function that makes one, without calling it");
  }
  return std::make_shared<data::GeneratorSource>(
      [held = hold(make)] { return start_pass(held); },
      data::GeneratorSourceOptions{rows.value_or(0), window_rows_of(window_rows, who)});
}

std::vector<std::string> paths_of(const py::object& paths) {
  const py::object fspath = py::module_::import("os").attr("fspath");
  std::vector<std::string> all;
  if (is_sequence(paths))
    for (py::handle path : paths) all.push_back(fspath(path).cast<std::string>());
  else
    all.push_back(fspath(paths).cast<std::string>());
  return all;
}

std::string one_path(const py::object& path, const char* who, const char* what) {
  const std::vector<std::string> all = paths_of(path);
  if (all.size() != 1)
    throw ValueError(std::string(who) + ": " + what + " must be one path, got " + std::to_string(all.size()));
  return all[0];
}

// Whatever makes rows contiguous would read a mapped file whole.
void check_in_place(const py::object& given, const char* who) {
  if (PyTuple_Check(given.ptr())) {
    for (py::handle item : given) check_in_place(py::reinterpret_borrow<py::object>(item), who);
    return;
  }
  if (!py::isinstance<py::array>(given) || (py::array(given).flags() & py::array::c_style) != 0) return;
  if (py::isinstance(given, py::module_::import("numpy").attr("memmap")))
    throw ValueError(std::string(who) +
                     ": the rows of a numpy.memmap are not contiguous, so all of it would be copied into memory; map a "
                     "file of such rows, or give an object with rows and read(first, count)");
}

std::int64_t rows_of(const std::shared_ptr<data::Source>& source) {
  return interruptible([&](const std::function<bool()>& on_wait) { return data::count_rows(source, on_wait); });
}

constexpr const char* window_doc =
    "window_rows: rows read at a time; None: as many as 64 MB hold. fit takes whole batches.";

}  // namespace

bool is_source(py::handle value) {
  return py::isinstance<data::Source>(value) ||
         (py::hasattr(value, "read") && py::hasattr(value, "rows") && PyType_Check(value.ptr()) == 0);
}

std::shared_ptr<data::Source> to_source(const py::object& source, const char* who) {
  if (py::isinstance<data::Source>(source)) return source.cast<std::shared_ptr<data::Source>>();
  return std::make_shared<PythonSource>(source, who);
}

bool is_source_alone(const py::object& x, const py::object& y, const char* who) {
  if (is_source(x)) {
    if (!y.is_none())
      throw ValueError(std::string(who) + ": y was given beside a source, which gives the targets itself; leave y out");
    return true;
  }
  if (y.is_none())
    throw ValueError(std::string(who) +
                     ": y is missing; give one target per sample, or a source of chainrule.data alone (" +
                     type_name(x) + " is none)");
  return false;
}

void check_arrays(const py::object& x, const py::object& y, const char* who) {
  if (is_source(x))
    throw ValueError(std::string(who) +
                     ": takes arrays, not a source; read a part of it that fits into memory: X, y = source.read(0, n)");
  if (y.is_none()) throw ValueError(std::string(who) + ": y is missing; give one target per sample");
}

void bind_sources(py::module_& m) {
  using data::Source;
  py::class_<Source, std::shared_ptr<Source>>(
      m, "Source",
      "Data that need not fit into memory: Trainer.fit, evaluate and predict take it in the place of (X, y), as fit "
      "does "
      "for\n"
      "validation_data. It is read in windows of rows, the next one while the present one trains.\n\n"
      "An epoch takes every row once: windows in random order, and the rows of each window in random order; the last "
      "window,\n"
      "if it is shorter, comes last. Rows of different windows do not meet in a batch. A source of one window gives "
      "the "
      "bits of\n"
      "fit(X, y).\n\n"
      "One of your own is any object with an int `rows` and a method read(first, count) that returns X, (X, y) or (X, "
      "y, "
      "weight)\n"
      "of those rows, which are copied; X may be a tuple of inputs. It may have `window_rows`, and any_order = False "
      "if "
      "it "
      "reads fast\n"
      "in order only: then fit takes the windows in order, and shuffles within them. Another thread\n"
      "calls it, one read of an object at a time.")
      .def_property_readonly("rows", &rows_of, "How many rows there are.")
      .def(
          "read",
          [](const std::shared_ptr<Source>& s, std::int64_t first, std::int64_t count) {
            return from_rows(interruptible(
                [&](const std::function<bool()>& on_wait) { return data::read_rows(s, first, count, on_wait); }));
          },
          "first"_a, "count"_a, "Rows first ... first + count - 1: X, (X, y) or (X, y, weight), as new arrays.")
      .def_property_readonly("any_order", &Source::any_order, "Whether fit takes the windows in random order.")
      .def("__len__", &rows_of)
      .def("__repr__", &Source::str);
  py::class_<data::ArraySource, Source, std::shared_ptr<data::ArraySource>>(
      m, "ArraySource", py::is_final(),
      ("Arrays in memory, read in place; a numpy.memmap is one of them. One window unless window_rows is given.\n\n" +
       std::string(window_doc) +
       "\n\n"
       ">>> source = cr.data.ArraySource([[0.0], [1.0], [2.0]], [[1.0], [3.0], [5.0]])\n"
       ">>> trainer = cr.Trainer(nn.Linear(1, 1), nn.MSELoss(), optim.SGD(lr=0.1))\n"
       ">>> trainer.fit(source, epochs=200)[\"loss\"][-1] < 0.01\nTrue")
          .c_str())
      .def(py::init([](const py::object& x, const py::object& y, const py::object& weight,
                       std::optional<std::int64_t> window_rows) {
             const char* who = "ArraySource";
             for (const py::object& given : {x, y, weight}) check_in_place(given, who);
             data::SourceRows rows{borrow_inputs(x, who), y.is_none() ? Tensor() : borrow_target(y, who),
                                   weight.is_none() ? Tensor() : borrow(weight, who)};
             return std::make_shared<data::ArraySource>(std::move(rows),
                                                        data::SourceOptions{window_rows_of(window_rows, who)});
           }),
           "X"_a, "y"_a = py::none(), "weight"_a = py::none(), py::kw_only(), "window_rows"_a = py::none());
  py::class_<data::NpySource, Source, std::shared_ptr<data::NpySource>>(
      m, "NpySource", py::is_final(),
      ("NPY files, mapped into memory: rows of float32, float64, int32, int64 and uint8 are read where they lie in the "
       "system's\n"
       "cache, others are converted window by window. X: a path, or a tuple of paths for several inputs; y: a path, or "
       "None.\n"
       "The files must not change while they are used.\n\n" +
       std::string(window_doc) + "\nRaises FileError for files that are no NPY files, or in Fortran order.")
          .c_str())
      .def(py::init([](const py::object& x, const py::object& y, std::optional<std::int64_t> window_rows) {
             const data::SourceOptions options{window_rows_of(window_rows, "NpySource")};
             return std::make_shared<data::NpySource>(paths_of(x), y.is_none() ? "" : one_path(y, "NpySource", "y"),
                                                      options);
           }),
           "X"_a, "y"_a = py::none(), py::kw_only(), "window_rows"_a = py::none());
  const data::CsvOptions d;
  py::class_<data::CsvSource, Source, std::shared_ptr<data::CsvSource>>(
      m, "CsvSource", py::is_final(),
      ("A CSV file, encoded by a schema: learn that from some rows with fit_schema(read_csv(path, rows=100_000), "
       "target).\n"
       "One pass at the beginning counts rows, notes where they are, and finds which columns are numbers. The file "
       "must "
       "not\n"
       "change while it is used. Other arguments are those of read_csv.\n\n" +
       std::string(window_doc))
          .c_str())
      .def(py::init([](const py::object& path, const data::Schema& schema, const std::string& delimiter,
                       const std::string& decimal, bool header, const py::object& missing,
                       const std::vector<std::string>& text, std::optional<std::int64_t> window_rows) {
             const char* who = "CsvSource";
             const std::string name = one_path(path, who, "path");
             const data::CsvSourceOptions options{to_csv_options(who, delimiter, decimal, header, missing, text),
                                                  window_rows_of(window_rows, who)};
             const Unlocked unlocked;
             return std::make_shared<data::CsvSource>(name, schema, options);
           }),
           "path"_a, "schema"_a, py::kw_only(), "delimiter"_a = "", "decimal"_a = std::string(1, d.decimal),
           "header"_a = d.header, "missing"_a = py::none(), "text"_a = py::tuple(), "window_rows"_a = py::none());
  py::class_<data::GeneratorSource, Source, std::shared_ptr<data::GeneratorSource>>(
      m, "GeneratorSource", py::is_final(),
      ("Pieces of any number of rows, one after the other: X, (X, y) or (X, y, weight). make: a function that returns "
       "what to\n"
       "iterate over, called anew for each pass, or an object that can be iterated over again. Every pass must give "
       "the "
       "same rows.\n"
       "rows: how many an epoch has, also of endless generators; None: they are counted by one pass before the first "
       "epoch.\n"
       "Windows are taken in order, rows are shuffled within them.\n\n" +
       std::string(window_doc) +
       "\n\n"
       ">>> import numpy as np\n"
       ">>> def pieces():\n"
       "...     for seed in range(10):\n"
       "...         X = np.random.default_rng(seed).normal(size=(100, 2)).astype(\"float32\")\n"
       "...         yield X, X[:, :1] + X[:, 1:]\n"
       ">>> source = cr.data.GeneratorSource(pieces, window_rows=256)\n"
       ">>> source.rows\n1000\n"
       ">>> trainer = cr.Trainer(nn.Linear(2, 1), nn.MSELoss(), optim.SGD(lr=0.1))\n"
       ">>> trainer.fit(source, epochs=5)[\"loss\"][-1] < 0.001\nTrue")
          .c_str())
      .def(py::init(&generator_source), "make"_a, py::kw_only(), "rows"_a = py::none(), "window_rows"_a = py::none());
}

}  // namespace chainrule::python
